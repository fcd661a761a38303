# SPDX-License-Identifier: Apache-2.0
"""A producer's jobs that are not receipted.

ready --room in the window--> in flight --receipt--> forgotten
  ^                              |
  +------ silence, a new session, a refusal that passes
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field

from jobwire._answers import Receipt
from jobwire._errors import ClientError
from jobwire._messages import Limits
from jobwire._settle import fail, settle
from jobwire._spec import JobSpec

NEVER = math.inf
_LONGEST_RESEND_S = 60.0


@dataclass(slots=True, eq=False)
class Entry:
    """One job that is not receipted. Posted jobs have nobody who waits, and no deadline.

    request: the message that it is in flight with, or 0. interval: after so long it is sent again.
    """

    spec: JobSpec
    sequence: int
    deadline: float
    interval: float
    futures: list[Future[Receipt]] = field(default_factory=list)
    sends: int = 0
    request: int = 0
    refusal: ClientError | None = None

    @property
    def posted(self) -> bool:
        return self.deadline == NEVER

    @property
    def size(self) -> int:
        return len(self.spec.payload)


class Backlog:
    def __init__(self) -> None:
        # Every job, oldest first, and of those the ones that wait to be sent.
        self._entries: dict[bytes, Entry] = {}
        self._ready: deque[Entry] = deque()
        self._requests: dict[int, list[Entry]] = {}
        self._flight_jobs = 0
        self._flight_bytes = 0
        self._bytes = 0
        self._flushes: list[tuple[int, Future[None]]] = []
        self._rooms: list[Future[None]] = []

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        """Oldest first; they may be forgotten meanwhile."""
        return iter(list(self._entries.values()))

    def __contains__(self, id_: bytes) -> bool:
        return id_ in self._entries

    @property
    def payload_bytes(self) -> int:
        return self._bytes

    @property
    def has_ready(self) -> bool:
        return bool(self._ready)

    def get(self, id_: bytes) -> Entry | None:
        return self._entries.get(id_)

    def add(self, entry: Entry) -> None:
        self._entries[entry.spec.id.bytes] = entry
        self._bytes += entry.size
        self._ready.append(entry)

    def oldest_posted(self) -> Entry | None:
        """The oldest posted job that is not on its way."""
        return next((entry for entry in self._ready if entry.posted), None)

    def forget(self, entry: Entry) -> None:
        """It is settled, one way or the other. `check_flushes` follows when all that is settled now is forgotten."""
        self.land(entry)
        if self._entries.pop(entry.spec.id.bytes, None) is not None:
            self._bytes -= entry.size
            rooms, self._rooms = self._rooms, []
            for future in rooms:
                settle(future, None)

    def flush(self, through: int, future: Future[None]) -> None:
        """The future is settled when every job up to this sequence is."""
        self._flushes.append((through, future))
        self.check_flushes()

    def check_flushes(self) -> None:
        if not self._flushes:
            return
        oldest = next(iter(self._entries.values())).sequence if self._entries else NEVER
        for through, future in self._flushes:
            if oldest > through:
                settle(future, None)
        self._flushes = [one for one in self._flushes if not one[1].done()]

    def room(self, future: Future[None]) -> None:
        """The future is settled when a job has left."""
        if self._entries:
            self._rooms.append(future)
        else:
            settle(future, None)

    def close(self, error: ClientError) -> None:
        """What waits for a flush gets the error."""
        for _, future in self._flushes:
            fail(future, error)

    def batch(self, limits: Limits) -> list[Entry]:
        """The next jobs for one message, as far as message and window have room."""
        batch: list[Entry] = []
        size = 0
        while self._ready and len(batch) < limits.max_jobs_per_message:
            entry = self._ready[0]
            if self._entries.get(entry.spec.id.bytes) is not entry:
                self._ready.popleft()  # given up
                continue
            if self._flight_jobs + len(batch) >= limits.window_jobs:
                break
            if self._flight_bytes + size + entry.size > limits.window_bytes and (
                batch or self._flight_jobs
            ):
                break
            if batch and size + entry.size > limits.max_message_bytes:
                break
            batch.append(self._ready.popleft())
            size += entry.size
        return batch

    def fly(self, number: int, batch: list[Entry]) -> None:
        """They are in flight, with this message."""
        for entry in batch:
            entry.sends += 1
            entry.request = number
            self._flight_jobs += 1
            self._flight_bytes += entry.size
        self._requests[number] = batch

    def land(self, entry: Entry) -> None:
        """It is in flight no more; `ready` has it sent again."""
        if entry.request:
            entry.request = 0
            self._flight_jobs -= 1
            self._flight_bytes -= entry.size

    def ready(self, entry: Entry) -> None:
        self._ready.append(entry)

    def of_message(self, number: int) -> list[Entry]:
        """The jobs that are in flight with a message, which is over."""
        return [entry for entry in self._requests.pop(number, ()) if entry.request == number]

    def resend(self, number: int) -> None:
        """No receipts for a message: those of its jobs that are still in flight are sent once more."""
        for entry in self.of_message(number):
            entry.interval = min(2 * entry.interval, _LONGEST_RESEND_S)
            self.land(entry)
            self._ready.append(entry)

    def begin_session(self) -> None:
        """What was in flight goes out first."""
        in_flight = [entry for entry in self._entries.values() if entry.request]
        for entry in in_flight:
            self.land(entry)
        self._ready.extendleft(reversed(in_flight))
        self._requests.clear()
