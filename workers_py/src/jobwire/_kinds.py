# SPDX-License-Identifier: Apache-2.0
"""The kinds of worker processes: one for each way in which a program's jobs run.

A worker tells the broker how many jobs it runs at the same time, one number for all the types that it serves. So types
that run in the main thread, one by one, never share a process with those that wait on an event loop by the hundred:
they would wait behind one another, and a handler that computes would hold up every coroutine beside it.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from jobwire._errors import SetupError
from jobwire._job import Execution, JobOptions
from jobwire._slots import MAX_SLOTS

DEFAULT_THREADS = 8
DEFAULT_TASKS = 100


class Kind(IntEnum):
    """A bit each, so that a worker can say in one word which ones its program needs."""

    ANY = 0  # an order: be of the first kind that the program needs
    MAIN = 1  # handlers in the main thread, and command lines, one by one
    THREADS = 2  # several of either
    ASYNC = 4
    FRESH = 8  # one job, then the process ends


_KINDS = {
    Execution.MAIN: Kind.MAIN,
    Execution.COMMAND: Kind.MAIN,
    Execution.THREADS: Kind.THREADS,
    Execution.ASYNC: Kind.ASYNC,
    Execution.PROCESS: Kind.FRESH,
}


def kind_of(options: JobOptions, threads: int) -> Kind:
    """Where a type runs; `threads` is what `--threads` asked for, 0 when it was not given."""
    plain = options.execution is Execution.MAIN
    if (threads and plain) or (options.execution is Execution.COMMAND and options.concurrency > 1):
        return Kind.THREADS
    return _KINDS[options.execution]


def kinds_in(bits: int) -> list[Kind]:
    return [kind for kind in Kind if kind & bits]


def slots_for(kind: Kind, served: Iterable[JobOptions], threads: int) -> int:
    """How many jobs one process of the kind runs at the same time. Raises SetupError when these are too many."""
    if kind in (Kind.MAIN, Kind.FRESH):
        return 1
    if kind is Kind.THREADS and threads:
        return threads
    each = DEFAULT_THREADS if kind is Kind.THREADS else DEFAULT_TASKS
    declared = [options.concurrency for options in served]
    # Types without a number of their own share one default; the others bring theirs.
    slots = sum(declared) + (each if 0 in declared else 0)
    if slots > MAX_SLOTS:
        raise SetupError(
            f"the jobs that run in {kind.name.lower()} slots declare a concurrency of {slots} "
            f"together; one process has {MAX_SLOTS} at most"
        )
    return slots
