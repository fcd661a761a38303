# SPDX-License-Identifier: Apache-2.0
"""Handlers that do harm, with the real thing: what it costs, whom it is charged to, what goes on."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from jobwire.wire.Encoding import Encoding
from jobwire.wire.Outcome import Outcome
from jobwire.wire.WorkerEnd import WorkerEnd
from worker_fault_jobs import BOMB
from worker_rig import FakeBroker, Host, Order, is_alive, read_error

Start = Callable[..., Host]
TARGET = "worker_fault_jobs:app"


def text(kind: str, payload: object, **options: int) -> Order:
    return Order(kind, str(payload).encode(), Encoding.Utf8, **options)


def number(kind: str, payload: int, **options: int) -> Order:
    return Order(kind, str(payload).encode(), Encoding.Json, **options)


@pytest.fixture
def memory_group(broker: FakeBroker) -> Iterator[str]:
    """A control group of 96 MiB, or nothing where none can be made."""
    own = Path("/proc/self/cgroup").read_text()
    old = re.search(r"^\d+:memory:(.*)$", own, re.M)
    new = re.search(r"^0::(.*)$", own, re.M)
    name = f"jobwire-test-{os.getpid()}"
    if old is not None:
        group, limit = Path(f"/sys/fs/cgroup/memory{old[1]}/{name}"), "memory.limit_in_bytes"
    else:
        group, limit = Path(f"/sys/fs/cgroup{new[1] if new else '/'}/{name}"), "memory.max"
    try:
        group.mkdir()
        (group / limit).write_text(str(96 << 20))
    except OSError:
        yield ""
        return
    yield str(group)
    broker.until("the group to be empty", lambda: not (group / "cgroup.procs").read_text())
    group.rmdir()


def test_out_of_memory_in_python_is_a_failed_attempt(broker: FakeBroker, start: Start) -> None:
    start("-c", "1", target=TARGET)
    worker = broker.worker()
    greedy, after = broker.dispatch(worker, Order("out_of_address_space"), Order("echo", b"on"))
    seen = broker.result(greedy)
    assert (seen.outcome, read_error(seen.payload).Type()) == (
        Outcome.Raised,
        b"builtins.MemoryError",
    )
    assert broker.result(after).payload == b"on"
    assert broker.downs == []


def test_worker_that_the_kernel_kills_for_its_memory_is_reported_with_what_it_used(
    broker: FakeBroker, start: Start, memory_group: str
) -> None:
    host = start("-c", "1", target=TARGET)
    worker = broker.worker()
    greedy, waiting = broker.dispatch(worker, text("eat_memory", memory_group), Order("echo"))
    down = broker.down(worker.worker)
    assert (down.end, down.signal) == (WorkerEnd.Crashed, signal.SIGKILL)
    assert [lease.token for lease in down.running] == [greedy.token]
    if memory_group:
        assert down.rss_bytes > 64 << 20
    assert waiting.token not in {one.token for one in broker.results}
    host.wait_for_log("ended: signal 9 (Killed)")
    assert broker.worker(2).ready


def test_fork_bomb_ends_with_its_job(broker: FakeBroker, start: Start, tmp_path: Path) -> None:
    start("-c", "1", target=TARGET)
    worker = broker.worker()
    path = tmp_path / "pids"
    (order,) = broker.dispatch(worker, text("bomb", path, timeout_ms=3000))
    broker.until(
        "the bomb to be whole", lambda: path.exists() and len(path.read_text().split()) >= BOMB
    )
    down = broker.down(worker.worker)
    assert (down.end, [lease.token for lease in down.running]) == (
        WorkerEnd.TimedOut,
        [order.token],
    )
    pids = [int(pid) for pid in path.read_text().split()]
    broker.until("all of them to be gone", lambda: not any(map(is_alive, pids)))
    (after,) = broker.dispatch(broker.worker(2), Order("echo", b"quiet"))
    assert broker.result(after).payload == b"quiet"


def test_job_that_closes_its_workers_descriptors_is_charged_with_the_crash(
    broker: FakeBroker, start: Start
) -> None:
    start("-c", "1", target=TARGET)
    before, harmful, after = broker.dispatch(
        broker.worker(), Order("echo", b"before"), Order("close_descriptors"), Order("echo")
    )
    down = broker.down(1)
    # By the worker's own exit, or by an assertion in ZeroMQ's thread, whichever is first.
    assert down.end == WorkerEnd.Crashed
    assert (down.signal, down.exit_code) in [(0, 74), (signal.SIGABRT, 0)]
    # Else it would be handed out for ever: it had ended when its process died.
    assert [lease.token for lease in down.running] == [harmful.token]
    assert before.token not in {lease.token for lease in down.running}
    assert after.token not in {one.token for one in broker.results}
    (next_one,) = broker.dispatch(broker.worker(2), Order("echo", b"next"))
    assert broker.result(next_one).payload == b"next"


def test_settled_job_is_not_charged_with_a_later_crash(broker: FakeBroker, start: Start) -> None:
    start("-c", "1", target=TARGET)
    worker = broker.worker()
    (order,) = broker.dispatch(worker, Order("echo", b"x"))
    broker.result(order)
    # Whoever answers a second job has read the acknowledgement of the first.
    (order,) = broker.dispatch(worker, Order("echo", b"y"))
    broker.acknowledges = False
    (probe,) = broker.dispatch(worker, Order("echo", b"z"))
    broker.result(probe)
    os.kill(worker.pid, signal.SIGKILL)
    assert [lease.token for lease in broker.down(1).running] == [probe.token]


@pytest.mark.parametrize("seconds", [2, pytest.param(60, marks=pytest.mark.long)])
def test_lock_held_by_c_code_stops_no_heartbeat_and_the_timeout_kills_it(
    broker: FakeBroker, start: Start, seconds: int
) -> None:
    start("-c", "2", target=TARGET)
    worker = broker.worker(1)
    broker.worker(2)
    (order,) = broker.dispatch(worker, Order("hold_gil_in_c", timeout_ms=seconds * 1000))
    lease = broker.running(order)
    down = broker.until("its end", lambda: broker.downs, seconds + 20)[0]
    assert (down.end, down.signal, down.running) == (WorkerEnd.TimedOut, signal.SIGKILL, [lease])
    named = [beat for beat in broker.beats if lease in beat.running]
    # Every 200 ms; a busy machine may be late, and 50 of 60 s would be a hole.
    assert len(named) >= seconds
    assert all(1 in beat.workers for beat in named)
    assert broker.worker(3).ready


def test_regular_expression_without_end_is_interrupted_by_its_timeout(
    broker: FakeBroker, start: Start
) -> None:
    start("-c", "1", "--term-grace", "10s", target=TARGET)
    (order,) = broker.dispatch(broker.worker(), Order("endless_regex", timeout_ms=500))
    down = broker.down(1)
    assert (down.end, down.signal, down.exit_code) == (WorkerEnd.TimedOut, 0, 75)
    assert [lease.token for lease in down.running] == [order.token]


def test_handler_that_catches_everything_is_killed(broker: FakeBroker, start: Start) -> None:
    start("-c", "1", target=TARGET)
    (order,) = broker.dispatch(broker.worker(), Order("endless_regex_again", timeout_ms=500))
    down = broker.down(1)
    assert (down.end, down.signal) == (WorkerEnd.TimedOut, signal.SIGKILL)
    assert [lease.token for lease in down.running] == [order.token]


def test_result_of_100_mb_and_message_of_50_mb_are_cut_with_a_flag(
    broker: FakeBroker, start: Start
) -> None:
    start("-c", "1", target=TARGET)
    worker = broker.worker()
    result, message, after = broker.dispatch(
        worker,
        number("return_much", 100_000_000),
        number("raise_much", 50_000_000),
        Order("echo", b"on"),
    )
    error = read_error(broker.result(result).payload)
    assert (error.Type(), error.Truncated()) == (b"jobwire.ResultError", True)
    assert error.Message() == b"the result has 100000000 bytes, the limit is 1048576"
    seen = broker.result(message)
    error = read_error(seen.payload)
    assert (error.Type(), error.Truncated()) == (b"builtins.ValueError", True)
    assert len(seen.payload) <= 16384
    assert broker.result(after).payload == b"on"
    assert broker.downs == []
