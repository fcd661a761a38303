# SPDX-License-Identifier: Apache-2.0
"""Random SIGKILLs over every part while jobs flow, and what the producer, the handlers and Redis say afterwards.

Rounds of jobs go through one system (C++ producer, broker with its own Redis at AOF always, two hosts); in each round some
parts are killed at random moments, chosen by the seed. After each round, from what was written down by those who saw it:

* the producer got exactly one end, SUCCEEDED, for each of its jobs, and every job was receipted;
* every receipted job ran, and no other did (the handlers write down each run);
* Redis holds each job once, in that state, and counted each once.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rig import Process, Rig, children, until

APP = Path(__file__).resolve().parents[1] / "integration/system/ledger_app.py"
PARTS = ("broker", "worker", "agent", "redis")


class Storm:
    """One system, and who in it is killed when."""

    def __init__(self, folder: Path, seed: int, jobs: int) -> None:
        self.random = random.Random(seed)
        self.jobs = jobs
        self.folder = folder
        self.ledger = folder / "ran"
        self.rig = Rig(
            folder / "rig",
            aof="always",
            # All ends stay until they are counted, and a job may be hit by more kills than a poisonous one is granted.
            options=[
                *("--keep-finished", "1d", "--keep-finished-jobs", "10000000"),
                *("--crashes", "50", "--backoff-base", "50ms"),
            ],
        )
        self.kills: Counter[str] = Counter()
        self.back_s: list[float] = []
        self.twice = 0
        self.accepted: set[str] = set()

    def start_host(self) -> Process:
        return self.rig.start_host(str(APP), env={"LEDGER": str(self.ledger)})

    def runs(self) -> Counter[str]:
        if not self.ledger.exists():
            return Counter()
        return Counter(line.split()[0] for line in self.ledger.read_text().splitlines())

    def ran(self) -> int:
        return self.ledger.read_bytes().count(b"\n") if self.ledger.exists() else 0

    # ------------------------------------------------------------------ killing

    def victim(self, part: str) -> int | None:
        broker = self.rig.broker
        assert broker is not None
        if part == "broker":
            return broker.pid
        if part == "redis":
            found = children(broker.pid)
        elif part == "agent":
            found = [host.pid for host in self.rig.hosts if host.alive()]
        else:
            found = [pid for host in self.rig.hosts if host.alive() for pid in children(host.pid)]
        return self.random.choice(found) if found else None

    def kill(self, part: str) -> None:
        pid = self.victim(part)
        if pid is None:
            return  # it is just coming back from the kill before
        rig = self.rig
        if part == "broker":
            assert rig.broker is not None
            rig.broker.kill()
            self.kills[part] += 1
            rig.start_broker()
        elif part == "agent":
            host = next(host for host in rig.hosts if host.pid == pid)
            host.kill()
            self.kills[part] += 1
            rig.hosts.remove(host)
            self.start_host()
        else:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                return
            self.kills[part] += 1

    # ------------------------------------------------------------------ rounds

    def round(self, number: int, kills: int) -> None:
        receipts = self.folder / f"receipts-{number}"
        campaign = self.rig.campaign(
            *("--queue", "ledger", "--type", "note", "--jobs", str(self.jobs), "--timeout", "240"),
            *("--ledger", str(receipts), "--window", str(2 * self.jobs)),
            name=f"campaign-{number}",
        )
        for _ in range(kills):
            # Anywhere between two turns of the broker and long after it: faults hide in both.
            time.sleep(self.random.choice([0.0, 0.005, 0.05, 0.3]) * self.random.random())
            if campaign.popen.poll() is not None:
                break
            before = self.ran()
            self.kill(self.random.choice(PARTS))
            killed = time.monotonic()
            until(
                "jobs to run again",
                lambda before=before: self.ran() > before or campaign.popen.poll() is not None,  # type: ignore[misc]
                60,
            )
            self.back_s.append(time.monotonic() - killed)
        result = campaign.finish(260)
        expected = {"Succeeded": self.jobs}
        if result["ends"] != expected or result["code"] != 0:
            raise AssertionError(f"the producer saw {result}")
        self.accepted |= set(receipts.read_text().split())
        self.verify()

    def verify(self) -> None:
        total = len(self.accepted)
        runs = self.runs()
        if set(runs) != self.accepted:
            lost = len(self.accepted - set(runs))
            invented = len(set(runs) - self.accepted)
            raise AssertionError(f"{lost} receipted jobs never ran, {invented} ran unreceipted")
        self.twice = sum(1 for count in runs.values() if count > 1)
        until(
            f"{total} succeeded jobs in Redis",
            lambda: self.rig.ended("ledger", "succeeded") == total,
        )
        for state in ("scheduled", "queued", "running", "dead", "expired", "cancelled"):
            found = self.rig.ended("ledger", state)
            if found:
                raise AssertionError(f"{found} jobs are {state} in Redis")
        counted = self.rig.redis_cli(
            "HMGET", "jw:{0}:queue:ledger", "submitted", "succeeded"
        ).splitlines()
        if counted != [str(total), str(total)]:
            raise AssertionError(f"Redis counted {counted} of {total} jobs")


def main() -> int:
    parser = argparse.ArgumentParser(prog="ops/dev/chaos", description=__doc__.split("\n\n")[0])
    parser.add_argument("--kills", type=int, default=100, help="how many SIGKILLs, about (100)")
    parser.add_argument("--jobs", type=int, default=3000, help="jobs a round (3000)")
    parser.add_argument("--kills-a-round", type=int, default=10)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().getrandbits(32)
    print(f"seed {seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="jobwire-storm-"))
    storm = Storm(folder, seed, arguments.jobs)
    begun = time.monotonic()
    try:
        with storm.rig as rig:
            rig.start_broker()
            for _ in range(2):
                storm.start_host()
            number = 0
            while storm.kills.total() < arguments.kills:
                number += 1
                storm.round(number, arguments.kills_a_round)
                print(
                    f"round {number}: {storm.kills.total()} kills {dict(storm.kills)}, "
                    f"{len(storm.accepted)} jobs, {storm.twice} ran more than once",
                    flush=True,
                )
    except BaseException:
        print(f"the logs are in {folder}", file=sys.stderr)
        raise
    back = sorted(storm.back_s)
    figures = {
        "seed": seed,
        "kills": dict(storm.kills),
        "jobs": len(storm.accepted),
        "lost": 0,
        "ran_more_than_once": storm.twice,
        "back_p50_s": round(back[len(back) // 2], 3),
        "back_p99_s": round(back[int(0.99 * (len(back) - 1))], 3),
        "seconds": round(time.monotonic() - begun, 1),
    }
    print(json.dumps(figures))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
