# SPDX-License-Identifier: Apache-2.0
"""The same ids and dedup keys from several producers at once, with the broker killed in the midst: one job for each."""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path
from uuid import NAMESPACE_OID, uuid5

import pytest
from integration.system.racing_producer import AT_ONCE
from rig import Process, Rig, until

HERE = Path(__file__).resolve().parent
ROUNDS = 150
PRODUCERS = 4
KILLS = 3


@pytest.mark.timeout(240)
def test_racing_producers_and_a_killed_broker_leave_one_job_for_each_id_and_key(
    tmp_path: Path,
) -> None:
    with Rig(tmp_path / "rig") as rig:
        rig.start_redis()
        rig.start_broker()
        files = [tmp_path / f"told{n}" for n in range(PRODUCERS)]
        producers = [
            Process(
                f"producer{n}",
                [sys.executable, HERE / "racing_producer.py", rig.producers, file, str(ROUNDS), str(n)],
                rig.folder,
            )
            for n, file in enumerate(files)
        ]  # fmt: skip

        def told() -> int:
            return sum(len(file.read_text().splitlines()) for file in files if file.exists())

        try:
            for _ in range(KILLS):
                before = told()
                until("receipts to come", lambda before=before: told() > before + 200, 60)  # type: ignore[misc]
                assert rig.broker is not None
                rig.broker.kill()
                rig.start_broker()
            assert any(producer.alive() for producer in producers), "killed in the midst of it"
            for producer in producers:
                assert producer.popen.wait(120) == 0, producer.tail()
        finally:
            for producer in producers:
                producer.stop()

        jobs: dict[tuple[str, str], set[str]] = defaultdict(set)
        for file in files:
            lines = file.read_text().splitlines()
            assert len(lines) == ROUNDS * AT_ONCE * 2, "each was told something"
            for line in lines:
                kind, name, job = line.split()
                jobs[kind, name].add(job)
        assert {len(same) for same in jobs.values()} == {1}, "all were told the same job"
        for (kind, name), same in jobs.items():
            assert kind != "id" or same == {str(uuid5(NAMESPACE_OID, name))}
        each = ROUNDS * AT_ONCE
        stored = {
            queue: set(rig.redis_cli("ZRANGE", f"jw:{{0}}:idx:{queue}:queued", "0", "-1").split())
            for queue in ("ids", "keys")
        }
        for queue, kind in (("ids", "id"), ("keys", "key")):
            assert stored[queue] == {job for (k, _), same in jobs.items() if k == kind for job in same}  # fmt: skip
            assert rig.redis_cli("HGET", f"jw:{{0}}:queue:{queue}", "submitted") == str(each)
        assert len(rig.redis_cli("--scan", "--pattern", "jw:{0}:job:*").split()) == 2 * each
        for name in ("0.0", f"{ROUNDS - 1}.{AT_ONCE - 1}"):
            assert {rig.redis_cli("GET", f"jw:{{0}}:dedup:{name}")} == jobs["key", name]
