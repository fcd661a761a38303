# SPDX-License-Identifier: Apache-2.0
"""Jobs through a real worker process: arguments, results, errors, credit, recalls."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path

from jobwire.wire.Encoding import Encoding
from jobwire.wire.Outcome import Outcome
from jobwire.wire.Role import Role
from worker_rig import FakeBroker, Host, Order, ProgressSeen, read_error, recall, revoke

Start = Callable[..., Host]


def test_worker_says_who_it_is_and_what_it_serves(broker: FakeBroker, start: Start) -> None:
    start("-c", "1", "-q", "maps,images", "--credit", "7")
    worker = broker.worker()
    agent = broker.agent()
    assert (worker.protocol, worker.worker, worker.slots, worker.credit) == (1, 1, 1, 7)
    assert worker.host == agent.host
    assert worker.host != bytes(16)
    assert worker.queues == ["maps", "images"]
    assert worker.types[:3] == ["echo", "upper", "add"]
    assert worker.held == []


def test_queues_are_those_of_the_jobs_unless_named(broker: FakeBroker, start: Start) -> None:
    start("-c", "1")
    assert broker.worker().queues == ["default", "maps"]


def test_results_carry_bytes_text_json_and_nothing(served: FakeBroker) -> None:
    pair = b'{"b":{"x":3,"y":4},"a":{"x":1,"y":2}}'
    orders = served.dispatch(
        served.worker(),
        Order("echo", b"\x00\xff"),
        Order("upper", "grüße".encode(), Encoding.Utf8),
        Order("add", pair, Encoding.Json),
        Order("nothing"),
    )
    seen = [served.result(order) for order in orders]
    assert [(one.outcome, one.encoding, one.payload) for one in seen] == [
        (Outcome.Succeeded, Encoding.Bytes, b"\x00\xff"),
        (Outcome.Succeeded, Encoding.Utf8, "GRÜSSE".encode()),
        (Outcome.Succeeded, Encoding.Json, b'{"x":4,"y":6}'),
        (Outcome.Succeeded, Encoding.Bytes, b""),
    ]
    assert [one.job for one in seen] == [order.job for order in orders]


def test_context_tells_about_the_attempt(served: FakeBroker) -> None:
    worker = served.worker()
    plain, dressed = served.dispatch(
        worker,
        Order("about", timeout_ms=5000),
        Order("about", attempt=3, headers=(("tenant", "a"), ("trace", "b"))),
    )
    told = json.loads(served.result(plain).payload)
    assert 0 < told.pop("time_left") <= 5
    assert told == {
        "id": str(uuid.UUID(bytes=plain.job)),
        "attempt": 1,
        "type": "about",
        "headers": {},
        "loads": 1,
        "pid": worker.pid,
    }
    told = json.loads(served.result(dressed).payload)
    assert (told["attempt"], told["headers"]) == (3, {"tenant": "a", "trace": "b"})


def test_class_is_set_up_once_per_worker(served: FakeBroker) -> None:
    orders = served.dispatch(served.worker(), *(Order("counter") for _ in range(3)))
    assert [served.result(order).payload for order in orders] == [b"1", b"2", b"3"]


def test_exception_reaches_the_broker_as_job_error(served: FakeBroker) -> None:
    (order,) = served.dispatch(served.worker(), Order("fail", b"outer", Encoding.Utf8))
    seen = served.result(order)
    assert seen.outcome == Outcome.Raised
    error = read_error(seen.payload)
    assert (error.Type(), error.Message()) == (b"builtins.ValueError", b"outer")
    assert (error.Retryable(), error.Truncated()) == (True, False)
    assert error.FramesLength() == 1
    frame = error.Frames(0)
    assert frame.File().endswith(b"/worker_jobs.py")
    assert frame.Function() == b"fail"
    assert frame.Source() == b"raise ValueError(text) from error"
    assert frame.Line() > 1
    assert error.ChainLength() == 1
    assert (error.Chain(0).Relation(), error.Chain(0).Type()) == (1, b"builtins.KeyError")


def test_retry_and_reject_are_outcomes_of_their_own(served: FakeBroker) -> None:
    again, never = served.dispatch(served.worker(), Order("again"), Order("never"))
    seen = served.result(again)
    assert (seen.outcome, seen.retry_delay_ms) == (Outcome.RetryAsked, 2500)
    assert read_error(seen.payload).Message() == b"not yet"
    seen = served.result(never)
    assert seen.outcome == Outcome.Rejected
    error = read_error(seen.payload)
    assert (error.Type(), error.Message()) == (b"jobwire.Reject", b"not for me")
    assert not error.Retryable()


def test_payload_that_does_not_fit_is_rejected_and_names_the_field(served: FakeBroker) -> None:
    payload = b'{"a":{"x":1,"y":2},"b":{"x":"three","y":4}}'
    (order,) = served.dispatch(served.worker(), Order("add", payload, Encoding.Json))
    seen = served.result(order)
    assert seen.outcome == Outcome.Rejected
    error = read_error(seen.payload)
    assert error.Type() == b"jobwire.PayloadError"
    assert error.Message() == b"b.x: must be an integer, is a string"


def test_sys_exit_in_a_handler_is_a_failed_attempt(served: FakeBroker) -> None:
    leave, echo = served.dispatch(served.worker(), Order("leave"), Order("echo", b"still here"))
    assert read_error(served.result(leave).payload).Type() == b"builtins.SystemExit"
    assert served.result(echo).payload == b"still here"


def test_result_over_the_limit_is_a_failed_attempt(served: FakeBroker) -> None:
    (order,) = served.dispatch(served.worker(), Order("huge", b"1048577", Encoding.Json))
    seen = served.result(order)
    assert seen.outcome == Outcome.Raised
    assert read_error(seen.payload).Type() == b"jobwire.ResultError"


def test_long_job_does_not_hold_back_the_result_before_it(
    served: FakeBroker, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    short, long = served.dispatch(
        served.worker(), Order("echo", b"a"), Order("hold", str(gate).encode(), Encoding.Utf8)
    )
    assert served.result(short).payload == b"a"
    assert not gate.exists()
    gate.touch()
    assert served.result(long).outcome == Outcome.Succeeded


def test_job_that_holds_the_gil_does_not_hold_back_the_result_before_it(
    broker: FakeBroker, start: Start
) -> None:
    start("-c", "1")
    short, _ = broker.dispatch(broker.worker(), Order("echo", b"a"), Order("hold_gil"))
    assert broker.result(short).payload == b"a"
    assert broker.downs == []


def test_recalled_jobs_come_back_while_a_long_job_runs(
    broker: FakeBroker, start: Start, tmp_path: Path
) -> None:
    start("-c", "1")
    gate = tmp_path / "gate"
    worker = broker.worker()
    orders = broker.dispatch(
        worker,
        Order("hold", str(gate).encode(), Encoding.Utf8),
        Order("echo", b"1"),
        Order("echo", b"2"),
        Order("echo", b"3"),
    )
    broker.running(orders[0])
    broker.send(worker, recall([orders[0].token, orders[1].token, orders[3].token]))
    broker.until("two jobs to come back", lambda: len(broker.handed_back) == 2)
    assert broker.handed_back == [orders[1].token, orders[3].token]
    gate.touch()
    assert broker.result(orders[0]).outcome == Outcome.Succeeded
    assert broker.result(orders[2]).payload == b"2"
    assert {one.token for one in broker.results} == {orders[0].token, orders[2].token}


def test_revoked_jobs_are_dropped_without_a_word(
    broker: FakeBroker, start: Start, tmp_path: Path
) -> None:
    start("-c", "1")
    gate = tmp_path / "gate"
    worker = broker.worker()
    hold, revoked, kept = broker.dispatch(
        worker,
        Order("hold", str(gate).encode(), Encoding.Utf8),
        Order("echo", b"1"),
        Order("echo", b"2"),
    )
    broker.running(hold)
    broker.send(worker, revoke([hold.token, revoked.token]))
    # The worker takes messages in order: when this recall is answered, the revoke has been taken.
    (last,) = broker.dispatch(worker, Order("echo", b"3"))
    broker.send(worker, recall([last.token]))
    broker.until("the recalled job", lambda: broker.handed_back == [last.token])
    gate.touch()
    assert broker.result(kept).payload == b"2"
    assert [one.token for one in broker.results] == [kept.token]


def test_many_jobs_in_one_message_come_back_complete(broker: FakeBroker, start: Start) -> None:
    start("-c", "2")
    workers = [broker.worker(1), broker.worker(2)]
    orders = [
        broker.dispatch(worker, *(Order("echo", b"%d" % i) for i in range(500)))
        for worker in workers
    ]
    broker.until("1,000 results", lambda: len(broker.results) >= 1000)
    got = {one.token: one.payload for one in broker.results}
    assert got == {order.token: order.payload for batch in orders for order in batch}
    assert len(broker.results) == 1000
    sent = {worker.route: [] for worker in workers}
    for one in broker.results:
        sent[one.peer].append(one.sequence)
    for sequences in sent.values():
        assert sorted(set(sequences)) == list(range(1, max(sequences) + 1))


def test_descriptors_closed_by_a_handler_cost_one_worker(broker: FakeBroker, start: Start) -> None:
    start("-c", "1")
    broker.dispatch(broker.worker(), Order("close_descriptors"))
    assert broker.down(1).worker == 1
    (order,) = broker.dispatch(broker.worker(2), Order("echo", b"next"))
    assert broker.result(order).payload == b"next"


def test_latest_progress_gets_out_while_the_handler_holds_the_gil(
    broker: FakeBroker, start: Start
) -> None:
    start("-c", "1")
    (order,) = broker.dispatch(broker.worker(), Order("tell_and_hold_gil"))
    told = broker.until("the last word", lambda: [t for t in broker.progress if t.value == 1.0])
    assert told == [ProgressSeen(Role.Agent, order.token, 1.0, "größer".encode())]
    # A thousand words in a moment are not a thousand messages.
    assert len(broker.progress) <= 3


def test_tracked_items_tell_how_many_are_done(served: FakeBroker, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    (order,) = served.dispatch(served.worker(), Order("tracked", str(gate).encode(), Encoding.Utf8))
    served.until(
        "half of it",
        lambda: ProgressSeen(Role.Agent, order.token, 0.5, b"items") in served.progress,
    )
    gate.touch()
    assert served.result(order).payload == b"10"
