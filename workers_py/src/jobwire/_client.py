# SPDX-License-Identifier: Apache-2.0
"""A producer's connection to a broker, blocking and for asyncio."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Literal, TypeVar
from uuid import UUID

from jobwire._answers import ClientStats
from jobwire._client_loop import ClientLoop
from jobwire._enqueue import run_blocking
from jobwire._errors import ClientError, InvalidJob, SetupError
from jobwire._producer_session import ProducerSession, Settings
from jobwire._spans import Span, milliseconds
from jobwire._transport import Connection
from jobwire._verbs import Verbs, blocking
from jobwire._version import __version__
from jobwire._wire_enums import Role
from jobwire._wire_session import encode_hello

T = TypeVar("T")

DEFAULT_ENDPOINT = "tcp://127.0.0.1:7700"
OnLost = Callable[[UUID, ClientError], None]
_log = logging.getLogger("jobwire.client")


class BlockingVerbs(Verbs):
    """Verbs whose waits block."""

    async def _wait(self, future: Future[T]) -> T:
        if threading.current_thread() is self._loop:
            raise InvalidJob("a blocking call from within on_lost would never return")
        return future.result()


_Parts = tuple[ClientLoop, ProducerSession, Settings, float]


class _Connected:
    """How every client begins: its options, its session and its thread."""

    _role = Role.Producer
    _session_type: type[ProducerSession] = ProducerSession

    def __init__(
        self,
        endpoint: str = DEFAULT_ENDPOINT,
        *,
        name: str = "unnamed",
        submit_timeout: Span = 10.0,
        resend_after: Span = 5.0,
        backlog_jobs: int = 65_536,
        backlog_bytes: int = 256 << 20,
        overflow: Literal["block", "fail", "drop_oldest"] = "block",
        on_lost: OnLost | None = None,
    ) -> None:
        settings = _settings(resend_after, backlog_jobs, backlog_bytes, overflow)
        loop, session = _start(endpoint, name, self._role, self._session_type, settings, on_lost)
        self._begin((loop, session, settings, milliseconds(submit_timeout) / 1000))

    def _begin(self, parts: _Parts) -> None:
        raise NotImplementedError


class AsyncClient(_Connected, Verbs):
    """A producer's connection to a broker, for asyncio: hands jobs over, gets their results back.

        async with AsyncClient("tcp://127.0.0.1:7700") as client:
            result = await client.call(JobSpec("shout", "hello"), timeout=10)

    See Client. It may be used from any event loop.
    """

    def _begin(self, parts: _Parts) -> None:
        Verbs.__init__(self, *parts)

    async def _wait(self, future: Future[T]) -> T:
        return await asyncio.wrap_future(future)

    @property
    def verbs(self) -> Verbs:
        return self

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


class Client(_Connected):
    """A producer's connection to a broker: hands jobs over, gets their results back.

        with Client("tcp://127.0.0.1:7700") as client:
            receipt = client.submit(JobSpec("shout", "hello", queue="default"))
            result = client.wait(receipt.id, timeout=10)

    Owns one thread, which owns the socket, and finds its way back by itself when the broker restarts or the network
    fails: it reconnects, sends every unreceipted job again with the same id, and asks again for every awaited result.
    Nobody needs to be there when it is made. Any thread may call any method; no call blocks without an end, no buffer
    grows without a bound. Errors of all calls: Unavailable when the broker cannot be reached in time and nothing was
    sent, NoAnswer when no answer came to what was sent, Closed after `close`.

    name: program and version as the broker's log shows them, such as "thumbs/1.4".
    submit_timeout: how long submitting tries, and how long a question waits for its answer.
    resend_after: an unreceipted job is sent again after so long, then after twice that, and so on.
    backlog_jobs, backlog_bytes: unreceipted jobs that the client holds at most.
    overflow: what `post` does when it holds that many: wait up to submit_timeout, raise Full at once, or drop the
        oldest posted job that is not on its way.
    on_lost: called by the client's thread for each posted job that will not be receipted any more; must be quick.
    """

    _verbs_type: type[BlockingVerbs] = BlockingVerbs

    def _begin(self, parts: _Parts) -> None:
        self._verbs = self._verbs_type(*parts)

    @property
    def verbs(self) -> Verbs:
        """The verbs as coroutines that never suspend; what `blocking` methods run."""
        return self._verbs

    submit = blocking(Verbs.submit)
    submit_batch = blocking(Verbs.submit_batch)
    post = blocking(Verbs.post)
    flush = blocking(Verbs.flush)
    call = blocking(Verbs.call)
    wait = blocking(Verbs.wait)
    wait_all = blocking(Verbs.wait_all)
    result = blocking(Verbs.result)
    status = blocking(Verbs.status)
    cancel = blocking(Verbs.cancel)
    close = blocking(Verbs.close)

    def stats(self) -> ClientStats:
        """What the client has done so far."""
        return self._verbs.stats()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        run_blocking(self._verbs.close())


def _settings(resend_after: Span, backlog_jobs: int, backlog_bytes: int, overflow: str) -> Settings:
    if backlog_jobs < 1 or backlog_bytes < 1:
        raise InvalidJob("a client holds at least one job of one byte")
    if overflow not in ("block", "fail", "drop_oldest"):
        raise InvalidJob(f"overflow {overflow!r}: block, fail or drop_oldest")
    return Settings(
        resend_after=milliseconds(resend_after) / 1000,
        backlog_jobs=backlog_jobs,
        backlog_bytes=backlog_bytes,
        overflow=overflow,
    )


def _start(
    endpoint: str,
    name: str,
    role: int,
    session_type: type[ProducerSession],
    settings: Settings,
    on_lost: OnLost | None,
) -> tuple[ClientLoop, ProducerSession]:
    hello = encode_hello(
        role, f"{name} jobwire-py/{__version__}", bytes(16), socket.gethostname(), 0, os.getpid()
    )
    session = session_type(hello, settings, _log)
    try:
        connection = Connection(endpoint)
    except SetupError as problem:
        raise InvalidJob(str(problem)) from problem
    loop = ClientLoop(connection, session, on_lost)
    loop.start()
    return loop, session
