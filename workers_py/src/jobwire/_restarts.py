# SPDX-License-Identifier: Apache-2.0
"""When a worker that died is started again: at once at first, then ever later, up to a bound."""

from __future__ import annotations

# With the time that a start takes, a slot is back within two seconds.
_READY_FIRST_S, _READY_MOST_S = 0.05, 1.0
_SETUP_FIRST_S, _SETUP_MOST_S = 0.5, 30.0
_FORGIVEN_AFTER_S = 10.0


class Restarts:
    """The back-off of one slot. Whoever asks gives the time."""

    def __init__(self) -> None:
        self._crashes = 0
        self._failed_starts = 0

    def delay(self, *, ready: bool, lived_s: float, wanted: bool) -> float:
        """Seconds to wait after a death.

        ready: it had come through its setup. wanted: the agent ended it on purpose, so nothing is wrong with it.
        """
        if not ready:
            self._failed_starts += 1
            return _grown(_SETUP_FIRST_S, _SETUP_MOST_S, self._failed_starts)
        self._failed_starts = 0
        if wanted or lived_s >= _FORGIVEN_AFTER_S:
            self._crashes = 0
            return 0.0
        self._crashes += 1
        return 0.0 if self._crashes == 1 else _grown(_READY_FIRST_S, _READY_MOST_S, self._crashes)


def _grown(first: float, most: float, count: int) -> float:
    return min(most, first * 2.0 ** min(count - 1, 20))
