# SPDX-License-Identifier: Apache-2.0
"""Real workers in front of a real broker: every way of running, leaving, and sharing long jobs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from jobwire import Client, DeadReason, JobSpec, JobState, RetryPolicy
from rig import Process, Rig, until

HERE = Path(__file__).resolve().parent
APP = f"{HERE / 'worker_app.py'}"


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "ledger"
    path.touch()
    return path


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with Rig(tmp_path / "rig", aof="everysec", options=["--backoff-base", "10ms"]) as rig:
        rig.start_broker()
        yield rig


@pytest.fixture
def client(rig: Rig) -> Iterator[Client]:
    with Client(rig.producers, name="test/1") as client:
        yield client


def start(rig: Rig, ledger: Path, *options: str, workers: int = 1, queues: str = "") -> Process:
    return rig.start_host(
        APP, concurrency=workers, queues=queues, env={"LEDGER": str(ledger)}, options=options
    )


def runs(ledger: Path) -> list[list[str]]:
    return [line.split() for line in ledger.read_text().splitlines()]


def submit(client: Client, spec: JobSpec) -> JobSpec:
    client.submit(spec)
    return spec


def spec(kind: str, payload: object, queue: str = "plain", **options: object) -> JobSpec:
    return JobSpec(kind, payload, queue=queue, **options)  # type: ignore[arg-type]


def test_burst_runs_every_kind_of_job_and_leaves(rig: Rig, client: Client, ledger: Path) -> None:
    kinds = ("plain", "threaded", "awaited", "fresh", "command")
    specs = [spec(kind, f"w{i}") for kind in kinds for i in range(40 if kind != "fresh" else 5)]
    client.submit_batch(specs)
    host = start(rig, ledger, "--burst", workers=2)
    assert host.popen.wait(90) == 0
    for one in specs:
        result = client.result(one.id)
        word = one.payload.decode()
        assert result.state is JobState.SUCCEEDED
        expected = {
            "command": word.upper(),
            "awaited": f"awaited {word} 1",
        }.get(one.type, f"{one.type} {word}")
        assert result.text == expected
    assert rig.ended("plain", "queued") == 0
    # Isolated jobs, and only they, had a process each.
    assert len(runs(ledger)) == 40 * 3 + 5


def test_stuck_thread_is_charged_and_the_job_beside_it_runs_again_uncharged(
    rig: Rig, client: Client, ledger: Path
) -> None:
    start(rig, ledger)
    beside = submit(client, spec("gated", "beside"))
    until("it to run", lambda: [word for word, _ in runs(ledger)] == ["beside"])
    stuck = submit(client, spec("stuck", "x", timeout="500ms", retry=RetryPolicy.never()))
    ended = client.wait(stuck.id, timeout=60)
    assert (ended.state, ended.status.reason) == (JobState.DEAD, DeadReason.TIMED_OUT)
    result = client.wait(beside.id, timeout=60)
    assert (result.state, result.status.attempts) == (JobState.SUCCEEDED, 1)
    (first, one), (_, dead), (again, other) = runs(ledger)
    assert (first, again) == ("beside", "beside")
    assert one == dead
    assert other != one


@pytest.mark.timeout(180)
def test_everything_drains_on_sigterm_and_nothing_is_charged(
    rig: Rig, client: Client, ledger: Path
) -> None:
    hosts = [start(rig, ledger, queues="long", workers=2) for _ in range(2)]
    specs = [spec("long", 700, queue="long") for _ in range(16)]
    client.submit_batch(specs)
    until("four to run", lambda: len(runs(ledger)) >= 4)
    for host in hosts:
        host.popen.terminate()
    assert [host.popen.wait(60) for host in hosts] == [0, 0]
    done = rig.ended("long", "succeeded")
    # What ran has ended well, what had not begun waits, and there is nothing else.
    assert done == len(runs(ledger))
    assert rig.ended("long", "queued") == len(specs) - done > 0
    assert rig.broker is not None
    assert rig.broker.stop() == 0
    rig.start_broker()
    host = start(rig, ledger, "--burst", "2s", queues="long", workers=8)
    assert host.popen.wait(90) == 0
    attempts = Counter(client.status(one.id).attempts for one in specs)
    assert attempts == {1: len(specs)}
    assert len(runs(ledger)) == len(specs)
    assert rig.ended("long", "succeeded") == len(specs)


@pytest.mark.timeout(180)
def test_broker_and_hosts_stopped_in_the_same_moment_end_in_time_and_lose_nothing(
    rig: Rig, client: Client, ledger: Path
) -> None:
    hosts = [start(rig, ledger, "--grace", "3s", queues="long", workers=2) for _ in range(2)]
    specs = [spec("long", 1000, queue="long") for _ in range(16)]
    client.submit_batch(specs)
    until("four to run", lambda: len(runs(ledger)) >= 4)
    assert rig.broker is not None
    for process in (*hosts, rig.broker):
        process.popen.terminate()
    assert [process.popen.wait(60) for process in (*hosts, rig.broker)] == [0, 0, 0]
    ran = len(runs(ledger))
    rig.start_broker()
    host = start(rig, ledger, "--burst", "8s", queues="long", workers=8)
    assert host.popen.wait(90) == 0
    states = Counter(client.status(one.id).state for one in specs)
    assert states == {JobState.SUCCEEDED: len(specs)}
    # What ran, and could not tell it to anyone, ran again: no more than that.
    assert len(specs) <= len(runs(ledger)) <= len(specs) + ran


def test_recycled_workers_lose_and_charge_nothing(rig: Rig, client: Client, ledger: Path) -> None:
    host = start(rig, ledger, "--max-jobs", "50", queues="plain", workers=2)
    specs = [spec("plain", f"n{i}") for i in range(1000)]
    client.submit_batch(specs)
    results = client.wait_all([one.id for one in specs], timeout=90)
    assert {result.status.attempts for result in results} == {1}  # type: ignore[union-attr]
    words, pids = zip(*runs(ledger), strict=True)
    assert sorted(words) == sorted(f"n{i}" for i in range(1000))
    assert max(Counter(pids).values()) == 50
    # That they end is wanted: the next ones need not wait.
    assert "filled again" not in host.log.read_text()
