# SPDX-License-Identifier: Apache-2.0
"""What an operator asks for and is told: queues, sweeps, dead jobs. Values."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from jobwire._answers import DeadReason
from jobwire._retry_policy import Backoff, RetryPolicy
from jobwire._spec import JobSpec
from jobwire._wire import JobError


@dataclass(frozen=True, slots=True)
class QueueView:
    """One queue as it is. Of a pause or drain: who, why, since when and until when; None is not, or until resumed."""

    name: str
    weight: int
    paused: bool
    draining: bool
    by: str
    why: str
    since: datetime | None
    until: datetime | None
    scheduled: int
    queued: int
    running: int
    bytes: int
    workers: int
    dead: int
    finished: int


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs; what is left out does not narrow.

    error: the error's type, bare or qualified, or a part of `type: message`.
    before: created (purge) or died (otherwise) before this time; the time of the command when not said.
    """

    queue: str = ""
    type: str = ""
    reason: DeadReason | None = None
    error: str = ""
    before: datetime | None = None
    ids: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class SweepReport:
    """How far a sweep is. matched: jobs that the filter fitted; done: changed, and stored; failed: fitted and could not
    be changed, since they had moved or their new queue is full."""

    matched: int
    done: int
    failed: int
    finished: bool
    before: datetime | None


@dataclass(frozen=True, slots=True)
class DeadAttempt:
    """One failed attempt of a dead job."""

    number: int
    generation: int
    token: bytes
    worker: str
    host: str
    started_ms: int
    ended_ms: int
    outcome: int
    run_us: int
    error: bytes
    """A JobError buffer; `DeadJob.errors` has them read."""


@dataclass(frozen=True, slots=True)
class DeadJob:
    """A dead job. `job` is it as it would be submitted: with its payload, options and attempts when it was asked for in
    full, else without."""

    job: JobSpec
    origin_queue: str
    reason: DeadReason | None
    error_type: str
    error_message: str
    created_ms: int
    died_ms: int
    attempts: int
    raised: int
    timed_out: int
    crashed: int
    generation: int
    payload_bytes: int
    attempt_list: tuple[DeadAttempt, ...] = ()

    @property
    def id(self) -> UUID:
        return self.job.id

    @property
    def queue(self) -> str:
        return self.job.queue

    @property
    def type(self) -> str:
        return self.job.type

    @property
    def died(self) -> datetime:
        return datetime.fromtimestamp(self.died_ms / 1000, UTC)

    @property
    def errors(self) -> tuple[JobError, ...]:
        """The Python errors of its attempts, oldest first."""
        from jobwire._wire_producer import decode_error

        return tuple(decode_error(one.error) for one in self.attempt_list if one.error)

    def to_json(self) -> dict[str, Any]:
        """One line of an export; bytes as base64."""
        job = self.job
        line: dict[str, Any] = {
            "id": str(job.id),
            "queue": job.queue,
            "type": job.type,
            "encoding": job.encoding,
            "payload": _text(job.payload),
            "priority": job.priority,
            "timeout_ms": job.timeout_ms,
            "result_ttl_ms": job.result_ttl_ms,
            "expires_at_ms": job.expires_at_ms,
            "headers": dict(job.headers),
            "keep_payload": job.keep_payload,
        }
        if job.retry is not None:
            line["retry"] = {
                "attempts": job.retry.attempts or 0,
                "timeouts": job.retry.timeouts or 0,
                "crashes": job.retry.crashes or 0,
                "backoff": int(job.retry.backoff),
                "base_ms": job.retry.base_ms,
                "cap_ms": job.retry.cap_ms,
                "factor": job.retry.factor,
                "listed_ms": list(job.retry.listed_ms),
                "jitter": job.retry.jitter,
                "fatal": list(job.retry.fatal),
            }
        for name in _NUMBERS:
            line[name] = getattr(self, name)
        line["origin_queue"] = self.origin_queue
        line["reason"] = int(self.reason or 0)
        line["error_type"], line["error_message"] = self.error_type, self.error_message
        line["attempt_list"] = [
            {
                **{name: getattr(one, name) for name in _ATTEMPT_FIELDS},
                "token": _text(one.token),
                "error": _text(one.error),
            }
            for one in self.attempt_list
        ]
        return line

    @staticmethod
    def from_json(line: Mapping[str, Any]) -> DeadJob:
        """Reads a line of an export; raises ValueError when it is none."""
        try:
            attempts = tuple(
                DeadAttempt(
                    **{name: one[name] for name in _ATTEMPT_FIELDS},
                    token=_bytes(one["token"]),
                    error=_bytes(one["error"]),
                )
                for one in line["attempt_list"]
            )
            return DeadJob(
                job=job_of(
                    id_=UUID(line["id"]),
                    queue=line["queue"],
                    type_=line["type"],
                    encoding=line["encoding"],
                    payload=_bytes(line["payload"]),
                    priority=line["priority"],
                    timeout_ms=line["timeout_ms"],
                    result_ttl_ms=line["result_ttl_ms"],
                    expires_at_ms=line["expires_at_ms"],
                    headers=line["headers"],
                    keep_payload=line["keep_payload"],
                    retry=retry_of(**line["retry"]) if "retry" in line else None,
                ),
                origin_queue=line["origin_queue"],
                reason=DeadReason(line["reason"]) if line["reason"] else None,
                error_type=line["error_type"],
                error_message=line["error_message"],
                attempt_list=attempts,
                **{name: line[name] for name in _NUMBERS},
            )
        except (KeyError, TypeError, AttributeError) as problem:
            raise ValueError(f"not a dead job: {problem!r}") from problem


_NUMBERS = (
    "created_ms",
    "died_ms",
    "attempts",
    "raised",
    "timed_out",
    "crashed",
    "generation",
    "payload_bytes",
)
_ATTEMPT_FIELDS = (
    "number",
    "generation",
    "worker",
    "host",
    "started_ms",
    "ended_ms",
    "outcome",
    "run_us",
)


@dataclass(frozen=True, slots=True)
class DeadPage:
    """Some dead jobs; there are more when `next` is not empty, which then is the `after` of the next page."""

    jobs: tuple[DeadJob, ...]
    next: str


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of an import. refused: the jobs that were not taken, each with the reason."""

    imported: int = 0
    known: int = 0
    refused: Mapping[UUID, Exception] = field(default_factory=dict)


def job_of(
    *,
    id_: UUID,
    queue: str,
    type_: str,
    encoding: int,
    payload: bytes,
    priority: int,
    timeout_ms: int = 0,
    result_ttl_ms: int = 0,
    expires_at_ms: int = 0,
    headers: Mapping[str, str],
    keep_payload: bool,
    retry: RetryPolicy | None,
) -> JobSpec:
    """A JobSpec of what travels; raises InvalidJob."""
    return JobSpec(
        type_,
        payload,
        queue=queue,
        id=id_,
        encoding=encoding,
        priority=priority,
        timeout=timeout_ms / 1000 if timeout_ms else None,
        result_ttl=result_ttl_ms / 1000 if result_ttl_ms else None,
        expires_at=datetime.fromtimestamp(expires_at_ms / 1000, UTC) if expires_at_ms else None,
        headers=headers,
        keep_payload=keep_payload,
        retry=retry,
    )


def retry_of(
    *,
    attempts: int,
    timeouts: int,
    crashes: int,
    backoff: int,
    base_ms: int,
    cap_ms: int,
    factor: float,
    listed_ms: Iterable[int],
    jitter: bool,
    fatal: Iterable[str],
) -> RetryPolicy:
    """A RetryPolicy of what travels, where 0 is what was not said."""
    return RetryPolicy(
        attempts or None,
        timeouts or None,
        crashes or None,
        tuple(fatal),
        Backoff(backoff),
        base_ms,
        cap_ms,
        factor,
        tuple(listed_ms),
        jitter,
    )


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
