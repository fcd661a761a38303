# SPDX-License-Identifier: Apache-2.0
"""A host that vanishes without a word: nobody closes its connections, its processes say nothing any more."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from jobwire import Client, JobSpec
from rig import Rig, until

HERE = Path(__file__).resolve().parent


def runs(ledger: Path) -> list[str]:
    """The process of each run."""
    lines = ledger.read_text().splitlines() if ledger.exists() else []
    return [line.split()[2] for line in lines]


@pytest.mark.timeout(200)
def test_job_of_a_frozen_host_runs_elsewhere_and_its_late_result_is_refused(tmp_path: Path) -> None:
    gate, ledger = tmp_path / "gate", tmp_path / "ran"
    env = {"GATE": str(gate), "LEDGER": str(ledger)}
    options = ["--heartbeat", "500ms", "--backoff-base", "10ms"]
    with Rig(tmp_path / "rig", options=options) as rig:
        rig.start_broker()
        host = rig.start_host(f"{HERE / 'recall_app.py'}", concurrency=1, env=env)
        until("the worker", lambda: len(rig.worker_pids(host)) == 1)
        with Client(rig.producers, name="test/1") as client:
            job = JobSpec("work", b"long", queue="recall")
            client.submit(job)
            (first,) = until("the job to begin", lambda: runs(ledger))
            frozen = [host.pid, *rig.worker_pids(host)]
            assert int(first) in frozen
            for pid in frozen:
                os.kill(pid, signal.SIGSTOP)
            since = time.monotonic()
            try:
                key = f"jw:{{0}}:job:{job.id}"
                until(
                    "the loss to be charged", lambda: rig.redis_cli("HGET", key, "crashed") == "1"
                )
                print(f"taken from its host {time.monotonic() - since:.1f} s after it froze")
                rig.start_host(f"{HERE / 'recall_app.py'}", concurrency=1, env=env)
                until("the job to begin elsewhere", lambda: len(runs(ledger)) == 2)
                gate.touch()
                assert client.wait(job.id, timeout=60).succeeded
            finally:
                for pid in frozen:
                    os.kill(pid, signal.SIGCONT)
            # Awake, it ends the run as well, and is told that the lease is over.
            until(
                "the late result, or its revocation",
                lambda: (
                    rig.redis_cli("HGET", "jw:{0}:queue:recall", "stale_results") == "1"
                    or len(rig.worker_pids(host)) == 1
                ),
            )
            status = client.status(job.id)
            assert status.attempts == 2
            assert rig.ended("recall", "succeeded") == 1
            assert rig.redis_cli("HGET", "jw:{0}:queue:recall", "succeeded") == "1"
