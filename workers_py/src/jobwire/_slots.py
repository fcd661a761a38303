# SPDX-License-Identifier: Apache-2.0
"""Memory that the host agent shares with one worker: what the worker runs now, and what the agent wants of it.

    head    words for the whole process: how far it is, what it counts, whether it is to drain
    slot 0  one job that runs: the worker writes its lease and its progress, the agent an order to end it
    slot 1  ... as many as the worker runs jobs at the same time

The worker writes a slot with one `pack_into` per job, which costs it less than half a microsecond; the agent reads it
for heartbeats, deadlines and progress, and once more when the worker is dead. So a handler that holds the interpreter's
lock for an hour is still seen, and its last progress too.

`pack_into` clears what it will write and then writes from front to back, so a reader believes a copy only when the
sequence numbers at both ends are equal and not 0, and a second copy is the same. A word is one store.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from enum import Enum, IntEnum
from struct import Struct
from typing import Final, NamedTuple

MAX_SLOTS = 1024
"""What a broker takes at most, for one worker."""

MAX_MESSAGE_BYTES = 1024
"""Of a progress message, as the protocol has it."""

RUN = Struct("<Q16s16sqqIHHQ")
"""sequence, token, job, started_ms (wall), started_ns (monotonic), timeout_ms, attempt, phase, sequence"""

# The phases. A job that has ended stays named until the broker has its result: one that has broken its process without
# ending it, by closing its descriptors for example, is to blame when the process dies a moment later.
_IDLE, _RUNNING, _ENDED = range(3)

_ORDER = Struct("<I16s")
_PROGRESS = Struct(f"<Q16sdI{MAX_MESSAGE_BYTES}sQ")
"""sequence, token, value, bytes of the message, message, sequence"""

_HEAD_BYTES = 4096
_ORDER_AT = 96
_PROGRESS_AT = 128
SLOT_BYTES = 1280
_BYTES = _HEAD_BYTES + MAX_SLOTS * SLOT_BYTES
NO_ID = bytes(16)

# The head's words. All are the worker's but the last, which is the agent's.
_STATE, _KINDS, _COUNT, _FAILED, _GREETED, _REDACTS, _DRAIN = range(7)


class WorkerState(IntEnum):
    EMPTY = 0
    LOADING = 1  # imports the program
    SETTING_UP = 2  # the app's setup
    READY = 3
    LEAVING = 4  # its jobs are done; what it set up is taken down


class Order(IntEnum):
    """Why a run is to end."""

    NONE = 0
    CANCEL = 1
    TIMEOUT = 2
    STOP = 3


class Run(NamedTuple):
    """What runs in a slot."""

    slot: int
    token: bytes
    job: bytes
    started_ms: int
    started_ns: int
    timeout_ms: int
    attempt: int

    @property
    def deadline_s(self) -> float:
        """When its time is up, on the clock of `time.monotonic()`."""
        return self.started_ns / 1e9 + self.timeout_ms / 1000


class Torn(Enum):
    """In place of a Run: the slot was being written just then, or its writer died while it did."""

    TORN = 0


TORN: Final = Torn.TORN


class Progress(NamedTuple):
    """The latest that a job has told."""

    sequence: int
    token: bytes
    value: float
    message: bytes


class WorkerMemory:
    """The agent's side; owns the memory, which ends with the last process that has it open."""

    def __init__(self) -> None:
        self.fd = os.memfd_create("jobwire-slots")
        os.ftruncate(self.fd, _BYTES)
        self._memory = mmap.mmap(self.fd, _BYTES)
        self._words = memoryview(self._memory)[:_HEAD_BYTES].cast("Q")

    @property
    def state(self) -> WorkerState:
        return WorkerState(self._words[_STATE])

    @property
    def kinds(self) -> int:
        """The kinds of workers that the program needs, one bit each; 0 until it is loaded."""
        return self._words[_KINDS]

    @property
    def redacts(self) -> bool:
        """It runs jobs with values that must not be told."""
        return bool(self._words[_REDACTS])

    @property
    def slots(self) -> int:
        return min(self._words[_COUNT], MAX_SLOTS)

    @property
    def failed(self) -> int:
        """Jobs that it has ended otherwise than well."""
        return self._words[_FAILED]

    @property
    def greeted(self) -> int:
        """How many times a broker has welcomed it."""
        return self._words[_GREETED]

    @property
    def started(self) -> int:
        """Jobs that it has begun."""
        memory, first = self._memory, _HEAD_BYTES
        ends = range(first, first + self.slots * SLOT_BYTES, SLOT_BYTES)
        return sum(int.from_bytes(memory[at : at + 8], "little") >> 1 for at in ends)

    def runs(self) -> list[Run]:
        """What runs, as far as it can be read."""
        found = (self.run(slot) for slot in range(self.slots))
        return [run for run in found if isinstance(run, Run)]

    def ended(self) -> list[Run]:
        """What ran last in slots where nothing runs, as long as its result has not been settled."""
        found = (self._read(slot, _ENDED) for slot in range(self.slots))
        return [run for run in found if isinstance(run, Run)]

    def run(self, slot: int) -> Run | Torn | None:
        """What runs in the slot, None when nothing does."""
        return self._read(slot, _RUNNING)

    def _read(self, slot: int, wanted: int) -> Run | Torn | None:
        copy = self._copy(_HEAD_BYTES + slot * SLOT_BYTES, RUN.size)
        if copy is None:
            return TORN
        _, token, job, started_ms, started_ns, timeout_ms, attempt, phase, _ = RUN.unpack(copy)
        if phase != wanted:
            return None
        return Run(slot, token, job, started_ms, started_ns, timeout_ms, attempt)

    def progress(self, slot: int, known: int) -> Progress | None:
        """What was told in the slot since the sequence number `known`, if anything was."""
        at = _HEAD_BYTES + slot * SLOT_BYTES + _PROGRESS_AT
        if int.from_bytes(self._memory[at : at + 8], "little") == known:
            return None
        copy = self._copy(at, _PROGRESS.size)
        if copy is None or not any(copy[:8]):
            return None
        sequence, token, value, size, message, _ = _PROGRESS.unpack(copy)
        return Progress(sequence, token, value, message[:size])

    def order(self, slot: int, order: Order, token: bytes = NO_ID) -> None:
        """Asks for the end of a run."""
        _ORDER.pack_into(self._memory, _HEAD_BYTES + slot * SLOT_BYTES + _ORDER_AT, order, token)

    def drain(self) -> None:
        """Asks the worker to end what runs, hand back the rest, and leave."""
        self._words[_DRAIN] = 1

    def close(self) -> None:
        self._words.release()
        self._memory.close()
        os.close(self.fd)

    def _copy(self, at: int, size: int) -> bytes | None:
        first = self._memory[at : at + size]
        for _ in range(8):
            second = self._memory[at : at + size]
            if first == second:
                # All zero: nobody has written here yet.
                whole = first[:8] == first[-8:] and (any(first[:8]) or not any(first))
                return first if whole else None
            first = second
        return None


class Slot:
    """One of a worker's slots, for the thread that runs its job."""

    def __init__(self, view: memoryview) -> None:
        self._view = view
        # Twice the jobs that began here, and one more between two of them.
        self._sequence = 0
        self._told = 0

    def run(
        self, token: bytes, job: bytes, started_ns: int, wall_ns: int, timeout_ms: int, attempt: int
    ) -> None:
        """Says that a job starts; `wall_ns` is what the wall clock is ahead of the monotonic one."""
        self._sequence = sequence = (self._sequence | 1) + 1
        started_ms = (started_ns + wall_ns) // 1_000_000
        RUN.pack_into(
            self._view,
            0,
            sequence,
            token,
            job,
            started_ms,
            started_ns,
            timeout_ms,
            attempt,
            1,  # _RUNNING, without the look-up
            sequence,
        )

    def ended(self) -> None:
        """Says that the job has ended, and is not settled."""
        self._sequence = sequence = self._sequence | 1
        _, *run, _, _ = RUN.unpack_from(self._view)
        RUN.pack_into(self._view, 0, sequence, *run, _ENDED, sequence)

    def idle(self) -> None:
        """Says that nothing runs here and nothing is left to settle."""
        self._sequence = sequence = self._sequence | 1
        RUN.pack_into(self._view, 0, sequence, NO_ID, NO_ID, 0, 0, 0, 0, 0, sequence)

    def deadline_ns(self) -> int:
        """When the running job's time is up, on the monotonic clock."""
        fields = RUN.unpack_from(self._view)
        return int(fields[4] + fields[5] * 1_000_000)

    def order(self) -> tuple[Order, bytes]:
        """What the agent wants, and of which run."""
        order, token = _ORDER.unpack_from(self._view, _ORDER_AT)
        return Order(order), token

    def progress(self, token: bytes, value: float, message: bytes) -> None:
        """Tells how far the job is; the latest word counts. `message` is cut at MAX_MESSAGE_BYTES."""
        self._told = told = self._told + 1
        size = min(len(message), MAX_MESSAGE_BYTES)
        _PROGRESS.pack_into(self._view, _PROGRESS_AT, told, token, value, size, message, told)

    def release(self) -> None:
        self._view.release()


class WorkerSlots:
    """The worker's side of the memory."""

    def __init__(self, fd: int) -> None:
        self._memory = mmap.mmap(fd, _BYTES)
        self._view = memoryview(self._memory)
        self._words = self._view[:_HEAD_BYTES].cast("Q")
        self._slots: list[Slot] = []

    def state(self, state: WorkerState) -> None:
        """Says how far the process is."""
        self._words[_STATE] = state

    def kinds(self, bits: int) -> None:
        self._words[_KINDS] = bits

    def redacts(self) -> None:
        """Says that its jobs have values that must not be told. Before the first of them."""
        self._words[_REDACTS] = 1

    def open(self, count: int) -> list[Slot]:
        """The slots, for so many jobs at the same time."""
        starts = range(_HEAD_BYTES, _HEAD_BYTES + count * SLOT_BYTES, SLOT_BYTES)
        self._slots = [Slot(self._view[at : at + SLOT_BYTES]) for at in starts]
        self._words[_COUNT] = count
        return self._slots

    def count_failure(self) -> None:
        self._words[_FAILED] += 1

    def greeted(self) -> None:
        self._words[_GREETED] += 1

    @property
    def draining(self) -> bool:
        """The agent wants the process to leave."""
        return bool(self._words[_DRAIN])

    def __iter__(self) -> Iterator[Slot]:
        return iter(self._slots)

    def close(self) -> None:
        for slot in self._slots:
            slot.release()
        self._words.release()
        self._view.release()
        self._memory.close()
