# SPDX-License-Identifier: Apache-2.0
"""A worker's talk with its broker, whichever way it runs its jobs: messages in and out, waiting, leaving."""

from __future__ import annotations

import os
import time

from jobwire._slots import WorkerSlots
from jobwire._transport import Connection, Link
from jobwire._wake import Wake
from jobwire._worker_session import WorkerSession


class Exchange:
    """Owns connection and session. Used by one thread at a time."""

    def __init__(
        self,
        connection: Connection,
        session: WorkerSession,
        slots: WorkerSlots,
        wake: Wake,
        agent_fd: int,
    ) -> None:
        self.session = session
        self._connection = connection
        self._slots = slots
        self._wake = wake
        self._agent_fd = agent_fd
        # Nothing new is to be started.
        self.draining = False
        self._welcomes = 0
        connection.watch(wake.fileno())
        connection.watch(agent_fd)

    @property
    def wake_fd(self) -> int:
        """One of the descriptors without which the worker cannot go on."""
        return self._wake.fileno()

    def turn(self, more: bool) -> bool:
        """Sends what waits, waits for something to come unless there is more to do, and takes it.

        True when the worker was to drain, and everything that it ran is settled. Raises RefusedError, or EOFError when the agent is gone.
        """
        session = self.session
        if self.draining and self._drained():
            return True
        if session.outbox:
            self.send()
        timeout_ms: int | None = 0 if more else None
        next_tick = session.next_tick()
        if next_tick is not None and timeout_ms is None:
            timeout_ms = max(0, round((next_tick - time.monotonic()) * 1000)) + 1
        woken = self._connection.wait(timeout_ms, bool(session.outbox))
        self._take(woken.link, woken.message)
        if self._wake.fileno() in woken.descriptors:
            self._wake.clear()
        if self._agent_fd in woken.descriptors:
            if not os.read(self._agent_fd, 64):
                raise EOFError("the agent is gone")
            # The broker has forgotten this host, and an idle worker would never learn it.
            session.connected(time.monotonic())
        return False

    def glance(self, wait_ms: int = 0) -> None:
        """Takes and sends what is there, and waits so long for something to come, while the main thread is in a
        handler."""
        session = self.session
        if session.fatal is not None:
            return
        if self._slots.draining:
            self.draining = True
        if self.draining and session.taking:
            session.stop_taking()
        session.flush()
        self.send()
        for turn in range(64):
            woken = self._connection.wait(0 if turn else wait_ms, False)
            if not woken.message and not woken.link:
                break
            self._take(woken.link, woken.message)
        self.send()

    def send(self) -> None:
        outbox = self.session.outbox
        while outbox and self._connection.send(outbox[0]):
            outbox.popleft()

    def _take(self, link: bool, message: bool) -> None:
        session = self.session
        now = time.monotonic()
        if link:
            for change in self._connection.link_changes():
                if change is Link.UP:
                    session.connected(now)
                else:
                    session.disconnected()
        if message:
            # One batch at a time: credit bounds what can lie here, and results must not wait for reading.
            frames = self._connection.receive()
            if frames is not None:
                session.receive(frames, now)
        session.tick(now)
        if session.welcomes != self._welcomes:
            self._welcomes = session.welcomes
            self._slots.greeted()
        if session.outbox:
            self.send()
        if session.fatal is not None:
            raise session.fatal

    def _drained(self) -> bool:
        session = self.session
        if session.taking:
            session.stop_taking()
        if session.running or not session.settled or session.outbox:
            session.flush()
            self.send()
            return False
        session.goodbye("drained")
        self.send()
        return True
