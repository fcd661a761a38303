# SPDX-License-Identifier: Apache-2.0
"""`ops/dev/bench soak`: many jobs through workers that are replaced again and again; does anything grow?

The agent lives through the whole run, each worker for `--max-jobs` jobs. Memory is read several times a second; the
agent's first and last fifth are compared, and what the first and the last generations of workers had when they left.
Exit code 1 when either has grown by more than 5 %, or when a job was lost.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from rig import Rig, until  # noqa: E402

PAGE = os.sysconf("SC_PAGE_SIZE")
ALLOWED = 1.05


def rss(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return 0


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def growth(values: list[int]) -> tuple[float, float]:
    """Medians of the first and the last fifth."""
    part = max(1, len(values) // 5)
    return statistics.median(values[:part]), statistics.median(values[-part:])


def main() -> int:
    parser = argparse.ArgumentParser(prog="ops/dev/bench soak", description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=200_000, help="%(default)s")
    parser.add_argument("--max-jobs", type=int, default=5_000, help="of a worker (%(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="%(default)s")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="jobwire-bench-") as folder,
        Rig(Path(folder), aof="everysec", options=["--log-level", "warning"]) as rig,
    ):
        rig.start_broker()
        host = rig.start_host(
            f"{HERE / 'worker_bench_app.py'}:app",
            concurrency=given.workers,
            options=["--max-jobs", str(given.max_jobs)],
        )
        until("the workers", lambda: len(rig.worker_pids(host)) == given.workers)
        campaign = rig.campaign(
            "--jobs", str(given.jobs), "--type", "churn", "--window", "4096", "--timeout", "900"
        )
        began = time.monotonic()
        agent: list[int] = []
        open_files: list[int] = []
        # Each worker's largest memory, in the order in which they came.
        workers: dict[int, int] = {}
        while campaign.popen.poll() is None:
            agent.append(rss(host.pid))
            open_files.append(descriptors(host.pid))
            for pid in rig.worker_pids(host):
                workers[pid] = max(workers.get(pid, 0), rss(pid))
            time.sleep(0.1)
        result = campaign.finish(10)
        seconds = time.monotonic() - began
        host.stop()
        told = re.findall(r"stopped: (\d+) jobs", host.log.read_text())
    # The newest workers have not lived yet.
    whole = list(workers.values())[: -given.workers or None]
    (agent_first, agent_last), (worker_first, worker_last) = growth(agent), growth(whole)
    figures = {
        "jobs": given.jobs,
        "seconds": seconds,
        "jobs_per_s": given.jobs / seconds,
        "workers_used": len(workers),
        "jobs_run_as_the_agent_counts": int(told[-1]) if told else 0,
        "agent_mib": [round(agent_first / 2**20, 2), round(agent_last / 2**20, 2)],
        "worker_mib": [round(worker_first / 2**20, 2), round(worker_last / 2**20, 2)],
        "agent_descriptors_most": max(open_files),
        "agent_growth": agent_last / agent_first,
        "worker_growth": worker_last / worker_first,
    }
    for name, value in figures.items():
        print(f"{name:30} {value}")
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1))
    flat = figures["agent_growth"] <= ALLOWED and figures["worker_growth"] <= ALLOWED
    if result["code"] != 0:
        print(f"the run failed: {result}", file=sys.stderr)
    return 0 if flat and result["code"] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
