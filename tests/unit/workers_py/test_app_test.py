# SPDX-License-Identifier: Apache-2.0
"""jobwire.testing: what a test can do to its jobs. That its rules are the broker's, the contract ring shows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from jobwire import (
    AlreadyFinal,
    App,
    Conflict,
    Ctx,
    DeadReason,
    HandlerError,
    InvalidJob,
    JobFailed,
    JobSpec,
    JobState,
    NoAnswer,
    Reject,
    Retry,
    RetryPolicy,
    UnknownJob,
)
from jobwire.testing import AppTest

START = datetime(2030, 1, 1, tzinfo=UTC)


@dataclass
class Deps:
    calls: list[str] = field(default_factory=list)
    test: AppTest | None = None


app = App("tested", lifespan=Deps)
_FIXED = RetryPolicy.fixed("10s", attempts=3, crashes=2, never_on=[KeyError])


@app.job(retry=_FIXED)
def note(ctx: Ctx[Deps], text: str) -> str:
    ctx.deps.calls.append(text)
    if text == "broken":
        raise ValueError("it broke")
    if text == "fatal":
        raise KeyError(text)
    if text == "later" and ctx.attempt == 1:
        raise Retry("1h", "not yet")
    if text == "never":
        raise Reject("not for me")
    return f"{text} {ctx.attempt}"


@app.job(timeout="30s")
def slow(ctx: Ctx[Deps], seconds: float) -> float:
    assert ctx.deps.test is not None
    ctx.deps.test.advance(seconds)
    return ctx.time_left


@app.job
async def on_loop(text: str) -> str:
    await asyncio.sleep(0)
    return text


app.exec_job("cat", ["cat"], version="7", result="text")


@pytest.fixture
def deps() -> Deps:
    return Deps()


@pytest.fixture
def t(deps: Deps, jobwire_test: Callable[..., AppTest]) -> AppTest:
    test = jobwire_test(app, deps=deps, start=START)
    deps.test = test
    return test


def test_job_runs_when_it_is_told_to_and_gives_its_value(t: AppTest, deps: Deps) -> None:
    handle = note.enqueue("a")
    assert handle.status().state is JobState.QUEUED
    assert deps.calls == []
    with pytest.raises(NoAnswer, match="queued"):
        handle.value()
    assert t.run() == 1
    assert handle.value() == "a 1"
    assert t.run() == 0


def test_delay_waits_for_the_clock(t: AppTest) -> None:
    handle = note.using(delay="5m").enqueue("a")
    assert t.run() == 0
    t.advance("4m59s")
    assert t.run() == 0
    t.advance("1s")
    assert t.run() == 1
    assert handle.result().status.started == START + timedelta(minutes=5)


def test_failed_attempts_are_counted_rested_and_buried(t: AppTest) -> None:
    handle = note.enqueue("broken")
    for attempts in (1, 2):
        assert t.run() == 1
        job = t.job(handle.id)
        assert (job.state, job.attempts) == (JobState.SCHEDULED, attempts)
        assert job.due == t.now + timedelta(seconds=10)
        t.advance("10s")
    t.run()
    (dead,) = t.dead
    assert (dead.reason, dead.attempts) == (DeadReason.RAISED, 3)
    assert [one.outcome for one in dead.failed_attempts] == ["raised"] * 3
    assert dead.error is not None
    assert dead.error.frames[-1].function == "note"
    with pytest.raises(JobFailed, match="ValueError: it broke"):
        handle.value()
    t.replay(dead)
    assert t.run_until_idle() == 3
    assert len(t.dead) == 1


def test_class_that_is_never_retried_and_reject_end_a_job_at_once(t: AppTest) -> None:
    fatal, never = note.enqueue("fatal"), note.enqueue("never")
    t.run()
    assert (t.job(fatal.id).reason, t.job(fatal.id).attempts) == (DeadReason.RAISED, 1)
    assert (t.job(never.id).reason, t.job(never.id).attempts) == (DeadReason.REJECTED, 1)


def test_asked_retry_replaces_the_backoff(t: AppTest) -> None:
    handle = note.enqueue("later")
    t.run()
    assert t.job(handle.id).due == START + timedelta(hours=1)
    assert t.run_until_idle(within="1h") == 1
    assert handle.value() == "later 2"


def test_lost_worker_is_charged_as_a_crash_and_the_job_runs_again(t: AppTest, deps: Deps) -> None:
    handle = note.enqueue("a")
    assert t.lose_worker() is t.job(handle.id)
    assert deps.calls == []
    t.advance("10s")
    t.lose_worker("finished")
    assert deps.calls == ["a"]
    (dead,) = t.dead
    assert (dead.reason, dead.attempts) == (DeadReason.CRASHED, 2)
    with pytest.raises(AssertionError, match="no job is queued"):
        t.lose_worker()


def test_duplicates_call_the_handler_twice_and_count_once(t: AppTest, deps: Deps) -> None:
    handle = note.enqueue("a")
    t.run(duplicates=True)
    assert deps.calls == ["a", "a"]
    assert handle.value() == "a 1"
    assert (t.job(handle.id).attempts, t.job(handle.id).stale_results) == (1, 1)


def test_handler_that_takes_longer_than_its_timeout_times_out(t: AppTest) -> None:
    fine, late = slow.enqueue(10), slow.using(timeout=5, retry=RetryPolicy(timeouts=1)).enqueue(6)
    t.run()
    assert fine.value() == 20.0
    assert (t.job(late.id).state, t.job(late.id).reason) == (JobState.DEAD, DeadReason.TIMED_OUT)
    again = slow.enqueue(1)
    t.time_out()
    assert t.job(again.id).state is JobState.SCHEDULED


def test_jobs_expire_wherever_they_wait(t: AppTest) -> None:
    queued = note.using(expires_at=START + timedelta(minutes=1)).enqueue("a")
    resting = note.using(expires_at=START + timedelta(minutes=1), delay=30).enqueue("b")
    t.advance("1m")
    assert t.run() == 0
    assert queued.result().state is JobState.EXPIRED
    assert resting.result().state is JobState.EXPIRED
    with pytest.raises(InvalidJob, match="has passed"):
        note.using(expires_at=START).enqueue("a")
    with pytest.raises(InvalidJob, match="before the job may start"):
        note.using(expires_at=t.now + timedelta(seconds=1), delay=2).enqueue("a")


def test_priority_goes_first_then_age(t: AppTest, deps: Deps) -> None:
    for text, priority in (("low", 1), ("high", 9), ("usual", 4), ("high too", 9)):
        note.using(priority=priority).enqueue(text)
    t.run()
    assert deps.calls == ["high", "high too", "usual", "low"]


def test_same_id_and_same_key_are_one_job(t: AppTest) -> None:
    spec = note.spec("a")
    assert not t.submit(spec).duplicate
    assert t.submit(spec).duplicate
    with pytest.raises(Conflict):
        t.submit(JobSpec("other", id=spec.id))
    first = note.using(dedup_key="k", dedup_window="1m").enqueue("x")
    second = note.using(dedup_key="k", dedup_window="1m").enqueue("y")
    assert second.id == first.id
    t.advance("1m")
    assert note.using(dedup_key="k", dedup_window="1m").enqueue("z").id != first.id


def test_cancelled_jobs_do_not_run(t: AppTest, deps: Deps) -> None:
    handle = note.enqueue("a")
    assert handle.cancel() is JobState.CANCELLED
    assert t.run() == 0
    with pytest.raises(AlreadyFinal):
        handle.cancel()
    with pytest.raises(UnknownJob):
        t.cancel(JobSpec("a").id)


def test_async_handlers_commands_and_jobs_of_other_languages_run_too(t: AppTest) -> None:
    spoken = on_loop.enqueue("a")
    t.submit(JobSpec("cat", "meow"))
    wrong = t.submit(JobSpec("note", [1, 2]))
    t.run()
    assert spoken.value() == "a"
    assert [job.result for job in t.jobs if job.type == "cat"] == [b"meow"]
    rejected = t.job(wrong.id)
    assert rejected.reason is DeadReason.REJECTED
    assert rejected.error is not None
    assert rejected.error.message == "text: must be a string, is a list"


def test_type_that_nobody_serves_waits_and_near_names_are_told(t: AppTest) -> None:
    receipt = t.submit(JobSpec("caat"))
    assert t.run() == 0
    assert t.status(receipt.id).state is JobState.QUEUED
    (told,) = t.unserved
    assert told == "no handler of app 'tested' serves type 'caat'; there is 'cat' (version 7)"


def test_app_is_given_back_and_its_lifespan_is_left() -> None:
    told: list[str] = []

    async def lifespan() -> AsyncIterator[str]:
        told.append("up")
        yield "deps"
        told.append("down")

    own = App("own", lifespan=lifespan)

    @own.job
    def ask(ctx: Ctx[str]) -> str:
        return ctx.deps

    with own.test() as outer:
        with own.test(deps=nullcontext("given")) as inner:
            handle = ask.enqueue()
            inner.run()
            assert outer.jobs == []
            # Deps that are given are not entered; a context manager is no value that can travel.
            assert "nullcontext cannot travel" in str(handle.status() and inner.jobs[0].error)
        assert ask.enqueue().id == outer.jobs[0].id
    assert told == ["up", "down"]
    with pytest.raises(HandlerError, match="has no client"):
        ask.enqueue()


def test_a_job_may_enqueue_others(jobwire_test: Callable[..., AppTest]) -> None:
    own = App("own")

    @own.job
    def count_down(number: int) -> int:
        if number:
            count_down.enqueue(number - 1)
        return number

    t = jobwire_test(own)
    count_down.enqueue(3)
    assert t.run(most=2) == 2
    assert t.run() == 2
    assert [job.result for job in t.jobs] == [b"3", b"2", b"1", b"0"]


def test_progress_is_seen_on_the_job(jobwire_test: Callable[..., AppTest]) -> None:
    own = App("own")

    @own.job
    def walk(ctx: Ctx[None]) -> None:
        ctx.progress(0.25, "a quarter")

    t = jobwire_test(own)
    walk.enqueue()
    t.run()
    assert (t.jobs[0].progress, t.jobs[0].progress_message) == (0.25, "a quarter")


def test_jitter_is_drawn_from_the_seed() -> None:
    def dues(seed: int) -> list[Any]:
        own = App("own")

        @own.job
        def fail() -> None:
            raise ValueError

        with own.test(start=START, seed=seed) as t:
            for _ in range(5):
                fail.enqueue()
            t.run()
            return [job.due for job in t.jobs]

    assert dues(1) == dues(1)
    assert dues(1) != dues(2)
    assert len(set(dues(1))) == 5
