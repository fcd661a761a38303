# SPDX-License-Identifier: Apache-2.0
"""The worker's and the agent's sessions, without sockets."""

from __future__ import annotations

import logging
import os
from typing import Any

import pytest
from jobwire import _worker_session
from jobwire._agent_session import AgentSession
from jobwire._heads import DispatchHead
from jobwire._messages import (
    Ack,
    Cancel,
    Dispatch,
    Goodbye,
    Heartbeat,
    Limits,
    Recall,
    Refused,
    Revoke,
    Welcome,
)
from jobwire._session import HELLO_RETRY_S, Phase
from jobwire._wire_enums import Code, Encoding, Outcome
from jobwire._wire_worker import OfferedType
from jobwire._worker_session import Offer, WorkerSession
from jobwire.wire import HandBack, Message, Ready, Results
from jobwire.wire.Body import Body

HELLO = b"hello"
LOG = logging.getLogger("test")
WELCOME = Welcome(b"b" * 16, 1, 3, Limits(max_jobs_per_message=4, heartbeat_ms=2000), "t")


@pytest.fixture
def inbox(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions are given decoded messages: `receive([message])`."""
    for module in ("_worker_session", "_agent_session"):
        monkeypatch.setattr(f"jobwire.{module}.decode", lambda frames: frames[0])


def worker() -> WorkerSession:
    return WorkerSession(HELLO, Offer(("q",), (OfferedType("t"),), 1, 8), 5, LOG)


def opened(session: Any, welcome: Welcome = WELCOME) -> Any:
    session.connected(0.0)
    session.receive([welcome], 0.0)
    return session


def head(attempt: int = 1) -> DispatchHead:
    return (os.urandom(16), os.urandom(16), 0, 0, 1000, 0, attempt, Encoding.Bytes, 4, 0)


def finish(session: WorkerSession, one: DispatchHead, payload: bytes = b"") -> None:
    session.finish(one, 1, 2, Outcome.Succeeded, Encoding.Bytes, payload)


def kinds(session: Any) -> list[str]:
    """The bodies in the outbox, which is emptied."""
    names = {number: name for name, number in vars(Body).items() if isinstance(number, int)}
    found = [
        "Hello" if frames[0] == HELLO else names[Message.Message.GetRootAs(frames[0], 0).BodyType()]
        for frames in session.outbox
    ]
    session.outbox.clear()
    return found


def body(frames: list[bytes], kind: Any) -> Any:
    table = Message.Message.GetRootAs(frames[0], 0).Body()
    made = kind()
    made.Init(table.Bytes, table.Pos)
    return made


def tokens_back(session: WorkerSession) -> list[bytes]:
    """The tokens of the HandBacks in the outbox, which is emptied."""
    found = []
    for frames in session.outbox:
        back = body(frames, HandBack.HandBack)
        found += [bytes(back.Tokens(i).Bytes()) for i in range(back.TokensLength())]
    session.outbox.clear()
    return found


pytestmark = pytest.mark.usefixtures("inbox")


# ------------------------------------------------------------------ greeting


def test_hello_comes_first_and_ready_after_welcome() -> None:
    session = worker()
    assert (session.phase, kinds(session)) == (Phase.OFFLINE, [])
    session.connected(0.0)
    assert (session.phase, kinds(session)) == (Phase.GREETING, ["Hello"])
    session.receive([WELCOME], 0.1)
    assert (session.phase, kinds(session)) == (Phase.OPEN, ["Ready"])
    assert session.limits == WELCOME.limits


def test_hello_is_repeated_when_nobody_answers() -> None:
    session = worker()
    session.connected(0.0)
    kinds(session)
    session.tick(HELLO_RETRY_S - 0.1)
    assert kinds(session) == []
    session.tick(HELLO_RETRY_S)
    assert kinds(session) == ["Hello"]
    assert session.next_tick() == 2 * HELLO_RETRY_S


@pytest.mark.parametrize("code", [Code.HelloFirst, Code.UnknownWorker, Code.SlowReader])
def test_open_session_greets_again_when_the_broker_knows_none(code: int) -> None:
    session = opened(worker())
    kinds(session)
    session.receive([Refused(code, "", 0, 0)], 1.0)
    assert (session.phase, session.forgotten, kinds(session)) == (Phase.GREETING, True, ["Hello"])


def test_hello_first_while_greeting_answers_what_went_before_and_is_passed_over() -> None:
    session = worker()
    session.connected(0.0)
    kinds(session)
    session.receive([Refused(Code.HelloFirst, "", 0, 0)], 0.1)
    assert (session.phase, kinds(session)) == (Phase.GREETING, [])


def test_refused_hello_ends_the_peer() -> None:
    session = worker()
    session.connected(0.0)
    session.receive([Refused(Code.UnsupportedVersion, "2 only", 0, 0)], 0.1)
    assert str(session.fatal) == "UnsupportedVersion: 2 only"


def test_refusal_that_may_pass_is_waited_for() -> None:
    session = worker()
    session.connected(0.0)
    kinds(session)
    session.receive([Refused(Code.ShuttingDown, "", 0, 3000)], 1.0)
    assert session.fatal is None
    session.tick(3.9)
    assert kinds(session) == []
    session.tick(4.0)
    assert kinds(session) == ["Hello"]


def test_goodbye_of_the_broker_starts_over_after_a_moment() -> None:
    session = opened(worker())
    kinds(session)
    session.receive([Goodbye(Code.ShuttingDown, "bye")], 1.0)
    assert (session.phase, kinds(session)) == (Phase.GREETING, [])
    session.tick(2.0)
    assert kinds(session) == ["Hello"]


def test_unreadable_message_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    session = worker()
    session.connected(0.0)
    session.receive([b"nonsense"], 0.0)
    assert (session.phase, len(session.outbox)) == (Phase.GREETING, 1)


# ------------------------------------------------------------------ results


def test_results_count_up_from_one_and_are_settled_by_an_ack() -> None:
    session = opened(worker())
    kinds(session)
    for payload in (b"a", b"bc"):
        finish(session, head(), payload)
        session.flush()
    sent = [body(frames, Results.Results) for frames in session.outbox]
    assert [one.Sequence() for one in sent] == [1, 2]
    assert [frames[1] for frames in session.outbox] == [b"a", b"bc"]
    session.receive([Ack(1, [])], 0.0)
    assert not session.settled
    session.receive([Ack(2, [])], 0.0)
    assert session.settled


def test_results_of_one_message_lie_one_after_another_in_its_blob() -> None:
    session = opened(worker())
    session.outbox.clear()
    for payload in (b"one", b"", b"three"):
        finish(session, head(), payload)
    session.flush()
    ((envelope, blob),) = session.outbox
    results = body([envelope], Results.Results)
    heads = [results.Heads(i) for i in range(3)]
    places = [(one.PayloadOffset(), one.PayloadSize()) for one in heads]
    assert [blob[at : at + size] for at, size in places] == [b"one", b"", b"three"]


def test_results_without_payload_need_no_blob() -> None:
    session = opened(worker())
    session.outbox.clear()
    finish(session, head())
    session.flush()
    assert [len(frames) for frames in session.outbox] == [1]


def test_flush_without_results_sends_nothing() -> None:
    session = opened(worker())
    kinds(session)
    session.flush()
    assert kinds(session) == []


def test_results_made_offline_wait_and_are_named_as_held() -> None:
    session = opened(worker())
    session.disconnected()
    one, two = head(attempt=2), head()
    finish(session, one)
    session.flush()
    finish(session, two)
    assert kinds(session) == []
    session.connected(1.0)
    session.receive([WELCOME], 1.0)
    ready = body(session.outbox[1], Ready.Ready)
    held = [ready.Held(i) for i in range(ready.HeldLength())]
    assert [(h.Attempt(), h.Worker(), h.Finished()) for h in held] == [(2, 5, 1), (1, 5, 1)]
    assert kinds(session) == ["Hello", "Ready", "Results"]


def test_unsettled_results_are_sent_again_from_sequence_one() -> None:
    session = opened(worker())
    for payload in (b"a", b"b", b"c"):
        finish(session, head(), payload)
        session.flush()
    session.receive([Ack(1, [])], 0.0)
    session.disconnected()
    opened(session)
    again = [frames for frames in session.outbox if len(frames) == 2]
    assert [body(frames, Results.Results).Sequence() for frames in again] == [1, 2]
    assert [frames[1] for frames in again] == [b"b", b"c"]


def test_ack_of_the_session_before_settles_nothing() -> None:
    session = opened(worker())
    finish(session, head())
    session.flush()
    session.connected(1.0)
    session.receive([Ack(1, [])], 1.0)
    assert not session.settled
    session.receive([WELCOME], 1.0)
    session.receive([Ack(1, [])], 1.0)
    assert session.settled


def test_refused_result_is_settled_too() -> None:
    session = opened(worker())
    one = head()
    finish(session, one)
    session.flush()
    session.receive([Ack(1, [(one[0], Code.StaleLease)])], 0.0)
    assert session.settled


def test_worker_stalls_when_too_much_is_unsettled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_worker_session, "KEPT_JOBS", 2)
    monkeypatch.setattr(_worker_session, "KEPT_BYTES", 100)
    session = opened(worker())
    finish(session, head())
    session.flush()
    assert not session.stalled
    finish(session, head())
    session.flush()
    assert session.stalled
    session.receive([Ack(2, [])], 0.0)
    assert not session.stalled
    finish(session, head(), bytes(100))
    session.flush()
    assert session.stalled


# ------------------------------------------------------------------ jobs that have not started


def dispatched(session: WorkerSession, count: int) -> list[DispatchHead]:
    heads = [head() for _ in range(count)]
    session.receive([Dispatch(list(heads), b"", [])], 0.0)
    session.outbox.clear()
    return heads


def test_recall_returns_what_has_not_started_and_nothing_else() -> None:
    session = opened(worker())
    heads = dispatched(session, 3)
    session.batches[0].next = 1
    session.receive([Recall([heads[0][0], heads[2][0], b"x" * 16])], 0.0)
    assert tokens_back(session) == [heads[2][0]]
    assert session.batches[0].heads == [heads[0], heads[1], None]


def test_recall_of_what_has_started_is_not_answered() -> None:
    session = opened(worker())
    heads = dispatched(session, 1)
    session.batches[0].next = 1
    session.receive([Recall([heads[0][0]])], 0.0)
    assert kinds(session) == []


def test_hand_back_keeps_to_the_limit_of_a_message() -> None:
    session = opened(worker())
    heads = dispatched(session, 9)
    assert session.hand_back() == 9
    assert len(session.outbox) == 3
    assert tokens_back(session) == [one[0] for one in heads]


def test_what_arrives_while_draining_goes_straight_back() -> None:
    session = opened(worker())
    session.stop_taking()
    session.outbox.clear()
    late = head()
    session.receive([Dispatch([late], b"", [])], 0.0)
    assert tokens_back(session) == [late[0]]
    assert not session.batches


def test_revoked_job_is_dropped_unstarted_running_and_finished() -> None:
    session = opened(worker())
    running, waiting = dispatched(session, 2)
    session.batches[0].next = 1
    session.running[running[0]] = running, 1
    session.receive([Revoke([running[0], waiting[0]])], 0.0)
    assert session.batches[0].heads == [running, None]
    finish(session, running)
    session.flush()
    assert kinds(session) == []
    assert session.settled


def test_held_names_running_waiting_and_finished() -> None:
    session = opened(worker())
    done, running, waiting = dispatched(session, 3)
    session.batches[0].next = 2
    finish(session, done)
    session.running[running[0]] = running, 77
    session.disconnected()
    opened(session)
    ready = body(session.outbox[1], Ready.Ready)
    held = [ready.Held(i) for i in range(ready.HeldLength())]
    from jobwire.wire.Id import Id

    assert [(bytes(h.Token(Id()).Bytes()), h.StartedMs(), h.Finished()) for h in held] == [
        (running[0], 77, 0),
        (waiting[0], 0, 0),
        (done[0], 1, 1),
    ]


# ------------------------------------------------------------------ agent


def agent() -> AgentSession:
    return AgentSession(HELLO, LOG)


def test_agent_beats_only_in_a_session() -> None:
    session = agent()
    session.beat([1], [], 0.0)
    assert kinds(session) == []
    opened(session)
    kinds(session)
    session.beat([1], [], 5.0)
    assert kinds(session) == ["Heartbeat"]
    assert session.beat_at == 7.0


def test_report_is_repeated_until_an_echo_shows_that_it_arrived() -> None:
    session = opened(agent())
    kinds(session)
    report = b"down"
    session.report(report)
    assert list(session.outbox) == [[report]]
    session.outbox.clear()
    session.connected(1.0)
    session.receive([WELCOME], 1.0)
    assert session.outbox[-1] == [report]
    session.outbox.clear()
    session.beat([], [], 1.0)
    session.receive([Heartbeat(1)], 1.1)
    assert session.unsettled == 0
    session.connected(2.0)
    session.receive([WELCOME], 2.0)
    assert kinds(session) == ["Hello"]


def test_report_made_offline_is_sent_after_welcome() -> None:
    session = agent()
    session.report(b"down")
    assert not session.outbox
    opened(session)
    assert list(session.outbox) == [[HELLO], [b"down"]]


def test_cancel_orders_wait_for_the_agent() -> None:
    session = opened(agent())
    order = Cancel(b"t" * 16, 3, 500)
    session.receive([order], 0.0)
    assert list(session.cancels) == [order]


def test_silent_broker_is_greeted_again() -> None:
    session = opened(agent())
    kinds(session)
    session.tick(29.0)
    assert kinds(session) == []
    session.tick(31.0)
    assert (session.phase, kinds(session)) == (Phase.GREETING, ["Hello"])
