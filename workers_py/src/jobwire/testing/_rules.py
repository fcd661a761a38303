# SPDX-License-Identifier: Apache-2.0
"""The broker's rules, as its core has them: moves of a job, budgets, backoff, jitter.

Held to the core by tests: it writes its table and its judgements over many cases to schemas/golden/rules.json, and this
module must answer each of them alike. Nothing here is decided in Python.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from enum import Enum

from jobwire._answers import DeadReason, JobState
from jobwire._retry_policy import Backoff, RetryPolicy
from jobwire._wire_enums import Outcome

LONGEST_DELAY_MS = 366 * 24 * 3_600_000
DEFAULT_TIMEOUT_MS = 600_000
_MASK = (1 << 64) - 1


class Move(Enum):
    """What moves a job."""

    SUBMIT = "submit"
    SUBMIT_DELAYED = "submit-delayed"
    IMPORT = "import"
    DUE = "due"
    LEASE = "lease"
    ADOPT = "adopt"
    SUCCEED = "succeed"
    RETRY = "retry"
    HAND_BACK = "hand-back"
    BURY = "bury"
    CANCEL = "cancel"
    CANCEL_CONFIRMED = "cancel-confirmed"
    EXPIRE = "expire"
    REPLAY = "replay"


_S = JobState
TRANSITIONS: dict[tuple[JobState | None, Move], JobState] = {
    (None, Move.SUBMIT): _S.QUEUED,
    (None, Move.SUBMIT_DELAYED): _S.SCHEDULED,
    (None, Move.IMPORT): _S.DEAD,
    (_S.SCHEDULED, Move.DUE): _S.QUEUED,
    (_S.SCHEDULED, Move.CANCEL): _S.CANCELLED,
    (_S.SCHEDULED, Move.EXPIRE): _S.EXPIRED,
    (_S.SCHEDULED, Move.ADOPT): _S.RUNNING,
    (_S.QUEUED, Move.LEASE): _S.RUNNING,
    (_S.QUEUED, Move.ADOPT): _S.RUNNING,
    (_S.QUEUED, Move.EXPIRE): _S.EXPIRED,
    (_S.QUEUED, Move.CANCEL): _S.CANCELLED,
    (_S.RUNNING, Move.SUCCEED): _S.SUCCEEDED,
    (_S.RUNNING, Move.RETRY): _S.SCHEDULED,
    (_S.RUNNING, Move.HAND_BACK): _S.QUEUED,
    (_S.RUNNING, Move.BURY): _S.DEAD,
    (_S.RUNNING, Move.CANCEL_CONFIRMED): _S.CANCELLED,
    (_S.DEAD, Move.REPLAY): _S.QUEUED,
}


class Random:
    """SplitMix64, as the core draws its jitter."""

    def __init__(self, seed: int) -> None:
        self._state = seed & _MASK

    def next(self) -> int:
        self._state = z = (self._state + 0x9E3779B97F4A7C15) & _MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return z ^ (z >> 31)

    def fraction(self) -> float:
        """Uniform in [0, 1)."""
        return (self.next() >> 11) * 2.0**-53


@dataclass(frozen=True, slots=True)
class Policy:
    """A retry policy in which nothing is left open."""

    attempts: int = 4
    timeouts: int = 4
    crashes: int = 3
    backoff: int = Backoff.EXPONENTIAL
    base_ms: int = 1000
    cap_ms: int = 600_000
    factor: float = 2.0
    jitter: bool = True
    listed_ms: tuple[int, ...] = ()
    fatal: tuple[str, ...] = ()


def from_asked(asked: RetryPolicy) -> Policy:
    """A policy as it travels: 0 stands for what was not said."""
    return Policy(
        asked.attempts or 0,
        asked.timeouts or 0,
        asked.crashes or 0,
        asked.backoff or Backoff.EXPONENTIAL,
        asked.base_ms,
        asked.cap_ms,
        # The factor is a float32 on the wire.
        struct.unpack("<f", struct.pack("<f", asked.factor))[0],
        asked.jitter,
        asked.listed_ms,
        asked.fatal,
    )


def with_defaults(asked: Policy, defaults: Policy) -> Policy:
    return replace(
        asked,
        attempts=asked.attempts or defaults.attempts,
        timeouts=asked.timeouts or asked.attempts or defaults.timeouts,
        crashes=asked.crashes or defaults.crashes,
        base_ms=asked.base_ms or defaults.base_ms,
        cap_ms=asked.cap_ms or defaults.cap_ms,
    )


@dataclass(slots=True)
class Failures:
    """Failed attempts so far, each kind apart."""

    raised: int = 0
    timed_out: int = 0
    crashed: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a job whose attempt has failed: another one after `delay_ms`, or its end for `reason`."""

    retry: bool
    delay_ms: int = 0
    reason: DeadReason | None = None


def backoff(policy: Policy, failures: int, random: Random) -> int:
    """Milliseconds before attempt `failures` + 1."""
    if policy.backoff != Backoff.LISTED and policy.base_ms <= 0:
        return 0
    delay = float(policy.base_ms)
    if policy.backoff == Backoff.EXPONENTIAL:
        try:
            delay *= policy.factor ** (max(failures, 1) - 1)
        except OverflowError:
            delay = float("inf")
    elif policy.backoff == Backoff.LISTED and policy.listed_ms:
        delay = float(policy.listed_ms[min(max(failures, 1), len(policy.listed_ms)) - 1])
    delay = min(delay, float(policy.cap_ms))
    if policy.jitter:
        delay *= random.fraction()
    return int(delay)


def judge(
    policy: Policy,
    failures: Failures,
    outcome: int,
    error_type: str,
    retryable: bool,
    asked_ms: int,
    random: Random,
) -> Verdict:
    """Judges a failed attempt that `failures` already counts."""

    def again(used: int, budget: int, reason: DeadReason) -> Verdict:
        if used >= budget:
            return Verdict(False, 0, reason)
        if outcome == Outcome.RetryAsked:
            return Verdict(True, min(max(asked_ms, 0), LONGEST_DELAY_MS))
        return Verdict(True, backoff(policy, used, random))

    if outcome == Outcome.Rejected:
        return Verdict(False, 0, DeadReason.REJECTED)
    if outcome == Outcome.TimedOut:
        return again(failures.timed_out, policy.timeouts, DeadReason.TIMED_OUT)
    if outcome == Outcome.Crashed:
        return again(failures.crashed, policy.crashes, DeadReason.CRASHED)
    fatal = outcome == Outcome.Raised and (
        not retryable or any(_names_class(error_type, name) for name in policy.fatal)
    )
    if fatal:
        return Verdict(False, 0, DeadReason.RAISED)
    return again(failures.raised, policy.attempts, DeadReason.RAISED)


def _names_class(qualified: str, name: str) -> bool:
    return qualified == name or ("." in qualified and qualified.rpartition(".")[2] == name)
