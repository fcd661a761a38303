# SPDX-License-Identifier: Apache-2.0
"""What a broker tells a client about jobs. Values: nothing here changes or asks again."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from uuid import UUID

from jobwire._job_error import JobError
from jobwire._wire_enums import Encoding


class JobState(IntEnum):
    """A job's place in its life. From SUCCEEDED on they are final, and each job reaches exactly one of those; an
    operator's replay gives a dead job a new life under the same id."""

    SCHEDULED = 1
    QUEUED = 2
    RUNNING = 3
    SUCCEEDED = 4
    DEAD = 5
    EXPIRED = 6
    CANCELLED = 7

    @property
    def final(self) -> bool:
        return self >= JobState.SUCCEEDED


class DeadReason(IntEnum):
    """Why a job is dead."""

    RAISED = 1
    TIMED_OUT = 2
    CRASHED = 3
    REJECTED = 4


class Durability(IntEnum):
    """The failure that an accepted job survives; see the table of promises in the design."""

    MEMORY = 1
    STORED = 2
    FSYNCED = 3
    REPLICATED = 4


@dataclass(frozen=True, slots=True)
class Receipt:
    """The broker's word that it has a job.

    id: the job that counts: the submitted id, or the one that already holds the dedup key.
    duplicate: the broker knew the job before.
    """

    id: UUID
    duplicate: bool
    state: JobState
    durability: Durability


@dataclass(frozen=True, slots=True)
class JobProgress:
    """How far a running job says it is: what its handler gave to `ctx.progress`, and when the broker got it."""

    value: float
    message: str
    at: datetime


@dataclass(frozen=True, slots=True)
class JobStatus:
    """Where a job stands. Times are the broker's, in UTC; None is not yet. progress: of a running job, if it has said
    something, when it is asked for by `status`."""

    id: UUID
    state: JobState
    reason: DeadReason | None
    attempts: int
    created: datetime | None
    started: datetime | None
    finished: datetime | None
    run_time: float
    """Seconds that the last attempt ran."""
    progress: JobProgress | None = None
    obstacle: str = ""
    """Why no worker that is there now may run a job that waits, and which ones could."""


@dataclass(frozen=True, slots=True)
class JobResult:
    """How a job ended.

    payload: what the handler returned, encoded; empty unless the job succeeded.
    error: the Python error of a job that is dead, or that failed before it was cancelled or expired.
    """

    status: JobStatus
    encoding: int = Encoding.Bytes
    payload: bytes = b""
    error: JobError | None = None

    @property
    def id(self) -> UUID:
        return self.status.id

    @property
    def state(self) -> JobState:
        return self.status.state

    @property
    def succeeded(self) -> bool:
        return self.status.state is JobState.SUCCEEDED

    @property
    def text(self) -> str:
        """The payload as text, for what is text or JSON."""
        return self.payload.decode()

    def json(self) -> object:
        """The payload read as JSON."""
        return json.loads(self.payload)


@dataclass(frozen=True, slots=True)
class CloseReport:
    """What `close` leaves behind.

    unreceipted: jobs that the client took and for which no receipt came. The broker may have some of them: submitting
        them again with these ids is safe.
    dropped: posted jobs that made room for newer ones over the client's life.
    """

    unreceipted: tuple[UUID, ...] = ()
    dropped: int = 0

    @property
    def clean(self) -> bool:
        """Every job that the client took was receipted, or refused to the caller's face."""
        return not self.unreceipted and not self.dropped


@dataclass(slots=True)
class ClientStats:
    """What a client has done so far, for logs and metrics. `pending`, `watched` and `connected` are as of now."""

    submitted: int = 0
    receipted: int = 0
    refused: int = 0
    expired: int = 0
    dropped: int = 0
    retried: int = 0
    resent: int = 0
    messages: int = 0
    results: int = 0
    sessions: int = 0
    brokers: int = 0
    pending: int = 0
    watched: int = 0
    connected: bool = field(default=False)
