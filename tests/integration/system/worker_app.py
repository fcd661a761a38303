# SPDX-License-Identifier: Apache-2.0
"""Handlers in every way of running, each of which writes down its runs."""

from __future__ import annotations

import asyncio
import ctypes
import os
import time
from pathlib import Path

from jobwire import App, Ctx

app = App("worker")


def note(word: str) -> None:
    """One line for each run: what, and in which process."""
    with Path(os.environ["LEDGER"]).open("a") as ledger:
        ledger.write(f"{word} {os.getpid()}\n")


@app.job(queue="plain")
def plain(word: str) -> str:
    note(word)
    return f"plain {word}"


@app.job(queue="plain", concurrency=4)
def threaded(word: str) -> str:
    note(word)
    time.sleep(0.005)
    return f"threaded {word}"


@app.job(queue="plain", concurrency=4)
def stuck(word: str) -> None:
    """In a call of C code that no exception reaches."""
    note(word)
    mutex = ctypes.create_string_buffer(64)
    lock = ctypes.CDLL(None).pthread_mutex_lock
    lock(mutex)
    lock(mutex)


@app.job(queue="plain", concurrency=4)
def gated(word: str) -> str:
    """In its first run it waits for ever, in its second for nothing."""
    again = word in Path(os.environ["LEDGER"]).read_text()
    note(word)
    while not again:
        time.sleep(0.01)
    return word


@app.job(queue="plain")
async def awaited(ctx: Ctx[None], word: str) -> str:
    note(word)
    await asyncio.sleep(0.005)
    return f"awaited {word} {ctx.attempt}"


@app.job(queue="plain", isolate=True)
def fresh(word: str) -> str:
    note(word)
    return f"fresh {word}"


app.exec_job("command", ["tr", "a-z", "A-Z"], queue="plain", result="text")


@app.job(queue="long")
def long(ms: int) -> int:
    note("long")
    time.sleep(ms / 1000)
    return ms
