# SPDX-License-Identifier: Apache-2.0
"""Runs attempts of `async def` handlers on an event loop in a thread of its own.

The main thread keeps talking to the broker, so a coroutine that forgets to await holds up its neighbours, not the
worker's session. A task that is to end is cancelled; when it does not end within the agent's grace, the process is.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar, cast

from jobwire._attempt import Attempt, Executor
from jobwire._messages import Limits
from jobwire._outcomes import INTERRUPTS, raised, returned
from jobwire._slots import Order

T = TypeVar("T")


class EventLoop:
    """An event loop that runs until it is closed."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="jobwire-asyncio", daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The coroutine's result, awaited in the loop; what it raises is raised here. For other threads."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    def close(self) -> None:
        """Ends the loop; nothing may run in it."""
        self.run(self.loop.shutdown_asyncgens())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()


class Tasks(Executor):
    """One task for each attempt; `ended` is called in the loop's thread."""

    def __init__(
        self, loop: EventLoop, limits: Callable[[], Limits], ended: Callable[[Attempt], None]
    ) -> None:
        self._loop = loop.loop
        self._limits = limits
        self._ended = ended
        self._tasks: dict[bytes, asyncio.Task[None]] = {}

    def begin(self, attempts: Sequence[Attempt]) -> None:
        self._loop.call_soon_threadsafe(self._begin, list(attempts))

    def interrupt(self, attempt: Attempt) -> None:
        self._loop.call_soon_threadsafe(self._cancel, attempt.token)

    def _begin(self, attempts: list[Attempt]) -> None:
        for attempt in attempts:
            self._tasks[attempt.token] = self._loop.create_task(self._run(attempt))

    def _cancel(self, token: bytes) -> None:
        task = self._tasks.get(token)
        if task is not None:
            task.cancel()

    async def _run(self, attempt: Attempt) -> None:
        limits = self._limits()
        try:
            attempt.ended = returned(await cast("Awaitable[object]", attempt.make()), limits)
        except asyncio.CancelledError as cancelled:
            error: BaseException = cancelled
            if attempt.order is not Order.NONE:
                error = INTERRUPTS[attempt.order]().with_traceback(cancelled.__traceback__)
            attempt.ended = raised(error, limits)
        except BaseException as error:  # the user's handler may raise anything
            attempt.ended = raised(error, limits)
        attempt.end_ns = time.monotonic_ns()
        del self._tasks[attempt.token]
        self._ended(attempt)
