# SPDX-License-Identifier: Apache-2.0
"""`ops/dev/bench delays`: what a million delayed jobs cost an idle broker, and how late jobs start at 1,000 due per second."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from e2e import cpu_seconds  # noqa: E402
from report import write_report  # noqa: E402
from rig import Process, Rig, build_dir, children, until  # noqa: E402


def resident_bytes(process: Process) -> int:
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"{process.name} has ended")


def delays(rig: Rig, *arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [build_dir() / "bin/jobwire-delays", "--endpoint", rig.producers, *arguments],
        capture_output=True, text=True, check=True, timeout=900,
    )  # fmt: skip
    return dict(json.loads(done.stdout))


def one_run(aof: str, arguments: argparse.Namespace) -> dict[str, Any]:
    with (
        tempfile.TemporaryDirectory(prefix="jobwire-bench-") as folder,
        Rig(Path(folder), aof=aof, options=["--log-level", "warning"]) as rig,
    ):
        broker = rig.start_broker()
        empty = resident_bytes(broker)
        begun = time.monotonic()
        delays(rig, "--far", str(arguments.far))
        submitted = time.monotonic() - begun
        # What was committed lately is kept in memory for 10 s.
        time.sleep(12)
        full = resident_bytes(broker)
        redis = children(broker.pid)[0]
        before = cpu_seconds(broker.pid), cpu_seconds(redis)
        time.sleep(arguments.idle)
        idle = cpu_seconds(broker.pid) - before[0], cpu_seconds(redis) - before[1]
        host = rig.start_host(f"{HERE / 'delay_app.py'}:app", concurrency=arguments.workers)
        until("the workers", lambda: len(rig.worker_pids(host)) == arguments.workers)
        lateness = delays(rig, "--due", str(arguments.due), "--per-s", str(arguments.per_s))
    return {
        "far": arguments.far,
        "far_per_s": round(arguments.far / submitted),
        "broker_bytes_per_job": round((full - empty) / max(1, arguments.far)),
        "idle_broker_cpu_percent": round(idle[0] / arguments.idle * 100, 2),
        "idle_redis_cpu_percent": round(idle[1] / arguments.idle * 100, 2),
        **{name: lateness[name] for name in ("due", "per_s", "earliest_ms", "p50_ms", "p99_ms", "max_ms")},
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="ops/dev/bench delays", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--aof", choices=["no", "everysec", "always"], default="everysec", help="%(default)s"
    )
    parser.add_argument(
        "--far", type=int, default=1_000_000, help="jobs due in an hour (default: %(default)s)"
    )
    parser.add_argument(
        "--due", type=int, default=20_000, help="jobs that become due (default: %(default)s)"
    )
    parser.add_argument("--per-s", type=int, default=1_000, help="so many a second (%(default)s)")
    parser.add_argument(
        "--idle", type=int, default=20, help="seconds that the idle broker is watched (%(default)s)"
    )
    parser.add_argument("--workers", type=int, default=2, help="worker processes (%(default)s)")
    parser.add_argument("--json", type=Path, help="write everything to this file")
    arguments = parser.parse_args()
    found = one_run(arguments.aof, arguments)
    print(json.dumps(found))
    write_report(arguments.json, "delays", delays=found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
