# SPDX-License-Identifier: Apache-2.0
"""Why a worker ended, which of its jobs that is charged to, and how it is told."""

from __future__ import annotations

import signal

from jobwire._boot import EXIT_RECYCLED
from jobwire._child import Child, Death
from jobwire._slots import Run
from jobwire._wire_enums import WorkerEnd


def judge(child: Child, death: Death) -> tuple[int, list[Run]]:
    """Why a worker ended, and which of its jobs that concerns; the others go back uncharged."""
    ended = [one for one in child.endings.values() if one.termed and one.run in death.runs]
    if ended:
        # Several may have been due in the same moment; those that are left out are asked to end again.
        end = ended[0].end
        return end, [one.run for one in ended if one.end == end]
    if child.stopped_as is not None:
        return child.stopped_as, death.runs
    if death.exit_code == EXIT_RECYCLED and not death.runs:
        return WorkerEnd.Recycled, []
    if not (death.signal or death.exit_code or death.runs):
        # Someone sent SIGTERM to it alone: it drained and left.
        return WorkerEnd.Stopped, []
    return WorkerEnd.Crashed, death.runs or death.ended


def story(child: Child, death: Death, end: int, charged: list[Run]) -> str:
    if end == WorkerEnd.Recycled:
        return f"recycled for {child.recycled_for or 'its number of jobs'}"
    if death.signal:
        how = f"signal {death.signal} ({signal.strsignal(death.signal)})"
    else:
        how = f"exit code {death.exit_code}"
    if end == WorkerEnd.TimedOut:
        how = f"its job's time was up, {how}"
    elif end == WorkerEnd.Cancelled:
        how = f"its job was cancelled, {how}"
    else:
        how += f", {death.rss_bytes >> 20} MiB at most"
    if charged:
        how += ", while running job " if death.runs else ", having run job "
        how += ", ".join(run.job.hex() for run in charged[:3])
        how += f" and {len(charged) - 3} more" if len(charged) > 3 else ""
    return how
