# SPDX-License-Identifier: Apache-2.0
"""What a host's workers have done."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Totals:
    """What the host's workers have done since the start."""

    started: int
    running: int
    slots: int
    failed: int
    crashes: int
    workers: int
    ready: int

    @property
    def done(self) -> int:
        return self.started - self.running
