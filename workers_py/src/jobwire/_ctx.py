# SPDX-License-Identifier: Apache-2.0
"""What a handler may know about the attempt that it is running."""

from __future__ import annotations

import logging
import math
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from typing import Any, Generic, TypeVar, overload

from jobwire._convert import encode_value, reader
from jobwire._errors import PayloadError
from jobwire._spans import Span, milliseconds

DepsT = TypeVar("DepsT")
ItemT = TypeVar("ItemT")
StateT = TypeVar("StateT")

_MAX_MESSAGE_BYTES = 1024
# What is told more often than the agent looks is not seen.
_TRACK_NS = 50_000_000


class Ctx(Generic[DepsT]):
    """The first parameter of a handler that is annotated with it: `def f(ctx: Ctx[Model], image: bytes)`.

    Made for one attempt and of no use after it. Everything may be read from any thread.
    """

    __slots__ = (
        "_cancelled",
        "_clock",
        "_deadline_ns",
        "_job",
        "_save",
        "_saved",
        "_tell",
        "attempt",
        "deps",
        "headers",
        "state",
        "token",
        "type",
    )

    def __init__(
        self,
        *,
        job: bytes,
        token: bytes,
        type: str,  # noqa: A002 - the protocol's word
        attempt: int,
        deadline_ns: int,
        headers: Mapping[str, str],
        deps: DepsT,
        cancelled: Callable[[], bool],
        tell: Callable[[float, bytes], None],
        saved: tuple[int, bytes],
        save: Callable[[int, bytes, float | None], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._job = job
        self._deadline_ns = deadline_ns
        self._cancelled = cancelled
        self._tell = tell
        self._saved = saved
        self._save = save
        self._clock = clock
        self.token = token
        self.type = type
        self.attempt = attempt
        self.headers = headers
        self.deps = deps
        # What middleware keeps from one hook to the next.
        self.state: dict[Any, Any] = {}

    @property
    def id(self) -> uuid.UUID:
        """The job's id, the same in every attempt."""
        return uuid.UUID(bytes=self._job)

    @property
    def deadline(self) -> float:
        """When the attempt will be stopped, on the clock of `time.monotonic()`."""
        return self._deadline_ns / 1e9

    @property
    def time_left(self) -> float:
        """Seconds until the deadline, never negative."""
        return max(0.0, self.deadline - self._clock())

    @property
    def cancelled(self) -> bool:
        """The job was cancelled, or its time is up: clean up and return; what is returned then is dropped.

        A handler that does not look at this is interrupted: after the cancel's grace, or at once at its deadline.
        """
        return self._cancelled()

    def progress(self, value: float, message: str = "") -> None:
        """Tells callers and dashboards how far the attempt is, in whatever unit they expect; 0 to 1 is usual.

        The latest word counts: more than about ten a second are not sent. Costs a microsecond and never waits, and the
        latest word gets out even while the handler keeps the interpreter's lock. message: cut at 1 KiB of UTF-8.
        Raises ValueError for a value that is not finite.
        """
        if not math.isfinite(value):
            raise ValueError(f"progress must be a finite number, not {value!r}")
        raw = message.encode("utf-8", "replace")
        if len(raw) > _MAX_MESSAGE_BYTES:
            raw = raw[:_MAX_MESSAGE_BYTES].decode("utf-8", "ignore").encode()
        self._tell(value, raw)

    def track(
        self, items: Iterable[ItemT], message: str = "", total: int | None = None
    ) -> Iterator[ItemT]:
        """Yields the items, and tells before each how many of them are done, as a part of 1.

        total: how many there are, for iterables that have no length; without it the number itself is told.
        """
        if total is None and isinstance(items, Sized):
            total = len(items)
        told = 0
        for number, item in enumerate(items):
            now = time.monotonic_ns()
            if now - told > _TRACK_NS:
                told = now
                self.progress(number / total if total else number, message)
            yield item

    def checkpoint(self, state: Any, *, flush: bool = False, timeout: Span | None = None) -> None:
        """Saves the state for the job's next attempt, should this one fail, run out of time or lose its worker: it gets
        the latest that was stored. Stored means as durable as a receipt; it is dropped when the job ends.

        Costs microseconds: it travels within some 25 ms, and of several in that time the latest does. A worker that is
        killed before loses it. flush: returns once it is stored, in about a millisecond; timeout: how long it waits for
        that, as long as the attempt has time unless set. In an `async def` that holds up the event loop:
        `await asyncio.to_thread(ctx.checkpoint, state, flush=True)` does not.

        state: what a handler may return, encoded at most 64 KiB. Raises ResultError for what cannot travel, and
        CheckpointError when it is too large or, with flush, when it is not stored; the one before it then stays.
        """
        encoding, data = encode_value(state, "the checkpoint's")
        wait_s = None
        if flush:
            wait_s = self.time_left if timeout is None else milliseconds(timeout) / 1000
        self._save(encoding, data, wait_s)

    @overload
    def resume(self) -> Any: ...
    @overload
    def resume(self, kind: type[StateT]) -> StateT | None: ...
    @overload
    def resume(self, kind: type[StateT], default: StateT) -> StateT: ...
    def resume(self, kind: Any = Any, default: Any = None) -> Any:
        """What an earlier attempt saved, read as `kind` says, as an argument is by its annotation; or the default.

        What does not fit, since another version of the program saved it, is logged and counts as nothing.
        """
        encoding, data = self._saved
        if not encoding:
            return default
        try:
            return reader(kind, "checkpoint", f"{self.type}.resume")(data, encoding)
        except PayloadError as problem:
            self.log.warning("the checkpoint of an earlier attempt is left aside: %s", problem)
            return default

    @property
    def log(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger whose lines name the job, the attempt, and the trace of the `traceparent` header, if there is one."""
        logger = logging.getLogger(f"jobwire.job.{self.type}")
        extra: dict[str, Any] = {"job": str(self.id), "attempt": self.attempt}
        if self.trace:
            extra["trace"] = self.trace
        return logging.LoggerAdapter(logger, extra)

    @property
    def trace(self) -> str:
        """The trace id in the W3C header `traceparent` that the producer sent along; empty without one."""
        parts = self.headers.get("traceparent", "").split("-")
        return parts[1] if len(parts) >= 4 and len(parts[1]) == 32 else ""
