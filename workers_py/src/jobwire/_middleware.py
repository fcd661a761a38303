# SPDX-License-Identifier: Apache-2.0
"""What runs around every attempt of an app: hooks, and the one that logs and times attempts."""

from __future__ import annotations

import time
from typing import Any

from jobwire._ctx import Ctx


class Middleware:
    """Hooks around each attempt; override those that are wanted. All run where the handler runs, in its time.

    `before` in the order of the app's list, `after` and `error` in the opposite one. What a hook raises is treated
    as if the handler had raised it. The same object serves all attempts, also several at a time.
    """

    def before(self, ctx: Ctx[Any]) -> None:
        """The attempt starts; its payload has not been looked at."""

    def after(self, ctx: Ctx[Any], result: Any) -> None:
        """The handler has returned."""

    def error(self, ctx: Ctx[Any], error: BaseException) -> None:
        """The attempt failed: the payload does not fit, or the handler or a hook raised."""


class AttemptLog(Middleware):
    """Logs each attempt's start and end with its run time, and with the trace id of its `traceparent` header.

    slow: attempts that take longer are logged as warnings.
    """

    def __init__(self, *, slow: float | None = None) -> None:
        self._slow = slow

    def before(self, ctx: Ctx[Any]) -> None:
        ctx.state[self] = time.perf_counter()
        ctx.log.debug("started")

    def after(self, ctx: Ctx[Any], result: Any) -> None:
        took = self._took(ctx)
        if self._slow is not None and took > self._slow:
            ctx.log.warning("done in %.3f s, which is slow", took)
        else:
            ctx.log.info("done in %.3f s", took)

    def error(self, ctx: Ctx[Any], error: BaseException) -> None:
        # Its message may hold what must not be logged; the frames go to the job's error.
        ctx.log.warning("%s after %.3f s", type(error).__qualname__, self._took(ctx))

    def _took(self, ctx: Ctx[Any]) -> float:
        return time.perf_counter() - float(ctx.state.pop(self, time.perf_counter()))
