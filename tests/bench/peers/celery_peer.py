# SPDX-License-Identifier: Apache-2.0
"""Celery: the worker's application, and, run as a program, the driver.

From its "Optimizing" page for many short tasks: a prefetch multiplier of 128, on the prefork pool. Acknowledgement stays
early, which is the default and the faster way. Celery has no call that submits many tasks at once, so the driver submits
one after the other over one pooled connection.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time

import celery
import redis

SOCKET = os.environ["PEER_REDIS_SOCKET"]

app = celery.Celery(
    "celery_peer", broker=f"redis+socket://{SOCKET}", backend=f"redis+socket://{SOCKET}"
)
app.conf.update(
    worker_prefetch_multiplier=128,
    worker_disable_rate_limits=True,
    task_serializer="json",
    result_serializer="json",
    broker_connection_retry_on_startup=True,
)


@app.task(name="noop")
def noop(payload: str) -> str:
    return payload


def main() -> None:
    jobs = int(os.environ["PEER_JOBS"])
    store = redis.Redis(unix_socket_path=SOCKET)
    payload = "x" * 200
    for _ in range(20):
        noop.delay(payload).get(timeout=60)

    # Results are counted in Redis: a client that waited for each would be part of what is measured.
    keys_before = store.dbsize()
    begin = time.perf_counter()
    ids = [noop.apply_async((payload,)).id for _ in range(jobs)]
    submitted = time.perf_counter()
    while store.dbsize() < keys_before + jobs:
        time.sleep(0.01)
    while store.exists(*(f"celery-task-meta-{task}" for task in ids)) < jobs:
        time.sleep(0.01)
    end = time.perf_counter()
    last = app.AsyncResult(ids[-1])
    assert last.state == "SUCCESS"
    assert last.result == payload

    trips = []
    for _ in range(int(os.environ["PEER_ROUND_TRIPS"])):
        sent = time.perf_counter()
        noop.delay(payload).get(timeout=30)
        trips.append((time.perf_counter() - sent) * 1e3)
    cuts = statistics.quantiles(trips, n=100)
    json.dump(
        {
            "version": celery.__version__,
            "jobs": jobs,
            "seconds": round(end - begin, 4),
            "submit_per_s": round(jobs / (submitted - begin), 1),
            "p50_ms": round(cuts[49], 3),
            "p99_ms": round(cuts[98], 3),
            "redis": store.info("server")["redis_version"],
        },
        sys.stdout,
    )
    print()


if __name__ == "__main__":
    main()
