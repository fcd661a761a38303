# SPDX-License-Identifier: Apache-2.0
"""A job type as a program declares it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, ParamSpec, TypeVar

from jobwire._command import Command
from jobwire._errors import HandlerError
from jobwire._retry_policy import RetryPolicy

P = ParamSpec("P")
R = TypeVar("R")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./-]*\Z")
_MAX_NAME_BYTES = 128


class Execution(Enum):
    """Where the attempts of a job type run."""

    MAIN = "main"  # one after the other in the worker's main thread
    THREADS = "threads"  # in threads of the worker
    ASYNC = "async"  # `async def`, on the worker's event loop
    PROCESS = "process"  # isolate=True: each in a fresh process
    COMMAND = "command"  # a command line


@dataclass(frozen=True, slots=True)
class JobOptions:
    """What a declaration says about how its job runs; the worker carries it out.

    concurrency: attempts of this type that one worker process runs at the same time; 0 leaves it to the worker.
    timeout_ms: the most that one attempt may run, enforced by the worker; 0 is no limit of its own.
    redact: parameters and JSON members whose values are taken out of errors before these leave the process.
    """

    queue: str = "default"
    timeout_ms: int = 0
    version: str = ""
    retry: RetryPolicy | None = None
    execution: Execution = Execution.MAIN
    concurrency: int = 0
    redact: frozenset[str] = frozenset()


class Job(Generic[P, R]):
    """A job type: a name, and the function, class or command that runs it.

    Calling it calls the function as it was written, in this process and with its ctx if it has one, as if it had not
    been decorated.
    """

    def __init__(self, handler: Callable[..., Any], name: str, options: JobOptions) -> None:
        self.handler = handler
        self.name = name
        self.options = options
        self.__doc__ = handler.__doc__
        self.__name__ = getattr(handler, "__name__", name)
        self.__qualname__ = getattr(handler, "__qualname__", name)
        self.__module__ = handler.__module__
        self.__wrapped__ = handler

    @property
    def queue(self) -> str:
        return self.options.queue

    @property
    def command(self) -> Command | None:
        """The command line, when that is what runs it."""
        return self.handler if isinstance(self.handler, Command) else None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.handler(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<jobwire.Job {self.name!r} on queue {self.queue!r}>"


def run_of(handler: Callable[..., Any]) -> Callable[..., Any]:
    """The function that is called for each attempt: the handler itself, or the method `run` of a class."""
    if not inspect.isclass(handler):
        return handler
    run: Callable[..., Any] | None = getattr(handler, "run", None)
    if run is None:
        raise HandlerError(f"class {handler.__qualname__} has no method run")
    return run


def default_name(target: Callable[..., Any]) -> str:
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
