# SPDX-License-Identifier: Apache-2.0
"""A host agent's side of the protocol: heartbeats, reports of dead workers, orders to cancel."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence

from jobwire._heads import Lease
from jobwire._messages import Cancel, Heartbeat, Message
from jobwire._session import Phase, Session
from jobwire._slots import Progress
from jobwire._wire_enums import durability_name
from jobwire._wire_session import encode_goodbye, encode_heartbeat
from jobwire._wire_worker import decode, encode_progress

KEPT_REPORTS = 256
_PROGRESS_EVERY_S = 0.1


class AgentSession(Session):
    """See Session. Cancel orders lie in `cancels` until the owner takes them."""

    def __init__(self, hello: bytes, log: logging.Logger) -> None:
        super().__init__(hello, log)
        self.cancels: deque[Cancel] = deque()
        self.beat_at = 0.0
        self._sequence = 0
        # By token; what is told again before it has left takes the place of what was told before.
        self._news: dict[bytes, Progress] = {}
        self._tell_at = 0.0
        # WorkerDown has no answer of its own: what was sent before a heartbeat has arrived when its echo comes.
        self._reports: deque[tuple[int, bytes]] = deque(maxlen=KEPT_REPORTS)

    @property
    def unsettled(self) -> int:
        """Reports that the broker may not have."""
        return len(self._reports)

    def beat(self, workers: Sequence[int], running: Sequence[Lease], now: float) -> None:
        """Sends a heartbeat; call it when `beat_at` has come or the set of workers has changed."""
        if self.phase is not Phase.OPEN:
            return
        self._sequence += 1
        self.outbox.append([encode_heartbeat(workers, running, self._sequence)])
        self.beat_at = now + self.limits.heartbeat_ms / 1000

    def report(self, worker_down: bytes) -> None:
        """Sends an encoded WorkerDown, now and again after a reconnect until it has surely arrived."""
        self._reports.append((self._sequence + 1, worker_down))
        if self.phase is Phase.OPEN:
            self.outbox.append([worker_down])

    def progress(self, news: Sequence[Progress], now: float) -> None:
        """Passes on what jobs have told about themselves: the latest of each, some ten times a second at most."""
        self._news.update((told.token, told) for told in news)
        if now < self._tell_at or not self._news:
            return
        if self.phase is Phase.OPEN:
            latest = [(told.token, told.value, told.message) for told in self._news.values()]
            most = self.limits.max_jobs_per_message
            for at in range(0, len(latest), most):
                self.outbox.append(encode_progress(latest[at : at + most]))
        # Offline it grows old before anyone could read it.
        self._news.clear()
        self._tell_at = now + _PROGRESS_EVERY_S

    def goodbye(self, reason: str) -> None:
        if self.phase is Phase.OPEN:
            self.outbox.append([encode_goodbye(reason)])

    def tick(self, now: float) -> None:
        super().tick(now)
        # Every heartbeat is echoed, so this much silence means that the broker has forgotten us or hangs.
        silence = self.limits.session_timeout_ms / 1000
        if self.phase is Phase.OPEN and now - self.last_heard > silence:
            self._log.warning("the broker has been silent for %.0f s: greeting again", silence)
            self.last_heard = now
            self.connected(now)

    def _read(self, frames: Sequence[bytes]) -> Message:
        return decode(frames)

    def _opened(self, restarted: bool, now: float) -> None:
        assert self.welcome is not None
        self._log.info(
            "%s broker %s, durability %s",
            "connected to a restarted" if restarted else "connected to",
            self.welcome.version or "(no version)",
            durability_name(self.welcome.durability),
        )
        self.beat_at = now
        self._reports = deque(
            ((self._sequence + 1, report) for _, report in self._reports), KEPT_REPORTS
        )
        self.outbox.extend([report] for _, report in self._reports)

    def _take(self, message: Message, now: float) -> None:
        if isinstance(message, Cancel):
            self.cancels.append(message)
        elif isinstance(message, Heartbeat):
            while self._reports and self._reports[0][0] <= message.sequence:
                self._reports.popleft()
