# SPDX-License-Identifier: Apache-2.0
"""An app's handlers, run in the test's own process by the rules of the broker."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Iterable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal
from uuid import UUID

from jobwire._answers import JobResult, JobState, JobStatus, Receipt
from jobwire._app import App
from jobwire._ctx import Ctx
from jobwire._enqueue import Producer, run_blocking
from jobwire._errors import ClientError, NoAnswer, NotFinished
from jobwire._handlers import Bound, Program
from jobwire._heads import DispatchHead
from jobwire._job_error import JobError
from jobwire._lifespan import Lifespan
from jobwire._messages import Limits
from jobwire._outcomes import raised, returned
from jobwire._spans import Span, milliseconds
from jobwire._spec import JobSpec
from jobwire._wire_enums import Encoding, Outcome
from jobwire._wire_error import encode_error
from jobwire.testing._memory_broker import MemoryBroker, TestJob

_MAX_ATTEMPTS = 100_000


class _MemoryVerbs:
    """A client's verbs, answered at once; a job that has not ended has no result, however long one waits."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

    async def submit(self, spec: JobSpec) -> Receipt:
        return self._broker.submit(spec)

    async def submit_batch(self, specs: Iterable[JobSpec]) -> list[Receipt | ClientError]:
        answers: list[Receipt | ClientError] = []
        for spec in specs:
            try:
                answers.append(self._broker.submit(spec))
            except ClientError as error:
                answers.append(error)
        return answers

    async def wait(self, job_id: UUID, timeout: Span) -> JobResult:
        job = self._broker.find(job_id)
        if not job.state.final:
            raise NoAnswer(f"the job is {job.state.name.lower()}: run() and advance() move it on")
        return job.as_result()

    async def result(self, job_id: UUID) -> JobResult:
        job = self._broker.find(job_id)
        if not job.state.final:
            raise NotFinished(f"the job is {job.state.name.lower()}")
        return job.as_result()

    async def status(self, job_id: UUID) -> JobStatus:
        return self._broker.find(job_id).status()

    async def cancel(self, job_id: UUID, reason: str = "") -> JobState:
        return self._broker.cancel(job_id)


class AppTest:
    """Runs an app's jobs without a server: real encoding, real rules, a clock that the test moves.

        with app.test(deps=fake) as t:
            handle = resize.enqueue("a.png", width=200)
            t.run()
            assert handle.value() == ...

    Made by `App.test`. While it is entered, the app's jobs are enqueued here. Not thread-safe.
    """

    def __init__(self, app: App, lifespan: Lifespan, start: datetime | None, seed: int) -> None:
        self._app = app
        self._broker = MemoryBroker(start or datetime.now(UTC), seed)
        self._verbs = _MemoryVerbs(self._broker)
        self._program = Program(app, self._make_ctx, lifespan=lifespan)
        self._bound: dict[str, Bound] = {}
        self._runner: asyncio.Runner | None = None
        self._before: Producer | None = None
        self._running: TestJob | None = None

    # ---------------------------------------------------------------- what a test does

    def run(self, most: int | None = None, *, duplicates: bool = False) -> int:
        """Runs what is queued, one attempt after the other, also what comes while it runs, until nothing is left or
        `most` attempts were made; returns how many. What rests before a retry waits for `advance`.

        duplicates: each handler is called twice for each attempt, as if its worker had been lost and come back. The
        second result is refused, as the broker refuses a late one; what the handler did outside happened twice.
        """
        made = 0
        while most is None or made < most:
            if made >= _MAX_ATTEMPTS:
                raise AssertionError(f"{made} attempts, and still jobs are queued")
            job = self._broker.lease(self._bound)
            if job is None:
                return made
            made += 1
            token = job.token
            ended = self._attempt(job)
            again = self._attempt(job) if duplicates else None
            self._broker.end(job, token, *ended)
            if again is not None:
                self._broker.end(job, token, *again)
        return made

    def advance(self, span: Span) -> None:
        """Moves the clock on; what is due on the way is queued or expires. In a handler: lets it take that long."""
        self._broker.advance(
            datetime.fromtimestamp(self.now.timestamp() + milliseconds(span) / 1000, UTC)
        )

    def run_until_idle(self, within: Span = "1d") -> int:
        """Runs, and moves the clock to the next time at which something is due, until nothing waits or the span has
        passed; returns how many attempts were made."""
        end = self.now.timestamp() + milliseconds(within) / 1000
        made = self.run()
        while True:
            due = [job.due for job in self.jobs if job.state is JobState.SCHEDULED and job.due]
            if not due or min(due).timestamp() > end:
                return made
            self._broker.advance(min(due))
            made += self.run()

    def lose_worker(self, when: Literal["running", "finished"] = "running") -> TestJob:
        """The worker dies with the next job: at its start, or when the handler has returned and the result has not
        been stored. The job is charged with one crash. Returns it."""
        job = self._next()
        token = job.token
        if when == "finished":
            self._attempt(job)
        error = JobError("jobwire.WorkerLost", "the worker was lost", retryable=True)
        self._broker.end(job, token, Outcome.Crashed, 0, encode_error(error), 0)
        return job

    def time_out(self) -> TestJob:
        """The next job runs into its timeout. Its handler is not called. Returns it."""
        job = self._next()
        self._broker.end(job, job.token, Outcome.TimedOut, 0, self._timeout_error(job), 0)
        return job

    def replay(self, job: TestJob) -> None:
        """A dead job is queued again with all its budgets."""
        self._broker.replay(job)

    # ---------------------------------------------------------------- what a test sees

    @property
    def now(self) -> datetime:
        return self._broker.now

    @property
    def jobs(self) -> list[TestJob]:
        """All of them, in the order in which they came."""
        return list(self._broker.jobs.values())

    @property
    def dead(self) -> list[TestJob]:
        return [job for job in self.jobs if job.state is JobState.DEAD]

    def job(self, job_id: UUID) -> TestJob:
        """The job of a handle or receipt; raises UnknownJob."""
        return self._broker.find(job_id)

    @property
    def unserved(self) -> list[str]:
        """What is said about jobs that wait and whose type no handler of the app serves: the names that are near, and
        their versions."""
        return [
            unserved(job.type, self._app)
            for job in self.jobs
            if not job.state.final and job.type not in self._bound
        ]

    # ---------------------------------------------------------------- a client

    @property
    def verbs(self) -> _MemoryVerbs:
        return self._verbs

    def submit(self, spec: JobSpec) -> Receipt:
        return run_blocking(self._verbs.submit(spec))

    def submit_batch(self, specs: Iterable[JobSpec]) -> list[Receipt | ClientError]:
        return run_blocking(self._verbs.submit_batch(specs))

    def wait(self, job_id: UUID, timeout: Span = 0) -> JobResult:
        return run_blocking(self._verbs.wait(job_id, timeout))

    def result(self, job_id: UUID) -> JobResult:
        return run_blocking(self._verbs.result(job_id))

    def status(self, job_id: UUID) -> JobStatus:
        return run_blocking(self._verbs.status(job_id))

    def cancel(self, job_id: UUID, reason: str = "") -> JobState:
        return run_blocking(self._verbs.cancel(job_id, reason))

    # ---------------------------------------------------------------- entering and leaving

    def __enter__(self) -> AppTest:
        program = self._program
        if program.needs_loop:
            self._runner = asyncio.Runner()
            bound = self._runner.run(program.set_up_async())
        else:
            bound = program.set_up()
        self._bound = {one.name: one for one in bound}
        self._broker.offers = {
            one.name: (one.options.retry, one.options.timeout_ms) for one in bound
        }
        self._before = self._app.bound_client
        self._app.bind(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._app.bind(self._before)
        if self._runner is not None:
            self._runner.run(self._program.close_async())
            self._runner.close()
        else:
            self._program.close()

    # ---------------------------------------------------------------- attempts

    def _next(self) -> TestJob:
        job = self._broker.lease(self._bound)
        if job is None:
            raise AssertionError("no job is queued")
        return job

    def _attempt(self, job: TestJob) -> tuple[int, int, bytes, int]:
        bound = self._bound[job.type]
        spec = job.spec
        head: DispatchHead = (
            job.token.ljust(16, b"\0"),
            spec.id.bytes,
            0,
            len(spec.payload),
            job.timeout_ms,
            0,
            job.attempts + 1,
            spec.encoding,
            spec.priority,
            0,
        )
        began = self.now
        before, self._running = self._running, job
        try:
            value = bound.call(spec.payload, 0, len(spec.payload), spec.encoding, head)
            if bound.is_async:
                assert self._runner is not None
                value = self._runner.run(value)
            ended = returned(value, Limits())
        except Exception as error:  # the user's handler may raise anything
            ended = raised(error, Limits())
        finally:
            self._running = before
        cap = min(job.timeout_ms, bound.timeout_ms or job.timeout_ms)
        if (self.now - began).total_seconds() * 1000 > cap:
            return Outcome.TimedOut, Encoding.FlatBuffer, self._timeout_error(job), 0
        return ended

    def _timeout_error(self, job: TestJob) -> bytes:
        error = JobError("jobwire.TimedOut", "it ran longer than its timeout", retryable=True)
        return encode_error(error)

    def _make_ctx(self, head: DispatchHead, name: str, deps: Any) -> Ctx[Any]:
        job = self._running
        assert job is not None
        broker = self._broker
        began = broker.now.timestamp()
        return Ctx(
            job=head[1],
            token=head[0],
            type=name,
            attempt=head[6],
            deadline_ns=round((began + head[4] / 1000) * 1e9),
            headers=dict(job.spec.headers),
            deps=deps,
            cancelled=lambda: job.state is not JobState.RUNNING,
            tell=job.tell,
            saved=job.checkpoint,
            save=lambda encoding, data, wait_s: job.save(head[0], encoding, data),
            clock=lambda: broker.now.timestamp(),
        )


def unserved(name: str, app: App) -> str:
    """Why nobody runs jobs of a type: the names that are near, with the versions that have them."""
    near = difflib.get_close_matches(name, app.jobs, 3, 0.5) or sorted(app.jobs)[:3]
    known = [
        f"{one!r} (version {app.jobs[one].options.version})"
        if app.jobs[one].options.version
        else repr(one)
        for one in near
    ]
    return f"no handler of app {app.name!r} serves type {name!r}; there is {', '.join(known)}"
