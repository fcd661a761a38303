# SPDX-License-Identifier: Apache-2.0
"""From a declared job to one that is on its way: typed like the handler, carried out by a client."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime
from typing import Any, Generic, ParamSpec, Protocol, TypedDict, TypeVar, Unpack
from uuid import UUID

from jobwire._answers import JobResult, JobState, JobStatus, Receipt
from jobwire._errors import HandlerError, JobFailed
from jobwire._retry_policy import RetryPolicy
from jobwire._signature import Signature
from jobwire._spans import Span
from jobwire._spec import JobSpec

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class ProducerVerbs(Protocol):
    """What enqueueing needs of a client; a test's stand-in has it too."""

    async def submit(self, spec: JobSpec) -> Receipt: ...
    async def wait(self, job_id: UUID, timeout: Span) -> JobResult: ...
    async def result(self, job_id: UUID) -> JobResult: ...
    async def status(self, job_id: UUID) -> JobStatus: ...
    async def cancel(self, job_id: UUID, reason: str = "") -> JobState: ...


class Producer(Protocol):
    """A client, blocking or not."""

    @property
    def verbs(self) -> ProducerVerbs: ...


class EnqueueOptions(TypedDict, total=False):
    """What `using` takes: the fields of a JobSpec, and the client to use instead of the app's."""

    client: Producer
    queue: str
    id: UUID
    priority: int
    timeout: Span
    delay: Span
    not_before: datetime
    expires_at: datetime
    result_ttl: Span
    retry: RetryPolicy
    dedup_key: str
    dedup_window: Span
    headers: Mapping[str, str]
    watch: bool
    keep_payload: bool


def run_blocking(coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine that does not suspend, as those of a blocking client, and returns its result."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    coroutine.close()
    raise TypeError("this client is for asyncio: await the verb that ends with _async")


class AsyncJobHandle(Generic[R]):
    """One job that was enqueued, and whoever wants its value. `id` may be another job's, when a dedup key made them
    one."""

    def __init__(self, receipt: Receipt, verbs: ProducerVerbs, signature: Signature) -> None:
        self.receipt = receipt
        self._verbs = verbs
        self._signature = signature

    @property
    def id(self) -> UUID:
        return self.receipt.id

    async def value(self, timeout: Span = 60.0) -> R:
        """What the handler returned, read by its annotation. Raises JobFailed when the job did not succeed, NoAnswer
        when it has not ended in time."""
        return self._value(await self._verbs.wait(self.id, timeout))

    async def result(self, timeout: Span = 60.0) -> JobResult:
        """How the job ended, whichever way."""
        return await self._verbs.wait(self.id, timeout)

    async def status(self) -> JobStatus:
        """Where the job stands."""
        return await self._verbs.status(self.id)

    async def cancel(self, reason: str = "") -> JobState:
        """See Client.cancel."""
        return await self._verbs.cancel(self.id, reason)

    def _value(self, result: JobResult) -> R:
        if not result.succeeded:
            name = f"job {self._signature.name!r} {self.id}"
            said = f": {result.error.type}: {result.error.message}" if result.error else ""
            raise JobFailed(f"{name} is {result.state.name.lower()}{said}", result)
        value: R = self._signature.read_result(result.payload, result.encoding)
        return value

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._signature.name!r} {self.id}>"


class JobHandle(Generic[R]):
    """See AsyncJobHandle; these block."""

    def __init__(self, handle: AsyncJobHandle[R]) -> None:
        self._handle = handle

    @property
    def id(self) -> UUID:
        return self._handle.id

    @property
    def receipt(self) -> Receipt:
        return self._handle.receipt

    def value(self, timeout: Span = 60.0) -> R:
        """What the handler returned, read by its annotation. Raises JobFailed when the job did not succeed, NoAnswer
        when it has not ended in time."""
        return run_blocking(self._handle.value(timeout))

    def result(self, timeout: Span = 60.0) -> JobResult:
        """How the job ended, whichever way."""
        return run_blocking(self._handle.result(timeout))

    def status(self) -> JobStatus:
        """Where the job stands."""
        return run_blocking(self._handle.status())

    def cancel(self, reason: str = "") -> JobState:
        """See Client.cancel."""
        return run_blocking(self._handle.cancel(reason))

    def __repr__(self) -> str:
        return repr(self._handle)


class PreparedJob(Generic[P, R]):
    """A job type with options for one job or several; made by `Job.using`."""

    def __init__(
        self,
        signature: Signature,
        queue: str,
        producer: Callable[[], Producer | None],
        options: EnqueueOptions,
    ) -> None:
        self._signature = signature
        self._queue = queue
        self._producer = producer
        self._options = options

    def using(self, **options: Unpack[EnqueueOptions]) -> PreparedJob[P, R]:
        """With these options besides the former ones."""
        merged: EnqueueOptions = {**self._options, **options}
        return PreparedJob(self._signature, self._queue, self._producer, merged)

    def spec(self, *args: P.args, **kwargs: P.kwargs) -> JobSpec:
        """The job with these arguments, for a client's own verbs. Raises InvalidJob, and TypeError for arguments that
        the handler does not take."""
        encoding, payload = self._signature.encode(args, kwargs)
        options: dict[str, Any] = {"queue": self._queue, **self._options}
        options.pop("client", None)
        return JobSpec(self._signature.name, payload, encoding=encoding, **options)

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> JobHandle[R]:
        """Hands the job over; durable when it returns. Raises what `spec` and `Client.submit` raise."""
        return JobHandle(run_blocking(self._enqueue(self.spec(*args, **kwargs))))

    async def enqueue_async(self, *args: P.args, **kwargs: P.kwargs) -> AsyncJobHandle[R]:
        """The same, for an AsyncClient."""
        return await self._enqueue(self.spec(*args, **kwargs))

    async def _enqueue(self, spec: JobSpec) -> AsyncJobHandle[R]:
        producer = self._options.get("client") or self._producer()
        if producer is None:
            raise HandlerError(
                f"job {self._signature.name!r} has no client: app.bind(client), or using(client=...)"
            )
        verbs = producer.verbs
        return AsyncJobHandle(await verbs.submit(spec), verbs, self._signature)
