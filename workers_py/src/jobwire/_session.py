# SPDX-License-Identifier: Apache-2.0
"""The protocol's session, without sockets and clocks: greeting, greeting again, refusals.

    OFFLINE --connected--> GREETING --Welcome--> OPEN
       ^                     |  ^                 |
       +----- disconnected --+--+-- Refused{HelloFirst, UnknownWorker, SlowReader}

Whoever owns a session tells it what happens (`connected`, `disconnected`, `receive`, `tick`) and sends what lies in
`outbox`, in order. Messages that a lost connection may have swallowed are put there again after the next Welcome.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from enum import Enum
from typing import Any

from jobwire._errors import ProtocolError, RefusedError
from jobwire._messages import Goodbye, Limits, Message, Refused, Welcome
from jobwire._wire_enums import Code, code_name

HELLO_RETRY_S = 5.0
_GREET_AGAIN = (Code.HelloFirst, Code.UnknownWorker, Code.SlowReader)
_WAIT = (Code.ShuttingDown, Code.StoreUnavailable, Code.QuotaExceeded, Code.StoreFull)


class Phase(Enum):
    OFFLINE = 1
    GREETING = 2
    OPEN = 3


class Session:
    """What worker, agent and producer have in common. Not thread-safe."""

    def __init__(self, hello: bytes, log: logging.Logger) -> None:
        self._hello = hello
        self._log = log
        self._greet_at = 0.0
        # The broker said that it knows no session; cleared by the owner.
        self.forgotten = False
        self.phase = Phase.OFFLINE
        self.outbox: deque[list[bytes]] = deque()
        self.limits = Limits()
        self.welcome: Welcome | None = None
        self.last_heard = 0.0
        # The broker refused this peer for good.
        self.fatal: RefusedError | None = None

    def connected(self, now: float) -> None:
        """The connection is there, for the first time or again."""
        self.outbox.clear()
        self.outbox.append([self._hello])
        self.phase = Phase.GREETING
        self._greet_at = now + HELLO_RETRY_S

    def disconnected(self) -> None:
        self.outbox.clear()
        self.phase = Phase.OFFLINE

    def tick(self, now: float) -> None:
        """Greets again when the broker has not answered."""
        if self.phase is Phase.GREETING and now >= self._greet_at:
            self.connected(now)

    @property
    def open(self) -> bool:
        return self.phase is Phase.OPEN

    def next_tick(self) -> float | None:
        return self._greet_at if self.phase is Phase.GREETING else None

    def receive(self, frames: Sequence[bytes], now: float) -> None:
        """Takes one message of the broker."""
        self.last_heard = now
        try:
            message = self._read(frames)
        except ProtocolError as problem:
            self._log.error("the broker sent %s (%s)", problem, code_name(problem.code))
            return
        if isinstance(message, Welcome):
            if self.phase is not Phase.OFFLINE:
                self._welcomed(message, now)
        elif isinstance(message, Refused):
            self._refused(message, now)
        elif isinstance(message, Goodbye):
            # The broker leaves; its successor may sit behind the same connection (a proxy), so greet on.
            self._log.info("the broker says goodbye: %s", message.message or "no reason given")
            self._lost_session(now)
        else:
            self._take(message, now)

    def _welcomed(self, welcome: Welcome, now: float) -> None:
        restarted = self.welcome is not None and self.welcome.broker != welcome.broker
        self.welcome = welcome
        self.limits = welcome.limits
        self.phase = Phase.OPEN
        self._opened(restarted, now)

    def _refused(self, refused: Refused, now: float) -> None:
        if refused.code in _GREET_AGAIN:
            # While greeting, this answers something that was sent before the Hello.
            if self.phase is Phase.OPEN:
                self.forgotten = True
                self._log.info(
                    "the broker knows no session (%s): greeting", code_name(refused.code)
                )
                self.connected(now)
            return
        if refused.code in _WAIT:
            self._log.warning("the broker refuses: %s %s", code_name(refused.code), refused.message)
            if self.phase is Phase.GREETING:
                self._greet_at = now + max(1.0, refused.retry_after_ms / 1000)
            return
        error = RefusedError(refused.code, code_name(refused.code), refused.message)
        self._log.error("the broker refuses: %s", error)
        if self._ends_the_peer(refused):
            self.fatal = error

    def _lost_session(self, now: float) -> None:
        if self.phase is Phase.OPEN:
            self.phase = Phase.GREETING
            self._greet_at = now + 1.0
            self.outbox.clear()

    # For the kinds of peers.

    def _read(self, frames: Sequence[bytes]) -> Any:
        raise NotImplementedError

    def _opened(self, restarted: bool, now: float) -> None:
        raise NotImplementedError

    def _take(self, message: Message, now: float) -> None:
        raise NotImplementedError

    def _ends_the_peer(self, refused: Refused) -> bool:
        return self.phase is Phase.GREETING
