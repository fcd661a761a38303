# SPDX-License-Identifier: Apache-2.0
"""What a program declares is what a worker is told to do."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest
from jobwire import App, CommandFailed, Ctx, HandlerError, Middleware, Reject, RetryPolicy
from jobwire._failure import describe
from jobwire._handlers import Bound, Program
from jobwire._job import Execution
from jobwire._spans import milliseconds
from jobwire._wire_enums import Encoding

HEAD = (b"t" * 16, b"j" * 16, 0, 0, 1000, 0, 1, Encoding.Json, 4, 0)


def make_ctx(head: Any, name: str, deps: Any) -> Ctx[Any]:
    return Ctx(
        job=head[1],
        token=head[0],
        type=name,
        attempt=head[6],
        deadline_ns=0,
        headers={},
        deps=deps,
        cancelled=lambda: False,
        tell=lambda value, message: None,
        saved=(0, b""),
        save=lambda encoding, data, wait_s: None,
    )


def only(app: App) -> Bound:
    (bound,) = Program(app, make_ctx).set_up()
    return bound


# ------------------------------------------------------------------ where an attempt runs


def test_execution_follows_from_handler_and_options() -> None:
    app = App("a")

    async def on_loop(text: str) -> str:
        return text

    def plain(text: str) -> str:
        return text

    class AsyncRun:
        async def run(self) -> None: ...

    app.job(name="main")(plain)
    app.job(name="one", concurrency=1)(plain)
    app.job(name="threads", concurrency=8)(plain)
    app.job(name="isolated", isolate=True, concurrency=2)(plain)
    app.job(name="async")(on_loop)
    app.job(name="many", concurrency=100)(on_loop)
    app.job(name="class")(AsyncRun)
    app.exec_job("cat", ["cat"], concurrency=3)
    declared = {
        name: (job.options.execution, job.options.concurrency) for name, job in app.jobs.items()
    }
    assert declared == {
        "main": (Execution.MAIN, 0),
        "one": (Execution.MAIN, 1),
        "threads": (Execution.THREADS, 8),
        "isolated": (Execution.PROCESS, 2),
        "async": (Execution.ASYNC, 0),
        "many": (Execution.ASYNC, 100),
        "class": (Execution.ASYNC, 0),
        "cat": (Execution.COMMAND, 3),
    }


@pytest.mark.parametrize("concurrency", [0, -1, 4097])
def test_concurrency_out_of_range_is_refused(concurrency: int) -> None:
    with pytest.raises(HandlerError, match="1 to 4096"):
        App("a").job(name="j", concurrency=concurrency)(lambda: None)


def test_one_string_of_names_to_redact_is_refused() -> None:
    with pytest.raises(HandlerError, match=r"such as \['password'\]"):
        App("a").job(name="j", redact="password")(lambda: None)


def test_async_handler_is_called_on_a_loop() -> None:
    app = App("a")

    @app.job
    async def double(number: int) -> int:
        await asyncio.sleep(0)
        return 2 * number

    bound = only(app)
    assert bound.is_async
    assert asyncio.run(bound.call(b"21", 0, 2, Encoding.Json, HEAD)) == 42


# ------------------------------------------------------------------ commands


def script(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_command_gets_the_payload_and_gives_the_result() -> None:
    app = App("a")
    app.exec_job(
        "upper", script("import sys; print(sys.stdin.read().upper(), end='')"), result="text"
    )
    bound = only(app)
    assert bound.command is not None
    assert bound.call(b"-abc-", 1, 3, Encoding.Utf8, HEAD) == "ABC"


def test_commands_exit_code_becomes_the_error() -> None:
    app = App("a")
    app.exec_job("fail", script("import sys; print('why', file=sys.stderr); sys.exit(3)"))
    app.exec_job("wrong", script("import sys; sys.exit(65)"))
    app.exec_job("killed", script("import os, signal; os.kill(os.getpid(), signal.SIGKILL)"))
    calls = {bound.name: bound.call for bound in Program(app, make_ctx).set_up()}
    with pytest.raises(CommandFailed, match="exit code 3: why") as failed:
        calls["fail"](b"", 0, 0, Encoding.Bytes, HEAD)
    assert failed.value.exit_code == 3
    with pytest.raises(Reject, match="exit code 65"):
        calls["wrong"](b"", 0, 0, Encoding.Bytes, HEAD)
    with pytest.raises(CommandFailed, match="signal 9"):
        calls["killed"](b"", 0, 0, Encoding.Bytes, HEAD)


def test_command_that_does_not_exist_is_refused_before_a_job_comes() -> None:
    app = App("a")
    app.exec_job("nothing", ["/no/such/program"])
    with pytest.raises(HandlerError, match="/no/such/program"):
        Program(app, make_ctx)


@pytest.mark.parametrize("command", ["ls -l", [], b"ls"])
def test_command_is_a_list_of_words(command: Any) -> None:
    with pytest.raises(HandlerError, match="a command is a list"):
        App("a").exec_job("x", command)


# ------------------------------------------------------------------ lifespan


def test_lifespan_that_yields_is_left_when_the_program_is_closed() -> None:
    told: list[str] = []

    def lifespan() -> Iterator[str]:
        told.append("up")
        yield "deps"
        told.append("down")

    app = App("a", lifespan=lifespan)

    @app.job
    def ask(ctx: Ctx[str]) -> str:
        return ctx.deps

    program = Program(app, make_ctx)
    (bound,) = program.set_up()
    assert not program.needs_loop
    assert bound.call(b"", 0, 0, Encoding.Bytes, HEAD) == "deps"
    assert told == ["up"]
    program.close()
    program.close()
    assert told == ["up", "down"]


def test_async_lifespan_and_setup_run_on_the_loop() -> None:
    told: list[str] = []

    async def lifespan() -> AsyncIterator[str]:
        told.append("up")
        yield "deps"
        told.append("down")

    app = App("a", lifespan=lifespan)

    @app.job
    class Ask:
        async def setup(self) -> None:
            told.append("setup")

        async def run(self, ctx: Ctx[str]) -> str:
            return ctx.deps

    program = Program(app, make_ctx)
    assert program.needs_loop

    async def serve() -> Any:
        (bound,) = await program.set_up_async()
        result = await bound.call(b"", 0, 0, Encoding.Bytes, HEAD)
        await program.close_async()
        return result

    assert asyncio.run(serve()) == "deps"
    assert told == ["up", "setup", "down"]
    with pytest.raises(HandlerError, match="needs an event loop"):
        Program(app, make_ctx).set_up()


# ------------------------------------------------------------------ middleware


class Told(Middleware):
    def __init__(self, name: str, told: list[str]) -> None:
        self.name = name
        self.told = told

    def before(self, ctx: Ctx[Any]) -> None:
        self.told.append(f"{self.name} before {ctx.type}")

    def after(self, ctx: Ctx[Any], result: Any) -> None:
        self.told.append(f"{self.name} after {result}")

    def error(self, ctx: Ctx[Any], error: BaseException) -> None:
        self.told.append(f"{self.name} error {type(error).__name__}")


def test_hooks_run_around_each_attempt_the_first_outermost() -> None:
    told: list[str] = []
    app = App("a", middleware=[Told("x", told), Told("y", told)])

    @app.job
    def half(number: int) -> float:
        return 1 / number

    call = only(app).call
    assert call(b"2", 0, 1, Encoding.Json, HEAD) == 0.5
    assert told == ["x before half", "y before half", "y after 0.5", "x after 0.5"]
    told.clear()
    with pytest.raises(ZeroDivisionError):
        call(b"0", 0, 1, Encoding.Json, HEAD)
    assert told[2:] == ["y error ZeroDivisionError", "x error ZeroDivisionError"]
    told.clear()
    with pytest.raises(Reject):
        call(b"x", 0, 1, Encoding.Json, HEAD)
    assert told[2:] == ["y error PayloadError", "x error PayloadError"]


def test_hooks_see_the_end_of_an_async_attempt() -> None:
    told: list[str] = []
    app = App("a", middleware=[Told("x", told)])

    @app.job
    async def half(number: int) -> float:
        await asyncio.sleep(0)
        told.append("ran")
        return 1 / number

    assert asyncio.run(only(app).call(b"2", 0, 1, Encoding.Json, HEAD)) == 0.5
    assert told == ["x before half", "ran", "x after 0.5"]


# ------------------------------------------------------------------ redaction


def redacted(handler: Any, payload: bytes, redact: list[str]) -> bytes:
    app = App("a")
    app.job(name="j", redact=redact)(handler)
    try:
        only(app).call(payload, 0, len(payload), Encoding.Json, HEAD)
    except Exception as error:
        return describe(error, limit=65536, retryable=True)
    raise AssertionError("nothing was raised")


def test_redacted_values_are_in_no_part_of_an_error() -> None:
    def login(user: str, password: str, options: dict[str, Any]) -> None:
        try:
            raise KeyError(password)
        except KeyError as behind:
            error = ValueError(f"{user}: {password!r} and {options['token']} are wrong")
            error.add_note(f"with {password}")
            raise error from behind

    payload = b'{"user":"ann","password":"hun\\"ter2","options":{"token":"t0ps3cret"}}'
    buffer = redacted(login, payload, ["password", "token"])
    assert b"ter2" not in buffer
    assert b"t0ps3cret" not in buffer
    assert b"ann: '[redacted]' and [redacted] are wrong" in buffer


def test_payload_that_does_not_fit_tells_no_secret() -> None:
    def charge(card: int) -> None: ...

    buffer = redacted(charge, b'"4111111111111111"', ["card"])
    assert b"4111" not in buffer
    assert b"card: must be an integer" in buffer


# ------------------------------------------------------------------ spans and retry policies


@pytest.mark.parametrize(
    ("span", "found"),
    [
        (1.5, 1500),
        (timedelta(minutes=1), 60_000),
        ("250ms", 250),
        ("1h30m", 5_400_000),
        ("1.5s", 1500),
        ("2d", 172_800_000),
        (0, 0),
        (0.0001, 1),
    ],
)
def test_spans_are_read_as_people_write_them(span: Any, found: int) -> None:
    assert milliseconds(span) == found


@pytest.mark.parametrize("span", ["", "5", "5 m", "m5", "5x", float("nan"), float("inf")])
def test_span_without_sense_is_refused(span: Any) -> None:
    with pytest.raises(ValueError, match="no span of time"):
        milliseconds(span)


def test_retry_policies_carry_what_the_protocol_wants() -> None:
    policy = RetryPolicy.exponential("200ms", cap="30s", attempts=6, never_on=[ValueError, "Gone"])
    assert (policy.base_ms, policy.cap_ms, policy.factor, policy.attempts) == (200, 30_000, 2.0, 6)
    assert policy.fatal == ("builtins.ValueError", "Gone")
    assert RetryPolicy.listed([1, "5s"]).attempts == 3
    assert RetryPolicy.listed([1, "5s"]).listed_ms == (1000, 5000)
    assert RetryPolicy.fixed("2s").base_ms == 2000
    assert RetryPolicy.never().attempts == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: RetryPolicy(attempts=0),
        lambda: RetryPolicy(crashes=101),
        lambda: RetryPolicy.fixed(0),
        lambda: RetryPolicy.fixed("50d"),
        lambda: RetryPolicy.listed([]),
        lambda: RetryPolicy.listed([1] * 33),
        lambda: RetryPolicy.exponential(1, factor=0.5),
        lambda: RetryPolicy(never_on=[""]),
        lambda: RetryPolicy(never_on=["x"] * 33),
    ],
)
def test_retry_policy_out_of_range_is_refused(make: Any) -> None:
    with pytest.raises(ValueError, match="RetryPolicy"):
        make()
