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

from e2e import machine, versions  # noqa: E402
from jobwire import Operator  # noqa: E402
from rig import Rig  # noqa: E402


def longest_exec_us(rig: Rig) -> dict[str, int]:
    """The slow log's entries, by command: the longest of each, in microseconds."""
    longest: dict[str, int] = {}
    lines = rig.redis_cli("--json", "SLOWLOG", "GET", "-1")
    for _, _, took, words, *_ in json.loads(lines):
        name = str(words[0]).upper()
        longest[name] = max(longest.get(name, 0), int(took))
    return longest


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
            rig.redis_cli("CONFIG", "SET", "slowlog-max-len", "100000")
            rig.redis_cli("CONFIG", "SET", "slowlog-log-slower-than", "500")
            rig.redis_cli("SLOWLOG", "RESET")
            begun = time.monotonic()
            report = operator.purge(queue, by="bench", timeout=900)
            took = time.monotonic() - begun
        longest = longest_exec_us(rig)
    return {
        "aof": aof,
        "jobs": arguments.jobs,
        "purged": report.done,
        "seconds": round(took, 2),
        "jobs_per_s": round(report.done / took),
        "longest_us": longest,
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
