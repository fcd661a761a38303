# SPDX-License-Identifier: Apache-2.0
"""How often a job is tried, and how long it rests in between."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from jobwire._spans import LONGEST_MS, Span, bounded

_MAX_COUNT = 100
_MAX_LISTED = 32
_MAX_FATAL = 32
_MAX_NAME_BYTES = 128
_MAX_REST_MS = 0xFFFF_FFFF


class Backoff(IntEnum):
    """The numbers are the protocol's."""

    DEFAULT = 0
    EXPONENTIAL = 1
    FIXED = 2
    LISTED = 3


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Three budgets, counted apart, and the rest before the next attempt. What is not said is the broker's default:
    4 attempts, 3 crashes, exponential from 1 s by 2 up to 10 min, with full jitter.

        RetryPolicy.exponential("200ms", cap="30s", attempts=6, never_on=[ValueError])

    attempts: attempts that may raise, the first one included; 1 to 100, as the next two.
    timeouts: attempts that may run out of time; as many as `attempts` when not said.
    crashes: attempts that may take their worker process down.
    never_on: exception classes, or their bare or qualified names, after which there is no further attempt. A class is
        meant exactly: what derives from it is tried again.
    """

    attempts: int | None = None
    timeouts: int | None = None
    crashes: int | None = None
    never_on: Sequence[type[BaseException] | str] = ()
    backoff: Backoff = Backoff.DEFAULT
    base_ms: int = 0
    cap_ms: int = 0
    factor: float = 2.0
    listed_ms: tuple[int, ...] = ()
    jitter: bool = True

    def __post_init__(self) -> None:
        for name in ("attempts", "timeouts", "crashes"):
            count = getattr(self, name)
            if count is not None and not 1 <= count <= _MAX_COUNT:
                raise ValueError(f"RetryPolicy.{name} must be 1 to {_MAX_COUNT}, not {count!r}")
        if len(self.never_on) > _MAX_FATAL:
            raise ValueError(f"RetryPolicy.never_on names at most {_MAX_FATAL} exceptions")
        for name in self.fatal:
            if not name or len(name.encode()) > _MAX_NAME_BYTES:
                raise ValueError(f"RetryPolicy.never_on: {name!r} is not 1 to 128 bytes long")

    @classmethod
    def exponential(
        cls,
        base: Span,
        *,
        cap: Span = "10m",
        factor: float = 2.0,
        jitter: bool = True,
        attempts: int | None = None,
        timeouts: int | None = None,
        crashes: int | None = None,
        never_on: Iterable[type[BaseException] | str] = (),
    ) -> RetryPolicy:
        """Rests `base`, `base * factor`, ... up to `cap`; with jitter a random part of each."""
        if not 1.0 <= factor <= 100.0:
            raise ValueError(f"RetryPolicy.factor must be 1 to 100, not {factor!r}")
        return cls(
            attempts,
            timeouts,
            crashes,
            tuple(never_on),
            Backoff.EXPONENTIAL,
            _rest("base", base),
            _rest("cap", cap),
            factor,
            (),
            jitter,
        )

    @classmethod
    def fixed(
        cls,
        rest: Span,
        *,
        jitter: bool = False,
        attempts: int | None = None,
        timeouts: int | None = None,
        crashes: int | None = None,
        never_on: Iterable[type[BaseException] | str] = (),
    ) -> RetryPolicy:
        """The same rest each time."""
        rest_ms = _rest("rest", rest)
        return cls(
            attempts,
            timeouts,
            crashes,
            tuple(never_on),
            Backoff.FIXED,
            rest_ms,
            rest_ms,
            jitter=jitter,
        )

    @classmethod
    def listed(
        cls,
        rests: Iterable[Span],
        *,
        jitter: bool = False,
        attempts: int | None = None,
        timeouts: int | None = None,
        crashes: int | None = None,
        never_on: Iterable[type[BaseException] | str] = (),
    ) -> RetryPolicy:
        """One rest per retry, at most 32; the last one repeats. Without `attempts`, one attempt more than rests."""
        listed = tuple(_rest("rests", rest) for rest in rests)
        if not 1 <= len(listed) <= _MAX_LISTED:
            raise ValueError(f"RetryPolicy.listed takes 1 to {_MAX_LISTED} rests")
        return cls(
            len(listed) + 1 if attempts is None else attempts,
            timeouts,
            crashes,
            tuple(never_on),
            Backoff.LISTED,
            0,
            max(listed),
            listed_ms=listed,
            jitter=jitter,
        )

    @classmethod
    def never(cls) -> RetryPolicy:
        """No second attempt after an error, a timeout or a crash."""
        return cls(attempts=1, timeouts=1, crashes=1)

    @property
    def fatal(self) -> tuple[str, ...]:
        """`never_on` as names that travel."""
        return tuple(
            one if isinstance(one, str) else f"{one.__module__}.{one.__qualname__}"
            for one in self.never_on
        )


def _rest(name: str, span: Span) -> int:
    most = min(LONGEST_MS, _MAX_REST_MS)
    # The protocol spells the broker's default 0.
    return bounded(f"RetryPolicy.{name}", span, 1, most, "1 ms to 49 days")
