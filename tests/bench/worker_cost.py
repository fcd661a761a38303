# SPDX-License-Identifier: Apache-2.0
"""CPU that a worker spends per no-op job: `.venv/bin/python tests/bench/worker_cost.py`.

A real worker process under its agent, on a real socket, fed by a broker that this script plays: messages are made
beforehand, so that the feeder does not hold the worker up. Counted is the worker's CPU time, as the kernel has it:
its main thread (Python), and the whole process (ZeroMQ's I/O thread and the relay included).
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "contract" / "workers_py"))

import flatbuffers
import zmq
from jobwire._heads import RESULT_HEAD
from worker_rig import FakeBroker, Order, Peer, ack, dispatch, hosted

_APP = """
from jobwire import App, Ctx
app = App("bench")

@app.job
def noop(data: bytes) -> None:
    pass

@app.job
def echo(data: bytes) -> bytes:
    return data

@app.job
def text(data: str) -> str:
    return data

@app.job
def context(ctx: Ctx[None], data: bytes) -> None:
    pass

@app.job(concurrency=8)
def thread(data: bytes) -> None:
    pass

@app.job(concurrency=100)
async def task(data: bytes) -> None:
    pass
"""


def spent(pid: int) -> tuple[int, int]:
    """Nanoseconds on a core: of the main thread, and of all threads."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    each = {task.name: int((task / "schedstat").read_text().split()[0]) for task in tasks}
    return each[str(pid)], sum(each.values())


class Feeder:
    """Plays the broker to one worker, always a few messages ahead of it."""

    def __init__(self, broker: FakeBroker, worker: Peer) -> None:
        self._socket = broker.router
        self._worker = worker
        self._sequence = 0

    @property
    def pid(self) -> int:
        return self._worker.pid

    def feed(self, kind: str, jobs: int, batch: int, size: int) -> float:
        """Runs the jobs and returns the seconds that they took."""
        ahead = max(2, self._worker.credit // batch) * batch
        # As many as are under way at once: no job is there twice. Made before the clock runs.
        prepared = [
            [self._worker.route, *dispatch(orders, self._worker.types)]
            for orders in self._orders(kind, ahead // batch + 1, batch, size)
        ]
        messages = itertools.cycle(prepared)
        sent = done = 0
        began = time.perf_counter()
        while done < jobs:
            while sent < jobs and sent - done <= ahead - batch:
                self._socket.send_multipart(next(messages))
                sent += batch
            route, envelope, *_ = self._socket.recv_multipart()
            if route != self._worker.route:
                continue  # the agent's heartbeat
            # The heads lie at the end of Results, and everything before them fits into one head's size.
            done += (len(envelope) - 1) // RESULT_HEAD.size
            self._sequence += 1
            self._socket.send_multipart([route, ack(self._sequence)])
        return time.perf_counter() - began

    @staticmethod
    def _orders(kind: str, messages: int, batch: int, size: int) -> list[list[Order]]:
        payloads = [os.urandom(size // 2).hex().encode() for _ in range(batch)]
        return [[Order(kind, payload) for payload in payloads] for _ in range(messages)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--batches", default="1,16,64,256", help="jobs per Dispatch message")
    parser.add_argument("--size", type=int, default=200, help="payload bytes")
    parser.add_argument("--types", default="noop,echo,text,context,thread,task")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    given = parser.parse_args()
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "bench_app.py").write_text(_APP)
        os.environ["PYTHONPATH"] = folder
        broker = FakeBroker(heartbeat_ms=2000)
        with hosted(broker, Path(folder) / "log", "-c", "1", target="bench_app:app"):
            kinds = given.types.split(",")
            # One feeder for each worker: it counts the messages of its session.
            workers = {kind: broker.worker_for(kind) for kind in kinds}
            feeders = {worker.worker: Feeder(broker, worker) for worker in workers.values()}
            for kind, worker in workers.items():
                feeders[worker.worker].feed(kind, 5000, 50, given.size)
            print("type      batch   python us/job   process us/job      jobs/s")
            for kind in kinds:
                feeder = feeders[workers[kind].worker]
                for batch in map(int, given.batches.split(",")):
                    jobs = given.jobs if batch > 4 else given.jobs // 5
                    jobs = jobs // batch * batch
                    main_before, all_before = spent(feeder.pid)
                    seconds = feeder.feed(kind, jobs, batch, given.size)
                    main_after, all_after = spent(feeder.pid)
                    one = {
                        "type": kind,
                        "batch": batch,
                        "jobs": jobs,
                        "python_us": (main_after - main_before) / 1000 / jobs,
                        "process_us": (all_after - all_before) / 1000 / jobs,
                        "jobs_per_s": jobs / seconds,
                    }
                    figures.append(one)
                    print(
                        f"{kind:8} {batch:6} {one['python_us']:15.2f} {one['process_us']:16.2f}"
                        f" {one['jobs_per_s']:11.0f}"
                    )
        broker.close()
    if given.json:
        machine = {
            "cpus": os.cpu_count(),
            "python": platform.python_version(),
            "pyzmq": zmq.__version__,
            "libzmq": zmq.zmq_version(),
            "flatbuffers": flatbuffers.__version__,
        }
        given.json.write_text(json.dumps({"machine": machine, "figures": figures}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
