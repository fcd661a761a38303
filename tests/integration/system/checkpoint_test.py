# SPDX-License-Identifier: Apache-2.0
"""What an attempt has saved, its successor gets: whatever was killed in between."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from jobwire import Client, JobSpec, RetryPolicy
from rig import Rig, until

HERE = Path(__file__).resolve().parent
QUICK = RetryPolicy.fixed("10ms")


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with Rig(tmp_path_factory.mktemp("rig")) as rig:
        rig.start_broker()
        rig.start_host(f"{HERE / 'checkpoint_app.py'}")
        yield rig


@pytest.fixture
def client(rig: Rig) -> Iterator[Client]:
    with Client(rig.producers, name="test/1") as client:
        yield client


def words(path: Path) -> list[int]:
    return [int(word) for word in path.read_text().split()] if path.exists() else []


def test_killed_worker_loses_nothing_that_was_flushed(client: Client, tmp_path: Path) -> None:
    for number in range(3):
        path = tmp_path / f"told{number}"
        receipt = client.submit(JobSpec("climb", str(path), retry=QUICK))
        pid, _ = until("the job to climb", lambda path=path: words(path)[1:] > [50] and words(path))  # type: ignore[misc]
        os.kill(pid, signal.SIGKILL)
        result = client.wait(receipt.id, timeout=60)
        assert result.status.attempts == 2
        # The worker may have died between the acknowledgement and the note.
        reached = int(result.payload)
        assert words(path)[1] <= reached <= words(path)[1] + 1


def test_attempt_that_runs_out_of_time_is_gone_on_with(client: Client, tmp_path: Path) -> None:
    job = JobSpec("climb_out_of_time", str(tmp_path / "told"), retry=QUICK)
    assert client.call(job, timeout=60).payload == b"42"


def test_attempt_on_an_event_loop_is_gone_on_with(client: Client) -> None:
    assert client.call(JobSpec("climb_on_a_loop", retry=QUICK), timeout=60).payload == b"17"


def test_checkpoint_is_shown_in_redis_while_the_job_lives_and_gone_after(
    rig: Rig, client: Client, tmp_path: Path
) -> None:
    path = tmp_path / "told"
    receipt = client.submit(JobSpec("wait_and_tell", str(path), retry=QUICK))
    until("the job to have saved", path.exists)
    key = f"jw:{{0}}:job:{receipt.id}"
    fields = ("checkpoint", "checkpoint_encoding")
    assert rig.redis_cli("HMGET", key, *fields).split() == ["5", "json"]
    path.unlink()
    assert client.wait(receipt.id, timeout=60).payload == b"5"
    assert rig.redis_cli("HMGET", key, *fields).split() == []


def test_one_that_is_too_large_is_an_error_that_says_so(client: Client) -> None:
    job = JobSpec("too_large", retry=RetryPolicy.fixed("10ms", attempts=1))
    error = client.call(job, timeout=60).error
    assert error is not None
    assert error.type == "jobwire.CheckpointError"
    assert error.message == "it has 65537 bytes, the limit is 65536"


@pytest.mark.timeout(150)
def test_broker_killed_with_a_checkpoint_hands_it_on(tmp_path: Path) -> None:
    path = tmp_path / "told"
    with Rig(tmp_path / "rig") as rig:
        broker = rig.start_broker()
        host = rig.start_host(f"{HERE / 'checkpoint_app.py'}", concurrency=1)
        with Client(rig.producers, name="test/1") as client:
            receipt = client.submit(JobSpec("wait_and_tell", str(path), retry=QUICK))
            until("the job to have saved", path.exists, 60)
            broker.kill()
            host.kill()
            path.unlink()
            rig.start_broker()
            rig.start_host(f"{HERE / 'checkpoint_app.py'}", concurrency=1)
            result = client.wait(receipt.id, timeout=100)
            assert result.payload == b"5"
