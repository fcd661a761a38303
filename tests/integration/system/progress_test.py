# SPDX-License-Identifier: Apache-2.0
"""How far a running job is, from its handler to whoever waits, to whoever asks, and to Redis."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from jobwire import Client, JobProgress, JobSpec
from rig import Rig, until

HERE = Path(__file__).resolve().parent


@pytest.mark.timeout(150)
def test_latest_progress_reaches_waiting_callers_questions_and_redis(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with Rig(tmp_path / "rig") as rig:
        rig.start_broker()
        rig.start_host(f"{HERE / 'progress_app.py'}", concurrency=1, env={"GATE": str(gate)})
        with Client(rig.producers, name="test/1") as client:
            job = JobSpec("read", b"book", queue="progress")
            heard: list[JobProgress] = []
            results = []
            waiter = threading.Thread(
                target=lambda: results.append(
                    client.call(job, timeout=100, on_progress=heard.append)
                )
            )
            waiter.start()
            try:
                until("the last word", lambda: heard and heard[-1].message == "page 500", 60)
                assert abs(heard[-1].value - 0.5) < 1e-6
                assert len(heard) < 100, "500 words in a moment are told as few"
                status = client.status(job.id)
                assert status.progress is not None
                assert status.progress.message == "page 500"
                key = f"jw:{{0}}:job:{job.id}"
                until(
                    "it in Redis",
                    lambda: rig.redis_cli("HGET", key, "progress_message") == "page 500",
                )
                assert rig.redis_cli("HGET", key, "progress") == "0.5"
                assert rig.redis_cli("HGET", key, "state") == "running"
            finally:
                gate.touch()
                waiter.join(60)
            assert results[0].succeeded
            assert client.status(job.id).progress is None
