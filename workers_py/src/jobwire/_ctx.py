# SPDX-License-Identifier: Apache-2.0
"""What a handler may know about the attempt that it is running."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

DepsT = TypeVar("DepsT")


class Ctx(Generic[DepsT]):
    """The first parameter of a handler that is annotated with it: `def f(ctx: Ctx[Model], image: bytes)`.

    Made for one attempt and of no use after it. Everything may be read from any thread.
    """

    __slots__ = (
        "_cancelled",
        "_deadline_ns",
        "_job",
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
    ) -> None:
        self._job = job
        self._deadline_ns = deadline_ns
        self._cancelled = cancelled
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
        return max(0.0, self.deadline - time.monotonic())

    @property
    def cancelled(self) -> bool:
        """The job was cancelled, or its time is up: clean up and return; what is returned then is dropped.

        A handler that does not look at this is interrupted: after the cancel's grace, or at once at its deadline.
        """
        return self._cancelled()

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
