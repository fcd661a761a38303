# SPDX-License-Identifier: Apache-2.0
"""What a client can do, each verb written once as a coroutine.

A coroutine needs no event loop as long as it never suspends: `blocking` makes a plain method of a verb by running it
to its end in one step, on an object whose waits block. `Client` has those methods, `AsyncClient` the coroutines.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar
from uuid import UUID

from jobwire._answers import ClientStats, CloseReport, JobResult, JobState, JobStatus, Receipt
from jobwire._backlog import NEVER
from jobwire._enqueue import run_blocking
from jobwire._errors import ClientError, Closed, Full, NotFinished
from jobwire._producer_session import ProducerSession, Settings
from jobwire._questions import Answer
from jobwire._spans import Span, milliseconds
from jobwire._spec import JobSpec
from jobwire._views import result_of, status_of, unknown
from jobwire._watches import OnProgress
from jobwire._wire_enums import Known

if TYPE_CHECKING:
    from jobwire._client_loop import ClientLoop

P = ParamSpec("P")
T = TypeVar("T")
V = TypeVar("V", bound="Verbs")
V_co = TypeVar("V_co", bound="Verbs", covariant=True)

_DEFAULT_TIMEOUT: Span = 10.0


class HasVerbs(Protocol[V_co]):
    """Something whose verbs are carried out by a Verbs that blocks."""

    @property
    def verbs(self) -> V_co: ...


def blocking(
    verb: Callable[Concatenate[V, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[HasVerbs[V], P], T]:
    """The verb as a method that blocks until it is done."""

    def method(self: HasVerbs[V], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return run_blocking(verb(self.verbs, *args, **kwargs))

    method.__doc__, method.__name__ = verb.__doc__, verb.__name__
    return method


class Verbs:
    """The verbs of a client, over its thread. `_wait` decides whether waiting blocks or suspends."""

    def __init__(
        self, loop: ClientLoop, session: ProducerSession, settings: Settings, submit_timeout: float
    ) -> None:
        self._loop = loop
        self._session = session
        self._settings = settings
        self._submit_timeout = submit_timeout
        self._closed: CloseReport | None = None

    async def _wait(self, future: Future[T]) -> T:
        raise NotImplementedError

    # ---------------------------------------------------------------- handing jobs over

    async def submit(self, spec: JobSpec) -> Receipt:
        """Hands a job over; durable when it returns: the broker has it at the level that the receipt names.

        Refusals that pass by themselves (a full queue, a store that is away) are tried again up to the client's
        submit_timeout; then the last one is raised. After NoAnswer the job may or may not have arrived: submitting the
        same spec again, which has the same id, does not run it twice.
        """
        (answer,) = await self._submit([spec])
        return answer.result()

    async def submit_batch(self, specs: Iterable[JobSpec]) -> list[Receipt | ClientError]:
        """Hands many over at once; one answer per job, in order. One job's refusal says nothing about the others."""
        futures = await self._submit(list(specs))
        answers: list[Receipt | ClientError] = []
        for future in futures:
            error = future.exception()
            if error is None:
                answers.append(future.result())
            elif isinstance(error, ClientError):
                answers.append(error)
            else:
                raise error
        return answers

    async def _submit(self, specs: Sequence[JobSpec]) -> list[Future[Receipt]]:
        if len(specs) > self._settings.backlog_jobs:
            raise Full(f"{len(specs)} jobs at once, the client holds {self._settings.backlog_jobs}")
        futures: list[Future[Receipt]] = [Future() for _ in specs]
        deadline = time.monotonic() + self._submit_timeout
        self._order(lambda session, now: session.take(specs, futures, deadline))
        for future in futures:
            await self._wait(_done(future))
        return futures

    async def post(self, spec: JobSpec) -> UUID:
        """Fire and forget: takes the job, returns its id, and sends it until the broker has receipted or refused it,
        however often the connection breaks in between. `flush`, `stats`, `on_lost` and `close` tell what became of it.

        Raises Full when the client holds as many unreceipted jobs as it may, at once or, with overflow="block", when
        there was no room within submit_timeout.
        """
        if self._settings.overflow != "drop_oldest":
            await self._room(len(spec.payload))
        self._order(lambda session, now: session.take([spec], (), NEVER))
        return spec.id

    async def _room(self, size: int) -> None:
        settings = self._settings
        deadline = time.monotonic() + self._submit_timeout
        while True:
            jobs, size_now = self._session.backlog
            jobs += self._loop.orders
            if jobs < settings.backlog_jobs and size_now + size <= settings.backlog_bytes:
                return
            if settings.overflow == "fail" or time.monotonic() > deadline:
                raise Full(f"the client holds {jobs} unreceipted jobs")
            turn: Future[None] = Future()
            self._order(lambda session, now, turn=turn: session.room(turn, deadline))  # type: ignore[misc]
            await self._wait(turn)

    async def flush(self, timeout: Span = _DEFAULT_TIMEOUT) -> None:
        """Waits until every job taken before this call is receipted or refused; raises NoAnswer at the timeout."""
        future: Future[None] = Future()
        deadline = _deadline(timeout)
        self._order(lambda session, now: session.flush(future, deadline))
        await self._wait(future)

    # ---------------------------------------------------------------- getting results

    async def call(
        self, spec: JobSpec, timeout: Span, on_progress: OnProgress | None = None
    ) -> JobResult:
        """Submits and waits for the result: a remote procedure call that survives restarts. On NoAnswer the job goes
        on.

        on_progress: called by the client's thread with what the handler says by `ctx.progress`, a few times a second at
            most; must be quick.
        """
        deadline = _deadline(timeout)
        future: Future[JobResult] = Future()
        receipt: Future[Receipt] = Future()

        def order(session: ProducerSession, now: float) -> None:
            session.take([spec], [receipt], deadline)
            if not receipt.done():
                session.wait(spec.id.bytes, future, deadline, on_progress)

        self._order(order)
        counts = (await self._wait(receipt)).id
        if counts != spec.id:
            return await self._result_by(counts, deadline, on_progress)
        return await self._leaving(spec.id, future)

    async def wait(
        self, job_id: UUID, timeout: Span, on_progress: OnProgress | None = None
    ) -> JobResult:
        """The result of a job, whoever submitted it, as soon as it has ended: pushed, not polled. A job that failed is
        a JobResult that says so. Raises NoAnswer, UnknownJob or GoneJob, or the refusal of a job submitted here.

        on_progress: as in `call`.
        """
        return await self._result_by(job_id, _deadline(timeout), on_progress)

    async def wait_all(self, ids: Iterable[UUID], timeout: Span) -> list[JobResult | ClientError]:
        """Many results, in order, when all have come or the timeout has passed."""
        deadline = _deadline(timeout)
        pairs: list[tuple[UUID, Future[JobResult]]] = [(id_, Future()) for id_ in ids]

        def order(session: ProducerSession, now: float) -> None:
            for id_, future in pairs:
                session.wait(id_.bytes, future, deadline)

        self._order(order)
        answers: list[JobResult | ClientError] = []
        for id_, future in pairs:
            try:
                answers.append(await self._leaving(id_, future))
            except ClientError as error:
                answers.append(error)
        return answers

    async def _result_by(
        self, id_: UUID, deadline: float, on_progress: OnProgress | None
    ) -> JobResult:
        future: Future[JobResult] = Future()
        self._order(lambda session, now: session.wait(id_.bytes, future, deadline, on_progress))
        return await self._leaving(id_, future)

    async def _leaving(self, id_: UUID, future: Future[JobResult]) -> JobResult:
        try:
            return await self._wait(future)
        finally:
            if not future.done() or future.cancelled():
                self._loop.order(lambda session, now: session.leave(id_.bytes, future))

    async def result(self, job_id: UUID) -> JobResult:
        """Asks once for the result. Raises NotFinished when the job has not ended, UnknownJob or GoneJob."""
        view, _ = await self._ask(job_id)
        if view.known != Known.Final:
            raise NotFinished(f"the job is {JobState(view.state).name.lower()}")
        return result_of(view)

    async def status(self, job_id: UUID) -> JobStatus:
        """Where the job stands and, while it runs, its latest progress. Raises UnknownJob or GoneJob."""
        return status_of(*await self._ask(job_id))

    async def _ask(self, id_: UUID) -> Answer:
        future: Future[Answer] = Future()
        deadline = _deadline(self._submit_timeout)
        self._order(lambda session, now: session.ask(id_.bytes, future, deadline))
        view, progress = await self._wait(future)
        if view.known in (Known.Unknown, Known.Gone):
            raise unknown(view)
        return view, progress

    async def cancel(
        self, job_id: UUID, reason: str = "", timeout: Span = _DEFAULT_TIMEOUT
    ) -> JobState:
        """Ends a job that waits; has one that runs stopped, and answers when its end is known. Returns CANCELLED.

        Raises AlreadyFinal, UnknownJob or GoneJob, and NoAnswer when a running job did not stop in time.
        """
        future: Future[JobState] = Future()
        deadline = _deadline(timeout)
        self._order(lambda session, now: session.cancel(job_id.bytes, reason, future, deadline))
        return await self._wait(future)

    # ---------------------------------------------------------------- the client itself

    def stats(self) -> ClientStats:
        """What the client has done so far."""
        return self._session.stats

    async def close(self, timeout: Span = 2.0) -> CloseReport:
        """Takes no more jobs, waits until all are receipted or the timeout has passed, says goodbye, and reports what
        was not receipted. Whatever still waits gets Closed. A second call returns the same report."""
        if self._closed is not None:
            return self._closed
        if not self._loop.usable:
            self._closed = CloseReport()
            return self._closed
        flushed: Future[None] = Future()
        deadline = _deadline(timeout)

        def begin(session: ProducerSession, now: float) -> None:
            session.flush(flushed, deadline)
            session.close()

        self._loop.order(begin)
        await self._wait(_done(flushed))
        ended: Future[CloseReport] = Future()

        def end(session: ProducerSession, now: float) -> None:
            unreceipted = session.end()
            ended.set_result(CloseReport(tuple(unreceipted), session.stats.dropped))

        self._loop.order(end)
        self._closed = await self._wait(ended)
        self._loop.stop(500)
        return self._closed

    def _order(self, order: Callable[[ProducerSession, float], None]) -> None:
        if self._closed is not None or not self._loop.usable:
            forked = os.getpid() != self._loop.pid
            raise Closed(
                "the client stayed behind in the parent process"
                if forked
                else "the client was closed"
            )
        self._loop.order(order)


def _deadline(timeout: Span) -> float:
    return time.monotonic() + milliseconds(timeout) / 1000


def _done(future: Future[Any]) -> Future[None]:
    """A future that succeeds when the other one is done, however that ended."""
    done: Future[None] = Future()
    future.add_done_callback(lambda _: done.set_result(None))
    return done
