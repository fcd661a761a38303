# SPDX-License-Identifier: Apache-2.0
"""One attempt of those that a worker runs at the same time, and what runs them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from jobwire._handlers import Call
from jobwire._heads import DispatchHead
from jobwire._outcomes import Ended
from jobwire._slots import Order, Slot


class Attempt:
    """From its start to its end; `order` is why it is to end, `ended` is set last."""

    __slots__ = (
        "begin_ns",
        "blob",
        "call",
        "end_ns",
        "ended",
        "head",
        "order",
        "slot",
        "started_ms",
    )

    def __init__(
        self,
        slot: Slot,
        head: DispatchHead,
        blob: bytes,
        call: Call,
        begin_ns: int,
        started_ms: int,
    ) -> None:
        self.slot = slot
        self.head = head
        self.blob = blob
        self.call = call
        self.begin_ns = begin_ns
        self.started_ms = started_ms
        self.order = Order.NONE
        self.end_ns = 0
        self.ended: Ended | None = None

    @property
    def token(self) -> bytes:
        return self.head[0]

    def make(self) -> object:
        """Calls the handler; a coroutine for an `async def`."""
        _, _, at, size, _, _, _, encoding, _, _ = self.head
        return self.call(self.blob, at, size, encoding, self.head)


class Executor(ABC):
    """Runs attempts beside the main thread. Each is given back once through the function that it was made with."""

    @abstractmethod
    def begin(self, attempts: Sequence[Attempt]) -> None: ...

    @abstractmethod
    def interrupt(self, attempt: Attempt) -> None:
        """Asks an attempt to end as its `order` says; nothing happens when it has just ended."""
