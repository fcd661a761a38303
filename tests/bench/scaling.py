# SPDX-License-Identifier: Apache-2.0
"""`ops/dev/bench scaling`: what a second worker process adds to jobs that compute.

The same number of jobs, a few milliseconds of pure Python each, with one process and with two. Runs alternate, because
the machines this runs on are shared; how much of the machine others took is printed beside, since two workers on two
cores cannot be twice as fast when someone else has one of them.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE))

from e2e import cpu_seconds  # noqa: E402
from rig import Rig, children, until  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")


def busy_seconds() -> float:
    """CPU that the whole machine has spent since it was started."""
    user, nice, system, _, _, irq, softirq, steal, *_ = (
        int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    )
    return (user + nice + system + irq + softirq + steal) / TICKS


def one_run(workers: int, type_: str, jobs: int) -> dict[str, float]:
    with (
        tempfile.TemporaryDirectory(prefix="jobwire-bench-") as folder,
        Rig(Path(folder), aof="everysec", options=["--log-level", "warning"]) as rig,
    ):
        broker = rig.start_broker()
        host = rig.start_host(f"{HERE / 'worker_bench_app.py'}:app", concurrency=workers)
        until("the workers", lambda: len(rig.worker_pids(host)) == workers)
        common = ("--type", type_, "--window", "64", "--timeout", "300")
        rig.campaign("--jobs", str(20 * workers), *common, name="warm-up").finish(120)
        pids = rig.worker_pids(host)
        parts = {"workers": pids, "rest": [host.pid, broker.pid, *children(broker.pid)]}
        before = {part: sum(map(cpu_seconds, each)) for part, each in parts.items()}
        busy = busy_seconds()
        result = rig.campaign("--jobs", str(jobs), *common).finish(400)
        busy = busy_seconds() - busy
        spent = {part: sum(map(cpu_seconds, each)) - before[part] for part, each in parts.items()}
    if result["code"] != 0:
        raise RuntimeError(f"the run failed: {result}")
    seconds = result["seconds"]
    return {
        "workers": workers,
        "jobs_per_s": jobs / seconds,
        "worker_cpu_ms_per_job": spent["workers"] * 1000 / jobs,
        "other_cpu_us_per_job": (spent["rest"] + result["cpu_s"]) * 1e6 / jobs,
        # What the workers got of the cores that they could use.
        "worker_cores": spent["workers"] / seconds,
        "cores_taken_by_others": (busy - sum(spent.values()) - result["cpu_s"]) / seconds,
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="ops/dev/bench scaling", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--jobs", type=int, default=2_000, help="in each run (%(default)s)")
    parser.add_argument(
        "--type",
        choices=["compute", "crunch"],
        default="compute",
        help="jobs of about 2 or 20 ms (%(default)s)",
    )
    parser.add_argument("--runs", type=int, default=3, help="of each kind (%(default)s)")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    given = parser.parse_args()
    runs = []
    print(
        "workers    jobs/s   worker CPU ms/job   worker cores   all else us/job   cores of others"
    )
    for _ in range(given.runs):
        for workers in (1, 2):
            one = one_run(workers, given.type, given.jobs)
            runs.append(one)
            print(
                f"{workers:7} {one['jobs_per_s']:9.0f} {one['worker_cpu_ms_per_job']:19.2f}"
                f" {one['worker_cores']:14.2f} {one['other_cpu_us_per_job']:17.0f} {one['cores_taken_by_others']:17.2f}",
                flush=True,
            )

    def median(key: str, workers: int) -> float:
        return statistics.median(run[key] for run in runs if run["workers"] == workers)

    factor = median("jobs_per_s", 2) / median("jobs_per_s", 1)
    # The same without what others did to it: jobs that a second of a worker's CPU is good for.
    cost = median("worker_cpu_ms_per_job", 1) / median("worker_cpu_ms_per_job", 2)
    print(f"1 -> 2 processes: {factor:.2f}x jobs/s, {2 * cost:.2f}x by worker CPU per job")
    if given.json:
        figures = {"runs": runs, "factor": factor, "factor_by_cpu": 2 * cost}
        given.json.write_text(json.dumps(figures, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
