# SPDX-License-Identifier: Apache-2.0
"""Ends what handlers have started and left behind, wherever it has hidden.

A worker leads a process group, which is killed with it. What has left the group (a daemon, a job in a session of its
own) comes to the agent when its parent dies, because the agent is a subreaper; and its environment says which worker
it belongs to.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections.abc import Collection
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_MARK = "JOBWIRE_WORKER"
# A bomb forks while it is being killed; each round takes all that there are.
_ROUNDS = 50


class Orphans:
    """Those of one agent."""

    def __init__(self) -> None:
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def mark(self, worker: int) -> dict[str, str]:
        """What makes the processes of a worker known, in its environment."""
        return {_MARK: f"{os.getpid()}.{worker}"}

    def sweep(self, pids: Collection[int], workers: Collection[int]) -> None:
        """Buries orphans that are dead, and kills those whose worker is.

        pids, workers: the processes and numbers of the living workers, which someone else buries.
        """
        seen: set[int] = set()
        for _ in range(_ROUNDS):
            found = False
            for pid in _children().difference(pids):
                with contextlib.suppress(ChildProcessError, ProcessLookupError):
                    if os.waitpid(pid, os.WNOHANG) == (0, 0) and _is_lost(pid, workers):
                        os.kill(pid, signal.SIGKILL)
                        found = found or pid not in seen
                        seen.add(pid)
            if not found:
                return


def _children() -> set[int]:
    found: set[int] = set()
    for task in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found.update(map(int, task.read_text().split()))
    return found


def _is_lost(pid: int, workers: Collection[int]) -> bool:
    worker = _worker_of(pid)
    # One that has cleared its environment may be anyone's: it goes with the last of them.
    return not workers if worker is None else worker not in workers


def _worker_of(pid: int) -> int | None:
    """The worker that a process belongs to; None when its environment does not tell."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return None
    mark = f"{_MARK}={os.getpid()}.".encode()
    for variable in environment.split(b"\0"):
        if variable.startswith(mark):
            number = variable[len(mark) :]
            return int(number) if number.isdigit() else None
    return None
