# SPDX-License-Identifier: Apache-2.0
"""What is to be done at a time, by a clock that somebody else reads."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

_SWEEP_AT = 100_000


class Timers:
    def __init__(self) -> None:
        self._count = 0
        # (when, number, what, the future that makes it needless)
        self._heap: list[tuple[float, int, Callable[[float], Any], Future[Any] | None]] = []
        self._sweep_at = _SWEEP_AT

    def at(
        self, when: float, what: Callable[[float], Any], future: Future[Any] | None = None
    ) -> None:
        """Has `run` call what(now) from `when` on; not any more when the future is done."""
        self._count += 1
        heapq.heappush(self._heap, (when, self._count, what, future))
        if len(self._heap) > self._sweep_at:
            # Waits of an hour that ended after a millisecond must not pile up.
            self._heap = [one for one in self._heap if one[3] is None or not one[3].done()]
            heapq.heapify(self._heap)
            self._sweep_at = max(_SWEEP_AT, 2 * len(self._heap))

    def run(self, now: float) -> None:
        while self._heap and self._heap[0][0] <= now:
            heapq.heappop(self._heap)[2](now)

    def next(self) -> float | None:
        """When `run` has something to do again."""
        return self._heap[0][0] if self._heap else None
