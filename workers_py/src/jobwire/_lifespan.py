# SPDX-License-Identifier: Apache-2.0
"""What an app sets up before its first job and takes down after its last: the value of `ctx.deps`."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any

from jobwire._errors import HandlerError

LifespanFunction = Callable[
    [],
    AbstractContextManager[Any]
    | AbstractAsyncContextManager[Any]
    | Generator[Any, None, None]
    | AsyncGenerator[Any, None]
    | Awaitable[Any]
    | Any,
]
"""A function without arguments: a generator that yields the deps once (async or not), one that returns a context
manager, or simply one that returns the deps."""


class Lifespan:
    """One passage through a lifespan function: entered once, left once, by the same thread or event loop."""

    def __init__(self, function: LifespanFunction | None, deps: Any = None) -> None:
        """Without a function, `deps` are what there is."""
        self._function = function
        self._exit: AbstractContextManager[Any] | AbstractAsyncContextManager[Any] | None = None
        self.deps: Any = deps

    @property
    def needs_loop(self) -> bool:
        """Whether it must be entered and left in an event loop, known beforehand for async functions."""
        return inspect.iscoroutinefunction(self._function) or inspect.isasyncgenfunction(
            self._function
        )

    def enter(self) -> Any:
        """Sets up, and returns the deps; raises HandlerError for one that needs an event loop."""
        if self._function is None:
            # Whoever gave them has entered them, should they be context managers.
            return self.deps
        found = self._start(self._function)
        if isinstance(found, AbstractContextManager):
            self.deps = found.__enter__()
            self._exit = found
        elif inspect.isawaitable(found) or isinstance(found, AbstractAsyncContextManager):
            if inspect.iscoroutine(found):
                found.close()
            raise HandlerError("the app's lifespan is async and needs an event loop")
        else:
            self.deps = found
        return self.deps

    async def enter_async(self) -> Any:
        """The same in an event loop, for lifespans of either kind."""
        if self._function is None:
            # Whoever gave them has entered them, should they be context managers.
            return self.deps
        found = self._start(self._function)
        if isinstance(found, AbstractContextManager):
            self.deps = found.__enter__()
            self._exit = found
        elif isinstance(found, AbstractAsyncContextManager):
            self.deps = await found.__aenter__()
            self._exit = found
        else:
            self.deps = await found if inspect.isawaitable(found) else found
        return self.deps

    def leave(self) -> None:
        """Takes down what `enter` set up; twice is once."""
        leaving, self._exit = self._exit, None
        if isinstance(leaving, AbstractContextManager):
            leaving.__exit__(None, None, None)

    async def leave_async(self) -> None:
        """Takes down what `enter_async` set up; twice is once."""
        leaving, self._exit = self._exit, None
        if isinstance(leaving, AbstractAsyncContextManager):
            await leaving.__aexit__(None, None, None)
        elif leaving is not None:
            leaving.__exit__(None, None, None)

    @staticmethod
    def _start(function: LifespanFunction) -> Any:
        if inspect.isasyncgenfunction(function):
            return contextlib.asynccontextmanager(function)()
        if inspect.isgeneratorfunction(function):
            return contextlib.contextmanager(function)()
        return function()
