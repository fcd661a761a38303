# SPDX-License-Identifier: Apache-2.0
"""jobwire as real processes, for tests and benchmarks: a broker, worker hosts, producers, a Redis.

Everything listens on loopback ports that the kernel chose, lives in one folder, and is ended by its process id when the
rig is closed. Waiting goes through `until`, which has a deadline and says what it waited for.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

ROOT = Path(__file__).resolve().parents[1]
T = TypeVar("T")


def build_dir() -> Path:
    """Where the programs under test were built: JOBWIRE_BUILD_DIR, which ops/dev sets."""
    return Path(os.environ.get("JOBWIRE_BUILD_DIR", ROOT / "build/dev"))


def sanitizer() -> str:
    """What the programs under test carry: "address,undefined", "thread" or "". Its memory is counted as theirs."""
    cache = build_dir() / "CMakeCache.txt"
    found = re.search(
        r"^JOBWIRE_SANITIZE:STRING=(.*)$", cache.read_text() if cache.exists() else "", re.M
    )
    return found[1] if found else ""


def sanitized() -> bool:
    return sanitizer() != ""


def until(what: str, test: Callable[[], T], timeout: float = 30.0, every: float = 0.01) -> T:
    """The first true answer of `test`. Fails after `timeout` seconds, naming what did not come."""
    deadline = time.monotonic() + timeout
    while True:
        answer = test()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout:g} s for {what}")
        time.sleep(every)


def free_port() -> int:
    """A port that nobody has now, for what must come back on the same port after a restart."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Process:
    """One child in a session of its own, with its output in a file."""

    def __init__(
        self,
        name: str,
        command: Iterable[str | Path],
        folder: Path,
        env: dict[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env={**os.environ, **(env or {})},
                start_new_session=True,
                # SIGXFSZ stays ignored, as Python has it: a file at its limit is then a failed write.
                restore_signals=False,
            )

    @property
    def pid(self) -> int:
        return self.popen.pid

    def alive(self) -> bool:
        return self.popen.poll() is None

    def kill(self) -> None:
        """SIGKILL, to this process alone."""
        self.popen.kill()
        self.popen.wait(10)

    def stop(self, timeout: float = 40.0) -> int:
        """SIGTERM, then its exit code; SIGKILL and an error when it does not end in time."""
        if self.alive():
            self.popen.terminate()
            try:
                self.popen.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise TimeoutError(
                    f"{self.name} did not end within {timeout:g} s\n{self.tail()}"
                ) from None
        return self.popen.returncode

    def tail(self, lines: int = 40) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return f"--- {self.log}\n" + "\n".join(text.splitlines()[-lines:])


def children(pid: int) -> list[int]:
    """Living child processes."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(child) for child in task.read_text().split()]
        except FileNotFoundError:
            continue
    return found


class Rig:
    """A broker with what belongs to it. Use it in a `with`: at its end everything has ended."""

    def __init__(self, folder: Path, *, aof: str = "always", options: Iterable[str] = ()) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.producers = f"tcp://127.0.0.1:{free_port()}"
        self.workers = f"tcp://127.0.0.1:{free_port()}"
        self.data = folder / "data"
        self.aof = aof
        self.options = list(options)
        self.broker: Process | None = None
        self.hosts: list[Process] = []
        self.redis: Process | None = None
        self.redis_url = ""
        self._starts = 0

    def __enter__(self) -> Rig:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        processes = [
            *self.hosts,
            *([self.broker] if self.broker else []),
            *([self.redis] if self.redis else []),
        ]
        late = []
        for process in processes:
            try:
                process.stop(20)
            except TimeoutError as problem:
                late.append(problem)
        if error is not None:
            for process in processes:
                print(process.tail(), file=sys.stderr)
        elif late:
            raise late[0]

    # ------------------------------------------------------------------ starting

    def start_redis(self, *, aof: str = "always", options: Iterable[str] = ()) -> None:
        """A Redis of our own beside the broker, on a Unix socket; the broker then uses it instead of its embedded one."""
        path = self.folder / "redis.sock"
        path.unlink(missing_ok=True)
        self.redis_url = f"unix://{path}"
        (self.folder / "redis").mkdir(exist_ok=True)
        self.redis = Process(
            "redis",
            ["redis-server", "--port", "0", "--unixsocket", path, "--dir", self.folder / "redis", "--save", "",
             "--appendonly", "no" if aof == "no" else "yes", "--appendfsync", "no" if aof == "no" else aof,
             "--maxmemory-policy", "noeviction", *options],
            self.folder,
        )  # fmt: skip
        until("redis to listen", path.exists)

    def start_broker(self, *, wait: bool = True) -> Process:
        ready = self.folder / "ready.json"
        ready.unlink(missing_ok=True)
        self._starts += 1
        where = (
            ["--redis", self.redis_url]
            if self.redis_url
            else ["--data-dir", self.data, "--aof", self.aof]
        )
        self.broker = Process(
            "broker",
            [build_dir() / "bin/jobwired", "--listen", self.producers, "--listen-workers", self.workers,
             "--ready-file", ready, *where, *self.options],
            self.folder,
        )  # fmt: skip
        if wait:
            broker = self.broker

            def is_ready() -> bool:
                if not broker.alive():
                    raise RuntimeError(
                        f"the broker ended with code {broker.popen.returncode}\n{broker.tail()}"
                    )
                return ready.exists()

            until("the broker to be ready", is_ready, 60)
        return self.broker

    def start_host(
        self,
        app: str,
        *,
        concurrency: int = 2,
        queues: str = "",
        env: dict[str, str] | None = None,
        options: Iterable[str] = (),
    ) -> Process:
        """`app` is path.py:name; its folder becomes importable."""
        path, _, name = app.partition(":")
        file = Path(path).resolve()
        command = Path(sys.executable).parent / "jobwire"
        host = Process(
            f"host{len(self.hosts) + 1}",
            [command, "worker", f"{file.stem}:{name or 'app'}", "-c", str(concurrency),
             "--broker", self.workers, *(["-q", queues] if queues else []), *options],
            self.folder,
            env={"PYTHONPATH": str(file.parent), "PYTHONUNBUFFERED": "1", **(env or {})},
        )  # fmt: skip
        self.hosts.append(host)
        return host

    def redis_cli(self, *command: str) -> str:
        """What the broker's Redis answers."""
        sockets = (
            [Path(self.redis_url.removeprefix("unix://"))]
            if self.redis_url
            else sorted(self.data.glob("*.sock"))
        )
        return subprocess.run(
            ["redis-cli", "-s", sockets[0], *command],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        ).stdout.strip()

    def ended(self, queue: str, state: str) -> int:
        """How many jobs of the queue are in that state, by the index in Redis."""
        return int(self.redis_cli("ZCARD", f"jw:{{0}}:idx:{queue}:{state}"))

    def worker_pids(self, host: Process) -> list[int]:
        return children(host.pid)

    def campaign(self, *arguments: str, name: str = "campaign") -> Campaign:
        return Campaign(self, name, arguments)


class Campaign:
    """A run of the C++ producer tests/integration/system/campaign.cc."""

    def __init__(self, rig: Rig, name: str, arguments: Iterable[str]) -> None:
        self.out = rig.folder / f"{name}.json"
        with self.out.open("wb") as out, (rig.folder / f"{name}.log").open("wb") as log:
            self.popen = subprocess.Popen(
                [build_dir() / "bin/jobwire-campaign", "--endpoint", rig.producers, *arguments],
                stdin=subprocess.DEVNULL, stdout=out, stderr=log, cwd=rig.folder, start_new_session=True,
            )  # fmt: skip
        self.log = rig.folder / f"{name}.log"

    def finish(self, timeout: float = 180.0) -> dict[str, Any]:
        """What it printed. Its exit code is in `code`."""
        try:
            code = self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.popen.send_signal(signal.SIGKILL)
            self.popen.wait(10)
            raise TimeoutError(
                f"the campaign did not end within {timeout:g} s\n{self.log.read_text()}"
            ) from None
        text = self.out.read_text()
        if not text:
            raise RuntimeError(
                f"the campaign ended with code {code} and printed nothing\n{self.log.read_text()}"
            )
        return {**json.loads(text), "code": code, "stderr": self.log.read_text()}
