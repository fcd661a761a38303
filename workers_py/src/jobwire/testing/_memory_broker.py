# SPDX-License-Identifier: Apache-2.0
"""A broker in memory with a clock that stands still until it is moved: the rules of the real one, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from jobwire._answers import DeadReason, Durability, JobResult, JobState, JobStatus, Receipt
from jobwire._errors import AlreadyFinal, CheckpointError, Conflict, InvalidJob, UnknownJob
from jobwire._job_error import JobError
from jobwire._messages import Limits
from jobwire._retry_policy import RetryPolicy
from jobwire._saves import too_large
from jobwire._spec import JobSpec
from jobwire._wire_enums import Code, Encoding, Outcome
from jobwire._wire_error import decode_error
from jobwire.testing._rules import (
    DEFAULT_TIMEOUT_MS,
    TRANSITIONS,
    Failures,
    Move,
    Policy,
    Random,
    from_asked,
    judge,
    with_defaults,
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One failed attempt. `outcome` is one of "raised", "rejected", "retry asked", "timed out" and "crashed"."""

    number: int
    outcome: str
    error: JobError | None


@dataclass(eq=False)
class TestJob:
    """One job in a test, as it stands. `due` is when it is queued, while it is scheduled."""

    __test__ = False  # its name does not make it a test

    spec: JobSpec
    policy: Policy
    timeout_ms: int
    created: datetime
    order: int
    state: JobState = JobState.QUEUED
    due: datetime | None = None
    started: datetime | None = None
    finished: datetime | None = None
    reason: DeadReason | None = None
    attempts: int = 0
    failed_attempts: list[Attempt] = field(default_factory=list)
    error: JobError | None = None
    encoding: int = Encoding.Bytes
    result: bytes = b""
    stale_results: int = 0
    replays: int = 0
    checkpoint: tuple[int, bytes] = (Encoding.Unspecified, b"")
    progress: float = 0.0
    progress_message: str = ""
    _moved: bool = False
    _failures: Failures = field(default_factory=Failures)
    token: bytes = b""

    @property
    def id(self) -> UUID:
        return self.spec.id

    @property
    def type(self) -> str:
        return self.spec.type

    @property
    def queue(self) -> str:
        return self.spec.queue

    def move(self, move: Move) -> None:
        """Moves the job by the table; a move that it does not have is a bug in this package."""
        came_from = self.state if self._moved else None
        self.state = TRANSITIONS[came_from, move]
        self._moved = True

    def save(self, token: bytes, encoding: int, data: bytes) -> None:
        """What the attempt under this lease saves for the next one; raises CheckpointError."""
        limit = Limits().max_checkpoint_bytes
        if len(data) > limit:
            raise too_large(len(data), limit)
        if self.state is not JobState.RUNNING or token != self.token:
            raise CheckpointError("the attempt is over", Code.StaleLease)
        self.checkpoint = encoding, data

    def tell(self, value: float, message: bytes) -> None:
        """The handler's latest word."""
        self.progress, self.progress_message = value, message.decode()

    def status(self) -> JobStatus:
        return JobStatus(
            self.id,
            self.state,
            self.reason,
            self.attempts,
            self.created,
            self.started,
            self.finished,
            0.0,
        )

    def as_result(self) -> JobResult:
        return JobResult(self.status(), self.encoding, self.result, self.error)


class MemoryBroker:
    """Jobs, their queues and the clock. `lease` and `end` are the worker's side."""

    def __init__(self, now: datetime, seed: int) -> None:
        self.now = now
        self.jobs: dict[UUID, TestJob] = {}
        # What holds for jobs of a type that say nothing themselves, as its worker offers it.
        self.offers: dict[str, tuple[RetryPolicy | None, int]] = {}
        self._random = Random(seed)
        self._dedup: dict[str, tuple[UUID, datetime]] = {}
        self._order = 0

    # ---------------------------------------------------------------- the producer's side

    def submit(self, spec: JobSpec) -> Receipt:
        known = self.jobs.get(spec.id)
        if known is not None:
            if (known.queue, known.type) != (spec.queue, spec.type):
                raise Conflict("id: known, for another queue or type")
            return self._receipt(known, True)
        if spec.dedup_key:
            holder = self._dedup.get(spec.dedup_key)
            if holder is not None and holder[1] > self.now:
                return self._receipt(self.jobs[holder[0]], True)
        due = max(_later(self.now, spec.delay_ms), _moment(spec.not_before_ms) or self.now)
        expires = _moment(spec.expires_at_ms)
        if expires is not None and expires <= self.now:
            raise InvalidJob("expires_at_ms: has passed")
        if expires is not None and due >= expires:
            raise InvalidJob("expires_at_ms: before the job may start")
        retry, timeout_ms = self.offers.get(spec.type, (None, 0))
        asked = spec.retry or retry
        policy = with_defaults(from_asked(asked), Policy()) if asked else Policy()
        job = TestJob(
            spec,
            policy,
            spec.timeout_ms or timeout_ms or DEFAULT_TIMEOUT_MS,
            self.now,
            self._next_order(),
        )
        if due > self.now:
            job.move(Move.SUBMIT_DELAYED)
            job.due = due
        else:
            job.move(Move.SUBMIT)
        self.jobs[spec.id] = job
        if spec.dedup_key:
            self._dedup[spec.dedup_key] = (spec.id, _later(self.now, spec.dedup_window_ms))
        return self._receipt(job, False)

    def find(self, job_id: UUID) -> TestJob:
        job = self.jobs.get(job_id)
        if job is None:
            raise UnknownJob("this broker never saw the job")
        return job

    def cancel(self, job_id: UUID) -> JobState:
        job = self.find(job_id)
        if job.state.final:
            raise AlreadyFinal("the job has ended")
        if job.state is JobState.RUNNING:
            # Its handler is told by ctx.cancelled; what it returns is dropped.
            job.token = b""
            job.attempts += 1
            self._finish(job, Move.CANCEL_CONFIRMED)
        else:
            self._finish(job, Move.CANCEL)
        return job.state

    def replay(self, job: TestJob) -> None:
        """A dead job runs again, with all its budgets."""
        job.move(Move.REPLAY)
        job.replays += 1
        job.attempts = 0
        job._failures = Failures()
        job.reason = job.finished = None
        job.order = self._next_order()

    # ---------------------------------------------------------------- time

    def advance(self, to: datetime) -> None:
        """Moves the clock, stopping at whatever is due on the way."""
        while True:
            moments = [moment for moment in map(self._next_moment, self.jobs.values()) if moment]
            if not moments or min(moments) > to:
                break
            self.now = max(self.now, min(moments))
            self.turn()
        self.now = max(self.now, to)

    def turn(self) -> None:
        """Whatever is due happens."""
        waiting = [job for job in self.jobs.values() if self._next_moment(job)]
        for job in sorted(waiting, key=lambda job: job.due or job.created):
            expires = _moment(job.spec.expires_at_ms)
            if expires is not None and expires <= self.now:
                self._finish(job, Move.EXPIRE)
            elif job.state is JobState.SCHEDULED and job.due is not None and job.due <= self.now:
                job.move(Move.DUE)
                job.due = None
                job.order = self._next_order()

    def _next_moment(self, job: TestJob) -> datetime | None:
        if job.state not in (JobState.SCHEDULED, JobState.QUEUED):
            return None
        expires = _moment(job.spec.expires_at_ms)
        moments = [moment for moment in (job.due, expires) if moment is not None]
        return min(moments, default=None)

    # ---------------------------------------------------------------- the worker's side

    def lease(self, types: Iterable[str]) -> TestJob | None:
        """The next queued job of these types, by priority, then by its time; it is running then."""
        self.turn()
        served = frozenset(types)
        queued = [
            job for job in self.jobs.values() if job.state is JobState.QUEUED and job.type in served
        ]
        if not queued:
            return None
        job = min(queued, key=lambda job: (-job.spec.priority, job.order))
        job.move(Move.LEASE)
        job.started = self.now
        job.token = self._random.next().to_bytes(8, "little") + job.id.bytes[8:]
        return job

    def end(
        self, job: TestJob, token: bytes, outcome: int, encoding: int, payload: bytes, asked_ms: int
    ) -> bool:
        """A worker reports how an attempt ended; False when its lease is over, which changes nothing."""
        if job.state is not JobState.RUNNING or job.token != token:
            job.stale_results += 1
            return False
        job.token = b""
        job.attempts += 1
        if outcome == Outcome.Succeeded:
            job.encoding, job.result, job.error = encoding, payload, None
            self._finish(job, Move.SUCCEED)
            return True
        error = decode_error(payload) if payload else None
        job.error = error
        job.failed_attempts.append(Attempt(job.attempts, _OUTCOMES[outcome], error))
        failures = job._failures
        if outcome == Outcome.TimedOut:
            failures.timed_out += 1
        elif outcome == Outcome.Crashed:
            failures.crashed += 1
        else:
            failures.raised += 1
        verdict = judge(
            job.policy,
            failures,
            outcome,
            error.type if error else "",
            error.retryable if error else True,
            asked_ms,
            self._random,
        )
        if verdict.retry:
            job.move(Move.RETRY)
            job.due = _later(self.now, verdict.delay_ms)
        else:
            job.reason = verdict.reason
            self._finish(job, Move.BURY)
        return True

    def hand_back(self, job: TestJob) -> None:
        """The job was not started: it is queued again, in front, and nothing is charged."""
        job.token = b""
        job.move(Move.HAND_BACK)
        job.order = -self._next_order()

    def _finish(self, job: TestJob, move: Move) -> None:
        job.move(move)
        job.finished = self.now
        job.due = None
        job.checkpoint = Encoding.Unspecified, b""

    def _receipt(self, job: TestJob, duplicate: bool) -> Receipt:
        return Receipt(job.id, duplicate, job.state, Durability.MEMORY)

    def _next_order(self) -> int:
        self._order += 1
        return self._order


_OUTCOMES = {
    Outcome.Raised: "raised",
    Outcome.Rejected: "rejected",
    Outcome.RetryAsked: "retry asked",
    Outcome.TimedOut: "timed out",
    Outcome.Crashed: "crashed",
}


def _later(now: datetime, milliseconds: int) -> datetime:
    return datetime.fromtimestamp(now.timestamp() + milliseconds / 1000, UTC)


def _moment(milliseconds: int) -> datetime | None:
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None
