# SPDX-License-Identifier: Apache-2.0
"""An app whose jobs run in every way that there is."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from pathlib import Path

from jobwire import App, Ctx

app = App("modes")


@app.job
def plain() -> dict[str, object]:
    return where()


def where() -> dict[str, object]:
    return {
        "pid": os.getpid(),
        "main": threading.current_thread() is threading.main_thread(),
        "slot": os.environ["JOBWIRE_SLOT"],
        "gpu": os.environ.get("GPU"),
    }


def meet(folder: str, name: str) -> None:
    """Returns when `open` is there; says before that it waits."""
    (Path(folder) / name).touch()
    while not (Path(folder) / "open").exists():
        time.sleep(0.002)


@app.job(concurrency=3)
def threaded(folder: str, name: str) -> dict[str, object]:
    meet(folder, name)
    return where()


@app.job(concurrency=2)
def spin() -> None:
    while True:
        sum(range(1000))


@app.job(concurrency=2)
def sleep_in_c() -> None:
    time.sleep(3600)


@app.job(concurrency=2)
def told(ctx: Ctx[None], folder: str) -> None:
    while not ctx.cancelled:
        time.sleep(0.002)


@app.job(concurrency=3)
async def awaited(folder: str, name: str) -> dict[str, object]:
    (Path(folder) / name).touch()
    while not (Path(folder) / "open").exists():
        await asyncio.sleep(0.002)
    return where()


@app.job(concurrency=1)
async def endless(folder: str) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        (Path(folder) / "tidied").touch()


@app.job(concurrency=1)
async def blocking() -> None:
    time.sleep(3600)


@app.job
async def watchful(ctx: Ctx[None]) -> str:
    while not ctx.cancelled:
        await asyncio.sleep(0.002)
    return "gave up"


@app.job
async def broken() -> None:
    raise LookupError("async too")


@app.job(isolate=True)
def fresh() -> dict[str, object]:
    return where()


@app.job(isolate=True)
async def fresh_async() -> dict[str, object]:
    await asyncio.sleep(0)
    return where()


app.exec_job(
    "count", [sys.executable, "-c", "import sys; print(len(sys.stdin.buffer.read()), end='')"]
)
app.exec_job("shout", ["tr", "a-z", "A-Z"], result="text")
app.exec_job("complain", ["sh", "-c", "echo first >&2; echo last words >&2; exit 3"])
app.exec_job("refuse", ["sh", "-c", "exit 65"])
app.exec_job("flood", ["yes", "0123456789"])
app.exec_job(
    "deaf", ["sh", "-c", "trap '' TERM; read out; echo $$ > $out; while :; do sleep 0.05; done"]
)
app.exec_job("about", ["sh", "-c", "echo $JOBWIRE_JOB $JOBWIRE_ATTEMPT"], result="text")
app.exec_job(
    "teller",
    [
        "sh",
        "-c",
        "read f; echo 0.25 a quarter > $JOBWIRE_PROGRESS; while [ ! -e $f ]; do sleep 0.01; done",
    ],
)
app.exec_job("leaver", ["sh", "-c", "sleep 3600 >/dev/null & echo $!"], result="text")
app.exec_job(
    "together",
    ["sh", "-c", "read f; touch $f; while [ ! -e $f.open ]; do sleep 0.01; done"],
    concurrency=2,
)
