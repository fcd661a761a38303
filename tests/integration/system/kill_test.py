# SPDX-License-Identifier: Apache-2.0
"""Nothing accepted is lost, whoever is killed: each part is ended with SIGKILL under load, and every job ends once."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

import pytest
from rig import Rig, until

HERE = Path(__file__).resolve().parent
JOBS = 20_000


def runs_of(ledger: Path) -> Counter[str]:
    """How often each job ran, as its handler wrote it down."""
    if not ledger.exists():
        return Counter()
    return Counter(line.split()[0] for line in ledger.read_text().splitlines())


def assert_each_ended_once(rig: Rig, queue: str, jobs: int) -> None:
    states = {
        state: rig.ended(queue, state)
        for state in ("scheduled", "queued", "running", "succeeded", "dead", "expired", "cancelled")
    }
    until(
        f"{jobs} jobs in the index of succeeded ones, it is {states}",
        lambda: rig.ended(queue, "succeeded") == jobs,
    )
    states = {state: rig.ended(queue, state) for state in states}
    assert states == {**dict.fromkeys(states, 0), "succeeded": jobs}
    counters = rig.redis_cli(
        "HMGET", f"jw:{{0}}:queue:{queue}", "submitted", "succeeded"
    ).splitlines()
    assert counters == [str(jobs), str(jobs)], "each was counted once"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("store", ["embedded", "external"])
def test_broker_killed_with_20000_receipted_jobs_loses_none_and_ends_each_once(
    tmp_path: Path, store: str
) -> None:
    ledger = tmp_path / "ran"
    receipts = tmp_path / "receipts"
    with Rig(tmp_path / "rig") as rig:
        if store == "external":
            rig.start_redis()
        rig.start_broker()
        rig.start_host(f"{HERE / 'ledger_app.py'}", env={"LEDGER": str(ledger)})
        until("the first jobs to be possible", lambda: len(rig.worker_pids(rig.hosts[0])) == 2)
        campaign = rig.campaign(
            *(
                "--queue",
                "ledger",
                "--type",
                "note",
                "--jobs",
                str(JOBS),
                "--window",
                str(2 * JOBS),
            ),
            *("--ledger", str(receipts), "--timeout", "200"),
        )
        until("all receipts", receipts.exists, 60)
        assert rig.broker is not None
        for _ in range(2):
            ran = len(runs_of(ledger))
            assert ran < JOBS, "the broker is killed while jobs wait and run"
            rig.broker.kill()
            rig.start_broker()
            until("jobs to run again", lambda ran=ran: len(runs_of(ledger)) > ran + 1_000, 60)  # type: ignore[misc]
        result = campaign.finish(240)
        assert result["ends"] == {"Succeeded": JOBS}, result
        assert result["code"] == 0, result
        accepted = set(receipts.read_text().split())
        runs = runs_of(ledger)
        assert set(runs) == accepted, "every receipted job ran, and nothing else did"
        twice = sum(1 for count in runs.values() if count > 1)
        print(f"{twice} of {JOBS} jobs ran more than once over two kills of the broker")
        assert_each_ended_once(rig, "ledger", JOBS)


@pytest.mark.timeout(300)
def test_each_worker_killed_in_turn_under_load_loses_none_and_ends_each_once(
    tmp_path: Path,
) -> None:
    ledger = tmp_path / "ran"
    with Rig(tmp_path / "rig") as rig:
        rig.start_broker()
        host = rig.start_host(
            f"{HERE / 'ledger_app.py'}", env={"LEDGER": str(ledger)}, concurrency=3
        )
        until("the workers", lambda: len(rig.worker_pids(host)) == 3)
        campaign = rig.campaign(
            *(
                "--queue",
                "ledger",
                "--type",
                "note",
                "--jobs",
                str(JOBS),
                "--window",
                str(2 * JOBS),
                "--timeout",
                "200",
            )
        )
        killed: set[int] = set()
        for _ in range(6):
            ran = len(runs_of(ledger))
            until("jobs to run", lambda ran=ran: len(runs_of(ledger)) > ran + 500, 60)  # type: ignore[misc]
            victim = until(
                "a worker that was not killed before",
                lambda: [p for p in rig.worker_pids(host) if p not in killed],
            )[0]
            os.kill(victim, signal.SIGKILL)
            killed.add(victim)
            until(
                "a new worker",
                lambda: len([p for p in rig.worker_pids(host) if p not in killed]) == 3,
                30,
            )
        result = campaign.finish(240)
        assert result["ends"] == {"Succeeded": JOBS}, result
        assert result["code"] == 0, result
        assert_each_ended_once(rig, "ledger", JOBS)


@pytest.mark.timeout(200)
def test_host_agent_killed_under_load_loses_none(tmp_path: Path) -> None:
    ledger = tmp_path / "ran"
    with Rig(tmp_path / "rig") as rig:
        rig.start_broker()
        first = rig.start_host(f"{HERE / 'ledger_app.py'}", env={"LEDGER": str(ledger)})
        until("the workers", lambda: len(rig.worker_pids(first)) == 2)
        campaign = rig.campaign(
            *(
                "--queue",
                "ledger",
                "--type",
                "note",
                "--jobs",
                "5000",
                "--window",
                "10000",
                "--timeout",
                "100",
            )
        )
        until("jobs to run", lambda: len(runs_of(ledger)) > 500, 60)
        orphans = rig.worker_pids(first)
        first.kill()
        until(
            "its workers to end too",
            lambda: not any(Path(f"/proc/{pid}").exists() for pid in orphans),
            10,
        )
        rig.start_host(f"{HERE / 'ledger_app.py'}", env={"LEDGER": str(ledger)})
        result = campaign.finish(120)
        assert result["ends"] == {"Succeeded": 5000}, result
        assert_each_ended_once(rig, "ledger", 5000)
