# SPDX-License-Identifier: Apache-2.0
"""The jobs of test_handling: the same in a test's own process and in a worker of a real broker."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from jobwire import App, CheckpointError, Ctx, Reject, Retry, RetryPolicy

app = App("handling")


@dataclass
class Order:
    item: str
    count: int = 1


@app.job
def echo(order: Order) -> Order:
    return order


@app.job
def about(ctx: Ctx[None]) -> dict[str, object]:
    return {
        "id": str(ctx.id),
        "attempt": ctx.attempt,
        "type": ctx.type,
        "headers": dict(ctx.headers),
    }


@app.job
def fails(text: str) -> None:
    try:
        raise KeyError("inner")
    except KeyError as behind:
        raise ValueError(text) from behind


@app.job
def fails_until(ctx: Ctx[None], attempt: int) -> int:
    if ctx.attempt < attempt:
        raise ValueError(f"attempt {ctx.attempt}")
    return ctx.attempt


@app.job
def goes_on(ctx: Ctx[None], attempts: int) -> list[int]:
    """Saves for the next attempt which ones there were."""
    seen: list[int] = [*ctx.resume(list, []), ctx.attempt]
    ctx.checkpoint(seen)
    if ctx.attempt < attempts:
        raise ValueError(f"attempt {ctx.attempt}")
    return seen


@app.job
def saves_too_much(ctx: Ctx[None]) -> int:
    try:
        ctx.checkpoint(bytes(65537), flush=True)
    except CheckpointError as refused:
        return refused.code
    return 0


@app.job(retry=RetryPolicy.fixed("10ms", attempts=2, timeouts=1), timeout="50ms")
def has_its_own_rules(seconds: float) -> None:
    time.sleep(seconds)
    raise ValueError(f"after {seconds} s")


@app.job
def asks(ctx: Ctx[None], delay: float) -> int:
    if ctx.attempt == 1:
        raise Retry(delay, "not yet")
    return ctx.attempt


@app.job
def rejects(text: str) -> None:
    raise Reject(text)


@app.job
def returns_what_cannot_travel() -> object:
    return object()


@app.job
def dies() -> None:
    os._exit(3)


@app.job
def hangs() -> None:
    time.sleep(3600)


@app.job(name="Order.place")
async def on_a_loop(text: str) -> str:
    return text.upper()


app.exec_job("upper", ["tr", "a-z", "A-Z"], result="text")
app.exec_job("exits", ["sh", "-c", "echo why >&2; exit 3"])
