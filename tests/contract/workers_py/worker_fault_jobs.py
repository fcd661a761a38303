# SPDX-License-Identifier: Apache-2.0
"""Jobs that harm the process that runs them."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import time
from pathlib import Path

from jobwire import App

app = App("faults")
BOMB = 64


@app.job
def echo(data: bytes) -> bytes:
    return data


@app.job
def out_of_address_space() -> None:
    """More than RLIMIT_AS allows, which is how Python sees that there is no memory."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20), hard))
    try:
        bytearray(1 << 30)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


@app.job
def eat_memory(group: str) -> None:
    """Until the kernel kills it, which it does above the limit of a control group."""
    if not group:
        # No group can be made here: what the kernel would do.
        os.kill(os.getpid(), 9)
    (Path(group) / "cgroup.procs").write_text(str(os.getpid()))
    eaten = []
    while True:
        eaten.append(b"x" * (1 << 20))


@app.job
def bomb(path: str) -> None:
    """Forks and forks until there are 64 of them, half of them in sessions of their own; none ends by itself."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, b"%9d\n" % os.getpid())
    while True:
        if os.fstat(descriptor).st_size < BOMB * 10 and os.fork() == 0:
            if os.getpid() % 2:
                os.setsid()
            os.write(descriptor, b"%9d\n" % os.getpid())
        time.sleep(0.001)


@app.job
def close_descriptors() -> None:
    """All but the standard ones, none of which is its own."""
    os.closerange(3, 1024)


@app.job
def hold_gil_in_c() -> None:
    """Waits in C, for a mutex that it holds itself, without giving up the interpreter's lock; no signal ends that."""
    mutex = ctypes.create_string_buffer(64)
    lock = ctypes.PyDLL(None).pthread_mutex_lock
    lock(mutex)
    lock(mutex)


@app.job
def endless_regex() -> None:
    re.match(r"(a+)+$", "a" * 64 + "b")


@app.job
def endless_regex_again() -> None:
    """As one that does not want to be interrupted."""
    while True:
        try:
            endless_regex()
        except BaseException:
            continue


@app.job
def raise_much(size: int) -> None:
    raise ValueError("x" * size)


@app.job
def return_much(size: int) -> bytes:
    return bytes(size)
