# SPDX-License-Identifier: Apache-2.0
"""What a user declares: an app, its jobs, what they share. Nothing here runs until a worker runs it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Generic, ParamSpec, TypeVar, overload

from jobwire._errors import HandlerError

P = ParamSpec("P")
R = TypeVar("R")
D = TypeVar("D")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./-]*\Z")
_MAX_NAME_BYTES = 128
_MAX_TIMEOUT_S = 7 * 86400


class Job(Generic[P, R]):
    """A job type: a name, and the function or class that runs it.

    Calling it calls the function directly, in this process, as if it had not been decorated.
    """

    def __init__(
        self, handler: Callable[P, R], name: str, queue: str, timeout_ms: int, version: str
    ) -> None:
        self.handler = handler
        self.name = name
        self.queue = queue
        self.timeout_ms = timeout_ms
        self.version = version
        self.__doc__ = handler.__doc__
        self.__name__ = getattr(handler, "__name__", name)
        self.__qualname__ = getattr(handler, "__qualname__", name)
        self.__module__ = handler.__module__
        self.__wrapped__ = handler

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.handler(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<jobwire.Job {self.name!r} on queue {self.queue!r}>"


class App:
    """The job types that one program serves.

        app = App("thumbs")

        @app.job(queue="images", timeout=30)
        def resize(image: bytes) -> bytes: ...

    `jobwire worker module:app` serves them.
    """

    def __init__(self, name: str) -> None:
        self.name = checked_name("app", name)
        self.jobs: dict[str, Job[..., Any]] = {}
        self._setup: Callable[[], Any] | None = None

    @overload
    def job(self, handler: Callable[P, R], /) -> Job[P, R]: ...

    @overload
    def job(
        self,
        /,
        *,
        name: str | None = None,
        queue: str = "default",
        timeout: float | timedelta | None = None,
        version: str = "",
    ) -> Callable[[Callable[P, R]], Job[P, R]]: ...

    def job(
        self,
        handler: Callable[..., Any] | None = None,
        /,
        *,
        name: str | None = None,
        queue: str = "default",
        timeout: float | timedelta | None = None,
        version: str = "",
    ) -> Any:
        """Declares a job type; with or without parentheses.

        handler: a function, or a class with `run(self, ...)` and, if wanted, `setup(self)`, which runs once per worker.
        name: the type that producers ask for; the function's name, or the class's in snake_case.
        queue: served when the worker is not told which queues to serve.
        timeout: seconds that one attempt may run at most; the job's own timeout counts when it is shorter.
        Raises HandlerError when the name is taken or cannot be a name.
        """

        def declare(target: Callable[..., Any]) -> Job[..., Any]:
            job_name = name if name is not None else _default_name(target)
            job: Job[..., Any] = Job(
                target,
                checked_name("job", job_name),
                checked_name("queue", queue),
                _timeout_ms(timeout),
                version,
            )
            if job.name in self.jobs:
                raise HandlerError(f"app {self.name!r} has two jobs named {job.name!r}")
            self.jobs[job.name] = job
            return job

        return declare if handler is None else declare(handler)

    def setup(self, function: Callable[[], D], /) -> Callable[[], D]:
        """Decorates the function that each worker process calls once, before its first job.

        What it returns is `ctx.deps` in every handler. When it raises, the worker ends and is started again later.
        """
        if self._setup is not None:
            raise HandlerError(f"app {self.name!r} has two setup functions")
        if inspect.iscoroutinefunction(function):
            raise HandlerError("an async setup is not served yet")
        self._setup = function
        return function

    def run_setup(self) -> Any:
        """Calls the setup function, if there is one; for workers and tests."""
        return self._setup() if self._setup is not None else None

    @property
    def queues(self) -> tuple[str, ...]:
        """The queues of all jobs, sorted."""
        return tuple(sorted({job.queue for job in self.jobs.values()}))

    def __repr__(self) -> str:
        return f"<jobwire.App {self.name!r} with {len(self.jobs)} job(s)>"


def _default_name(target: Callable[..., Any]) -> str:
    name = getattr(target, "__name__", "")
    if inspect.isclass(target):
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
    return name


def checked_name(what: str, name: str) -> str:
    """The name, if it can travel; raises HandlerError otherwise."""
    if not _NAME.match(name) or len(name.encode()) > _MAX_NAME_BYTES:
        raise HandlerError(
            f"{what} name {name!r}: letters, digits and _ . / - after a letter or digit, "
            f"at most {_MAX_NAME_BYTES} bytes"
        )
    return name


def _timeout_ms(timeout: float | timedelta | None) -> int:
    if timeout is None:
        return 0
    seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    if not 0.001 <= seconds <= _MAX_TIMEOUT_S:
        raise HandlerError(f"timeout {timeout!r}: 1 ms to 7 days")
    return round(seconds * 1000)
