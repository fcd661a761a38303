# SPDX-License-Identifier: Apache-2.0
"""Other job queues on the same machine and the same task: `ops/dev/bench peers`, or `e2e --peers`.

The task is that of the end-to-end benchmark: a 200-byte payload, a handler that returns it, two worker processes, the
result kept in Redis. Each queue is set up as its own documentation advises for throughput (the drivers beside this file
say which advice), has its workers running before the clock starts, and a private `redis-server` on a Unix socket that
lives only as long as its run. The clock runs from the first submit until Redis holds every result. Round trips are
measured after that, one job at a time on the idle system.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
VENV = ROOT / "build/peers-venv/bin"
AOF_MODES = ("no", "everysec", "always")
ROUND_TRIPS = 200
RUN_LIMIT_S = 300.0
STOP_LIMIT_S = 15.0


@dataclass(frozen=True)
class Peer:
    """How one queue is run: `workers` start first, `driver` submits and prints one line of JSON."""

    jobs: int
    workers: tuple[tuple[str, ...], ...]
    driver: tuple[str, ...]


PEERS = {
    "celery": Peer(
        jobs=3_000,
        workers=(
            (
                *(str(VENV / "celery"), "--app", "celery_peer", "worker", "--loglevel", "ERROR"),
                *("--pool", "prefork", "--concurrency", "2", "--prefetch-multiplier", "128"),
                *("--without-gossip", "--without-mingle", "--without-heartbeat"),
            ),
        ),
        driver=(str(VENV / "python"), "celery_peer.py"),
    ),
    "rq": Peer(
        jobs=2_000,
        workers=((str(VENV / "python"), "rq_peer.py", "work"),) * 2,
        driver=(str(VENV / "python"), "rq_peer.py", "drive"),
    ),
    "bullmq": Peer(
        jobs=20_000,
        workers=(("node", "bullmq_peer.mjs", "work"),) * 2,
        driver=("node", "bullmq_peer.mjs", "drive"),
    ),
}


class PeerError(Exception):
    """A queue could not be measured; the message has what its programs printed."""


@contextmanager
def private_redis(aof: str) -> Iterator[Path]:
    """A Redis of one's own, gone at the end; yields its socket."""
    # In the system's temporary folder: a socket's path may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="jobwire-peers-") as name:
        folder = Path(name)
        socket = folder / "redis.sock"
        persistence: tuple[str, ...] = ("--appendonly", "no" if aof == "no" else "yes")
        if aof != "no":
            persistence += ("--appendfsync", aof)
        command = (
            *("redis-server", "--port", "0", "--unixsocket", str(socket), "--dir", name),
            *("--save", "", "--daemonize", "no", *persistence),
        )
        with open(folder / "redis.log", "w+") as log:
            process = start(command, {}, log)
            try:
                wait_until(socket.exists, 10.0, process, log)
                yield socket
            finally:
                stop([process])


def start(
    command: Sequence[str], environment: dict[str, str], log: TextIO
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        cwd=HERE,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        text=True,
        start_new_session=True,
    )


def stop(processes: Sequence[subprocess.Popen[str]]) -> None:
    """Asks each to end, and after a while ends each with all that it started."""
    for process in processes:
        if process.poll() is None:
            process.terminate()
    deadline = time.monotonic() + STOP_LIMIT_S
    for process in processes:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_until(ready: Any, limit_s: float, process: subprocess.Popen[str], log: TextIO) -> None:
    deadline = time.monotonic() + limit_s
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise PeerError(f"{process.args!r} did not come up:\n{written(log)}")
        time.sleep(0.01)


def written(log: TextIO) -> str:
    log.flush()
    log.seek(0)
    return log.read()[-4000:]


def measure(name: str, aof: str = "everysec", jobs: int | None = None) -> dict[str, Any]:
    """One queue's figures: name, version, jobs, seconds, jobs_per_s, p50_ms and p99_ms of a lone round trip, aof."""
    peer = PEERS[name]
    with private_redis(aof) as socket, tempfile.TemporaryFile("w+") as log:
        environment = {
            "PEER_REDIS_SOCKET": str(socket),
            "PEER_JOBS": str(jobs or peer.jobs),
            "PEER_ROUND_TRIPS": str(ROUND_TRIPS),
            "PYTHONPATH": str(HERE),
        }
        workers = [start(command, environment, log) for command in peer.workers]
        try:
            run = subprocess.run(
                peer.driver,
                cwd=HERE,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=RUN_LIMIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise PeerError(f"{name} took more than {RUN_LIMIT_S:.0f} s\n{written(log)}") from error
        finally:
            stop(workers)
        if run.returncode != 0:
            raise PeerError(f"{name}'s driver failed:\n{run.stderr[-4000:]}\n{written(log)}")
    figures: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    figures["jobs_per_s"] = round(figures["jobs"] / figures["seconds"], 1)
    return {"name": name, "aof": aof, **figures}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="ops/dev/bench peers", description="Measures other job queues; one JSON object a line."
    )
    parser.add_argument("--peer", action="append", choices=PEERS, help="only this one; repeatable")
    parser.add_argument(
        "--aof", action="append", choices=AOF_MODES, help="repeatable (default: everysec)"
    )
    parser.add_argument("--jobs", type=int, help="jobs for each instead of its own default")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args(arguments)
    figures = []
    try:
        for aof in options.aof or ["everysec"]:
            for name in options.peer or PEERS:
                figures.append(measure(name, aof, options.jobs))
                print(json.dumps(figures[-1]), flush=True)
    except PeerError as error:
        print(f"peers: {error}", file=sys.stderr)
        return 1
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
