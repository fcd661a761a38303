# SPDX-License-Identifier: Apache-2.0
"""What `jobwire worker` was asked to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """Times are seconds; 0 is no limit.

    workers: processes of each kind that the program needs.
    source_folders: where changes are looked for, with `reload`.
    burst_s: leave when nothing has come for so long; 0 is to stay.
    slot_env: variables whose value depends on a process's number, as GPUs are given out.
    """

    target: str
    broker: str
    queues: tuple[str, ...]
    workers: int
    threads: int
    credit: int
    grace_s: float
    term_grace_s: float
    max_jobs: int
    max_rss_bytes: int
    max_age_s: float
    burst_s: float
    reload: bool
    source_folders: tuple[str, ...]
    http: tuple[str, int] | None
    slot_env: Mapping[str, tuple[str, ...]]
    log_format: str

    def environment(self, index: int) -> dict[str, str]:
        """What process number `index` of a kind finds in its environment, beside the agent's own."""
        values = {name: each[index % len(each)] for name, each in self.slot_env.items()}
        return {"JOBWIRE_SLOT": str(index), **values}
