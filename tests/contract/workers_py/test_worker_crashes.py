# SPDX-License-Identifier: Apache-2.0
"""Workers that die or hang, seen through the agent's reports."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from jobwire.wire.Encoding import Encoding
from jobwire.wire.Outcome import Outcome
from jobwire.wire.WorkerEnd import WorkerEnd
from worker_rig import FakeBroker, Host, Order, cancel_lease, hosted, is_alive

Start = Callable[..., Host]


def hold(path: Path, **options: int) -> Order:
    return Order("hold", str(path).encode(), Encoding.Utf8, **options)


def test_killed_worker_is_reported_with_its_signal_and_running_lease(
    broker: FakeBroker, start: Start, tmp_path: Path
) -> None:
    start("-c", "1")
    worker = broker.worker()
    running, waiting = broker.dispatch(worker, hold(tmp_path / "gate", attempt=2), Order("echo"))
    lease = broker.running(running)
    assert (lease.worker, lease.attempt, lease.finished) == (1, 2, False)
    os.kill(worker.pid, signal.SIGKILL)
    down = broker.down(1)
    assert (down.end, down.signal, down.exit_code, down.pid) == (
        WorkerEnd.Crashed,
        signal.SIGKILL,
        0,
        worker.pid,
    )
    assert down.running == [lease]
    assert down.rss_bytes > 1 << 20
    assert waiting.token not in {one.token for one in broker.results}
    # A new process takes its place under a new number.
    assert broker.worker(2).pid != worker.pid


def test_idle_worker_that_dies_runs_nothing(broker: FakeBroker, start: Start) -> None:
    start("-c", "1")
    os.kill(broker.worker().pid, signal.SIGKILL)
    assert broker.down(1).running == []


def test_segfault_is_reported_with_its_signal_and_python_stack(
    broker: FakeBroker, start: Start
) -> None:
    start("-c", "1")
    (order,) = broker.dispatch(broker.worker(), Order("segfault"))
    down = broker.down(1)
    assert (down.end, down.signal) == (WorkerEnd.Crashed, signal.SIGSEGV)
    assert [lease.token for lease in down.running] == [order.token]
    assert "Segmentation fault" in down.log_tail
    assert "in segfault" in down.log_tail


def test_os_exit_is_reported_with_its_code_and_last_words(broker: FakeBroker, start: Start) -> None:
    start("-c", "1")
    (order,) = broker.dispatch(broker.worker(), Order("vanish", b"42", Encoding.Json))
    down = broker.down(1)
    assert (down.end, down.signal, down.exit_code) == (WorkerEnd.Crashed, 0, 42)
    assert [lease.token for lease in down.running] == [order.token]
    assert down.log_tail == "about to vanish"


def test_last_words_of_a_worker_with_redacted_jobs_stay_on_its_host(
    broker: FakeBroker, start: Start
) -> None:
    host = start("-c", "1", target="worker_redacting_jobs:app")
    (pay,) = broker.dispatch(broker.worker(), Order("pay", b'"hunter22"', Encoding.Json))
    broker.result(pay)
    # A job without secrets of its own: the lines of the one before it are there too.
    (order,) = broker.dispatch(broker.worker(), Order("vanish", b"42", Encoding.Json))
    down = broker.down(1)
    assert [lease.token for lease in down.running] == [order.token]
    assert down.log_tail == "[redacted]"
    assert "hunter22" in host.log(), "what a handler prints is in its host's log"


def test_other_workers_go_on_when_one_dies(broker: FakeBroker, start: Start) -> None:
    start("-c", "2")
    first, second = broker.worker(1), broker.worker(2)
    broker.dispatch(first, Order("segfault"))
    broker.down(1)
    (order,) = broker.dispatch(second, Order("echo", b"alive"))
    assert broker.result(order).payload == b"alive"
    assert broker.worker(3).worker == 3


def test_handler_that_holds_the_gil_keeps_its_heartbeat_and_dies_at_its_timeout(
    broker: FakeBroker, start: Start
) -> None:
    start("-c", "1")
    (order,) = broker.dispatch(broker.worker(), Order("hold_gil", timeout_ms=1500))
    broker.running(order)
    beats = len(broker.beats)
    down = broker.down(1)
    assert (down.end, down.signal) == (WorkerEnd.TimedOut, signal.SIGKILL)
    assert [lease.token for lease in down.running] == [order.token]
    assert len(broker.beats) > beats
    assert all(1 in beat.workers for beat in broker.beats[1:beats])
    assert broker.worker(2).ready


def test_timed_out_handler_may_clean_up(broker: FakeBroker, start: Start, tmp_path: Path) -> None:
    start("-c", "1", "--term-grace", "10s")
    trace = tmp_path / "trace"
    (order,) = broker.dispatch(
        broker.worker(), Order("tidy", str(trace).encode(), Encoding.Utf8, timeout_ms=100)
    )
    down = broker.down(1)
    assert (down.end, down.signal) == (WorkerEnd.TimedOut, 0)
    assert [lease.token for lease in down.running] == [order.token]
    assert trace.read_text() == "tidied"


def test_jobs_own_timeout_counts_when_it_is_shorter(broker: FakeBroker, start: Start) -> None:
    start("-c", "1")
    (order,) = broker.dispatch(broker.worker(), Order("capped", timeout_ms=600_000))
    down = broker.down(1)
    assert down.end == WorkerEnd.TimedOut
    assert [lease.token for lease in down.running] == [order.token]


def test_handler_that_swallows_sigterm_is_killed(
    broker: FakeBroker, start: Start, tmp_path: Path
) -> None:
    start("-c", "1")
    broker.dispatch(
        broker.worker(),
        Order("stubborn", str(tmp_path / "gate").encode(), Encoding.Utf8, timeout_ms=100),
    )
    down = broker.down(1)
    assert (down.end, down.signal) == (WorkerEnd.TimedOut, signal.SIGKILL)


def test_stopped_worker_is_killed_at_its_timeout(
    broker: FakeBroker, start: Start, tmp_path: Path
) -> None:
    start("-c", "1")
    worker = broker.worker()
    (order,) = broker.dispatch(worker, hold(tmp_path / "gate", timeout_ms=1500))
    broker.running(order)
    os.kill(worker.pid, signal.SIGSTOP)
    down = broker.down(1)
    assert (down.end, down.signal) == (WorkerEnd.TimedOut, signal.SIGKILL)


def test_result_before_the_timed_out_job_is_not_lost(
    broker: FakeBroker, start: Start, tmp_path: Path
) -> None:
    start("-c", "1")
    before, late = broker.dispatch(
        broker.worker(), Order("echo", b"done"), hold(tmp_path / "gate", timeout_ms=100)
    )
    down = broker.down(1)
    assert [lease.token for lease in down.running] == [late.token]
    assert broker.result(before).payload == b"done"


@pytest.mark.parametrize("grace_ms", [0, 100])
def test_cancelled_handler_that_does_not_look_is_ended(
    broker: FakeBroker, start: Start, tmp_path: Path, grace_ms: int
) -> None:
    start("-c", "1")
    worker = broker.worker()
    (order,) = broker.dispatch(worker, hold(tmp_path / "gate"))
    broker.running(order)
    broker.send(broker.agent(), cancel_lease(order.token, 1, grace_ms))
    down = broker.down(1)
    assert down.end == WorkerEnd.Cancelled
    assert [lease.token for lease in down.running] == [order.token]


def test_cooperative_handler_is_cancelled_without_losing_its_worker(
    broker: FakeBroker, start: Start
) -> None:
    start("-c", "1")
    worker = broker.worker()
    (order,) = broker.dispatch(worker, Order("cooperative"))
    broker.running(order)
    broker.send(broker.agent(), cancel_lease(order.token, 1, 60_000))
    seen = broker.result(order)
    assert (seen.outcome, seen.payload) == (Outcome.Cancelled, b"")
    (after,) = broker.dispatch(worker, Order("echo", b"same process"))
    assert broker.result(after).payload == b"same process"
    assert broker.downs == []


def test_cooperative_handler_that_sees_its_deadline_is_timed_out_without_losing_its_worker(
    broker: FakeBroker, start: Start
) -> None:
    start("-c", "1", "--term-grace", "1m")
    worker = broker.worker()
    (order,) = broker.dispatch(worker, Order("cooperative_under_sigterm", timeout_ms=100))
    seen = broker.result(order)
    assert (seen.outcome, seen.payload) == (Outcome.TimedOut, b"")
    (after,) = broker.dispatch(worker, Order("echo", b"same process"))
    assert broker.result(after).payload == b"same process"
    assert broker.downs == []


def test_cooperative_handler_that_is_stopped_hands_its_job_back(
    broker: FakeBroker, start: Start
) -> None:
    host = start("-c", "1", "--grace", "300ms", "--term-grace", "1m")
    (order,) = broker.dispatch(broker.worker(), Order("cooperative_under_sigterm"))
    broker.running(order)
    host.terminate()
    assert broker.result(order).outcome == Outcome.HandedBack
    assert host.exit_code() == 0


def test_cancel_that_comes_before_the_job_starts_is_remembered(
    broker: FakeBroker, start: Start, tmp_path: Path
) -> None:
    start("-c", "1")
    worker, gate = broker.worker(), tmp_path / "gate"
    first, second = broker.dispatch(worker, hold(gate), Order("cooperative"))
    broker.running(first)
    broker.send(broker.agent(), cancel_lease(second.token, 1, 60_000))
    beats = len(broker.beats)
    # The agent takes messages in order: the echo of a later heartbeat means that it has the order.
    broker.until("two more heartbeats", lambda: len(broker.beats) >= beats + 2)
    gate.touch()
    assert broker.result(first).outcome == Outcome.Succeeded
    assert broker.result(second).outcome == Outcome.Cancelled


def test_cancel_of_a_lease_that_is_over_changes_nothing(broker: FakeBroker, start: Start) -> None:
    start("-c", "1")
    worker = broker.worker()
    (order,) = broker.dispatch(worker, Order("echo", b"a"))
    broker.result(order)
    broker.send(broker.agent(), cancel_lease(order.token, 1, 0))
    beats = len(broker.beats)
    broker.until("two more heartbeats", lambda: len(broker.beats) >= beats + 2)
    (after,) = broker.dispatch(worker, Order("echo", b"b"))
    assert broker.result(after).payload == b"b"
    assert broker.downs == []


def test_killed_agent_leaves_no_worker_behind(
    broker: FakeBroker, start: Start, tmp_path: Path
) -> None:
    host = start("-c", "2")
    busy, idle = broker.worker(1), broker.worker(2)
    (order,) = broker.dispatch(busy, hold(tmp_path / "gate"))
    broker.running(order)
    host.process.kill()
    broker.until(
        "both workers to be gone", lambda: not is_alive(busy.pid) and not is_alive(idle.pid)
    )


def test_heartbeats_go_on_when_nobody_reads_stderr(broker: FakeBroker, tmp_path: Path) -> None:
    read, write = os.pipe()
    try:
        with hosted(broker, tmp_path / "log", "-c", "1", stderr=write):
            worker = broker.worker()
            (order,) = broker.dispatch(worker, Order("shout", b"20000", Encoding.Json))
            # Far more than a pipe holds.
            assert broker.result(order).outcome == Outcome.Succeeded
            beats = len(broker.beats)
            broker.until("more heartbeats", lambda: len(broker.beats) > beats + 3)
            assert broker.downs == []
    finally:
        os.close(read)
        os.close(write)
