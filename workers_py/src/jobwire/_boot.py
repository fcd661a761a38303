# SPDX-License-Identifier: Apache-2.0
"""What an agent tells a worker process that it starts, and how that process can end.

The orders travel as one line of JSON through a pipe. The agent keeps the pipe's other end open as long as it lives, and
a byte that comes later asks the worker to greet the broker anew.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass

EXIT_SETUP = 78  # EX_CONFIG: the program cannot run as it is written
EXIT_REFUSED = 77  # EX_NOPERM: the broker refuses this worker
EXIT_RECYCLED = 76  # it has run its number of jobs
EXIT_SETUP_FAILED = 1  # what it sets up is not there now
EXIT_BROKEN = 74  # EX_IOERR: a job has closed the worker's descriptors
EXIT_INTERRUPTED = 75  # a run was stopped on the agent's order
EXIT_ORPHANED = 70  # the agent is gone

PROBLEM_PREFIX = b"jobwire: "
# Before each line of the traceback that goes with it.
FRAMES_PREFIX = b"jobwire| "
"""Starts the line by which a worker says why it cannot run, with EXIT_SETUP, EXIT_SETUP_FAILED or EXIT_REFUSED."""


@dataclass(frozen=True, slots=True)
class Boot:
    """A worker's orders."""

    target: str
    broker: str
    host: str  # hexadecimal
    host_name: str
    worker: int
    kind: int  # a Kind
    threads: int
    memory_fd: int
    agent_pid: int
    queues: tuple[str, ...]
    credit: int
    max_jobs: int  # 0: no limit
    term_grace_s: float
    log_format: str

    def dump(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"


def read_boot(descriptor: int) -> Boot:
    """Reads the orders from the pipe, which stays open."""
    line = bytearray()
    while not line.endswith(b"\n"):
        # Byte by byte: what follows the line is not part of the orders.
        piece = os.read(descriptor, 1)
        if not piece:
            raise EOFError("the agent went away before it gave its orders")
        line += piece
    fields = json.loads(line)
    fields["queues"] = tuple(fields["queues"])
    return Boot(**fields)
