# SPDX-License-Identifier: Apache-2.0
"""`ops/dev/bench purge`: how long a purge of a million waiting jobs takes, and for how long at once it holds Redis."""

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

from jobwire import Operator  # noqa: E402
from report import machine, versions  # noqa: E402
from rig import Rig  # noqa: E402


def exec_us(rig: Rig) -> dict[str, float]:
    """How long EXEC, the whole of a transaction, has held Redis: the mean and percentiles, in microseconds."""
    figures: dict[str, float] = {}
    text = rig.redis_cli("INFO", "commandstats") + "\n" + rig.redis_cli("INFO", "latencystats")
    for line in text.splitlines():
        name, _, fields = line.strip().partition(":")
        if name not in ("cmdstat_exec", "latency_percentiles_usec_exec"):
            continue
        for field in fields.split(","):
            key, _, value = field.partition("=")
            if key in ("calls", "usec_per_call") or key.startswith("p"):
                figures[key] = float(value)
    return figures


def one_run(aof: str, arguments: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="jobwire-bench-") as folder, Rig(Path(folder)) as rig:
        rig.start_redis(aof=aof)
        rig.start_broker()
        filled = rig.campaign(
            "--jobs", str(arguments.jobs), "--payload-bytes", str(arguments.payload), "--submit-only", "--timeout", "900"
        ).finish(920)  # fmt: skip
        if filled["code"] != 0:
            raise RuntimeError(f"the jobs were not taken: {filled}")
        with Operator(rig.producers, name="bench") as operator:
            (queue,) = [view.name for view in operator.queues()]
            rig.redis_cli("CONFIG", "SET", "latency-tracking-info-percentiles", "50 90 99 100")
            rig.redis_cli("CONFIG", "RESETSTAT")
            begun = time.monotonic()
            report = operator.purge(queue, by="bench", timeout=900)
            took = time.monotonic() - begun
        held = exec_us(rig)
    return {
        "aof": aof,
        "jobs": arguments.jobs,
        "purged": report.done,
        "seconds": round(took, 2),
        "jobs_per_s": round(report.done / took),
        "exec_us": held,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--payload", type=int, default=200)
    parser.add_argument(
        "--aof", nargs="*", default=["always"], choices=["always", "everysec", "off"]
    )
    arguments = parser.parse_args()
    print(json.dumps({"machine": machine(), "versions": versions()}))
    for aof in arguments.aof:
        print(json.dumps(one_run(aof, arguments)))


if __name__ == "__main__":
    main()
