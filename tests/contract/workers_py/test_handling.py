# SPDX-License-Identifier: Apache-2.0
"""What becomes of a job, in jobwire.testing and at a real broker with real workers: one suite, both must pass it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from handling_app import (
    Order,
    about,
    app,
    asks,
    dies,
    echo,
    fails,
    fails_until,
    goes_on,
    hangs,
    has_its_own_rules,
    on_a_loop,
    rejects,
    returns_what_cannot_travel,
    saves_too_much,
)
from jobwire import (
    AlreadyFinal,
    Client,
    Conflict,
    DeadReason,
    Encoding,
    InvalidJob,
    JobFailed,
    JobHandle,
    JobResult,
    JobSpec,
    JobState,
    NotFinished,
    Reject,
    RetryPolicy,
    UnknownJob,
)
from jobwire._wire import Code
from jobwire.testing import AppTest
from rig import Rig

QUICK = RetryPolicy.fixed("10ms", attempts=3, timeouts=2, crashes=2)
HOUR = "1h"


class World(ABC):
    """Where the jobs run."""

    client: Any

    @abstractmethod
    def end(self, job_id: UUID) -> JobResult:
        """The job's end, however many attempts and rests that takes."""

    def end_of(self, handle: JobHandle[Any]) -> JobResult:
        return self.end(handle.id)

    @abstractmethod
    def end_of_crashes(self, handle: JobHandle[Any]) -> JobResult:
        """The same for a job whose handler takes its worker down."""

    @abstractmethod
    def end_of_timeouts(self, handle: JobHandle[Any]) -> JobResult:
        """The same for a job whose handler never returns."""


class InTheTest(World):
    def __init__(self, test: AppTest) -> None:
        self.client = test
        self.test = test

    def end(self, job_id: UUID) -> JobResult:
        self.test.run_until_idle()
        return self.test.result(job_id)

    def end_of_crashes(self, handle: JobHandle[Any]) -> JobResult:
        return self._lead(handle, self.test.lose_worker)

    def end_of_timeouts(self, handle: JobHandle[Any]) -> JobResult:
        return self._lead(handle, self.test.time_out)

    def _lead(self, handle: JobHandle[Any], attempt: Any) -> JobResult:
        while not handle.status().state.final:
            attempt()
            self.test.advance("10ms")
        return handle.result()


class AtABroker(World):
    def __init__(self, client: Client) -> None:
        self.client = client

    def end(self, job_id: UUID) -> JobResult:
        return self.client.wait(job_id, timeout=60)  # type: ignore[no-any-return]

    end_of_crashes = end_of_timeouts = World.end_of


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with Rig(tmp_path_factory.mktemp("rig")) as rig:
        rig.start_broker()
        rig.start_host(__file__.replace("test_handling.py", "handling_app.py"))
        with Client(rig.producers) as client:
            yield client


@pytest.fixture(params=["testing", "broker"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    if request.param == "testing":
        with app.test() as test:
            yield InTheTest(test)
        return
    client = request.getfixturevalue("client")
    app.bind(client)
    yield AtABroker(client)
    app.bind(None)


def dead(result: JobResult, reason: DeadReason, attempts: int) -> JobResult:
    status = result.status
    assert (status.state, status.reason, status.attempts) == (JobState.DEAD, reason, attempts)
    assert result.payload == b""
    return result


# ------------------------------------------------------------------ success


def test_value_is_what_the_handler_returned(world: World) -> None:
    handle = echo.enqueue(Order("tea", 3))
    result = world.end_of(handle)
    assert (result.state, result.status.attempts) == (JobState.SUCCEEDED, 1)
    assert (result.encoding, result.payload) == (Encoding.Json, b'{"item":"tea","count":3}')
    assert result.error is None
    assert handle.value() == Order("tea", 3)


def test_context_tells_id_attempt_type_and_headers(world: World) -> None:
    handle = about.using(headers={"a": "b"}).enqueue()
    world.end_of(handle)
    told = {"id": str(handle.id), "attempt": 1, "type": "about", "headers": {"a": "b"}}
    assert handle.value() == told


def test_async_handlers_and_commands_are_handlers(world: World) -> None:
    handle = on_a_loop.enqueue("a")
    receipt = world.client.submit(JobSpec("upper", "abc"))
    assert world.end_of(handle).succeeded
    assert handle.value() == "A"
    assert world.end(receipt.id).text == "ABC"


# ------------------------------------------------------------------ failure


def test_error_is_told_with_its_cause_and_frames(world: World) -> None:
    result = world.end_of(fails.using(retry=QUICK).enqueue("it broke"))
    error = dead(result, DeadReason.RAISED, 3).error
    assert error is not None
    assert (error.type, error.message, error.retryable) == ("builtins.ValueError", "it broke", True)
    assert (error.frames[-1].function, error.frames[-1].source) == (
        "fails",
        "raise ValueError(text) from behind",
    )
    assert [(link.type, link.message) for link in error.chain] == [("builtins.KeyError", "'inner'")]


def test_failed_attempt_is_followed_by_another_one(world: World) -> None:
    handle = fails_until.using(retry=QUICK).enqueue(3)
    assert world.end_of(handle).status.attempts == 3
    assert handle.value() == 3


def test_rules_of_a_type_hold_for_jobs_that_say_nothing(world: World) -> None:
    dead(world.end_of(has_its_own_rules.enqueue(0)), DeadReason.RAISED, 2)
    own = has_its_own_rules.using(retry=RetryPolicy.fixed("10ms", attempts=3)).enqueue(0)
    dead(world.end_of(own), DeadReason.RAISED, 3)
    dead(world.end_of_timeouts(has_its_own_rules.enqueue(60)), DeadReason.TIMED_OUT, 1)


def test_attempt_gets_what_the_one_before_saved(world: World) -> None:
    handle = goes_on.using(retry=QUICK).enqueue(3)
    world.end_of(handle)
    assert handle.value() == [1, 2, 3]
    other = goes_on.using(retry=QUICK).enqueue(1)
    world.end_of(other)
    assert other.value() == [1]


def test_checkpoint_over_the_limit_is_refused_by_its_code(world: World) -> None:
    handle = saves_too_much.enqueue()
    world.end_of(handle)
    assert handle.value() == Code.TooLarge


def test_exception_named_as_fatal_ends_the_job(world: World) -> None:
    for named in (ValueError, "ValueError", "builtins.ValueError"):
        policy = RetryPolicy(attempts=5, never_on=[named])
        dead(world.end_of(fails.using(retry=policy).enqueue("x")), DeadReason.RAISED, 1)


def test_asked_retry_counts_as_an_attempt(world: World) -> None:
    handle = asks.enqueue(0.02)
    assert world.end_of(handle).status.attempts == 2
    assert handle.value() == 2
    once = RetryPolicy(attempts=1)
    error = dead(world.end_of(asks.using(retry=once).enqueue(0.02)), DeadReason.RAISED, 1).error
    assert error is not None
    assert (error.type, error.message) == ("jobwire.Retry", "not yet")


def test_reject_ends_the_job_whatever_attempts_are_left(world: World) -> None:
    error = dead(world.end_of(rejects.enqueue("not me")), DeadReason.REJECTED, 1).error
    assert error is not None
    assert (error.type, error.message, error.retryable) == ("jobwire.Reject", "not me", False)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({"item": 5}, "order.item: must be a string, is an integer"),
        ({"count": 1}, "order.item: missing"),
        ("{", "order: not JSON"),
    ],
)
def test_payload_that_does_not_fit_is_rejected(world: World, payload: Any, message: str) -> None:
    receipt = world.client.submit(JobSpec("echo", payload))
    error = dead(world.end(receipt.id), DeadReason.REJECTED, 1).error
    assert error is not None
    assert error.type == "jobwire.PayloadError"
    assert message in error.message


def test_result_that_cannot_travel_is_a_failed_attempt(world: World) -> None:
    result = world.end_of(returns_what_cannot_travel.using(retry=QUICK).enqueue())
    error = dead(result, DeadReason.RAISED, 3).error
    assert error is not None
    assert error.type == "jobwire.ResultError"


def test_commands_exit_code_is_the_error(world: World) -> None:
    receipt = world.client.submit(JobSpec("exits", retry=QUICK))
    error = dead(world.end(receipt.id), DeadReason.RAISED, 3).error
    assert error is not None
    assert error.type == "jobwire.CommandFailed"
    assert error.message == "sh: exit code 3: why"


def test_crashes_have_a_budget_of_their_own(world: World) -> None:
    handle = dies.using(retry=QUICK).enqueue()
    dead(world.end_of_crashes(handle), DeadReason.CRASHED, 2)
    with pytest.raises(JobFailed, match="is dead"):
        handle.value()


def test_timeouts_have_a_budget_of_their_own(world: World) -> None:
    handle = hangs.using(retry=QUICK, timeout="50ms").enqueue()
    dead(world.end_of_timeouts(handle), DeadReason.TIMED_OUT, 2)


# ------------------------------------------------------------------ times


def test_delayed_job_waits(world: World) -> None:
    handle = echo.using(delay=HOUR).enqueue(Order("a"))
    assert handle.status().state is JobState.SCHEDULED
    with pytest.raises(NotFinished):
        world.client.result(handle.id)
    assert handle.cancel() is JobState.CANCELLED
    assert handle.status().attempts == 0


def test_job_that_waits_beyond_its_latest_start_expires(world: World) -> None:
    soon = datetime.now(UTC) + timedelta(milliseconds=300)
    receipt = world.client.submit(JobSpec("nobody.serves.this", expires_at=soon))
    if isinstance(world, InTheTest):
        world.test.advance("1s")
    assert world.end(receipt.id).state is JobState.EXPIRED


@pytest.mark.parametrize("late", [timedelta(hours=-1), timedelta(minutes=30)])
def test_latest_start_before_the_first_possible_one_is_refused(
    world: World, late: timedelta
) -> None:
    with pytest.raises(InvalidJob, match="expires_at"):
        echo.using(delay=HOUR, expires_at=datetime.now(UTC) + late).enqueue(Order("a"))


# ------------------------------------------------------------------ ids


def test_same_id_is_the_same_job(world: World) -> None:
    spec = echo.using(delay=HOUR).spec(Order("a"))
    first, second = world.client.submit(spec), world.client.submit(spec)
    assert (first.id, second.id, second.state) == (spec.id, spec.id, JobState.SCHEDULED)
    assert (first.duplicate, second.duplicate) == (False, True)
    with pytest.raises(Conflict):
        world.client.submit(JobSpec("other", id=spec.id, delay=HOUR))
    with pytest.raises(Conflict):
        world.client.submit(JobSpec("echo", id=spec.id, delay=HOUR, queue="other"))


def test_same_key_is_the_same_job(world: World) -> None:
    prepared = echo.using(delay=HOUR, dedup_key=f"key of {type(world).__name__}", dedup_window="1m")
    first, second = prepared.enqueue(Order("a")), prepared.enqueue(Order("b"))
    assert second.id == first.id
    assert (first.receipt.duplicate, second.receipt.duplicate) == (False, True)


def test_final_job_cannot_be_cancelled_and_an_unknown_one_is_unknown(world: World) -> None:
    handle = echo.enqueue(Order("a"))
    world.end_of(handle)
    with pytest.raises(AlreadyFinal):
        handle.cancel()
    nobody = JobSpec("echo").id
    for ask in (world.client.status, world.client.result, world.client.cancel):
        with pytest.raises(UnknownJob):
            ask(nobody)


def test_reject_is_what_a_handler_raises() -> None:
    """Direct calls run the function as it is written."""
    with pytest.raises(Reject, match="not me"):
        rejects("not me")
