# SPDX-License-Identifier: Apache-2.0
"""Runs attempts in threads, for handlers that wait.

A thread cannot be killed. Interrupted is raised in it at its next step of Python; while it is inside a call of C code
it does not see that, and when it has not ended within the agent's grace, its whole process is.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable, Sequence
from queue import SimpleQueue

from jobwire._attempt import Attempt, Executor
from jobwire._messages import Limits
from jobwire._outcomes import INTERRUPTS, raised, returned


class Threads(Executor):
    """A fixed number of them; `ended` is called by any."""

    def __init__(
        self, count: int, limits: Callable[[], Limits], ended: Callable[[Attempt], None]
    ) -> None:
        self._limits = limits
        self._ended = ended
        self._queue: SimpleQueue[Attempt] = SimpleQueue()
        self._lock = threading.Lock()
        # Which thread is inside the handler of which attempt.
        self._inside: dict[bytes, int] = {}
        for number in range(count):
            # Daemons: one that does not end must not keep the process.
            threading.Thread(target=self._work, name=f"jobwire-slot-{number}", daemon=True).start()

    def begin(self, attempts: Sequence[Attempt]) -> None:
        for attempt in attempts:
            self._queue.put(attempt)

    def interrupt(self, attempt: Attempt) -> None:
        with self._lock:
            thread = self._inside.get(attempt.token)
            if thread is not None:
                _raise_in(thread, INTERRUPTS[attempt.order])

    def _work(self) -> None:
        me = threading.get_ident()
        while True:
            attempt = self._queue.get()
            limits = self._limits()
            try:
                try:
                    with self._lock:
                        self._inside[attempt.token] = me
                    attempt.ended = returned(attempt.make(), limits)
                finally:
                    with self._lock:
                        self._inside.pop(attempt.token, None)
                        # One that has not struck yet would strike the next attempt.
                        _raise_in(me, None)
            except BaseException as error:  # the user's handler may raise anything
                attempt.ended = raised(error, limits)
            attempt.end_ns = time.monotonic_ns()
            self._ended(attempt)
            del attempt


def _raise_in(thread: int, kind: type[BaseException] | None) -> None:
    wanted = None if kind is None else ctypes.py_object(kind)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), wanted)
