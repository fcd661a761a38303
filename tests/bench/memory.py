# SPDX-License-Identifier: Apache-2.0
"""`ops/dev/bench memory`: what a million waiting jobs cost the broker, and how long a new broker takes to know them."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from delays import resident_bytes  # noqa: E402
from report import write_report  # noqa: E402
from rig import Rig, until  # noqa: E402


def one_run(aof: str, payload_memory: str, arguments: argparse.Namespace) -> dict[str, Any]:
    options = ["--payload-memory", payload_memory]
    with (
        tempfile.TemporaryDirectory(prefix="jobwire-bench-") as folder,
        Rig(Path(folder), options=options) as rig,
    ):
        # A Redis of its own, so that a restart is the broker's alone.
        rig.start_redis(aof=aof)
        broker = rig.start_broker()
        empty = resident_bytes(broker)
        filled = rig.campaign(
            "--jobs", str(arguments.jobs), "--payload-bytes", str(arguments.payload), "--submit-only", "--timeout", "600"
        ).finish(620)  # fmt: skip
        if filled["code"] != 0:
            raise RuntimeError(f"the jobs were not taken: {filled}")
        # What was committed lately is kept in memory for 10 s.
        time.sleep(12)
        per_job = (resident_bytes(broker) - empty) / arguments.jobs
        host = rig.start_host(f"{HERE / 'noop_app.py'}:app", concurrency=2, queues="nothing")
        until("the workers", lambda: len(rig.worker_pids(host)) == 2)
        host.stop()
        broker.stop()

        # Workers wait for the new broker, so that its first dispatch is its own doing.
        host = rig.start_host(f"{HERE / 'noop_app.py'}:app", concurrency=2)
        until("the workers", lambda: len(rig.worker_pids(host)) == 2)
        time.sleep(1)
        log = broker.log  # the next broker's too
        written = log.stat().st_size
        begun = time.monotonic()
        rig.start_broker(wait=False)
        first = known = 0.0
        while not (first and known) and time.monotonic() - begun < 120:
            if not first and rig.ended("bench", "succeeded") > 0:
                first = time.monotonic() - begun
            if not known and "recovered" in log.read_text()[written:]:
                known = time.monotonic() - begun
            time.sleep(0.005)
        if not (first and known):
            raise RuntimeError(
                f"first result {first:.1f} s, all known {known:.1f} s; 0: not in two minutes"
            )
        recovered = [line for line in log.read_text().splitlines() if "recovered" in line][-1]
    return {
        "jobs": arguments.jobs,
        "payload": arguments.payload,
        "payload_memory": payload_memory,
        "broker_bytes_per_job": round(per_job),
        "restart_first_result_s": round(first, 2),
        "restart_all_known_s": round(known, 2),
        "broker_says": recovered.partition("recovered ")[2],
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="ops/dev/bench memory", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--aof", choices=["no", "everysec", "always"], default="everysec", help="%(default)s"
    )
    parser.add_argument("--jobs", type=int, default=1_000_000, help="that wait (%(default)s)")
    parser.add_argument("--payload", type=int, default=200, help="bytes (%(default)s)")
    parser.add_argument(
        "--payload-memory",
        action="append",
        help="the broker's option; more than once for a run each (0, the default of 64MiB, and 512MiB)",
    )
    parser.add_argument("--json", type=Path, help="write everything to this file")
    arguments = parser.parse_args()
    runs = [
        one_run(arguments.aof, payload_memory, arguments)
        for payload_memory in arguments.payload_memory or ["0", "64MiB", "512MiB"]
    ]
    for run in runs:
        print(json.dumps(run))
    write_report(arguments.json, "memory", memory=runs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
