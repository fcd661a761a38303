# SPDX-License-Identifier: Apache-2.0
"""The ways in which jobs run: main thread, threads, event loop, fresh process, command line."""

from __future__ import annotations

import json
import os
import signal
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from jobwire.wire.Encoding import Encoding
from jobwire.wire.Outcome import Outcome
from jobwire.wire.Role import Role
from jobwire.wire.WorkerEnd import WorkerEnd
from worker_rig import (
    FakeBroker,
    Host,
    Order,
    ProgressSeen,
    cancel_lease,
    hosted,
    is_alive,
    read_error,
    recall,
)

Start = Callable[..., Host]
TARGET = "worker_modes_jobs:app"


@pytest.fixture(scope="module")
def modes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeBroker]:
    """A host with one worker of each kind, shared by the tests that leave them as they were."""
    fake = FakeBroker()
    log = tmp_path_factory.mktemp("modes") / "host.log"
    with ExitStack() as stack:
        stack.callback(lambda: print(log.read_text()))
        stack.callback(fake.close)
        stack.enter_context(hosted(fake, log, "-c", "1", "--term-grace", "4s", target=TARGET))
        yield fake


def order(kind: str, folder: Path, name: str, **options: int) -> Order:
    payload = json.dumps({"folder": str(folder), "name": name}).encode()
    return Order(kind, payload, Encoding.Json, **options)


def text(kind: str, payload: object, **options: int) -> Order:
    return Order(kind, str(payload).encode(), Encoding.Utf8, **options)


def entered(broker: FakeBroker, folder: Path, *names: str) -> None:
    broker.until(f"{names} to run", lambda: all((folder / name).exists() for name in names))


def written(path: Path) -> str:
    return path.read_text().strip() if path.exists() else ""


# ------------------------------------------------------------------ kinds


def test_each_way_of_running_has_workers_of_its_own(modes: FakeBroker) -> None:
    workers = {
        kind: modes.worker_for(kind)
        for kind in ("plain", "count", "threaded", "together", "awaited", "fresh", "fresh_async")
    }
    offers = {kind: (one.worker, one.slots, one.credit) for kind, one in workers.items()}
    assert offers["plain"][:2] == offers["count"][:2]
    assert offers["threaded"][0] == offers["together"][0]
    assert len({offers[kind][0] for kind in ("plain", "threaded", "awaited", "fresh")}) == 4
    assert offers["plain"][1] == 1
    # What its types declare together; those that say nothing share the default.
    assert offers["threaded"][1] == 3 + 2 + 2 + 2 + 2
    assert offers["awaited"][1] == 3 + 1 + 1 + 100
    assert offers["fresh"][1:] == (1, 1)


def test_app_of_one_kind_has_no_other_workers(broker: FakeBroker, start: Start) -> None:
    start("-c", "2")
    numbers = {broker.worker(1).worker, broker.worker(2).worker}
    broker.until("three beats", lambda: len(broker.beats) > 3)
    assert set(broker.beats[-1].workers) == numbers


def test_host_with_more_slots_than_a_heartbeat_can_name_refuses_to_run(
    broker: FakeBroker, tmp_path: Path
) -> None:
    (tmp_path / "wide_app.py").write_text(
        "from jobwire import App\napp = App('wide')\n"
        "@app.job(concurrency=1000)\nasync def wide() -> None: ...\n"
    )
    log = tmp_path / "log"
    with hosted(broker, log, "-c", "5", target="wide_app:app", cwd=tmp_path) as host:
        assert host.exit_code() == 2
    assert "5000 jobs at the same time are more than the 4096 of one host" in log.read_text()


# ------------------------------------------------------------------ threads


@pytest.mark.parametrize("kind", ["threaded", "awaited"])
def test_jobs_run_side_by_side_up_to_their_types_number(
    modes: FakeBroker, tmp_path: Path, kind: str
) -> None:
    worker = modes.worker_for(kind)
    orders = modes.dispatch(worker, *(order(kind, tmp_path, str(i)) for i in range(4)))
    entered(modes, tmp_path, "0", "1", "2")
    for one in orders[:3]:
        modes.running(one)
    # The fourth waits, so it can still be given back.
    modes.send(worker, recall([orders[3].token]))
    modes.until("the fourth to come back", lambda: orders[3].token in modes.handed_back)
    assert not (tmp_path / "3").exists()
    (tmp_path / "open").touch()
    seen = [json.loads(modes.result(one).payload) for one in orders[:3]]
    assert {(one["pid"], one["main"]) for one in seen} == {(worker.pid, False)}


def test_type_at_its_number_does_not_hold_up_another(modes: FakeBroker, tmp_path: Path) -> None:
    worker = modes.worker_for("threaded")
    held = [order("threaded", tmp_path, str(i)) for i in range(4)]
    command = text("together", tmp_path / "file")
    modes.dispatch(worker, *held, command)
    entered(modes, tmp_path, "0", "1", "2", "file")
    (tmp_path / "file.open").touch()
    assert modes.result(command).outcome == Outcome.Succeeded
    (tmp_path / "open").touch()
    for one in held:
        assert modes.result(one).outcome == Outcome.Succeeded


def test_plain_handlers_run_in_threads_when_the_command_line_says_so(
    broker: FakeBroker, start: Start
) -> None:
    start("-c", "1", "--threads", "4", target=TARGET)
    worker = broker.worker_for("plain")
    assert worker.slots == 4
    (one,) = broker.dispatch(worker, Order("plain"))
    assert json.loads(broker.result(one).payload)["main"] is False


@pytest.mark.parametrize(
    ("kind", "told"),
    [("spin", b"jobwire.TimedOut"), ("endless", b"jobwire.TimedOut")],
)
def test_python_code_that_runs_too_long_is_interrupted_and_its_worker_goes_on(
    broker: FakeBroker, start: Start, tmp_path: Path, kind: str, told: bytes
) -> None:
    start("-c", "1", "--term-grace", "10s", target=TARGET)
    worker = broker.worker_for(kind)
    neighbour = order("threaded" if kind == "spin" else "awaited", tmp_path, "neighbour")
    payload = (b"", Encoding.Bytes) if kind == "spin" else (str(tmp_path).encode(), Encoding.Utf8)
    late = Order(kind, *payload, timeout_ms=200)
    broker.dispatch(worker, neighbour, late)
    seen = broker.result(late)
    assert seen.outcome == Outcome.TimedOut
    error = read_error(seen.payload)
    assert error.Type() == told
    assert error.Frames(error.FramesLength() - 1).File().endswith(b".py")
    if kind == "endless":
        assert (tmp_path / "tidied").exists()
    (tmp_path / "open").touch()
    assert broker.result(neighbour).outcome == Outcome.Succeeded
    assert broker.downs == []


@pytest.mark.parametrize(("kind", "beside"), [("sleep_in_c", "threaded"), ("blocking", "awaited")])
def test_call_of_c_code_that_runs_too_long_costs_the_process_but_charges_only_its_own_job(
    broker: FakeBroker, start: Start, tmp_path: Path, kind: str, beside: str
) -> None:
    start("-c", "1", target=TARGET)
    worker = broker.worker_for(kind)
    (neighbour,) = broker.dispatch(worker, order(beside, tmp_path, "neighbour"))
    entered(broker, tmp_path, "neighbour")
    (late,) = broker.dispatch(worker, Order(kind, timeout_ms=300))
    down = broker.down(worker.worker)
    assert (down.end, down.signal) == (WorkerEnd.TimedOut, signal.SIGKILL)
    assert [lease.token for lease in down.running] == [late.token]
    assert neighbour.token not in {one.token for one in broker.results}
    # Its place is taken by another of the same kind.
    assert broker.worker_for(kind, besides=[worker.worker]).slots == worker.slots


def test_worker_that_dies_with_several_jobs_names_all_of_them(
    broker: FakeBroker, start: Start, tmp_path: Path
) -> None:
    start("-c", "1", target=TARGET)
    worker = broker.worker_for("awaited")
    running = broker.dispatch(worker, *(order("awaited", tmp_path, str(i)) for i in range(3)))
    entered(broker, tmp_path, "0", "1", "2")
    (waiting,) = broker.dispatch(worker, order("awaited", tmp_path, "3"))
    os.kill(worker.pid, signal.SIGKILL)
    down = broker.down(worker.worker)
    assert down.end == WorkerEnd.Crashed
    assert {lease.token for lease in down.running} == {one.token for one in running}
    assert waiting.token not in {lease.token for lease in down.running}


@pytest.mark.parametrize("kind", ["told", "watchful"])
def test_handler_beside_others_that_looks_at_its_flag_is_cancelled(
    modes: FakeBroker, tmp_path: Path, kind: str
) -> None:
    worker = modes.worker_for(kind)
    one = text(kind, tmp_path) if kind == "told" else Order(kind)
    modes.dispatch(worker, one)
    modes.running(one)
    modes.send(modes.agent(), cancel_lease(one.token, worker.worker, 60_000))
    seen = modes.result(one)
    assert (seen.outcome, seen.payload) == (Outcome.Cancelled, b"")


def test_exception_of_a_coroutine_is_a_failed_attempt(modes: FakeBroker) -> None:
    (one,) = modes.dispatch(modes.worker_for("broken"), Order("broken"))
    error = read_error(modes.result(one).payload)
    assert (error.Type(), error.Message()) == (b"builtins.LookupError", b"async too")
    assert [error.Frames(i).Function() for i in range(error.FramesLength())] == [b"broken"]


def test_running_jobs_end_and_the_others_go_back_on_sigterm(
    broker: FakeBroker, start: Start, tmp_path: Path
) -> None:
    host = start("-c", "1", target=TARGET)
    worker = broker.worker_for("awaited")
    orders = broker.dispatch(worker, *(order("awaited", tmp_path, str(i)) for i in range(5)))
    entered(broker, tmp_path, "0", "1", "2")
    host.terminate()
    back = {one.token for one in orders[3:]}
    broker.until("two jobs to come back", lambda: set(broker.handed_back) == back)
    (tmp_path / "open").touch()
    for one in orders[:3]:
        assert broker.result(one).outcome == Outcome.Succeeded
    assert host.exit_code() == 0
    assert {down.end for down in broker.downs} == {WorkerEnd.Stopped}


# ------------------------------------------------------------------ fresh processes


@pytest.mark.parametrize("kind", ["fresh", "fresh_async"])
def test_isolated_jobs_share_no_process(modes: FakeBroker, kind: str) -> None:
    pids, numbers = set(), []
    for _ in range(3):
        worker = modes.worker_for(kind, besides=numbers)
        numbers.append(worker.worker)
        (one,) = modes.dispatch(worker, Order(kind))
        pids.add(json.loads(modes.result(one).payload)["pid"])
        down = modes.down(worker.worker)
        assert (down.end, down.running) == (WorkerEnd.Recycled, [])
    assert len(pids) == 3


# ------------------------------------------------------------------ command lines


def test_command_gets_the_payload_and_its_stdout_is_the_result(modes: FakeBroker) -> None:
    worker = modes.worker_for("count")
    big = bytes(3_000_000)
    count, shout, empty = modes.dispatch(
        worker, Order("count", big), text("shout", "quiet"), Order("count")
    )
    assert modes.result(count).payload == b"3000000"
    seen = modes.result(shout)
    assert (seen.encoding, seen.payload) == (Encoding.Utf8, b"QUIET")
    assert modes.result(empty).payload == b"0"


def test_command_knows_which_job_it_runs(modes: FakeBroker) -> None:
    (one,) = modes.dispatch(modes.worker_for("about"), Order("about", attempt=3))
    assert modes.result(one).payload.decode() == f"{uuid.UUID(bytes=one.job)} 3\n"


def test_command_tells_its_progress_by_a_file(modes: FakeBroker, tmp_path: Path) -> None:
    (one,) = modes.dispatch(modes.worker_for("teller"), text("teller", f"{tmp_path}/gate\n"))
    told = ProgressSeen(Role.Agent, one.token, 0.25, b"a quarter")
    modes.until("its progress", lambda: told in modes.progress)
    (tmp_path / "gate").touch()
    assert modes.result(one).outcome == Outcome.Succeeded


def test_exit_code_is_the_error_and_stderr_its_text(modes: FakeBroker) -> None:
    complain, refuse = modes.dispatch(
        modes.worker_for("complain"), Order("complain"), Order("refuse")
    )
    seen = modes.result(complain)
    error = read_error(seen.payload)
    assert (seen.outcome, error.Type()) == (Outcome.Raised, b"jobwire.CommandFailed")
    assert error.Message() == b"sh: exit code 3: last words"
    assert error.Notes(0) == b"first\nlast words"
    assert modes.result(refuse).outcome == Outcome.Rejected


def test_command_that_writes_without_end_is_stopped_at_the_limit(modes: FakeBroker) -> None:
    worker = modes.worker_for("flood")
    (one,) = modes.dispatch(worker, Order("flood"))
    error = read_error(modes.result(one).payload)
    assert error.Type() == b"jobwire.ResultError"
    assert error.Message().startswith(b"the result has ")
    assert modes.worker_for("flood") is worker


def test_command_that_ignores_sigterm_is_killed_and_its_worker_lives(
    modes: FakeBroker, tmp_path: Path
) -> None:
    worker = modes.worker_for("deaf")
    (late,) = modes.dispatch(worker, text("deaf", f"{tmp_path}/pid\n", timeout_ms=500))
    assert modes.result(late).outcome == Outcome.TimedOut
    assert not is_alive(int((tmp_path / "pid").read_text()))
    (after,) = modes.dispatch(worker, text("shout", "on"))
    assert modes.result(after).payload == b"ON"


def test_command_ends_with_a_host_that_is_killed(
    broker: FakeBroker, start: Start, tmp_path: Path
) -> None:
    host = start("-c", "1", target=TARGET)
    broker.dispatch(broker.worker_for("deaf"), text("deaf", f"{tmp_path}/pid\n"))
    pid = int(broker.until("its number", lambda: written(tmp_path / "pid")))
    assert is_alive(pid)
    host.process.kill()
    broker.until("the command to end", lambda: not is_alive(pid))


def test_cancelled_command_ends_by_the_flag_alone(modes: FakeBroker, tmp_path: Path) -> None:
    worker = modes.worker_for("deaf")
    (one,) = modes.dispatch(worker, text("deaf", f"{tmp_path}/pid\n"))
    modes.running(one)
    modes.send(modes.agent(), cancel_lease(one.token, worker.worker, 60_000))
    assert modes.result(one).outcome == Outcome.Cancelled


def test_what_a_command_leaves_behind_ends_with_it(modes: FakeBroker) -> None:
    (one,) = modes.dispatch(modes.worker_for("leaver"), Order("leaver"))
    left = int(modes.result(one).payload)
    modes.until("the background process to end", lambda: not is_alive(left))


# ------------------------------------------------------------------ environment


def test_processes_of_a_kind_have_numbers_and_their_share_of_a_list(
    broker: FakeBroker, start: Start
) -> None:
    start("-c", "3", "--env-per-slot", "GPU=a,b", target=TARGET)
    seen = set()
    used: list[int] = []
    for _ in range(3):
        worker = broker.worker_for("plain", besides=used)
        used.append(worker.worker)
        (one,) = broker.dispatch(worker, Order("plain"))
        told = json.loads(broker.result(one).payload)
        seen.add((told["slot"], told["gpu"]))
    assert seen == {("0", "a"), ("1", "b"), ("2", "a")}
