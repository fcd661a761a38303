# SPDX-License-Identifier: Apache-2.0
"""Jobs that save how far they are."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from jobwire import App, Ctx

app = App("checkpoint-tests")


def _climb(ctx: Ctx[None], told: str, flush: bool) -> int:
    """Saves higher and higher numbers, and writes each down once it is saved, until its process ends; the next attempt
    gives the number where it went on."""
    reached = ctx.resume(int, 0)
    if reached:
        return reached
    while not ctx.cancelled:
        reached += 1
        ctx.checkpoint(reached, flush=flush)
        Path(told + ".new").write_text(f"{os.getpid()} {reached}")
        os.replace(told + ".new", told)
        time.sleep(0.001)
    return -1


@app.job
def climb(ctx: Ctx[None], told: str) -> int:
    return _climb(ctx, told, flush=True)


@app.job(timeout=2, isolate=True)
def climb_out_of_time(ctx: Ctx[None], told: str) -> int:
    reached = ctx.resume(int, 0)
    if reached:
        return reached
    ctx.checkpoint(41, flush=True)
    ctx.checkpoint(42)
    while True:
        time.sleep(0.01)


@app.job
async def climb_on_a_loop(ctx: Ctx[None]) -> int:
    reached = ctx.resume(int, 0)
    if reached:
        return reached
    await asyncio.to_thread(ctx.checkpoint, 17, flush=True)
    raise ValueError("no further")


@app.job
def wait_and_tell(ctx: Ctx[None], told: str) -> int:
    """Saves once, then waits for the file to go away, and fails; the next attempt gives what was saved."""
    reached = ctx.resume(int, 0)
    if reached:
        return reached
    ctx.checkpoint(5, flush=True)
    Path(told).write_text("saved")
    while Path(told).exists():
        time.sleep(0.005)
    raise ValueError("after the wait")


@app.job
def too_large(ctx: Ctx[None]) -> None:
    ctx.checkpoint(bytes(65537))
