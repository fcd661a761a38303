# SPDX-License-Identifier: Apache-2.0
"""Handlers that fail, wait, die and obey as they are told, for the tests of a job's life."""

import os
import signal
import time
from typing import Any

from jobwire import App, Ctx, Reject, Retry

app = App("life")


@app.job(queue="life")
def echo(payload: bytes) -> bytes:
    return payload


@app.job(queue="life")
def flaky(ctx: Ctx[Any], failures: int) -> int:
    """Raises in its first attempts, then returns the number of the attempt that did not."""
    if ctx.attempt <= failures:
        raise ValueError(f"attempt {ctx.attempt} of {failures} that fail")
    return ctx.attempt


@app.job(queue="life")
def asks(ctx: Ctx[Any], delay_ms: int) -> int:
    if ctx.attempt == 1:
        raise Retry(delay=delay_ms / 1000, reason="not yet")
    return ctx.attempt


@app.job(queue="life")
def refuses(why: str) -> None:
    raise Reject(why)


@app.job(queue="life")
def sleeps(ms: int) -> str:
    """Does not look whether it was cancelled."""
    time.sleep(ms / 1000)
    return "slept"


@app.job(queue="life")
def obeys(ctx: Ctx[Any], ms: int) -> str:
    """Looks whether it was cancelled."""
    end = time.monotonic() + ms / 1000
    while time.monotonic() < end:
        if ctx.cancelled:
            return "stopped"
        time.sleep(0.005)
    return "slept"


@app.job(queue="life")
def steps(ctx: Ctx[Any], value: float) -> None:
    """Says how far it is until it is cancelled."""
    while not ctx.cancelled:
        ctx.progress(value, "half")
        time.sleep(0.01)


@app.job(queue="life")
def dies(signal_number: int) -> None:
    os.kill(os.getpid(), signal.Signals(signal_number))
    time.sleep(30)
