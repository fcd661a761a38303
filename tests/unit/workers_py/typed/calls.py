# SPDX-License-Identifier: Apache-2.0
"""Calls that a strict type checker lets pass, and calls that it must not: the latter end in `# E: <error code>`.

Read by test_typed_calls.py, never run.
"""

from dataclasses import dataclass
from typing import assert_type

from jobwire import App, AsyncJobHandle, Ctx, Job, JobHandle, RetryPolicy


@dataclass
class Model:
    name: str


app = App("typed", lifespan=lambda: Model("m"))


@app.job
def plain(path: str, width: int = 100) -> bytes:
    return path.encode() * width


@app.job(queue="images", timeout="30s", retry=RetryPolicy.fixed("1s"))
def resize(ctx: Ctx[Model], path: str, *, width: int) -> float:
    return len(ctx.deps.name) * width / len(path)


@app.job
async def fetch(url: str) -> dict[str, int]:
    return {url: 1}


@app.job(concurrency=100)
async def fetch_with(ctx: Ctx[Model], url: str) -> list[str]:
    return [url, ctx.deps.name]


class Count:
    def setup(self) -> None:
        self.seen = 0

    def run(self, by: int) -> int:
        self.seen += by
        return self.seen


class CountWith:
    def run(self, ctx: Ctx[Model], by: int) -> str:
        return ctx.deps.name * by


# mypy takes a decorated class for the class itself, so what is to be enqueued is declared by a call.
count = app.job(Count)
count_with = app.job(isolate=True)(CountWith)


@app.job
def nothing() -> None: ...


# What the handler takes, without its Ctx.
assert_type(plain.enqueue("a.png"), JobHandle[bytes])
assert_type(plain.enqueue("a.png", width=200).value(), bytes)
assert_type(resize.enqueue("a.png", width=200), JobHandle[float])
assert_type(resize.using(delay=10).enqueue("a.png", width=200).value(timeout="5s"), float)
assert_type(resize.using(delay="5m").using(priority=9).spec("a", width=1).queue, str)
assert_type(fetch.enqueue("u").value(), dict[str, int])
assert_type(fetch_with.enqueue("u").value(), list[str])
assert_type(count.enqueue(3).value(), int)
assert_type(count_with.enqueue(by=3).value(), str)
assert_type(nothing.enqueue(), JobHandle[None])
job: Job[[str], dict[str, int]] = fetch


async def asynchronously() -> None:
    assert_type(await resize.enqueue_async("a.png", width=2), AsyncJobHandle[float])
    assert_type(await (await count.enqueue_async(1)).value(), int)
    await resize.enqueue_async("a.png", wdith=2)  # E: call-arg
    await fetch.using(delay=1).enqueue_async(b"u")  # E: arg-type


# Misspelt, mistyped, missing, too many.
plain.enqueue("a.png", widht=200)  # E: call-arg
plain.enqueue("a.png", width="200")  # E: arg-type
plain.enqueue(b"a.png")  # E: arg-type
plain.enqueue()  # E: call-arg
plain.enqueue("a.png", 100, 3)  # E: call-arg
resize.enqueue("a.png")  # E: call-arg
resize.enqueue("a.png", 200)  # E: call-arg
resize.enqueue(Model("m"), width=200)  # E: arg-type
resize.using(delay=10).enqueue("a.png", widht=200)  # E: call-arg
resize.using(dealy=10)  # E: call-arg
resize.using(priority="high")  # E: arg-type
resize.using(delay=10).spec(1, width=200)  # E: arg-type
fetch.enqueue(1)  # E: arg-type
fetch_with.enqueue("u", "v")  # E: call-arg
count.enqueue("3")  # E: arg-type
count.enqueue(by=1, more=2)  # E: call-arg
count_with.enqueue("3")  # E: arg-type
nothing.enqueue(1)  # E: call-arg
text: str = plain.enqueue("a.png").value()  # E: assignment
app.job(queu="images")  # E: call-overload
app.job(timeout=[1])  # E: call-overload
app.exec_job("cat", ["cat"], result="xml")  # E: arg-type
RetryPolicy.fixed("1s", attempt=3)  # E: call-arg
