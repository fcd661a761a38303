# SPDX-License-Identifier: Apache-2.0
"""Redis away, be it frozen or without a disk: running work goes on, intake stops by name, and nothing is lost."""

from __future__ import annotations

import resource
import signal
from pathlib import Path

import pytest
from integration.system.kill_test import assert_each_ended_once, runs_of
from integration.system.raw_peer import RawPeer, as_id, new_id
from rig import Rig, children, until

HERE = Path(__file__).resolve().parent
JOBS = 4_000


def ledger_host(rig: Rig, ledger: Path) -> None:
    host = rig.start_host(f"{HERE / 'ledger_app.py'}", env={"LEDGER": str(ledger)})
    until("the workers", lambda: len(rig.worker_pids(host)) == 2)


class Flood:
    """Jobs that are sent without waiting for their receipts."""

    def __init__(self, peer: RawPeer) -> None:
        self.peer = peer
        self.sent: set[bytes] = set()
        self.told: dict[bytes, str] = {}

    def send(self, count: int) -> None:
        jobs = [new_id() for _ in range(count)]
        self.sent |= set(jobs)
        self.peer.send("Submit", request=1, jobs=[
            {"id": as_id(job), "queue": "flood", "type": "t", "encoding": "Bytes"} for job in jobs
        ])  # fmt: skip

    def hear(self) -> None:
        while self.peer.socket.poll(10):
            _, receipts = self.peer.receive()
            for head in receipts["heads"]:
                self.told[bytes(head["id"]["bytes"])] = head["code"]

    def codes(self) -> set[str]:
        return set(self.told.values())


@pytest.mark.timeout(180)
def test_frozen_redis_stops_intake_by_name_and_nothing_else(tmp_path: Path) -> None:
    ledger = tmp_path / "ran"
    receipts = tmp_path / "receipts"
    bound = 1_000
    with Rig(tmp_path / "rig", options=["--max-unstored-jobs", str(bound)]) as rig:
        rig.start_redis()
        rig.start_broker()
        ledger_host(rig, ledger)
        campaign = rig.campaign(
            "--queue", "ledger", "--type", "note", "--jobs", str(JOBS), "--window", str(2 * JOBS),
            "--ledger", str(receipts), "--timeout", "120",
        )  # fmt: skip
        until("all receipts", receipts.exists, 60)
        assert rig.redis is not None
        rig.redis.popen.send_signal(signal.SIGSTOP)
        ran = len(runs_of(ledger))
        assert ran < JOBS - 1_500, "Redis freezes while most jobs still wait"
        with RawPeer(rig.producers) as peer:
            peer.hello("Producer")
            flood = Flood(peer)
            while len(flood.sent) < 2 * bound:
                flood.send(100)

            def told_that_it_is_away() -> bool:
                flood.send(1)
                flood.hear()
                # Until a second has passed without an answer the store is only slow.
                assert flood.codes() <= {"WindowFull", "StoreUnavailable"}
                return "StoreUnavailable" in flood.codes()

            until("intake to stop by name", told_that_it_is_away)
            until("more stored jobs to run", lambda: len(runs_of(ledger)) > ran + 500)
            rig.redis.popen.send_signal(signal.SIGCONT)
            until("all receipts", lambda: flood.hear() or len(flood.told) == len(flood.sent))
            taken = [code for code in flood.told.values() if code == "Unspecified"]
            assert len(taken) == bound, "the buffer was stored, whole"
            assert rig.ended("flood", "queued") == bound, "no refused job was stored"
        result = campaign.finish()
        assert result["code"] == 0, result
        assert_each_ended_once(rig, "ledger", JOBS)
        assert set(runs_of(ledger).values()) == {1}, "no job ran twice"


@pytest.mark.timeout(180)
@pytest.mark.parametrize("aof", ["always", "everysec"])
def test_disk_of_redis_is_full_for_a_while_and_nothing_is_lost(tmp_path: Path, aof: str) -> None:
    """The limit on a file's size stands for the disk: to Redis each is a write that fails."""
    ledger = tmp_path / "ran"
    with Rig(tmp_path / "rig", aof=aof) as rig:
        rig.start_broker()
        assert rig.broker is not None
        ledger_host(rig, ledger)
        assert rig.campaign("--queue", "ledger", "--type", "note", "--jobs", "100").finish()["code"] == 0  # fmt: skip

        def limit_files(size: int) -> None:
            for pid in (rig.broker.pid, *children(rig.broker.pid)):  # type: ignore[union-attr]
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

        limit_files(max(file.stat().st_size for file in rig.data.rglob("*.aof")) + 300_000)
        campaign = rig.campaign(
            "--queue", "ledger", "--type", "note", "--jobs", str(JOBS), "--window", str(2 * JOBS), "--timeout", "120",
        )  # fmt: skip
        until(
            "the broker to miss its store", lambda: "the store is away" in rig.broker.tail(300), 60
        )  # type: ignore[union-attr]
        ran = len(runs_of(ledger))
        limit_files(resource.RLIM_INFINITY)
        until("jobs to run again", lambda: len(runs_of(ledger)) > ran + 100, 60)
        result = campaign.finish()
        assert result["code"] == 0, result
        assert_each_ended_once(rig, "ledger", JOBS + 100)
        assert rig.broker.alive()
