# SPDX-License-Identifier: Apache-2.0
"""The thread that owns a client's connection and session. Everyone else gives it orders."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from uuid import UUID

from jobwire._errors import ClientError
from jobwire._producer_session import ProducerSession
from jobwire._transport import Connection, Link

Order = Callable[[ProducerSession, float], None]
"""(session, now) -> None, by the client's thread"""

_MESSAGES_PER_TURN = 64
_log = logging.getLogger("jobwire.client")


class ClientLoop(threading.Thread):
    """Runs orders and the session's clock until it is stopped. `on_lost` is called by this thread."""

    def __init__(
        self,
        connection: Connection,
        session: ProducerSession,
        on_lost: Callable[[UUID, ClientError], None] | None,
    ) -> None:
        super().__init__(name="jobwire-client", daemon=True)
        self._connection = connection
        self._session = session
        self._on_lost = on_lost
        self._orders: deque[Order] = deque()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._asleep = True
        self._stopping = False
        self.pid = os.getpid()

    @property
    def usable(self) -> bool:
        """False after a fork: the thread stayed behind in the parent."""
        return self.is_alive() and os.getpid() == self.pid

    @property
    def orders(self) -> int:
        """Orders that have not run yet."""
        return len(self._orders)

    def order(self, order: Order) -> None:
        """Has the thread run something; returns at once. Orders run in the order in which they are given."""
        self._orders.append(order)
        if self._asleep:
            self._asleep = False
            os.eventfd_write(self._wake, 1)

    def stop(self, linger_ms: int) -> None:
        """Ends the thread when its orders have run, and the connection with it."""

        def last(session: ProducerSession, now: float) -> None:
            self._stopping = True

        self.order(last)
        self.join()
        self._connection.close(linger_ms)
        os.close(self._wake)

    def run(self) -> None:
        session, connection, orders = self._session, self._connection, self._orders
        connection.watch(self._wake)
        while not self._stopping:
            self._asleep = True
            # An order that came before the line above must not wait for the next one.
            woken = connection.wait(0 if orders else self._timeout_ms(), bool(session.outbox))
            self._asleep = False
            if self._wake in woken.descriptors:
                with contextlib.suppress(BlockingIOError):
                    os.eventfd_read(self._wake)
            now = time.monotonic()
            if woken.link:
                for change in connection.link_changes():
                    if change is Link.UP:
                        session.connected(now)
                    else:
                        session.disconnected()
            if woken.message:
                for _ in range(_MESSAGES_PER_TURN):
                    frames = connection.receive()
                    if frames is None:
                        break
                    session.receive(frames, now)
            for _ in range(len(orders)):
                orders.popleft()(session, now)
            session.tick(now)
            session.pump(now)
            self._send()
            self._tell_lost()

    def _send(self) -> None:
        outbox = self._session.outbox
        while outbox and self._connection.send(outbox[0]):
            outbox.popleft()

    def _timeout_ms(self) -> int | None:
        next_tick = self._session.next_tick()
        if next_tick is None:
            return None
        return max(0, round((next_tick - time.monotonic()) * 1000)) + 1

    def _tell_lost(self) -> None:
        lost = self._session.lost
        if not lost:
            return
        self._session.lost = []
        for id_, error in lost:
            if self._on_lost is None:
                _log.warning("job %s is lost: %s", id_, error)
                continue
            try:
                self._on_lost(id_, error)
            except Exception:  # the user's function may raise anything
                _log.exception("on_lost failed")
