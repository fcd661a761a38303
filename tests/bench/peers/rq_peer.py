# SPDX-License-Identifier: Apache-2.0
"""RQ: `work` runs one worker, `drive` submits.

From its performance notes for very short trusted jobs: SimpleWorker, which runs jobs in its own process instead of one
fork each; from its page on queues: enqueue_many, which writes many jobs in one pipeline.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time

import redis
import rq

SOCKET = os.environ["PEER_REDIS_SOCKET"]
CHUNK = 500


def noop(payload: str) -> str:
    return payload


def work(connection: redis.Redis) -> None:
    worker = rq.SimpleWorker([rq.Queue("bench", connection=connection)], connection=connection)
    worker.log_job_description = False
    worker.work(logging_level="ERROR")


def drive(connection: redis.Redis) -> None:
    jobs = int(os.environ["PEER_JOBS"])
    queue = rq.Queue("bench", connection=connection)
    payload = "x" * 200
    # Both workers must have taken part before the clock starts.
    while rq.Worker.count(connection=connection) < 2:
        time.sleep(0.02)
    for _ in range(20):
        round_trip(queue, payload)

    finished = queue.finished_job_registry
    before = finished.get_job_count(cleanup=False)
    begin = time.perf_counter()
    for first in range(0, jobs, CHUNK):
        queue.enqueue_many(
            [rq.Queue.prepare_data(noop, (payload,)) for _ in range(min(CHUNK, jobs - first))]
        )
    submitted = time.perf_counter()
    while finished.get_job_count(cleanup=False) < before + jobs:
        time.sleep(0.01)
    end = time.perf_counter()

    trips = [round_trip(queue, payload) for _ in range(int(os.environ["PEER_ROUND_TRIPS"]))]
    cuts = statistics.quantiles(trips, n=100)
    json.dump(
        {
            "version": rq.__version__,
            "jobs": jobs,
            "seconds": round(end - begin, 4),
            "submit_per_s": round(jobs / (submitted - begin), 1),
            "p50_ms": round(cuts[49], 3),
            "p99_ms": round(cuts[98], 3),
            "redis": connection.info("server")["redis_version"],
        },
        sys.stdout,
    )
    print()


def round_trip(queue: rq.Queue, payload: str) -> float:
    """Milliseconds until the caller has the result; latest_result() waits in Redis, it does not poll."""
    sent = time.perf_counter()
    job = queue.enqueue(noop, payload)
    result = job.latest_result(timeout=30)
    assert result is not None
    assert result.return_value == payload
    return (time.perf_counter() - sent) * 1e3


if __name__ == "__main__":
    # As a module, so that the workers find the handler under the name that the job carries.
    import rq_peer

    {"work": rq_peer.work, "drive": rq_peer.drive}[sys.argv[1]](
        redis.Redis(unix_socket_path=SOCKET)
    )
