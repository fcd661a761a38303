# SPDX-License-Identifier: Apache-2.0
"""Makes the Ctx of each attempt for the handlers that ask for one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobwire._ctx import Ctx
from jobwire._heads import DispatchHead
from jobwire._slots import ENDING, Command, WorkerSlot

_NO_HEADERS: Mapping[str, str] = {}


class Contexts:
    """One per worker. What it knows comes from the worker's slot, so that jobs without a Ctx pay nothing."""

    def __init__(self, slot: WorkerSlot) -> None:
        self._slot = slot
        # Those of the batch that runs; DispatchHead.extra counts from 1 in it.
        self.headers: list[dict[str, str]] = []
        # The token of the run whose handler has seen that it is to end, and by which order.
        self.cancel_seen = b""
        self.cancel_order = Command.NONE

    def make(self, head: DispatchHead, name: str, deps: Any) -> Ctx[Any]:
        token, job, _, _, _, _, attempt, _, _, extra = head
        return Ctx(
            job=job,
            token=token,
            type=name,
            attempt=attempt,
            deadline_ns=self._slot.deadline_ns(),
            headers=self.headers[extra - 1] if extra else _NO_HEADERS,
            deps=deps,
            cancelled=lambda: self._cancelled(token),
        )

    def _cancelled(self, token: bytes) -> bool:
        command, ordered = self._slot.command()
        if command in ENDING and ordered == token:
            self.cancel_seen, self.cancel_order = token, command
            return True
        return False
