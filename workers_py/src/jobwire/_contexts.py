# SPDX-License-Identifier: Apache-2.0
"""Makes the Ctx of each attempt for the handlers that ask for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jobwire._ctx import Ctx
from jobwire._heads import DispatchHead
from jobwire._messages import Extra
from jobwire._slots import Order, Slot

_NO_EXTRA = Extra({})


class Contexts:
    """One per worker. What it knows comes from the job's slot, so that jobs without a Ctx pay nothing."""

    def __init__(self) -> None:
        # Of a worker that runs one job after the other: its only slot, and the extras of the batch that runs;
        # DispatchHead.extra counts from 1 in them.
        self.slot: Slot | None = None
        self.extras: list[Extra] = []
        # Of the others, by token.
        self.running: dict[bytes, tuple[Slot, list[Extra]]] = {}
        # Takes what an attempt saves: token, encoding, bytes, and how many seconds to wait until it is stored. Set by
        # the loop.
        self.save: Callable[[bytes, int, bytes, float | None], None]
        # Runs whose handlers have seen that they are to end, and by which order; the loop takes them out.
        self.seen: dict[bytes, Order] = {}

    def make(self, head: DispatchHead, name: str, deps: Any) -> Ctx[Any]:
        token, job, _, _, _, _, attempt, _, _, extra = head
        slot, extras = self._of(token)
        also = extras[extra - 1] if extra else _NO_EXTRA
        return Ctx(
            job=job,
            token=token,
            type=name,
            attempt=attempt,
            deadline_ns=slot.deadline_ns(),
            headers=also.headers,
            deps=deps,
            cancelled=lambda: self.cancelled(slot, token),
            tell=lambda value, message: slot.progress(token, value, message),
            saved=also.checkpoint,
            save=lambda encoding, data, wait_s: self.save(token, encoding, data, wait_s),
        )

    def slot_of(self, token: bytes) -> Slot:
        """Where a job runs."""
        return self._of(token)[0]

    def cancelled(self, slot: Slot, token: bytes) -> bool:
        """Whether the run is to end; from then on it counts as one that has seen it."""
        order, ordered = slot.order()
        if order is not Order.NONE and ordered == token:
            self.seen[token] = order
            return True
        return False

    def _of(self, token: bytes) -> tuple[Slot, list[Extra]]:
        found = self.running.get(token)
        if found is None:
            assert self.slot is not None, "a job that does not run"
            found = self.slot, self.extras
        return found
