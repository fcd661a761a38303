# SPDX-License-Identifier: Apache-2.0
"""The methods of a contract as job types."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from jobwire._answers import JobResult
from jobwire._app import App
from jobwire._convert import FlatBuffer
from jobwire._ctx import Ctx
from jobwire._errors import JobFailed, PayloadError, ResultError
from jobwire._job import JobOptions
from jobwire._retry_policy import RetryPolicy
from jobwire._spans import Span
from jobwire._spec import JobSpec
from jobwire.contract._codec import decode, encode
from jobwire.contract._cursor import DecodeError, EncodeError

Q = TypeVar("Q")
R = TypeVar("R")

if TYPE_CHECKING:
    from jobwire._client import AsyncClient, Client


@dataclass(frozen=True, slots=True)
class Method(Generic[Q, R]):
    """One rpc: the job type that it is, what goes in and what comes out.

    hash: of the contract that this code was made from. accepts: those of earlier versions whose jobs it runs too.
    timeout_ms: the most that one attempt may run, 0 leaves it to the broker. retries: attempts after the first, None
        leaves it to the broker.
    """

    name: str
    queue: str
    request: type[Q]
    response: type[R]
    hash: int
    accepts: tuple[int, ...] = ()
    timeout_ms: int = 0
    retries: int | None = None

    def encode_request(self, request: Q) -> bytes:
        """Raises EncodeError for what is not a request of this method."""
        return _encode(self.request, request)

    def decode_request(self, payload: bytes) -> Q:
        try:
            return decode(self.request, payload)
        except DecodeError as problem:
            raise PayloadError(self.request.__name__, str(problem)) from None

    def encode_response(self, response: R) -> bytes:
        try:
            return _encode(self.response, response)
        except EncodeError as problem:
            raise ResultError(str(problem)) from None

    def decode_response(self, result: bytes) -> R:
        """Raises DecodeError when the bytes are not a response."""
        return decode(self.response, result)


def _encode(cls: type[Any], value: object) -> bytes:
    if not isinstance(value, cls):
        raise EncodeError(f"must be a {cls.__name__}, is {type(value).__name__}")
    return encode(value)


def register(
    app: App, method: Method[Q, R], handler: Callable[[Ctx[Any], Q], R], version: str
) -> None:
    """Declares the method as a job of `app` that `handler` runs."""

    def run(ctx: Ctx[Any], payload: bytes) -> FlatBuffer:
        return FlatBuffer(method.encode_response(handler(ctx, method.decode_request(payload))))

    run.__doc__ = handler.__doc__
    retry = None if method.retries is None else RetryPolicy(attempts=method.retries + 1)
    app.declare(
        run,
        method.name,
        JobOptions(
            queue=method.queue,
            timeout_ms=method.timeout_ms,
            version=version,
            retry=retry,
            contract=method.hash,
            accepts=method.accepts,
        ),
    )


def spec(method: Method[Q, R], request: Q) -> JobSpec:
    """The job that a call of the method submits."""
    retry = None if method.retries is None else RetryPolicy(attempts=method.retries + 1)
    return JobSpec(
        method.name,
        FlatBuffer(method.encode_request(request)),
        queue=method.queue,
        timeout=timedelta(milliseconds=method.timeout_ms) if method.timeout_ms else None,
        retry=retry,
        contract=method.hash,
    )


def call(client: Client, method: Method[Q, R], request: Q, timeout: Span) -> R:
    """Submits the request and waits for the response; see the generated clients for what it raises."""
    return _response(method, client.call(spec(method, request), timeout))


async def call_async(client: AsyncClient, method: Method[Q, R], request: Q, timeout: Span) -> R:
    """The same for asyncio."""
    return _response(method, await client.call(spec(method, request), timeout))


def _response(method: Method[Q, R], result: JobResult) -> R:
    if not result.succeeded:
        why = f": {result.error.type}: {result.error.message}" if result.error else ""
        raise JobFailed(f"{method.name} {result.state.name.lower()}{why}", result)
    return method.decode_response(result.payload)
