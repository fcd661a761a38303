# SPDX-License-Identifier: Apache-2.0
"""What a user declares: an app, its jobs, what they share. Nothing here runs until a worker runs it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, Protocol, TypeVar, overload

from jobwire._command import Command
from jobwire._ctx import Ctx
from jobwire._enqueue import Producer
from jobwire._errors import HandlerError
from jobwire._job import Execution, Job, JobOptions
from jobwire._lifespan import Lifespan, LifespanFunction
from jobwire._middleware import Middleware
from jobwire._names import checked_name, default_name
from jobwire._retry_policy import RetryPolicy
from jobwire._spans import DAY_MS, Span, bounded

if TYPE_CHECKING:
    from jobwire.testing import AppTest

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)
R = TypeVar("R")

_MAX_CONCURRENCY = 4096
_OWN: Any = object()


class _Runs(Protocol[P, R_co]):
    def run(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...


class _RunsWithCtx(Protocol[P, R_co]):
    def run(self, ctx: Ctx[Any], /, *args: P.args, **kwargs: P.kwargs) -> R_co: ...


class _Declare(Protocol):
    """Turns a handler into a Job whose arguments are the handler's without its Ctx, and whose result is what it
    returns, an `async def` awaited."""

    @overload
    def __call__(
        self, handler: Callable[[], _RunsWithCtx[P, Coroutine[Any, Any, R]]], /
    ) -> Job[P, R]: ...
    @overload
    def __call__(self, handler: Callable[[], _RunsWithCtx[P, R]], /) -> Job[P, R]: ...
    @overload
    def __call__(self, handler: Callable[[], _Runs[P, Coroutine[Any, Any, R]]], /) -> Job[P, R]: ...
    @overload
    def __call__(self, handler: Callable[[], _Runs[P, R]], /) -> Job[P, R]: ...
    @overload
    def __call__(
        self, handler: Callable[Concatenate[Ctx[Any], P], Coroutine[Any, Any, R]], /
    ) -> Job[P, R]: ...
    @overload
    def __call__(self, handler: Callable[Concatenate[Ctx[Any], P], R], /) -> Job[P, R]: ...
    @overload
    def __call__(self, handler: Callable[P, Coroutine[Any, Any, R]], /) -> Job[P, R]: ...
    @overload
    def __call__(self, handler: Callable[P, R], /) -> Job[P, R]: ...


class App:
    """The job types that one program serves.

        app = App("thumbs")

        @app.job(queue="images", timeout=30)
        def resize(image: bytes) -> bytes: ...

    `jobwire worker module:app` serves them.

    lifespan: sets up what `ctx.deps` is in every handler, once per worker process, before its first job: a function
        that returns it, or a generator function (`async def` or not) that yields it once and cleans up after. When it
        raises, the worker ends and is started again later.
    middleware: runs around every attempt, the first one outermost.
    """

    def __init__(
        self,
        name: str,
        *,
        lifespan: LifespanFunction | None = None,
        middleware: Iterable[Middleware] = (),
    ) -> None:
        self.name = checked_name("app", name)
        self.jobs: dict[str, Job[..., Any]] = {}
        self.middleware = tuple(middleware)
        self._lifespan = lifespan
        self._producer: Producer | None = None

    @overload
    def job(
        self, handler: Callable[[], _RunsWithCtx[P, Coroutine[Any, Any, R]]], /
    ) -> Job[P, R]: ...
    @overload
    def job(self, handler: Callable[[], _RunsWithCtx[P, R]], /) -> Job[P, R]: ...
    @overload
    def job(self, handler: Callable[[], _Runs[P, Coroutine[Any, Any, R]]], /) -> Job[P, R]: ...
    @overload
    def job(self, handler: Callable[[], _Runs[P, R]], /) -> Job[P, R]: ...
    @overload
    def job(
        self, handler: Callable[Concatenate[Ctx[Any], P], Coroutine[Any, Any, R]], /
    ) -> Job[P, R]: ...
    @overload
    def job(self, handler: Callable[Concatenate[Ctx[Any], P], R], /) -> Job[P, R]: ...
    @overload
    def job(self, handler: Callable[P, Coroutine[Any, Any, R]], /) -> Job[P, R]: ...
    @overload
    def job(self, handler: Callable[P, R], /) -> Job[P, R]: ...
    @overload
    def job(
        self,
        /,
        *,
        name: str | None = None,
        queue: str = "default",
        timeout: Span | None = None,
        retry: RetryPolicy | None = None,
        concurrency: int | None = None,
        isolate: bool = False,
        redact: Iterable[str] = (),
        version: str = "",
    ) -> _Declare: ...

    def job(
        self,
        handler: Callable[..., Any] | None = None,
        /,
        *,
        name: str | None = None,
        queue: str = "default",
        timeout: Span | None = None,
        retry: RetryPolicy | None = None,
        concurrency: int | None = None,
        isolate: bool = False,
        redact: Iterable[str] = (),
        version: str = "",
    ) -> Any:
        """Declares a job type; with or without parentheses.

        handler: a function, an `async def`, or a class with `run(self, ...)` and, if wanted, `setup(self)`, which runs
            once per worker.
        name: the type that producers ask for; the function's name, or the class's in snake_case.
        queue: served when the worker is not told which queues to serve, and where `enqueue` puts the job.
        timeout: the most that one attempt may run; the job's own timeout counts when it is shorter.
        retry: how failed attempts are tried again when the job itself does not say.
        concurrency: attempts that one worker process runs at the same time: more than 1 runs a plain function in
            threads. An `async def` runs on an event loop, as many at a time as the worker has slots when not said.
        isolate: each attempt runs in a fresh process of its own, which nothing survives.
        redact: parameters, or members of them, whose values are taken out of error messages before these leave the
            process.
        version: told to the broker, for people.
        Raises HandlerError when the name is taken or cannot be a name, or for options that contradict each other.
        """

        def declare(target: Callable[..., Any]) -> Job[..., Any]:
            return self.declare(
                target,
                default_name(target) if name is None else name,
                JobOptions(
                    queue=checked_name("queue", queue),
                    timeout_ms=_timeout_ms(timeout),
                    version=version,
                    retry=retry,
                    execution=_execution(target, concurrency, isolate),
                    concurrency=_checked_concurrency(concurrency),
                    redact=_names("redact", redact),
                ),
            )

        return declare if handler is None else declare(handler)

    def exec_job(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        queue: str = "default",
        timeout: Span | None = None,
        retry: RetryPolicy | None = None,
        concurrency: int | None = None,
        version: str = "",
        result: Literal["bytes", "text", "json"] = "bytes",
        reject_on: Iterable[int] = (65,),
        env: Mapping[str, str] | None = None,
        cwd: str | Path | None = None,
    ) -> Job[[bytes], Any]:
        """Declares a job type that any program runs, one process per attempt: the payload on its stdin, whatever its
        encoding, the result from its stdout, stderr to the log.

        command: the program and its arguments; no shell looks at them.
        result: what stdout is.
        reject_on: exit codes that end the job at once (65 is EX_DATAERR); another one than 0 is a failed attempt, and
            so is a signal.
        env, cwd: added to the worker's environment, and where the program starts.
        The rest is as in `job`.
        """
        job = self.declare(
            Command(command, result=result, reject_on=reject_on, env=env, cwd=cwd),
            name,
            JobOptions(
                queue=checked_name("queue", queue),
                timeout_ms=_timeout_ms(timeout),
                version=version,
                retry=retry,
                execution=Execution.COMMAND,
                concurrency=_checked_concurrency(concurrency),
            ),
        )
        return job

    def declare(self, target: Callable[..., Any], name: str, options: JobOptions) -> Job[..., Any]:
        """What `job` and `exec_job` come down to; raises HandlerError when the name is taken or cannot be a name."""
        job: Job[..., Any] = Job(target, checked_name("job", name), options, lambda: self._producer)
        if job.name in self.jobs:
            raise HandlerError(f"app {self.name!r} has two jobs named {job.name!r}")
        self.jobs[job.name] = job
        return job

    def bind(self, client: Producer | None) -> None:
        """Makes this the client by which the app's jobs are enqueued: a Client, an AsyncClient, or None for none."""
        self._producer = client

    @property
    def bound_client(self) -> Producer | None:
        """What `bind` was given last."""
        return self._producer

    def test(self, *, deps: Any = _OWN, start: datetime | None = None, seed: int = 1) -> AppTest:
        """Runs the app's jobs in a test, without a server: `with app.test(deps=fake) as t`. See AppTest.

        deps: what handlers get instead of what the app's lifespan sets up.
        start: what the clock shows at first, with a time zone; now when not said.
        seed: of the jitter and whatever else is drawn.
        """
        from jobwire.testing import AppTest

        lifespan = self.lifespan() if deps is _OWN else Lifespan(None, deps)
        return AppTest(self, lifespan, start, seed)

    def lifespan(self) -> Lifespan:
        """A new passage through the app's lifespan, for whoever runs its jobs."""
        return Lifespan(self._lifespan)

    @property
    def queues(self) -> tuple[str, ...]:
        """The queues of all jobs, sorted."""
        return tuple(sorted({job.queue for job in self.jobs.values()}))

    def __repr__(self) -> str:
        return f"<jobwire.App {self.name!r} with {len(self.jobs)} job(s)>"


def _execution(target: Callable[..., Any], concurrency: int | None, isolate: bool) -> Execution:
    if isolate:
        return Execution.PROCESS
    if inspect.iscoroutinefunction(getattr(target, "run", target)):
        return Execution.ASYNC
    return Execution.THREADS if concurrency is not None and concurrency > 1 else Execution.MAIN


def _checked_concurrency(concurrency: int | None) -> int:
    if concurrency is not None and not 1 <= concurrency <= _MAX_CONCURRENCY:
        raise HandlerError(f"concurrency {concurrency!r}: 1 to {_MAX_CONCURRENCY}")
    return concurrency or 0


def _names(what: str, names: Iterable[str]) -> frozenset[str]:
    if isinstance(names, str):
        raise HandlerError(f"{what} takes names, such as [{names!r}]")
    return frozenset(names)


def _timeout_ms(timeout: Span | None) -> int:
    if timeout is None:
        return 0
    try:
        return bounded("timeout", timeout, 1, 7 * DAY_MS, "1 ms to 7 days")
    except ValueError as problem:
        raise HandlerError(str(problem)) from None
