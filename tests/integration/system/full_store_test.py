# SPDX-License-Identifier: Apache-2.0
"""Redis short of memory: new jobs are refused by name, and whatever ends or removes jobs is still stored."""

from __future__ import annotations

from pathlib import Path

import pytest
from integration.system.raw_peer import RawPeer, as_id, new_id
from rig import Rig, until

HERE = Path(__file__).resolve().parent


def submit(peer: RawPeer, count: int, payload: bytes) -> dict[bytes, str]:
    """What each of so many new jobs was told."""
    ids = [new_id() for _ in range(count)]
    jobs = [
        {"id": as_id(job), "queue": "gate", "type": "echo", "encoding": "Bytes", "payload_size": len(payload)}
        for job in ids
    ]  # fmt: skip
    peer.send("Submit", payload, request=1, jobs=jobs)
    told: dict[bytes, str] = {}
    while len(told) < count:
        kind, receipts = peer.receive()
        assert kind == "Receipts", receipts
        for head in receipts["heads"]:
            told[bytes(head["id"]["bytes"])] = head["code"]
            assert (head["retry_after_ms"] > 0) == (head["code"] != "Unspecified")
    return told


def memory(rig: Rig, field: str) -> int:
    lines = rig.redis_cli("INFO", "memory").splitlines()
    return int(next(line for line in lines if line.startswith(f"{field}:")).split(":")[1])


def counter(rig: Rig, name: str) -> int:
    return int(rig.redis_cli("HGET", "jw:{0}:queue:gate", name) or 0)


def stored(rig: Rig) -> set[bytes]:
    keys = rig.redis_cli("--scan", "--pattern", "jw:{0}:job:*").split()
    return {bytes.fromhex(key.rpartition(":")[2].replace("-", "")) for key in keys}


@pytest.mark.timeout(180)
def test_new_jobs_are_refused_while_less_than_the_reserve_is_left_and_taken_when_the_janitor_made_room(
    tmp_path: Path,
) -> None:
    gate = tmp_path / "gate"
    gate.touch()
    options = ["--redis-reserve", "16MiB", "--keep-finished", "3s"]
    with Rig(tmp_path / "rig", options=options) as rig:
        rig.start_redis(aof="no", options=["--maxmemory", "64mb"])
        rig.start_broker()
        with RawPeer(rig.producers) as peer:
            peer.hello("Producer")
            told: dict[bytes, str] = {}
            while set(told.values()) != {"Unspecified", "StoreFull"}:
                told |= submit(peer, 16, bytes(100_000))
                assert set(told.values()) <= {"Unspecified", "StoreFull"}
            taken = {job for job, code in told.items() if code == "Unspecified"}
            assert len(taken) > 100
            limit = memory(rig, "maxmemory")
            assert 4 << 20 < limit - memory(rig, "used_memory") < 17 << 20
            assert stored(rig) == taken, "no refused job was stored, no taken one was not"

            rig.start_host(f"{HERE / 'gate_app.py'}", env={"GATE": str(gate)})
            until("every taken job to end", lambda: counter(rig, "succeeded") == len(taken), 60)
            until(
                "a new job to be taken",
                lambda: "Unspecified" in submit(peer, 1, bytes(100_000)).values(),
                60,
            )
            assert "errorstat_OOM" not in rig.redis_cli("INFO", "errorstats")


@pytest.mark.timeout(180)
def test_a_redis_that_others_have_filled_takes_results_removals_and_a_new_broker(
    tmp_path: Path,
) -> None:
    gate = tmp_path / "gate"
    with Rig(tmp_path / "rig", options=["--keep-finished", "2s"]) as rig:
        rig.start_redis()
        rig.start_broker()
        rig.start_host(f"{HERE / 'gate_app.py'}", env={"GATE": str(gate)})
        with RawPeer(rig.producers) as peer:
            peer.hello("Producer")
            assert set(submit(peer, 50, bytes(10_000)).values()) == {"Unspecified"}
            until("jobs to run", lambda: rig.ended("gate", "running") == 2)
            rig.redis_cli("CONFIG", "SET", "maxmemory", "1mb")
            assert "OOM" in rig.redis_cli("SET", "another", "one")
            until(
                "the broker to notice",
                lambda: "StoreFull" in submit(peer, 1, bytes(10)).values(),
            )
            taken = counter(rig, "submitted")
            gate.touch()
            until("every taken job to end", lambda: counter(rig, "succeeded") == taken, 60)

        assert rig.broker is not None
        rig.broker.kill()
        rig.start_broker()
        until("the janitor to remove them", lambda: not stored(rig), 60)
        assert "OOM" in rig.redis_cli("SET", "another", "one")
        with RawPeer(rig.producers) as peer:
            peer.hello("Producer")
            until(
                "the new broker to notice",
                lambda: "StoreFull" in submit(peer, 1, bytes(10)).values(),
            )
            rig.redis_cli("CONFIG", "SET", "maxmemory", "0")
            until(
                "a new job to be taken",
                lambda: "Unspecified" in submit(peer, 1, bytes(10)).values(),
            )
        until("it to end", lambda: counter(rig, "succeeded") == counter(rig, "submitted"))
        assert rig.broker.alive()
