# SPDX-License-Identifier: Apache-2.0
"""Keeps a worker's session going while its main thread is inside a long handler.

The main thread owns socket and session whenever it is not in a handler, and holds the lock all that time. A handler
that runs longer than a few milliseconds leaves the lock free, so this thread can send the results that came before
it, give back recalled jobs, and greet a restarted broker. It looks at intervals and never waits for the main thread,
so microsecond jobs do not notice it. A handler that holds the GIL stops it too; the agent's heartbeats do not stop.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_FIRST_LOOK_S = 0.004
_LAST_LOOK_S = 0.025
_HURRY_S = 0.0005
_LINGER_S = 0.5
LONG_NS = 1_000_000


class Relay(threading.Thread):
    """Runs `turn` under `lock` at intervals as long as one run lasts; `running_since` is 0 between runs."""

    def __init__(
        self,
        lock: threading.Lock,
        running_since: Callable[[], int],
        turn: Callable[[], None],
        awaited: Callable[[], bool],
    ) -> None:
        super().__init__(name="jobwire-relay", daemon=True)
        self._lock = lock
        self._running_since = running_since
        self._turn = turn
        self._awaited = awaited
        self._hurry = threading.Event()
        self._awake = threading.Event()
        self._stopped = False
        self.asleep = True

    def wake(self) -> None:
        """The main thread starts jobs; only needed when `asleep`."""
        self.asleep = False
        self._awake.set()

    def hurry(self) -> None:
        """A handler waits for what the broker says; `awaited` tells for how long."""
        self._hurry.set()

    def stop(self) -> None:
        self._stopped = True
        self._awake.set()

    def run(self) -> None:
        interval = _FIRST_LOOK_S
        idle_since = time.monotonic()
        while not self._stopped:
            if self._hurry.wait(interval):
                self._hurry.clear()
            since = self._running_since()
            now = time.monotonic_ns()
            if since and self._awaited():
                interval = _HURRY_S
                self._take_turns(since)
            elif since and now - since > LONG_NS:
                # Looks less often the longer the run lasts: a Recall may wait a little, a core may not burn.
                interval = min(_LAST_LOOK_S, max(_FIRST_LOOK_S, (now - since) / 1e9 / 8))
                self._take_turns(since)
            else:
                interval = _FIRST_LOOK_S
            if since:
                idle_since = now / 1e9
            elif now / 1e9 - idle_since > _LINGER_S:
                self._awake.clear()
                self.asleep = True
                # A job that started between the two lines above must not go unwatched.
                if not self._running_since():
                    self._awake.wait()
                self.asleep = False
                idle_since = time.monotonic()

    def _take_turns(self, since: int) -> None:
        if not self._lock.acquire(blocking=False):
            return
        try:
            while self._running_since() == since:
                self._turn()
                if not self._awaited() or self._stopped:
                    return
        finally:
            self._lock.release()
