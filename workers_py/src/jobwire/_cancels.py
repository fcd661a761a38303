# SPDX-License-Identifier: Apache-2.0
"""The broker's orders to cancel that have not found their job yet."""

from __future__ import annotations

from jobwire._messages import Cancel

_KEPT = 1024
_KEPT_S = 60.0


class Cancels:
    """Keeps an order for a while: its job may be about to start, too late for the worker to give it back."""

    def __init__(self) -> None:
        # Token to (when SIGTERM is due, when the order is forgotten), oldest first.
        self._orders: dict[bytes, tuple[float, float]] = {}

    def keep(self, order: Cancel, now: float) -> None:
        self._orders[order.token] = (now + order.grace_ms / 1000, now + _KEPT_S)
        while len(self._orders) > _KEPT or next(iter(self._orders.values()))[1] < now:
            del self._orders[next(iter(self._orders))]

    def take(self, token: bytes) -> float | None:
        """When the run of that token is to get SIGTERM, if it is to be cancelled; the order is done with then."""
        found = self._orders.pop(token, None)
        return None if found is None else found[0]
