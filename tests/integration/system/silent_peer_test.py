# SPDX-License-Identifier: Apache-2.0
"""Peers that take large messages and never read them: their sessions end at a bound in bytes, the others notice nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from integration.system.bad_peer_test import resident_mib
from integration.system.raw_peer import RawPeer, as_id, encode, new_id
from rig import Rig, sanitizer, until

HERE = Path(__file__).resolve().parent
MIB = 1 << 20
SIZE = 10 * MIB
BOUND = 32  # MiB for one peer
# The bound, the results of one read from Redis, and what a message is made in.
MOST_MIB = BOUND + 8 * 10 + 3 * 33 + {"": 0, "thread": 1000}.get(sanitizer(), 400)


def submit(peer: RawPeer, queue: str, kind: str, count: int) -> list[dict[str, list[int]]]:
    jobs = [as_id(new_id()) for _ in range(count)]
    for job in jobs:
        spec = {"id": job, "queue": queue, "type": kind, "encoding": "Bytes", "payload_size": SIZE}
        _, receipts = peer.ask("Submit", bytes(SIZE), request=1, jobs=[spec])
        assert receipts["heads"][0]["code"] == "Unspecified"
    return jobs


@pytest.mark.timeout(180)
def test_producer_that_asks_for_large_results_and_never_reads_is_cut_off_at_its_bytes(
    tmp_path: Path,
) -> None:
    options = ["--send-bytes", f"{BOUND}MiB", "--payload-memory", "0"]
    with Rig(tmp_path / "rig", aof="no", options=options) as rig:
        broker = rig.start_broker()
        rig.start_host(f"{HERE.parents[1] / 'bench/noop_app.py'}")
        with RawPeer(rig.producers) as peer:
            peer.hello("Producer")
            jobs = submit(peer, "bench", "noop", 20)
            until("the jobs to end", lambda: rig.ended("bench", "succeeded") == 20, 60)
        before = resident_mib(broker)
        most = before
        with RawPeer(rig.producers, receive_buffer=4096) as mute:
            mute.hello("Producer")
            question = encode("ResultRequest", request=1, ids=jobs)
            for _ in range(10):
                mute.send_raw(question)

            def cut_off() -> bool:
                nonlocal most
                most = max(most, resident_mib(broker))
                return "does not read" in broker.tail(200)

            until("its session to be closed", cut_off)
            assert rig.campaign("--jobs", "5000").finish()["code"] == 0, "others are served"
            most = max(most, resident_mib(broker))
            kinds = []
            while "Refused" not in kinds:
                kind, message = mute.receive()
                kinds.append(kind)
            assert message["code"] == "SlowReader", "reading at last, it is told"
            assert 10 * len(kinds) < BOUND + 64, "and gets no more than had been queued"
        assert most - before < MOST_MIB, f"the broker grew by {most - before:.0f} MiB"


@pytest.mark.timeout(180)
def test_worker_that_takes_large_jobs_and_never_reads_is_cut_off_and_another_runs_them(
    tmp_path: Path,
) -> None:
    options = ["--send-bytes", f"{BOUND}MiB", "--payload-memory", "0"]
    with Rig(tmp_path / "rig", aof="no", options=options) as rig:
        broker = rig.start_broker()
        before = resident_mib(broker)
        most = before
        with (
            RawPeer(rig.producers) as peer,
            RawPeer(rig.workers, receive_buffer=4096) as mute,
        ):
            peer.hello("Producer")
            submit(peer, "bench", "noop", 20)
            mute.hello("Worker")
            mute.send("Ready", queues=["bench"], types=[{"name": "noop"}], slots=64, credit=64)

            def cut_off() -> bool:
                nonlocal most
                most = max(most, resident_mib(broker))
                return "does not read" in broker.tail(200)

            until("its session to be closed", cut_off)
            rig.start_host(f"{HERE.parents[1] / 'bench/noop_app.py'}")
            until("another to run them", lambda: rig.ended("bench", "succeeded") == 20, 60)
            assert rig.ended("bench", "running") + rig.ended("bench", "queued") == 0
        assert most - before < MOST_MIB, f"the broker grew by {most - before:.0f} MiB"
