# SPDX-License-Identifier: Apache-2.0
"""`ops/dev/bench e2e`: submit to stored result, through every part.

A C++ producer submits 200-byte jobs and waits for every result; jobwired stores them in a Redis of its own; Python
workers run a handler that returns its payload. The clock runs from the first submit to the last result at the producer.
Each figure is the median of several runs with its spread, because the machines this runs on are shared.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE))

from report import write_report  # noqa: E402
from rig import Process, Rig, children, until  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time of one living process with its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


@contextmanager
def running(
    aof: str, workers: int, options: Sequence[str] = ()
) -> Iterator[tuple[Rig, Process, Process]]:
    """A broker with its own Redis, and a host of workers that do nothing: rig, broker, host."""
    with (
        tempfile.TemporaryDirectory(prefix="jobwire-bench-") as folder,
        Rig(Path(folder), aof=aof, options=["--log-level", "warning", *options]) as rig,
    ):
        broker = rig.start_broker()
        host = rig.start_host(f"{HERE / 'noop_app.py'}:app", concurrency=workers)
        until("the workers", lambda: len(rig.worker_pids(host)) == workers)
        yield rig, broker, host


def one_run(aof: str, arguments: argparse.Namespace, extra: list[str]) -> dict[str, Any]:
    common = (
        "--payload-bytes",
        str(arguments.payload),
        "--window",
        str(arguments.window),
        "--timeout",
        "300",
    )
    with running(aof, arguments.workers, extra) as (rig, broker, host):
        warm = rig.campaign(
            "--jobs", str(max(1_000, arguments.jobs // 20)), *common, name="warm-up"
        ).finish(120)
        if warm["code"] != 0:
            raise RuntimeError(f"the warm-up failed: {warm}")
        parts = {
            "broker": [broker.pid],
            "redis": children(broker.pid),
            "workers": rig.worker_pids(host),
            "agent": [host.pid],
        }
        before = {part: sum(cpu_seconds(pid) for pid in pids) for part, pids in parts.items()}
        result = rig.campaign("--jobs", str(arguments.jobs), *common).finish(400)
        after = {part: sum(cpu_seconds(pid) for pid in pids) for part, pids in parts.items()}
    if result["code"] != 0:
        raise RuntimeError(f"the run failed: {result}")
    cpu = {part: (after[part] - before[part]) / arguments.jobs * 1e6 for part in parts}
    cpu["producer"] = result["cpu_s"] / arguments.jobs * 1e6
    return {
        "jobs_per_s": arguments.jobs / result["seconds"],
        "p50_ms": result["p50_ms"],
        "p99_ms": result["p99_ms"],
        "cpu_us_per_job": {part: round(value, 2) for part, value in cpu.items()},
    }


def spread(runs: list[dict[str, Any]]) -> dict[str, Any]:
    rates = [run["jobs_per_s"] for run in runs]
    middle = sorted(runs, key=lambda run: run["jobs_per_s"])[len(runs) // 2]
    return {
        "jobs_per_s": round(statistics.median(rates)),
        "lowest": round(min(rates)),
        "highest": round(max(rates)),
        "p50_ms": middle["p50_ms"],
        "p99_ms": middle["p99_ms"],
        "cpu_us_per_job": middle["cpu_us_per_job"],
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="ops/dev/bench e2e", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--aof", action="append", choices=["no", "everysec", "always"], help="default: all three"
    )
    parser.add_argument(
        "--jobs", type=int, default=200_000, help="in each run (default: %(default)s)"
    )
    parser.add_argument("--runs", type=int, default=3, help="of each kind (default: %(default)s)")
    parser.add_argument(
        "--workers", type=int, default=2, help="Python worker processes (default: %(default)s)"
    )
    parser.add_argument("--payload", type=int, default=200, help="bytes (default: %(default)s)")
    parser.add_argument(
        "--window", type=int, default=16_384, help="jobs under way at once (default: %(default)s)"
    )
    parser.add_argument(
        "--retain",
        type=int,
        default=50_000,
        help="finished jobs kept, so that the janitor works too",
    )
    parser.add_argument(
        "--peers", action="store_true", help="measure Celery, RQ and BullMQ in the same hour"
    )
    parser.add_argument("--json", type=Path, help="write everything to this file")
    arguments = parser.parse_args()

    found: dict[str, Any] = {}
    beside: dict[str, Any] = {}
    extra = ["--keep-finished-jobs", str(arguments.retain)]
    for aof in arguments.aof or ["no", "everysec", "always"]:
        runs = [one_run(aof, arguments, extra) for _ in range(arguments.runs)]
        figures = spread(runs)
        found[aof] = figures
        print(
            f"aof {aof:8}  {figures['jobs_per_s']:>7,} jobs/s  ({figures['lowest']:,} to {figures['highest']:,})  "
            f"p50 {figures['p50_ms']:.1f} ms  p99 {figures['p99_ms']:.1f} ms under load  CPU us/job {figures['cpu_us_per_job']}",
            flush=True,
        )
    if arguments.peers:
        modes = arguments.aof or ["everysec"]
        peers = subprocess.run(
            [sys.executable, HERE / "peers/peers.py", *[flag for mode in modes for flag in ("--aof", mode)]],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        beside["peers"] = [
            json.loads(line) for line in peers.stdout.splitlines() if line.startswith("{")
        ]
        for peer in beside["peers"]:
            print(json.dumps(peer))
    write_report(arguments.json, "e2e", e2e=found, **beside)
    return 0


if __name__ == "__main__":
    sys.exit(main())
