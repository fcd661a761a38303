# SPDX-License-Identifier: Apache-2.0
"""Spans of time as people write them: seconds, a timedelta, or text such as "250ms", "5m", "1h30m"."""

from __future__ import annotations

import math
import re
from datetime import timedelta

Span = float | timedelta | str
"""Seconds, a timedelta, or text of numbers with the units ms, s, m, h and d."""

_UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")

DAY_MS = 86_400_000
LONGEST_MS = 366 * DAY_MS


def milliseconds(span: Span) -> int:
    """The span in whole milliseconds, a tiny one rounded up to one; raises ValueError for text without sense."""
    exact = _exact(span)
    return max(1, round(exact)) if exact > 0 else round(exact)


def bounded(what: str, span: Span, least_ms: int, most_ms: int, told: str) -> int:
    """`milliseconds`, or ValueError when it is not within the bounds, which `told` puts in words."""
    exact = _exact(span)
    if not least_ms <= exact <= most_ms:
        raise ValueError(f"{what} must be {told}, not {span!r}")
    return round(exact)


def _exact(span: Span) -> float:
    if isinstance(span, str):
        parts = _PART.findall(span)
        if not parts or "".join(number + unit for number, unit in parts) != span:
            raise ValueError(f"{span!r} is no span of time: write 250ms, 30s, 5m, 1h30m or 2d")
        return sum(float(number) * _UNITS_MS[unit] for number, unit in parts)
    exact = (span.total_seconds() if isinstance(span, timedelta) else span) * 1000
    if not math.isfinite(exact):
        raise ValueError(f"{span!r} is no span of time")
    return exact
