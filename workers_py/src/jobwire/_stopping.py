# SPDX-License-Identifier: Apache-2.0
"""The steps by which a host ends, as its log tells them.

1  Nothing new begins, and what has not begun goes back uncharged.
2  What runs may end, as long as the grace lasts.
3  The grace is over: what still runs is interrupted, then killed, and goes back uncharged.
4  No worker is left; the broker is told who has ended, if it is there.
"""

from __future__ import annotations

import logging

_REMIND_S = 5.0


class Stopping:
    """One end of a host, from its beginning; whoever asks gives the time."""

    def __init__(
        self, grace_s: float, term_grace_s: float, log: logging.Logger, now: float, *, quiet: bool
    ) -> None:
        """quiet: no worker has ever been ready, so the steps are of no interest."""
        self._log = log
        self._step = 4 if quiet else 1
        self._grace_until = now + grace_s
        self._remind_at = now + _REMIND_S
        # When the broker is not waited for any longer.
        self.by = self._grace_until + term_grace_s
        if not quiet:
            log.info("1. stopping: nothing new begins, what has not begun goes back")
            log.info("2. jobs that run have %g s; a second signal ends them now", grace_s)

    def tell(self, running: int, workers: int, now: float) -> None:
        """Logs the step that has come, once, and now and then what is waited for."""
        if self._step == 4:
            return
        if workers == 0:
            self._step = 4
            self._log.info("4. no worker is left, telling the broker")
        elif now >= self._grace_until:
            if self._step < 3:
                self._step = 3
                self._log.warning("3. the grace is over: %d job(s) are ended and go back", running)
        elif now >= self._remind_at:
            self._remind_at = now + _REMIND_S
            left = self._grace_until - now
            self._log.info("2. %d job(s) still run, %.0f s are left", running, left)
