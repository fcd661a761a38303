# SPDX-License-Identifier: Apache-2.0
"""A client's session: what is sent when, what is sent again, and what every waiter gets. No sockets, no clock."""

from __future__ import annotations

import logging
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import pytest
from jobwire import (
    Closed,
    Conflict,
    Dropped,
    Full,
    JobProgress,
    JobResult,
    JobSpec,
    JobState,
    NoAnswer,
    NotPermitted,
    Receipt,
    TooLarge,
    Unavailable,
    UnknownJob,
)
from jobwire._backlog import NEVER
from jobwire._messages import Heartbeat, Limits, Refused, Welcome
from jobwire._producer_session import ProducerSession, Settings
from jobwire._questions import Answer
from jobwire._session import Phase
from jobwire._wire_enums import Code, Known
from jobwire._wire_producer import CancelReply, ProgressPush, Receipts, ResultPush, View
from jobwire.wire import Cancel, Message, ResultRequest, Submit
from jobwire.wire import JobSpec as JobSpecTable
from jobwire.wire.Body import Body

WELCOME = Welcome(bytes(16), 1, 3, Limits(), "x")


class Peer:
    """A session with a broker that answers what the test says. `now` stands still unless it is moved."""

    def __init__(self, **settings: Any) -> None:
        self.session = ProducerSession(b"hello", Settings(**settings), logging.getLogger("test"))
        self.session._read = lambda frames: frames[0]  # type: ignore[method-assign]
        self.now = 100.0

    def connect(self, welcome: Welcome = WELCOME) -> list[Any]:
        self.session.connected(self.now)
        assert self.session.outbox.popleft() == [b"hello"]
        self.say(welcome)
        return self.sent()

    def say(self, message: Any) -> None:
        self.session.receive([message], self.now)  # type: ignore[list-item]

    def at(self, now: float) -> list[Any]:
        self.now = now
        self.session.tick(now)
        self.session.pump(now)
        return self.sent()

    def sent(self) -> list[Any]:
        self.session.pump(self.now)
        messages = [read(frames[0]) for frames in self.session.outbox]
        self.session.outbox.clear()
        return messages

    def take(self, *specs: JobSpec, deadline: float = 110.0) -> list[Future[Receipt]]:
        futures: list[Future[Receipt]] = [Future() for _ in specs]
        self.session.take(specs, futures, deadline)
        return futures

    def wait(self, spec: JobSpec, deadline: float = 110.0) -> Future[JobResult]:
        future: Future[JobResult] = Future()
        self.session.wait(spec.id.bytes, future, deadline)
        return future

    def receipt(
        self,
        spec: JobSpec,
        code: int = 0,
        *,
        duplicate: bool = False,
        after: int = 0,
        job: JobSpec | None = None,
    ) -> None:
        head = (spec.id.bytes, (job or spec).id.bytes, after, code, duplicate, JobState.QUEUED)
        self.say(Receipts([head], {}))

    def result(self, spec: JobSpec, known: int = Known.Final, request: int = 0) -> None:
        state = JobState.SUCCEEDED if known == Known.Final else JobState.RUNNING
        view = View(spec.id.bytes, b"done", 1, 2, 3, 4, 1, known, state, 0, 1, True, False)
        self.say(ResultPush(request, [view]))


def read(envelope: bytes) -> tuple[Any, ...]:
    """("submit", request, ids), ("ask", request, ids, wait), ("cancel", request, ids) or ("other", kind)"""
    if envelope == b"hello":
        return ("hello",)
    message = Message.Message.GetRootAs(envelope, 0)
    kinds = {
        Body.Submit: Submit.Submit,
        Body.ResultRequest: ResultRequest.ResultRequest,
        Body.Cancel: Cancel.Cancel,
    }
    kind = kinds.get(message.BodyType())
    if kind is None:
        return ("other", message.BodyType())
    body: Any = kind()
    body.Init(message.Body().Bytes, message.Body().Pos)
    if isinstance(body, Submit.Submit):
        jobs = [body.Jobs(i) for i in range(body.JobsLength())]
        assert all(isinstance(job, JobSpecTable.JobSpec) for job in jobs)
        return ("submit", body.Request(), [bytes(job.Id().Bytes()) for job in jobs])
    ids = [bytes(body.Ids(i).Bytes()) for i in range(body.IdsLength())]
    if isinstance(body, Cancel.Cancel):
        return ("cancel", body.Request(), ids)
    return ("ask", body.Request(), ids, body.Wait())


def ids_of(messages: list[Any]) -> list[list[bytes]]:
    return [message[2] for message in messages if message[0] == "submit"]


def failure(future: Future[Any]) -> BaseException | None:
    assert future.done()
    return future.exception()


# ------------------------------------------------------------------ jobs


def test_job_is_sent_once_a_session_is_open_and_settled_by_its_receipt() -> None:
    peer = Peer()
    spec = JobSpec("t")
    (future,) = peer.take(spec)
    assert peer.sent() == []
    assert ids_of(peer.connect()) == [[spec.id.bytes]]
    peer.receipt(spec)
    receipt = future.result(0)
    assert (receipt.id, receipt.duplicate, receipt.durability) == (spec.id, False, 3)
    assert peer.session.backlog == (0, 0)


def test_unreceipted_jobs_go_out_again_with_the_same_ids_in_the_next_session() -> None:
    peer = Peer()
    specs = [JobSpec("t", bytes([i])) for i in range(3)]
    peer.take(*specs)
    peer.connect()
    peer.receipt(specs[1])
    peer.session.disconnected()
    assert ids_of(peer.connect()) == [[specs[0].id.bytes, specs[2].id.bytes]]


def test_silence_has_a_job_sent_again_later_and_later() -> None:
    peer = Peer(resend_after=5.0)
    spec = JobSpec("t")
    peer.take(spec, deadline=200.0)
    peer.connect()
    assert peer.at(104.9) == []
    assert ids_of(peer.at(105.0)) == [[spec.id.bytes]]
    assert ids_of(peer.at(114.9)) == []
    assert ids_of(peer.at(115.0)) == [[spec.id.bytes]]
    assert peer.session.stats.resent == 2


def test_window_of_the_broker_is_kept() -> None:
    peer = Peer()
    limits = replace(Limits(), window_jobs=3, max_jobs_per_message=2)
    specs = [JobSpec("t") for _ in range(5)]
    peer.take(*specs)
    sent = ids_of(peer.connect(replace(WELCOME, limits=limits)))
    assert [len(ids) for ids in sent] == [2, 1]
    peer.receipt(specs[0])
    assert ids_of(peer.sent()) == [[specs[3].id.bytes]]


def test_window_of_bytes_lets_one_large_job_through() -> None:
    peer = Peer()
    limits = replace(Limits(), window_bytes=10)
    large = [JobSpec("t", bytes(20)) for _ in range(2)]
    peer.take(*large)
    assert ids_of(peer.connect(replace(WELCOME, limits=limits))) == [[large[0].id.bytes]]
    peer.receipt(large[0])
    assert ids_of(peer.sent()) == [[large[1].id.bytes]]


def test_refusal_that_passes_is_tried_again_after_its_pause_and_told_at_the_deadline() -> None:
    peer = Peer()
    spec = JobSpec("t")
    (future,) = peer.take(spec)
    peer.connect()
    peer.receipt(spec, Code.QueueFull, after=2000)
    assert peer.at(101.9) == []
    assert ids_of(peer.at(102.0)) == [[spec.id.bytes]]
    peer.receipt(spec, Code.QueueFull, after=9000)
    assert not peer.session.backlog[0], "the next try would come after the deadline"
    assert isinstance(failure(future), Full)


def test_refusal_for_good_is_told_at_once() -> None:
    peer = Peer()
    spec = JobSpec("t", watch=True)
    (future,) = peer.take(spec)
    waiting = peer.wait(spec)
    peer.connect()
    peer.receipt(spec, Code.DuplicateMismatch)
    assert isinstance(failure(future), Conflict)
    assert isinstance(failure(waiting), Conflict)


def test_refused_message_refuses_the_jobs_in_it_and_no_others() -> None:
    peer = Peer()
    first, second = JobSpec("t"), JobSpec("t")
    (one,) = peer.take(first)
    ((_, request, _),) = peer.connect()
    (other,) = peer.take(second)
    peer.sent()
    peer.say(Refused(Code.TooLarge, "", request, 0))
    assert isinstance(failure(one), TooLarge)
    assert not other.done()


def test_deadline_tells_whether_the_job_may_have_arrived() -> None:
    peer = Peer()
    (never_sent,) = peer.take(JobSpec("t"))
    peer.at(110.0)
    assert isinstance(failure(never_sent), Unavailable)
    peer.connect()
    (sent,) = peer.take(JobSpec("t"), deadline=120.0)
    peer.at(120.0)
    assert isinstance(failure(sent), NoAnswer)
    assert isinstance(failure(sent), TimeoutError)


def test_payload_over_the_limit_is_refused_without_being_sent() -> None:
    peer = Peer()
    peer.connect(replace(WELCOME, limits=replace(Limits(), max_payload_bytes=4)))
    (future,) = peer.take(JobSpec("t", b"12345"))
    assert isinstance(failure(future), TooLarge)
    assert peer.sent() == []


def test_posted_jobs_have_no_deadline_and_the_lost_ones_are_told() -> None:
    peer = Peer()
    spec = JobSpec("t")
    peer.session.take([spec], (), NEVER)
    peer.at(10_000.0)
    assert ids_of(peer.connect()) == [[spec.id.bytes]]
    peer.receipt(spec, Code.InvalidName)
    ((lost, error),) = peer.session.lost
    assert lost == spec.id
    assert "name" in str(error)


def test_oldest_posted_job_makes_room_when_that_was_asked() -> None:
    peer = Peer(overflow="drop_oldest", backlog_jobs=2)
    specs = [JobSpec("t") for _ in range(3)]
    for spec in specs:
        peer.session.take([spec], (), NEVER)
    ((lost, error),) = peer.session.lost
    assert lost == specs[0].id
    assert isinstance(error, Dropped)
    assert ids_of(peer.connect()) == [[specs[1].id.bytes, specs[2].id.bytes]]


def test_flush_is_over_when_the_jobs_before_it_are_settled() -> None:
    peer = Peer()
    first, later = JobSpec("t"), JobSpec("t")
    peer.take(first)
    flushed: Future[None] = Future()
    peer.session.flush(flushed, 110.0)
    peer.take(later)
    peer.connect()
    assert not flushed.done()
    peer.receipt(first)
    assert flushed.result(0) is None


# ------------------------------------------------------------------ results


def test_watched_job_costs_no_question() -> None:
    peer = Peer()
    spec = JobSpec("t", watch=True)
    peer.take(spec)
    peer.connect()
    peer.receipt(spec)
    assert peer.sent() == []
    peer.result(spec)
    assert peer.wait(spec).result(0).payload == b"done"


def test_result_of_any_job_is_asked_for_and_awaited() -> None:
    peer = Peer()
    peer.connect()
    spec = JobSpec("t")
    future = peer.wait(spec)
    ((what, request, ids, wait),) = peer.sent()
    assert (what, ids, wait) == ("ask", [spec.id.bytes], True)
    peer.result(spec, Known.Running, request)
    assert not future.done()
    peer.result(spec)
    assert future.result(0).succeeded


def test_awaited_results_are_asked_for_again_in_the_next_session() -> None:
    peer = Peer()
    peer.connect()
    spec = JobSpec("t")
    peer.wait(spec)
    peer.sent()
    peer.session.disconnected()
    ((what, _, ids, _),) = peer.connect()
    assert (what, ids) == ("ask", [spec.id.bytes])


def test_result_is_not_asked_for_before_the_receipt() -> None:
    peer = Peer()
    spec = JobSpec("t")
    peer.take(spec)
    future = peer.wait(spec)
    assert [message[0] for message in peer.connect()] == ["submit"]
    peer.receipt(spec)
    assert [message[0] for message in peer.sent()] == ["ask"]
    peer.result(spec, Known.Unknown)
    assert isinstance(failure(future), UnknownJob)


def test_dedup_key_makes_waiters_wait_for_the_job_that_counts() -> None:
    peer = Peer()
    spec, holder = JobSpec("t", watch=True), JobSpec("t")
    (future,) = peer.take(spec)
    waiting = peer.wait(spec)
    peer.connect()
    peer.receipt(spec, duplicate=True, job=holder)
    assert future.result(0).id == holder.id
    ((_, _, ids, _),) = peer.sent()
    assert ids == [holder.id.bytes]
    peer.result(holder)
    assert waiting.result(0).id == holder.id


def test_wait_that_is_over_leaves_nothing_behind() -> None:
    peer = Peer()
    peer.connect()
    future = peer.wait(JobSpec("t"))
    peer.at(110.0)
    assert isinstance(failure(future), NoAnswer)
    assert peer.session.stats.watched == 0


def test_cancel_is_answered_and_sent_again_in_the_next_session() -> None:
    peer = Peer()
    peer.connect()
    spec = JobSpec("t")
    future: Future[JobState] = Future()
    peer.session.cancel(spec.id.bytes, "why", future, 110.0)
    ((what, request, ids),) = peer.sent()
    assert (what, ids) == ("cancel", [spec.id.bytes])
    peer.session.disconnected()
    assert peer.connect() == [("cancel", request, [spec.id.bytes])]
    peer.say(CancelReply(request, [(spec.id.bytes, 0, JobState.CANCELLED)]))
    assert future.result(0) is JobState.CANCELLED


def test_progress_is_told_to_those_who_wait_and_asked_for_it() -> None:
    peer = Peer()
    peer.connect()
    spec = JobSpec("t")
    told: list[JobProgress] = []
    future: Future[JobResult] = Future()
    peer.session.wait(spec.id.bytes, future, 110.0, told.append)

    def angry(progress: JobProgress) -> None:
        raise ValueError

    peer.session.wait(spec.id.bytes, Future(), 110.0, angry)
    peer.say(
        ProgressPush([(spec.id.bytes, 1000, 0.5, "half"), (JobSpec("t").id.bytes, 1, 1.0, "")])
    )
    peer.result(spec)
    peer.say(ProgressPush([(spec.id.bytes, 2000, 0.9, "late")]))
    assert [(one.value, one.message, one.at.timestamp()) for one in told] == [(0.5, "half", 1.0)]
    assert future.result(0).succeeded


def test_status_of_a_running_job_waits_for_the_progress_that_comes_with_it() -> None:
    peer = Peer()
    peer.connect()
    spec = JobSpec("t")
    future: Future[Answer] = Future()
    peer.session.ask(spec.id.bytes, future, 110.0)
    ((_, request, _, wait),) = peer.sent()
    assert not wait
    peer.result(spec, Known.Running, request)
    assert not future.done()
    assert peer.sent() == [("other", Body.Heartbeat)]
    peer.say(ProgressPush([(spec.id.bytes, 1000, 0.5, "half")]))
    peer.say(Heartbeat(request))
    view, progress = future.result(0)
    assert view.known == Known.Running
    assert progress is not None
    assert progress.message == "half"
    again: Future[Answer] = Future()
    peer.session.ask(spec.id.bytes, again, 110.0)
    ((_, request, _, _),) = peer.sent()
    peer.result(spec, Known.Final, request)
    assert again.result(0)[1] is None


# ------------------------------------------------------------------ the session


def test_forgotten_session_is_greeted_anew() -> None:
    peer = Peer()
    peer.connect()
    peer.say(Refused(Code.HelloFirst, "", 0, 0))
    assert peer.session.phase is Phase.GREETING
    assert peer.session.outbox.popleft() == [b"hello"]


def test_refused_hello_is_what_late_jobs_are_told() -> None:
    peer = Peer()
    (future,) = peer.take(JobSpec("t"))
    peer.session.connected(peer.now)
    peer.say(Refused(Code.NotPermitted, "no key", 0, 0))
    peer.at(110.0)
    error = failure(future)
    assert isinstance(error, NotPermitted)
    assert "no key" in str(error)


def test_idle_session_sends_heartbeats() -> None:
    peer = Peer()
    peer.connect()
    assert peer.at(109.9) == []
    assert peer.at(110.0) == [("other", Body.Heartbeat)]
    assert peer.session.next_tick() == 120.0


def test_end_says_what_was_not_receipted_and_settles_everybody() -> None:
    peer = Peer()
    peer.connect()
    spec = JobSpec("t")
    (future,) = peer.take(spec)
    waiting = peer.wait(JobSpec("t"))
    assert peer.session.end() == [spec.id]
    assert isinstance(failure(future), Closed)
    assert isinstance(failure(waiting), Closed)
    (late,) = peer.take(JobSpec("t"))
    assert isinstance(failure(late), Closed)
    assert [read(frames[0]) for frames in peer.session.outbox] == [("other", Body.Goodbye)]


@pytest.mark.parametrize("cancelled", [True, False])
def test_future_that_its_owner_gave_up_disturbs_nobody(cancelled: bool) -> None:
    peer = Peer()
    spec = JobSpec("t")
    (first,) = peer.take(spec)
    (second,) = peer.take(spec)
    if cancelled:
        assert first.cancel()
    peer.connect()
    peer.receipt(spec)
    assert second.result(0).id == spec.id
