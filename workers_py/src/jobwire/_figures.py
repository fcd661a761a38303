# SPDX-License-Identifier: Apache-2.0
"""What a host's workers get done, in one line for people."""

from __future__ import annotations

from jobwire._totals import Totals

_EIGHTHS = "░▏▎▍▌▋▊▉"
_WIDTH = 12


class Figures:
    """Looks at the totals now and then, and tells what has happened since."""

    def __init__(self, now: float) -> None:
        self._began = now
        self._then = now
        self._done = 0
        self._rate = 0.0

    def line(self, totals: Totals, connected: bool, now: float) -> str:
        """Since the last call: `running 3 of 8, 1204 jobs/s, 45678 done, 3 failed`."""
        done = totals.done
        if now > self._then:
            self._rate = (done - self._done) / (now - self._then)
        self._then, self._done = now, done
        parts = [
            f"running {totals.running} of {totals.slots}",
            f"{_short(self._rate)} jobs/s",
            f"{done} done",
            f"{totals.failed} failed",
        ]
        if totals.crashes:
            parts.append(f"{totals.crashes} crashed")
        if totals.slots == 0:
            parts = ["starting"]
        if totals.ready < totals.workers:
            parts.append(f"{totals.ready} of {totals.workers} workers ready")
        if not connected:
            parts.append("no broker")
        return ", ".join(parts)

    def bar(self, totals: Totals, plain: bool) -> str:
        """How many of the slots are busy; `plain` for terminals that know ASCII alone."""
        part = totals.running / totals.slots if totals.slots else 0.0
        if plain:
            return ("#" * round(_WIDTH * part)).ljust(_WIDTH, "-")
        full, rest = divmod(round(_WIDTH * 8 * part), 8)
        return ("█" * full + (_EIGHTHS[rest] if rest else "")).ljust(_WIDTH, "░")

    def summary(self, totals: Totals, now: float) -> str:
        """Of the whole run."""
        took = max(now - self._began, 0.001)
        text = f"{totals.done} jobs in {_span(took)}, {_short(totals.done / took)} jobs/s"
        text += f", {totals.failed} failed"
        return text + (f", {totals.crashes} worker(s) crashed" if totals.crashes else "")


def _short(rate: float) -> str:
    return f"{rate:.0f}" if rate >= 10 or rate == 0 else f"{rate:.1f}"


def _span(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
