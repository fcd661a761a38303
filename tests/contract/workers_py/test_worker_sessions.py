# SPDX-License-Identifier: Apache-2.0
"""Brokers that go away and come back, and hosts that are told to stop."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from jobwire.wire.Code import Code
from jobwire.wire.Encoding import Encoding
from jobwire.wire.Outcome import Outcome
from jobwire.wire.Role import Role
from jobwire.wire.WorkerEnd import WorkerEnd
from worker_rig import HERE, FakeBroker, Host, LeaseSeen, Order, ack, is_alive, refused

Start = Callable[..., Host]


def hold(path: Path) -> Order:
    return Order("hold", str(path).encode(), Encoding.Utf8)


def test_unsettled_results_are_named_and_sent_again_after_a_broker_restart(
    broker: FakeBroker, start: Start
) -> None:
    start("-c", "1")
    broker.acknowledges = False
    orders = broker.dispatch(
        broker.worker(), Order("echo", b"a", attempt=3), Order("fail", b"b", Encoding.Utf8)
    )
    first = [broker.result(order) for order in orders]
    broker.stop()
    broker.start_again()
    worker = broker.worker()
    assert worker.held == [
        LeaseSeen(orders[0].token, orders[0].job, 1, first[0].started_ms, 3, True),
        LeaseSeen(orders[1].token, orders[1].job, 1, first[1].started_ms, 1, True),
    ]
    broker.until("the results a second time", lambda: len(broker.results) == 4)
    again = broker.results[2:]
    assert [(one.token, one.payload, one.outcome) for one in again] == [
        (one.token, one.payload, one.outcome) for one in first
    ]
    assert min(one.sequence for one in again) == 1
    # What is acknowledged is forgotten.
    broker.send(worker, ack(max(one.sequence for one in again)))
    (probe,) = broker.dispatch(worker, Order("echo", b"c"))
    broker.result(probe)
    broker.send(worker, refused(Code.HelloFirst))
    broker.until("a new Hello", lambda: broker.worker() is not worker)
    assert [lease.token for lease in broker.worker().held] == [probe.token]


def test_running_and_waiting_jobs_survive_a_broker_restart(
    broker: FakeBroker, start: Start, tmp_path: Path
) -> None:
    start("-c", "1")
    gate = tmp_path / "gate"
    running, waiting = broker.dispatch(broker.worker(), hold(gate), Order("echo", b"w"))
    broker.running(running)
    broker.stop()
    broker.start_again()
    # The handler still runs: the session is renewed beside it.
    held = broker.worker().held
    assert [(one.token, one.finished) for one in held] == [
        (running.token, False),
        (waiting.token, False),
    ]
    assert held[0].started_ms > 0
    assert held[1].started_ms == 0
    gate.touch()
    assert broker.result(running).outcome == Outcome.Succeeded
    assert broker.result(waiting).payload == b"w"
    assert broker.downs == []


def test_result_made_while_the_broker_is_away_arrives_later(
    broker: FakeBroker, start: Start, tmp_path: Path
) -> None:
    start("-c", "1")
    gate = tmp_path / "gate"
    worker = broker.worker()
    first, second = broker.dispatch(worker, hold(gate), Order("vanish", b"0", Encoding.Json))
    broker.running(first)
    broker.stop()
    gate.touch()
    # The second job ends the process, so when it is dead the first has ended while nobody listened.
    broker.until("the worker to end", lambda: not is_alive(worker.pid))
    broker.start_again()
    assert broker.down(1).running[0].token == second.token


def test_worker_greets_again_when_the_broker_knows_no_session(
    broker: FakeBroker, start: Start
) -> None:
    start("-c", "1")
    worker = broker.worker()
    broker.forget()
    broker.dispatch(worker, Order("echo", b"a"))
    fresh = broker.worker()
    assert fresh is not worker
    assert fresh.worker == worker.worker
    broker.until("the result under the new session", lambda: broker.results)
    assert broker.results[0].sequence == 1


def test_idle_worker_greets_again_when_the_broker_forgot_the_host(
    broker: FakeBroker, start: Start
) -> None:
    start("-c", "2")
    first, second = broker.worker(1), broker.worker(2)
    broker.agent()
    # As after a host's silence: sessions end without a word, and an idle worker has nothing to say.
    broker.sessions.clear()
    assert broker.worker(1) is not first
    assert broker.worker(2) is not second
    (order,) = broker.dispatch(broker.worker(2), Order("echo", b"again"))
    assert broker.result(order).payload == b"again"


def test_worker_hands_back_unstarted_jobs_on_sigterm(
    broker: FakeBroker, start: Start, tmp_path: Path
) -> None:
    host = start("-c", "1")
    gate = tmp_path / "gate"
    worker = broker.worker()
    orders = broker.dispatch(
        worker, hold(gate), Order("echo", b"1"), Order("echo", b"2"), Order("echo", b"3")
    )
    broker.running(orders[0])
    host.terminate()
    broker.until("three jobs to come back", lambda: len(broker.handed_back) == 3)
    assert broker.handed_back == [order.token for order in orders[1:]]
    assert broker.results == []
    gate.touch()
    assert broker.result(orders[0]).outcome == Outcome.Succeeded
    assert host.exit_code() == 0
    down = broker.down(1)
    assert (down.end, down.signal, down.exit_code, down.running) == (WorkerEnd.Stopped, 0, 0, [])
    broker.until("goodbye of both", lambda: all(peer.goodbye for peer in broker.sessions.values()))


def test_draining_worker_hands_back_what_still_arrives(
    broker: FakeBroker, start: Start, tmp_path: Path
) -> None:
    host = start("-c", "1")
    gate = tmp_path / "gate"
    worker = broker.worker()
    (running,) = broker.dispatch(worker, hold(gate))
    broker.running(running)
    host.terminate()
    host.wait_for_log("stopping")
    (late,) = broker.dispatch(worker, Order("echo", b"late"))
    gate.touch()
    broker.until("the late job to come back or run", lambda: late.token in _ended(broker))
    broker.result(running)
    assert host.exit_code() == 0


def _ended(broker: FakeBroker) -> set[bytes]:
    return {*broker.handed_back, *(one.token for one in broker.results)}


def test_sigterm_to_everything_drains_too(broker: FakeBroker, start: Start, tmp_path: Path) -> None:
    host = start("-c", "1")
    gate = tmp_path / "gate"
    worker = broker.worker()
    running, waiting = broker.dispatch(worker, hold(gate), Order("echo", b"1"))
    broker.running(running)
    # As a service supervisor does with a whole group of processes.
    os.kill(worker.pid, signal.SIGTERM)
    host.terminate()
    broker.until("the job to come back", lambda: broker.handed_back == [waiting.token])
    gate.touch()
    assert broker.result(running).outcome == Outcome.Succeeded
    assert host.exit_code() == 0


def test_worker_that_is_terminated_alone_leaves_politely_and_is_replaced(
    broker: FakeBroker, start: Start, tmp_path: Path
) -> None:
    start("-c", "1")
    gate = tmp_path / "gate"
    worker = broker.worker()
    running, waiting = broker.dispatch(worker, hold(gate), Order("echo", b"1"))
    broker.running(running)
    os.kill(worker.pid, signal.SIGTERM)
    broker.until("the job to come back", lambda: broker.handed_back == [waiting.token])
    gate.touch()
    assert broker.result(running).outcome == Outcome.Succeeded
    down = broker.down(1)
    assert (down.end, down.signal, down.exit_code, down.running) == (WorkerEnd.Stopped, 0, 0, [])
    assert worker.goodbye
    assert broker.worker(2).worker == 2


def test_job_that_outlives_the_grace_is_ended_as_stopped(
    broker: FakeBroker, start: Start, tmp_path: Path
) -> None:
    host = start("-c", "1", "--grace", "300ms")
    (running,) = broker.dispatch(broker.worker(), hold(tmp_path / "gate"))
    broker.running(running)
    host.terminate()
    down = broker.down(1)
    assert down.end == WorkerEnd.Stopped
    assert [lease.token for lease in down.running] == [running.token]
    assert host.exit_code() == 0


def test_second_signal_ends_everything_now(
    broker: FakeBroker, start: Start, tmp_path: Path
) -> None:
    host = start("-c", "1", "--grace", "1h")
    worker = broker.worker()
    (running,) = broker.dispatch(worker, hold(tmp_path / "gate"))
    broker.running(running)
    host.process.send_signal(signal.SIGINT)
    host.wait_for_log("stopping")
    host.process.send_signal(signal.SIGINT)
    down = broker.down(1)
    assert (down.end, down.signal) == (WorkerEnd.Stopped, signal.SIGKILL)
    assert host.exit_code() == 0


def test_host_without_a_broker_waits_with_one_message_and_stops_when_told(
    broker: FakeBroker, start: Start
) -> None:
    broker.stop()
    host = start("-c", "2", "--grace", "1h")
    host.wait_for_log("no broker answers")
    host.wait_for_log("worker 2 is ready")
    host.terminate()
    assert host.exit_code() == 0
    assert host.log().count("no broker answers") == 1
    assert "Traceback" not in host.log()


def test_host_connects_to_a_broker_that_comes_later(broker: FakeBroker, start: Start) -> None:
    broker.stop()
    host = start("-c", "1")
    host.wait_for_log("is ready")
    broker.start_again()
    (order,) = broker.dispatch(broker.worker(), Order("echo", b"late"))
    assert broker.result(order).payload == b"late"


def test_death_that_happened_while_the_broker_was_away_is_reported_later(
    broker: FakeBroker, start: Start
) -> None:
    host = start("-c", "1")
    worker = broker.worker()
    broker.stop()
    os.kill(worker.pid, signal.SIGKILL)
    host.wait_for_log("worker 2 is ready")
    broker.start_again()
    assert broker.down(1).signal == signal.SIGKILL
    assert broker.worker().worker == 2


def test_refused_worker_ends_the_command_with_one_clear_line(
    broker: FakeBroker, start: Start
) -> None:
    broker.greets = False
    host = start("-c", "1")
    # The routing id of a peer is known only by what it sends.
    (agent,) = broker.until("the agent's Hello", lambda: broker.greeting[:1])
    broker.answer(agent, refused(Code.UnsupportedVersion, "protocol 2 only"))
    assert host.exit_code() == 2
    assert "UnsupportedVersion: protocol 2 only" in host.log()
    assert "Traceback" not in host.log()


def test_worker_whose_offer_is_refused_says_why_and_tries_ever_later(
    broker: FakeBroker, start: Start
) -> None:
    host = start("-c", "1")
    worker = broker.worker()
    broker.send(worker, refused(Code.CreditExceeded, "types: 1 to 1000"))
    assert broker.down(1).exit_code == 77
    assert "CreditExceeded: types: 1 to 1000" in broker.down(1).log_tail
    host.wait_for_log("its place is filled again in 0.5 s")
    assert broker.worker(2).worker == 2


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("no_such_module:app", "no module named 'no_such_module'"),
        ("worker_jobs:ap", "there is worker_jobs:app"),
        ("worker_jobs:os", "is no jobwire.App but module"),
        ("worker_bad_jobs:unreadable", "job 'unreadable'.data: cannot make complex"),
        ("worker_bad_jobs:empty", "app 'empty' has no jobs"),
    ],
)
def test_program_that_cannot_run_ends_the_command_with_one_clear_line(
    start: Start, target: str, told: str
) -> None:
    host = start("-c", "2", target=target)
    assert host.exit_code() == 2
    assert host.log().count(told) == 1
    assert "Traceback" not in host.log()


def test_program_that_fails_while_imported_shows_its_own_frames_once(start: Start) -> None:
    host = start("-c", "2", target="worker_broken_jobs")
    assert host.exit_code() == 2
    log = host.log()
    assert log.count("Traceback") == 1
    assert log.count("  File ") == 1
    last = log.splitlines()[-1]
    place = f"{HERE / 'worker_broken_jobs.py'}, line 7"
    assert last.endswith(
        f"worker_broken_jobs cannot be imported: ZeroDivisionError: division by zero ({place})"
    )


def test_failing_setup_is_tried_again(broker: FakeBroker, start: Start, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    os.environ["WORKER_JOBS_FLAG"] = str(flag)
    try:
        host = start("-c", "1", target="worker_bad_jobs:fragile")
    finally:
        del os.environ["WORKER_JOBS_FLAG"]
    host.wait_for_log("ended: its setup failed: ConnectionError: the database is away (")
    host.wait_for_log("its place is filled again")
    flag.touch()
    worker = broker.worker()
    assert worker.worker > 1
    assert worker.role == Role.Worker
