# SPDX-License-Identifier: Apache-2.0
"""Handlers of the worker benchmarks: one that computes, one that keeps nothing, and those that must be ended by force."""

from __future__ import annotations

import ctypes
import os
import signal
import time

from jobwire import App

app = App("worker-bench")


@app.job(queue="bench")
def compute(payload: bytes) -> int:
    """Some milliseconds of pure Python."""
    total = 0
    for number in range(100_000):
        total += number & 7
    return total


@app.job(queue="bench")
def crunch(payload: bytes) -> int:
    """Ten times as much."""
    return sum(compute(payload) for _ in range(10))


@app.job(queue="bench")
def churn(payload: bytes) -> bytes:
    """Allocates and lets go, as handlers do."""
    rows = [{"row": number, "text": str(number)} for number in range(50)]
    return str(len(rows)).encode()


@app.job(queue="bench")
def hold_gil() -> None:
    """Waits in C for a mutex that it holds itself, with the interpreter's lock."""
    mutex = ctypes.create_string_buffer(64)
    lock = ctypes.PyDLL(None).pthread_mutex_lock
    lock(mutex)
    lock(mutex)


@app.job(queue="bench")
def swallow() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(3600)


@app.job(queue="bench")
def freeze() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


@app.job(queue="bench")
def crash() -> None:
    ctypes.string_at(0)
