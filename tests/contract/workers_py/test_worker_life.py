# SPDX-License-Identifier: Apache-2.0
"""How long a host and its workers stay: recycling, burst, reload, health, and what a dead worker leaves behind."""

from __future__ import annotations

import json
import os
import re
import signal
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from jobwire.wire.Encoding import Encoding
from jobwire.wire.Outcome import Outcome
from jobwire.wire.WorkerEnd import WorkerEnd
from worker_rig import FakeBroker, Host, Order, hosted, is_alive

Start = Callable[..., Host]


def hold(path: Path) -> Order:
    return Order("hold", str(path).encode(), Encoding.Utf8)


# ------------------------------------------------------------------ recycling


def test_worker_leaves_after_its_number_of_jobs_and_hands_back_the_rest(
    broker: FakeBroker, start: Start
) -> None:
    start("-c", "1", "--max-jobs", "3")
    worker = broker.worker(1)
    orders = broker.dispatch(worker, *(Order("echo", b"%d" % i) for i in range(5)))
    for order in orders[:3]:
        broker.result(order)
    down = broker.down(1)
    assert (down.end, down.running) == (WorkerEnd.Recycled, [])
    assert broker.handed_back == [order.token for order in orders[3:]]
    assert worker.goodbye
    assert [one.token for one in broker.results] == [order.token for order in orders[:3]]
    assert broker.worker(2).ready


def test_worker_that_is_too_large_leaves_when_its_job_has_ended(
    broker: FakeBroker, start: Start, tmp_path: Path
) -> None:
    start("-c", "1", "--max-rss", "150M")
    gate = tmp_path / "gate"
    payload = json.dumps({"mebibytes": 200, "path": str(gate)}).encode()
    large, waiting = broker.dispatch(
        broker.worker(1), Order("grow", payload, Encoding.Json), Order("echo")
    )
    broker.until("the rest to come back", lambda: broker.handed_back == [waiting.token])
    assert broker.downs == []
    gate.touch()
    assert broker.result(large).outcome == Outcome.Succeeded
    down = broker.down(1)
    assert (down.end, down.running) == (WorkerEnd.Recycled, [])
    assert broker.worker(2).ready


def test_worker_that_is_too_old_leaves(broker: FakeBroker, start: Start) -> None:
    host = start("-c", "1", "--max-age", "1s")
    assert broker.down(1).end == WorkerEnd.Recycled
    assert re.search(r"worker 1 .* ended: recycled for its age, \d s", host.log())
    assert broker.worker(2).ready


def test_process_that_does_not_end_when_its_jobs_have_is_killed(
    broker: FakeBroker, start: Start
) -> None:
    host = start("-c", "1", "--max-jobs", "1", "--grace", "300ms")
    (order,) = broker.dispatch(broker.worker(1), Order("leave_a_thread"))
    assert broker.result(order).outcome == Outcome.Succeeded
    down = broker.down(1)
    assert (down.end, down.signal, down.running) == (WorkerEnd.Stopped, signal.SIGKILL, [])
    host.wait_for_log("worker 1 has left and does not end: killed after 0.3 s")
    assert broker.worker(2).ready


# ------------------------------------------------------------------ lifespan

LIFESPAN = """
import asyncio, pathlib
from jobwire import App, Ctx

trace = pathlib.Path({trace!r})

async def lifespan():
    with trace.open("a") as file: file.write("up ")
    yield asyncio.get_running_loop()
    with trace.open("a") as file: file.write("down ")

app = App("life", lifespan=lifespan)

@app.job
async def same_loop(ctx: Ctx[asyncio.AbstractEventLoop]) -> bool:
    return ctx.deps is asyncio.get_running_loop()

@app.job
class Counted:
    async def setup(self) -> None:
        self.number = 41
    async def run(self) -> int:
        self.number += 1
        return self.number
"""


def test_async_lifespan_is_passed_through_on_the_loop_of_the_handlers(
    broker: FakeBroker, tmp_path: Path
) -> None:
    trace, log = tmp_path / "trace", tmp_path / "log"
    (tmp_path / "life_app.py").write_text(LIFESPAN.format(trace=str(trace)))
    with hosted(broker, log, "-c", "1", target="life_app:app", cwd=tmp_path) as host:
        same, counted = broker.dispatch(broker.worker(), Order("same_loop"), Order("counted"))
        assert broker.result(same).payload == b"true"
        assert broker.result(counted).payload == b"42"
        assert trace.read_text() == "up "
        host.terminate()
        assert host.exit_code() == 0
        assert trace.read_text() == "up down "


# ------------------------------------------------------------------ burst


def test_burst_leaves_when_nothing_comes_any_more(
    broker: FakeBroker, start: Start, tmp_path: Path
) -> None:
    host = start("-c", "2", "--burst", "300ms")
    gate = tmp_path / "gate"
    (order,) = broker.dispatch(broker.worker(), hold(gate))
    broker.running(order)
    beats = len(broker.beats)
    broker.until("three more heartbeats", lambda: len(broker.beats) > beats + 3)
    # One job that runs is enough to stay.
    assert host.process.poll() is None
    assert "leaving" not in host.log()
    gate.touch()
    assert broker.result(order).outcome == Outcome.Succeeded
    assert host.exit_code() == 0
    assert {down.end for down in broker.downs} == {WorkerEnd.Stopped}
    assert re.search(r"stopped: 1 jobs in .* 0 failed", host.log())


def test_burst_waits_for_a_broker_that_goes_away(broker: FakeBroker, start: Start) -> None:
    host = start("-c", "1", "--burst", "1s")
    broker.worker()
    broker.stop()
    host.wait_for_log("is away: what runs goes on")
    assert "leaving" not in host.log()
    broker.start_again()
    assert host.exit_code() == 0


def test_burst_waits_for_a_broker_that_is_away(broker: FakeBroker, start: Start) -> None:
    broker.greets = False
    host = start("-c", "1", "--burst", "200ms")
    broker.until("both to greet", lambda: len(set(broker.greeting)) == 2)
    host.wait_for_log("no broker answers")
    assert host.process.poll() is None
    assert "leaving" not in host.log()
    broker.greets = True
    assert host.exit_code() == 0


# ------------------------------------------------------------------ reload

PROGRAM = """
import pathlib
from jobwire import App
with open({trace!r}, "a") as trace:
    trace.write("imported\\n")
app = App("live")
@app.job
def answer() -> str:
    return {answer!r}
"""


def test_change_of_the_program_starts_the_workers_again(broker: FakeBroker, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    program = tmp_path / "code" / "live_app.py"
    program.parent.mkdir()
    program.write_text(PROGRAM.format(trace=str(trace), answer="old"))
    log = tmp_path / "host.log"
    with hosted(broker, log, "-c", "1", "--reload", target="live_app:app", cwd=program.parent):
        (first,) = broker.dispatch(broker.worker(1), Order("answer"))
        assert broker.result(first).payload == b"old"
        program.write_text(PROGRAM.format(trace=str(trace), answer="much newer"))
        (second,) = broker.dispatch(broker.worker(2), Order("answer"))
        assert broker.result(second).payload == b"much newer"
        assert broker.down(1).end == WorkerEnd.Recycled
        # Once for each worker that was started, and never by the agent.
        assert trace.read_text() == "imported\n" * 2
        program.write_text("this is no Python")
        broker.until("the mistake to be told", lambda: "waiting for a change" in log.read_text())
        assert "SyntaxError" in log.read_text()
        program.write_text(PROGRAM.format(trace=str(trace), answer="mended"))
        (third,) = broker.dispatch(broker.worker(), Order("answer"))
        assert broker.result(third).payload == b"mended"
    print(log.read_text())


# ------------------------------------------------------------------ health


def ask(port: int, path: str) -> tuple[int, dict[str, object]]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as problem:
        with problem:
            return problem.code, json.load(problem)


def test_health_is_answered_without_a_broker(
    broker: FakeBroker, start: Start, tmp_path: Path
) -> None:
    broker.greets = False
    host = start("-c", "1", "--http", ":0")
    host.wait_for_log("health at http://127.0.0.1:")
    port = int(re.findall(r"health at http://127.0.0.1:(\d+)", host.log())[0])
    assert ask(port, "/live")[0] == 200
    code, state = ask(port, "/ready")
    assert (code, state["connected"]) == (503, False)
    assert ask(port, "/nothing")[0] == 404
    broker.greets = True
    broker.until("readiness", lambda: ask(port, "/ready")[0] == 200)
    gate = tmp_path / "gate"
    echo, running = broker.dispatch(broker.worker(), Order("fail", b"x", Encoding.Utf8), hold(gate))
    broker.result(echo)
    broker.until("one job to run", lambda: ask(port, "/")[1]["running"] == 1)
    state = ask(port, "/")[1]
    assert (state["done"], state["failed"], state["workers"], state["ready"]) == (1, 1, 1, 1)
    host.terminate()
    broker.until("no readiness", lambda: ask(port, "/ready")[0] == 503)
    assert ask(port, "/live")[0] == 200
    gate.touch()
    assert broker.result(running).outcome == Outcome.Succeeded
    assert host.exit_code() == 0


# ------------------------------------------------------------------ what a worker leaves behind


@pytest.mark.parametrize("kind", ["start_sleeper", "start_daemon"])
def test_process_that_a_job_has_started_ends_with_its_worker(
    broker: FakeBroker, start: Start, kind: str
) -> None:
    start("-c", "1")
    worker = broker.worker()
    (sleeper,) = broker.dispatch(worker, Order(kind))
    pid = int(broker.result(sleeper).payload)
    assert is_alive(pid)
    os.kill(worker.pid, signal.SIGKILL)
    broker.down(1)
    broker.until("the sleeper to end", lambda: not is_alive(pid))


def test_daemon_of_a_living_worker_stays_when_another_worker_dies(
    broker: FakeBroker, start: Start
) -> None:
    host = start("-c", "2")
    (daemon,) = broker.dispatch(broker.worker(1), Order("start_daemon"))
    pid = int(broker.result(daemon).payload)
    broker.dispatch(broker.worker(2), Order("segfault"))
    broker.down(2)
    broker.worker(3)
    assert is_alive(pid)
    host.process.send_signal(signal.SIGTERM)
    assert host.exit_code() == 0
    broker.until("the daemon to end", lambda: not is_alive(pid))


def test_second_signal_ends_everything_now(
    broker: FakeBroker, start: Start, tmp_path: Path
) -> None:
    host = start("-c", "2")
    (running,) = broker.dispatch(broker.worker(1), hold(tmp_path / "gate"))
    broker.running(running)
    host.terminate()
    host.wait_for_log("1. stopping")
    host.terminate()
    assert host.exit_code() == 0
    down = broker.down(1)
    assert (down.end, down.signal) == (WorkerEnd.Stopped, signal.SIGKILL)
