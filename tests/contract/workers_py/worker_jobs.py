# SPDX-License-Identifier: Apache-2.0
"""The app that the tests serve: well-behaved jobs and every kind of misbehaviour."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

from jobwire import App, Ctx, Reject, Retry


@dataclass
class Deps:
    loads: int


app = App("rig", lifespan=lambda: Deps(loads=1))


@app.job
def echo(data: bytes) -> bytes:
    return data


@app.job
def upper(text: str) -> str:
    return text.upper()


@dataclass
class Point:
    x: int
    y: int


@app.job(queue="maps")
def add(a: Point, b: Point) -> Point:
    return Point(a.x + b.x, a.y + b.y)


@app.job
def nothing() -> None:
    pass


@app.job
def about(ctx: Ctx[Deps]) -> dict[str, object]:
    return {
        "id": str(ctx.id),
        "attempt": ctx.attempt,
        "type": ctx.type,
        "headers": dict(ctx.headers),
        "time_left": ctx.time_left,
        "loads": ctx.deps.loads,
        "pid": os.getpid(),
    }


@app.job
class Counter:
    def setup(self) -> None:
        self.calls = 0

    def run(self) -> int:
        self.calls += 1
        return self.calls


@app.job
def fail(text: str) -> None:
    try:
        raise KeyError("inner")
    except KeyError as error:
        raise ValueError(text) from error


@app.job
def again() -> None:
    raise Retry(delay=2.5, reason="not yet")


@app.job
def never() -> None:
    raise Reject("not for me")


@app.job
def leave() -> None:
    sys.exit(3)


@app.job
def huge(size: int) -> bytes:
    return bytes(size)


@app.job
def segfault() -> None:
    ctypes.string_at(0)


@app.job
def vanish(code: int) -> None:
    print("about to vanish", flush=True)
    os._exit(code)


@app.job
def hold(path: str) -> str:
    """Runs, letting others run, until the file is there."""
    while not Path(path).exists():
        time.sleep(0.002)
    return path


@app.job
def hold_gil() -> None:
    # A loop in C that never ends and never looks for signals.
    deque(repeat(None), maxlen=0)


@app.job
def stubborn(path: str) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    hold(path)


@app.job
def tidy(path: str) -> None:
    """Leaves a file when it is interrupted."""
    try:
        hold("/does/not/exist")
    finally:
        Path(path).write_text("tidied")


@app.job
def cooperative(ctx: Ctx[Deps]) -> str:
    while not ctx.cancelled:
        time.sleep(0.002)
    return "gave up"


@app.job
def cooperative_under_sigterm(ctx: Ctx[Deps]) -> None:
    """Looks at its flag alone, as a handler in a long call of C code does between two calls."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while not ctx.cancelled:
        time.sleep(0.002)


@app.job(timeout=0.2)
def capped() -> None:
    hold("/does/not/exist")


@app.job
def tell_and_hold_gil(ctx: Ctx[Deps]) -> None:
    for step in range(1000):
        ctx.progress(step / 1000, "warming up")
    ctx.progress(1.0, "größer")
    hold_gil()


@app.job
def tracked(ctx: Ctx[Deps], path: str) -> int:
    """Waits for the file before it takes the third of four items."""
    seen = 0
    for number in ctx.track([1, 2, 3, 4], "items"):
        seen += number
        if number == 2:
            time.sleep(0.1)
        if number == 3:
            hold(path)
    return seen


@app.job
def close_descriptors() -> None:
    os.closerange(3, 256)


@app.job
def start_sleeper() -> int:
    """Starts a process that would outlive its worker by an hour."""
    return subprocess.Popen(["sleep", "3600"]).pid


@app.job
def start_daemon() -> int:
    """Starts a process that has left its group and its parent."""
    code = (
        "import subprocess\n"
        "sleeper = subprocess.Popen(['sleep', '3600'], start_new_session=True, stdout=2)\n"
        "print(sleeper.pid)"
    )
    run = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
    return int(run.stdout)


@app.job
def leave_a_thread() -> None:
    """It is no daemon, so Python waits for it."""
    threading.Thread(target=time.sleep, args=(3600,)).start()


KEPT: list[bytes] = []


@app.job
def grow(mebibytes: int, path: str) -> None:
    """Takes memory that it does not give back, then waits for the file."""
    KEPT.append(b"x" * (mebibytes << 20))
    hold(path)


@app.job
def shout(lines: int) -> None:
    for number in range(lines):
        print(f"line {number} " + "x" * 80)
