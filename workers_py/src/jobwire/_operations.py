# SPDX-License-Identifier: Apache-2.0
"""What an operator asks for and is told: queues, sweeps, dead jobs. Values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from jobwire._answers import DeadReason
from jobwire._job_error import JobError
from jobwire._spec import JobSpec


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
class HeldContract:
    """A contract by which the broker checks payloads: its name, the size of its binary schema, and each of its job
    types with the hash of the method."""

    name: str
    bytes: int
    methods: tuple[tuple[str, int], ...]


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
        from jobwire._wire_error import decode_error

        return tuple(decode_error(one.error) for one in self.attempt_list if one.error)


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
