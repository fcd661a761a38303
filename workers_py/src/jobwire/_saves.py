# SPDX-License-Identifier: Apache-2.0
"""What a worker's running attempts save for the next ones, until the broker has it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from jobwire._errors import CheckpointError
from jobwire._wire_enums import Code, code_name

# What is saved more often than this travels with the next one, unless somebody waits for it.
_PAUSE_S = 0.01


class Save(NamedTuple):
    token: bytes
    number: int
    encoding: int
    data: bytes


@dataclass(slots=True)
class _Attempt:
    latest: Save | None = None  # until it is settled
    unsent: bool = False
    number: int = 0
    stored: int = 0
    refused: int = 0
    code: int = 0
    warned: bool = False


def too_large(size: int, limit: int) -> CheckpointError:
    return CheckpointError(f"it has {size} bytes, the limit is {limit}", Code.TooLarge)


class Saves:
    """The latest checkpoint of each running attempt. May be used from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._changed = threading.Condition()
        # Of those that have saved something; whoever calls for each job looks here first.
        self.attempts: dict[bytes, _Attempt] = {}
        self._clock = clock
        self._next = 0.0
        # How many wait for theirs to be stored.
        self.waiting = 0

    def save(self, token: bytes, encoding: int, data: bytes, limit: int) -> int:
        """Takes the place of what the attempt has saved before; its number, for `wait`. Raises CheckpointError when it
        has more bytes than the limit."""
        if len(data) > limit:
            raise too_large(len(data), limit)
        with self._changed:
            attempt = self.attempts.setdefault(token, _Attempt())
            attempt.number += 1
            attempt.latest = Save(token, attempt.number, encoding, data)
            attempt.unsent = True
            return attempt.number

    def wait(self, token: bytes, number: int, timeout_s: float) -> None:
        """Until that one, or a later one, is stored. Raises CheckpointError when it is refused, when the attempt is
        over, and when nothing is known in time."""
        deadline = self._clock() + timeout_s
        with self._changed:
            self.waiting += 1
            try:
                while not self._is_stored(token, number):
                    left = deadline - self._clock()
                    if left <= 0:
                        raise CheckpointError("the broker has not said that it is stored")
                    self._changed.wait(left)
            finally:
                self.waiting -= 1

    def _is_stored(self, token: bytes, number: int) -> bool:
        attempt = self.attempts.get(token)
        if attempt is None:
            raise CheckpointError("the attempt is over", Code.StaleLease)
        if attempt.refused >= number:
            raise CheckpointError(f"refused: {code_name(attempt.code)}", attempt.code)
        return attempt.stored >= number

    def due(self) -> float | None:
        """When something is to be sent, on the clock; None when nothing is."""
        if not any(one.unsent for one in tuple(self.attempts.values())):
            return None
        return 0.0 if self.waiting else self._next

    def take(self) -> list[Save]:
        """What is to be sent now."""
        now = self._clock()
        with self._changed:
            if now < self._next and not self.waiting:
                return []
            taken = []
            for attempt in self.attempts.values():
                if attempt.unsent and attempt.latest is not None:
                    taken.append(attempt.latest)
                    attempt.unsent = False
            if taken:
                self._next = now + _PAUSE_S
            return taken

    def take_all(self) -> list[Save]:
        """In a new session: whatever is not settled."""
        with self._changed:
            for attempt in self.attempts.values():
                attempt.unsent = False
            return [one.latest for one in self.attempts.values() if one.latest is not None]

    def settle(self, token: bytes, number: int, code: int) -> bool:
        """The broker's word on one. True when it is a refusal and the first of its attempt."""
        with self._changed:
            attempt = self.attempts.get(token)
            if attempt is None:
                return False
            if code == 0:
                attempt.stored = max(attempt.stored, number)
            else:
                attempt.refused, attempt.code = max(attempt.refused, number), code
            if attempt.latest is not None and attempt.latest.number <= number:
                attempt.latest, attempt.unsent = None, False
            self._changed.notify_all()
            first = code != 0 and not attempt.warned
            attempt.warned = attempt.warned or code != 0
            return first

    def end(self, token: bytes) -> Save | None:
        """The attempt is over; what it saved and nobody was told, if anything."""
        with self._changed:
            attempt = self.attempts.pop(token, None)
            self._changed.notify_all()
            return attempt.latest if attempt is not None and attempt.unsent else None
