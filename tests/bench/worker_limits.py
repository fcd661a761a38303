# SPDX-License-Identifier: Apache-2.0
"""`ops/dev/bench limits`: how soon a worker that must end is dead, and how soon a dead one is reported.

A real host, fed by a broker that this script plays. For handlers that hold the interpreter's lock in C, that ignore
SIGTERM and whose process is stopped: milliseconds from the job's deadline until the report of its end is here. For a
segfault and for SIGKILL: from the signal until the report. And for all of them until another worker is ready in its place.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "contract" / "workers_py"))

from worker_rig import FakeBroker, Order, hosted  # noqa: E402

TIMEOUT_MS = 500


def after_the_deadline(broker: FakeBroker, kind: str, number: int) -> float:
    worker = broker.worker(number)
    (order,) = broker.dispatch(worker, Order(kind, timeout_ms=TIMEOUT_MS))
    lease = broker.running(order)
    broker.down(worker.worker)
    # The lease says when the job began, to the millisecond.
    return time.time() * 1000 - lease.started_ms - TIMEOUT_MS


def after_the_death(broker: FakeBroker, kind: str, number: int) -> float:
    worker = broker.worker(number)
    if kind == "SIGKILL":
        os.kill(worker.pid, signal.SIGKILL)
        began = time.monotonic()
    else:
        began = time.monotonic()
        broker.dispatch(worker, Order(kind))
    broker.down(worker.worker)
    return (time.monotonic() - began) * 1000


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="ops/dev/bench limits", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--runs", type=int, default=20, help="of each kind (%(default)s)")
    given = parser.parse_args()
    os.environ["PYTHONPATH"] = str(HERE)
    kinds = {
        "hold_gil": after_the_deadline,
        "swallow": after_the_deadline,
        "freeze": after_the_deadline,
        "crash": after_the_death,
        "SIGKILL": after_the_death,
    }
    print(
        "handler      milliseconds until it is reported: median   p90   most   replaced: median   most"
    )
    for kind, measure in kinds.items():
        broker = FakeBroker(heartbeat_ms=100)
        with (
            tempfile.TemporaryDirectory() as folder,
            hosted(broker, Path(folder) / "log", "-c", "1", target="worker_bench_app:app"),
        ):
            times, replaced = [], []
            for number in range(1, given.runs + 1):
                times.append(measure(broker, kind, number))
                reported = time.monotonic()
                broker.worker(number + 1)
                replaced.append(times[-1] + (time.monotonic() - reported) * 1000)
        broker.close()
        times.sort()
        p90 = times[int(len(times) * 0.9)]
        print(
            f"{kind:12} {statistics.median(times):44.0f} {p90:5.0f} {times[-1]:6.0f}"
            f" {statistics.median(replaced):18.0f} {max(replaced):6.0f}",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
