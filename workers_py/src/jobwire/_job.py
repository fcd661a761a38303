# SPDX-License-Identifier: Apache-2.0
"""A job type as a program declares it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any, Generic, ParamSpec, TypeVar, Unpack

from jobwire._command import Command
from jobwire._enqueue import AsyncJobHandle, EnqueueOptions, JobHandle, PreparedJob, Producer
from jobwire._retry_policy import RetryPolicy
from jobwire._signature import Signature
from jobwire._spec import JobSpec

P = ParamSpec("P")
R = TypeVar("R")


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
    contract, accepts: hashes of the contract that the handler was made from, and of earlier ones whose jobs it runs
        too; 0 is no contract.
    redact: parameters and JSON members whose values are taken out of errors before these leave the process.
    """

    queue: str = "default"
    timeout_ms: int = 0
    version: str = ""
    retry: RetryPolicy | None = None
    execution: Execution = Execution.MAIN
    concurrency: int = 0
    redact: frozenset[str] = frozenset()
    contract: int = 0
    accepts: tuple[int, ...] = ()


class Job(Generic[P, R]):
    """A job type: a name, and the function, class or command that runs it.

    Calling it calls the function as it was written, in this process and with its ctx if it has one, as if it had not
    been decorated.
    """

    def __init__(
        self,
        handler: Callable[..., Any],
        name: str,
        options: JobOptions,
        producer: Callable[[], Producer | None] = lambda: None,
    ) -> None:
        self.handler = handler
        self._producer = producer
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

    @cached_property
    def signature(self) -> Signature:
        """The handler's parameters and result, compiled; raises HandlerError for what cannot be served."""
        return Signature(self.handler, self.name)

    def using(self, **options: Unpack[EnqueueOptions]) -> PreparedJob[P, R]:
        """The job with options for what is enqueued through it: `resize.using(delay=10).enqueue("a.png")`."""
        return PreparedJob(self.signature, self.queue, self._producer, options)

    def spec(self, *args: P.args, **kwargs: P.kwargs) -> JobSpec:
        """The job with these arguments, for a client's own verbs; see PreparedJob.spec."""
        return self.using().spec(*args, **kwargs)

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> JobHandle[R]:
        """Hands the job over to the app's client; durable when it returns. Raises what `spec` and `Client.submit`
        raise."""
        return self.using().enqueue(*args, **kwargs)

    async def enqueue_async(self, *args: P.args, **kwargs: P.kwargs) -> AsyncJobHandle[R]:
        """The same, for an app with an AsyncClient."""
        return await self.using().enqueue_async(*args, **kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.handler(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<jobwire.Job {self.name!r} on queue {self.queue!r}>"
