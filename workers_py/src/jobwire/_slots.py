# SPDX-License-Identifier: Apache-2.0
"""Memory that the host agent shares with its workers: what each of them runs now.

One slot per worker of a host. The worker writes the first half with one `pack_into` per job, which costs it less than
half a microsecond; the agent reads it for heartbeats and deadlines, and once more when the worker is dead. The agent
writes the second half: what it wants the worker to do.

`pack_into` clears the half and then writes from front to back, so a reader believes a copy only when the sequence
numbers at both ends are equal and not 0, and a second copy is the same.
"""

from __future__ import annotations

import mmap
import os
from enum import IntEnum
from struct import Struct
from typing import NamedTuple

RUN = Struct("<Q16s16sqqIHHQ")
"""sequence, token, job, started_ms (wall), started_ns (monotonic), timeout_ms, attempt, state, sequence"""

_COMMAND = Struct("<I16s")
_COMMAND_AT = 128
SLOT_BYTES = 192
NO_ID = bytes(16)


class WorkerState(IntEnum):
    EMPTY = 0
    LOADING = 1  # imports the program
    SETTING_UP = 2  # the app's setup
    IDLE = 3
    RUNNING = 4


class Command(IntEnum):
    NONE = 0
    DRAIN = 1  # end the running job, hand back the rest, leave
    CANCEL = 2  # the rest name a token: end that run
    TIMEOUT = 3
    STOP = 4


ENDING = (Command.CANCEL, Command.TIMEOUT, Command.STOP)


class Run(NamedTuple):
    """What a worker did when its slot was read."""

    token: bytes
    job: bytes
    started_ms: int
    started_ns: int
    timeout_ms: int
    attempt: int
    state: WorkerState

    @property
    def deadline_s(self) -> float:
        """When its time is up, on the clock of `time.monotonic()`."""
        return self.started_ns / 1e9 + self.timeout_ms / 1000


_NOTHING = Run(NO_ID, NO_ID, 0, 0, 0, 0, WorkerState.EMPTY)


class SlotTable:
    """The agent's side; owns the memory, which ends with the last process that has it open."""

    def __init__(self, count: int) -> None:
        self.fd = os.memfd_create("jobwire-slots")
        os.ftruncate(self.fd, count * SLOT_BYTES)
        self._memory = mmap.mmap(self.fd, count * SLOT_BYTES)

    def clear(self, index: int) -> None:
        """Makes the slot empty for the next worker."""
        at = index * SLOT_BYTES
        self._memory[at : at + SLOT_BYTES] = bytes(SLOT_BYTES)

    def read(self, index: int) -> Run | None:
        """What the worker does; None when it was writing just then, or died while it did."""
        at = index * SLOT_BYTES
        end = at + RUN.size
        first = self._memory[at:end]
        for _ in range(8):
            second = self._memory[at:end]
            if first == second:
                if first == bytes(RUN.size):
                    return _NOTHING
                if first[:8] == first[-8:] and first[:8] != bytes(8):
                    _, *fields, state, _ = RUN.unpack(first)
                    return Run._make((*fields, WorkerState(state)))
            first = second
        return None

    def command(self, index: int, command: Command, token: bytes = NO_ID) -> None:
        _COMMAND.pack_into(self._memory, index * SLOT_BYTES + _COMMAND_AT, command, token)

    def close(self) -> None:
        self._memory.close()
        os.close(self.fd)


class WorkerSlot:
    """One worker's side of its slot."""

    def __init__(self, fd: int, index: int) -> None:
        # An offset of mmap must lie on a page, so the whole table is mapped.
        self._memory = mmap.mmap(fd, (index + 1) * SLOT_BYTES)
        self.view = memoryview(self._memory)[index * SLOT_BYTES :]
        self.sequence = 0

    def run(
        self, token: bytes, job: bytes, started_ns: int, wall_ns: int, timeout_ms: int, attempt: int
    ) -> None:
        """Says that a job starts; `wall_ns` is what the wall clock is ahead of the monotonic one."""
        self.sequence = sequence = self.sequence + 1
        started_ms = (started_ns + wall_ns) // 1_000_000
        RUN.pack_into(
            self.view,
            0,
            sequence,
            token,
            job,
            started_ms,
            started_ns,
            timeout_ms,
            attempt,
            4,  # WorkerState.RUNNING, without the look-up
            sequence,
        )

    def state(self, state: WorkerState) -> None:
        """Says what the worker does between jobs."""
        self.sequence = sequence = self.sequence + 1
        RUN.pack_into(self.view, 0, sequence, NO_ID, NO_ID, 0, 0, 0, 0, state, sequence)

    def deadline_ns(self) -> int:
        """When the running job's time is up, on the monotonic clock."""
        fields = RUN.unpack_from(self.view)
        return int(fields[4] + fields[5] * 1_000_000)

    def command(self) -> tuple[Command, bytes]:
        command, token = _COMMAND.unpack_from(self.view, _COMMAND_AT)
        return Command(command), token

    def close(self) -> None:
        self.view.release()
        self._memory.close()
