# SPDX-License-Identifier: Apache-2.0
"""No job waits in a worker behind a long one while another worker has nothing to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from jobwire import Client, JobSpec, JobState
from rig import Rig, until

HERE = Path(__file__).resolve().parent


def runs(ledger: Path) -> list[tuple[str, str]]:
    """Job and process of each run."""
    lines = ledger.read_text().splitlines() if ledger.exists() else []
    return [(line.split()[0], line.split()[2]) for line in lines]


@pytest.mark.timeout(200)
def test_short_jobs_behind_a_long_one_end_while_it_runs(tmp_path: Path) -> None:
    gate, ledger = tmp_path / "gate", tmp_path / "ran"
    with Rig(tmp_path / "rig") as rig:
        rig.start_broker()
        host = rig.start_host(
            f"{HERE / 'recall_app.py'}",
            concurrency=1,
            env={"GATE": str(gate), "LEDGER": str(ledger)},
        )
        until("the worker", lambda: len(rig.worker_pids(host)) == 1)
        with Client(rig.producers, name="test/1") as client:
            # The type is measured as short, so that its jobs are sent ahead to wait in a worker.
            for _ in range(20):
                client.call(JobSpec("work", b"short", queue="recall"), timeout=60)
            (busy,) = {process for _, process in runs(ledger)}
            long = JobSpec("work", b"long", queue="recall")
            shorts = [JobSpec("work", b"short", queue="recall") for _ in range(20)]
            client.submit_batch([long, *shorts])
            until(
                "the long job to begin", lambda: any(job == str(long.id) for job, _ in runs(ledger))
            )
            # The only worker holds others behind the long one: all that is leased counts as running. Now another one comes.
            until("jobs to wait in it", lambda: rig.ended("recall", "running") > 1)
            other = rig.start_host(
                f"{HERE / 'recall_app.py'}",
                concurrency=1,
                env={"GATE": str(gate), "LEDGER": str(ledger)},
            )
            until("the other worker", lambda: len(rig.worker_pids(other)) == 1)
            for short in shorts:
                assert client.wait(short.id, timeout=60).succeeded
            assert client.status(long.id).state is JobState.RUNNING
            gate.touch()
            assert client.wait(long.id, timeout=60).succeeded
            where = dict(runs(ledger))
            assert [where[str(short.id)] for short in shorts].count(busy) == 0
            assert len(runs(ledger)) == 20 + 1 + 20, "none ran twice"
            for spec in [long, *shorts]:
                assert client.status(spec.id).attempts == 1, "none was charged"
