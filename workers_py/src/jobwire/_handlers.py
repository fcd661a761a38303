# SPDX-License-Identifier: Apache-2.0
"""Turns declared jobs into calls that a worker makes: arguments by annotation, context on request."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from jobwire._app import App
from jobwire._command import Command
from jobwire._ctx import Ctx
from jobwire._errors import HandlerError
from jobwire._heads import DispatchHead
from jobwire._job import Execution, Job, JobOptions
from jobwire._lifespan import Lifespan
from jobwire._middleware import Middleware
from jobwire._redact import mark, secrets_in
from jobwire._signature import Signature

Call = Callable[[bytes, int, int, int, DispatchHead], Any]
"""(blob, offset, size, encoding, head) -> what the handler returns, for an `async def` a coroutine"""

MakeCtx = Callable[[DispatchHead, str, Any], Ctx[Any]]
"""(head, type, deps) -> the context of one attempt"""


@dataclass(frozen=True, slots=True)
class Bound:
    """One job type, ready to run in this process.

    call: makes one attempt; where it is to be called, `options.execution` says. A coroutine when `is_async`.
    command: what to run instead of `call` for Execution.COMMAND.
    """

    name: str
    options: JobOptions
    call: Call
    is_async: bool
    command: Command | None

    @property
    def version(self) -> str:
        return self.options.version

    @property
    def timeout_ms(self) -> int:
        return self.options.timeout_ms


class Program:
    """The jobs of an app, checked; set up once, then called, then closed.

    Raises HandlerError: a program that cannot work is refused before its models are loaded.
    """

    def __init__(
        self,
        app: App,
        make_ctx: MakeCtx,
        serves: Callable[[str], bool] = lambda name: True,
        lifespan: Lifespan | None = None,
    ) -> None:
        """serves: whether this process runs the jobs of that name; all are checked, the others are not set up.
        lifespan: in place of the app's."""
        if not app.jobs:
            raise HandlerError(f"app {app.name!r} has no jobs")
        self._make_ctx = make_ctx
        self._middleware = app.middleware
        self._lifespan = app.lifespan() if lifespan is None else lifespan
        self._jobs = [(job, job.signature) for job in app.jobs.values()]
        for job, signature in self._jobs:
            if signature.is_async and job.options.execution is Execution.THREADS:
                raise HandlerError(f"job {job.name!r}: async def runs on an event loop")
            if job.command is not None:
                job.command.check()
        self._jobs = [(job, signature) for job, signature in self._jobs if serves(job.name)]

    @property
    def needs_loop(self) -> bool:
        """Whether a job or the lifespan is async: then `set_up_async` and `close_async` are the ones to call."""
        return self._lifespan.needs_loop or any(signature.is_async for _, signature in self._jobs)

    def set_up(self) -> list[Bound]:
        """Runs the lifespan's first part and the classes' setups, and gives what can be called."""
        deps = self._lifespan.enter()
        bound = []
        for job, signature in self._jobs:
            function, setting_up = _function(job)
            if inspect.iscoroutine(setting_up):
                setting_up.close()
                raise HandlerError(f"job {job.name!r}: an async setup needs an event loop")
            bound.append(self._bound(job, signature, function, deps))
        return bound

    async def set_up_async(self) -> list[Bound]:
        """The same in the event loop that will run the async jobs."""
        deps = await self._lifespan.enter_async()
        bound = []
        for job, signature in self._jobs:
            function, setting_up = _function(job)
            if inspect.isawaitable(setting_up):
                await setting_up
            bound.append(self._bound(job, signature, function, deps))
        return bound

    def close(self) -> None:
        """Runs the lifespan's second part. No call may be running."""
        self._lifespan.leave()

    async def close_async(self) -> None:
        await self._lifespan.leave_async()

    def _bound(
        self, job: Job[..., Any], signature: Signature, function: Callable[..., Any], deps: Any
    ) -> Bound:
        function = signature.returning(function)
        call = _call(job, signature, function, self._make_ctx, deps, self._middleware)
        return Bound(job.name, job.options, call, signature.is_async, job.command)


def _function(job: Job[..., Any]) -> tuple[Callable[..., Any], Any]:
    """What is called for each attempt, and what the setup of a class has returned."""
    if not inspect.isclass(job.handler):
        return job.handler, None
    instance: Any = job.handler()
    returned = instance.setup() if hasattr(instance, "setup") else None
    run: Callable[..., Any] = instance.run
    return run, returned


def _call(
    job: Job[..., Any],
    signature: Signature,
    function: Callable[..., Any],
    make_ctx: MakeCtx,
    deps: Any,
    middleware: Sequence[Middleware],
) -> Call:
    name, decode, wants_ctx = job.name, signature.decode, signature.wants_ctx
    views = signature.takes_view
    if middleware:
        call = _hooked(signature, function, lambda head: make_ctx(head, name, deps), middleware)
    elif wants_ctx:

        def call(blob: bytes, at: int, size: int, encoding: int, head: DispatchHead) -> Any:
            payload = memoryview(blob)[at : at + size] if views else blob[at : at + size]
            positional, named = decode(payload, encoding)
            return function(make_ctx(head, name, deps), *positional, **named)

    # The two shapes in which microseconds count.
    elif signature.raw is bytes:
        call = lambda blob, at, size, encoding, head: function(blob[at : at + size])  # noqa: E731
    elif signature.raw is memoryview:
        call = lambda blob, at, size, encoding, head: function(memoryview(blob)[at : at + size])  # noqa: E731
    else:

        def call(blob: bytes, at: int, size: int, encoding: int, head: DispatchHead) -> Any:
            payload = memoryview(blob)[at : at + size] if views else blob[at : at + size]
            positional, named = decode(payload, encoding)
            return function(*positional, **named)

    redact = job.options.redact
    return _redacting(call, signature, redact) if redact else call


def _hooked(
    signature: Signature,
    function: Callable[..., Any],
    ctx_of: Callable[[DispatchHead], Ctx[Any]],
    middleware: Sequence[Middleware],
) -> Call:
    decode, wants_ctx = signature.decode, signature.wants_ctx
    backwards = tuple(reversed(middleware))

    def start(ctx: Ctx[Any], payload: bytes, encoding: int) -> Any:
        for hook in middleware:
            hook.before(ctx)
        positional, named = decode(payload, encoding)
        return function(*([ctx] if wants_ctx else []), *positional, **named)

    def ended(ctx: Ctx[Any], result: Any) -> Any:
        for hook in backwards:
            hook.after(ctx, result)
        return result

    def failed(ctx: Ctx[Any], error: BaseException) -> None:
        for hook in backwards:
            hook.error(ctx, error)

    def call(blob: bytes, at: int, size: int, encoding: int, head: DispatchHead) -> Any:
        ctx = ctx_of(head)
        try:
            return ended(ctx, start(ctx, blob[at : at + size], encoding))
        except BaseException as error:
            failed(ctx, error)
            raise

    async def call_async(blob: bytes, at: int, size: int, encoding: int, head: DispatchHead) -> Any:
        ctx = ctx_of(head)
        try:
            return ended(ctx, await start(ctx, blob[at : at + size], encoding))
        except BaseException as error:
            failed(ctx, error)
            raise

    return call_async if signature.is_async else call


def _redacting(call: Call, signature: Signature, names: frozenset[str]) -> Call:
    single = signature.single

    def redacting(blob: bytes, at: int, size: int, encoding: int, head: DispatchHead) -> Any:
        try:
            return call(blob, at, size, encoding, head)
        except BaseException as error:
            mark(error, secrets_in(blob[at : at + size], single, names))
            raise

    async def redacting_async(
        blob: bytes, at: int, size: int, encoding: int, head: DispatchHead
    ) -> Any:
        try:
            return await call(blob, at, size, encoding, head)
        except BaseException as error:
            mark(error, secrets_in(blob[at : at + size], single, names))
            raise

    return redacting_async if signature.is_async else redacting
