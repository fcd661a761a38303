# SPDX-License-Identifier: Apache-2.0
"""`ops/dev/bench rtt`: one job at a time, submit to the result at the caller, with 1,000 jobs/s in the background."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from e2e import running  # noqa: E402
from report import write_report  # noqa: E402
from rig import build_dir  # noqa: E402


def one_run(aof: str, arguments: argparse.Namespace) -> dict[str, Any]:
    with running(aof, arguments.workers) as (rig, _broker, _host):
        done = subprocess.run(
            [build_dir() / "bin/jobwire-rtt", "--endpoint", rig.producers, "--jobs", str(arguments.jobs),
             "--background", str(arguments.background)],
            capture_output=True, text=True, check=True, timeout=300,
        )  # fmt: skip
        return dict(json.loads(done.stdout))


def main() -> int:
    parser = argparse.ArgumentParser(prog="ops/dev/bench rtt", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--aof", action="append", choices=["no", "everysec", "always"], help="default: all three"
    )
    parser.add_argument(
        "--jobs", type=int, default=3_000, help="in each run (default: %(default)s)"
    )
    parser.add_argument("--runs", type=int, default=3, help="of each kind (default: %(default)s)")
    parser.add_argument(
        "--workers", type=int, default=2, help="Python worker processes (default: %(default)s)"
    )
    parser.add_argument(
        "--background", type=int, default=1_000, help="jobs/s beside it (default: %(default)s)"
    )
    parser.add_argument("--json", type=Path, help="write everything to this file")
    arguments = parser.parse_args()
    found: dict[str, Any] = {}
    for aof in arguments.aof or ["no", "everysec", "always"]:
        runs = sorted(
            (one_run(aof, arguments) for _ in range(arguments.runs)), key=lambda run: run["p50_us"]
        )
        found[aof] = {"runs": runs, "median": runs[len(runs) // 2]}
        middle = runs[len(runs) // 2]
        print(
            f"aof {aof:8}  p50 {middle['p50_us'] / 1000:.3f} ms  p90 {middle['p90_us'] / 1000:.3f} ms  "
            f"p99 {middle['p99_us'] / 1000:.3f} ms  receipt p50 {middle['receipt_p50_us'] / 1000:.3f} ms  beside {middle['background_per_s']:.0f} jobs/s",
            flush=True,
        )
    write_report(arguments.json, "rtt", rtt=found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
