# SPDX-License-Identifier: Apache-2.0
"""Every exception of jobwire.

JobwireError
 +-- Retry             raised by handlers: try again after a delay
 +-- Reject            raised by handlers: never try again
 |    +-- PayloadError     the payload does not fit the handler's annotations
 +-- ResultError       what the handler returned cannot travel
 +-- CommandFailed     a command ended with an exit code that is not 0, or by a signal
 +-- SetupError        the program cannot run as it is written
 |    +-- AppNotFound      module, or app in it, not found
 |    +-- HandlerError     a handler that cannot be served: annotation, name, kind
 +-- ProtocolError     the broker sent what cannot be read
 +-- RefusedError      the broker refused this worker
"""

from __future__ import annotations

from datetime import timedelta


class JobwireError(Exception):
    """Base of all of them."""


class Retry(JobwireError):  # noqa: N818 - reads as an order in the handler
    """Raised by a handler to have its job run again.

    delay: seconds (or a timedelta) until then; None leaves it to the job's backoff.
    The attempt counts against the job's attempts.
    """

    def __init__(self, delay: float | timedelta | None = None, reason: str = "") -> None:
        super().__init__(reason)
        seconds = delay.total_seconds() if isinstance(delay, timedelta) else delay
        if seconds is not None and not 0 <= seconds <= 366 * 86400:
            raise ValueError(f"Retry.delay must be 0 s to 366 days, not {delay!r}")
        self.delay_ms = 0 if seconds is None else max(1, round(seconds * 1000))
        self.reason = reason


class Reject(JobwireError):  # noqa: N818
    """Raised by a handler to end its job as dead, whatever attempts are left."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


class PayloadError(Reject):
    """The payload does not fit the handler's annotations; `field` is a path such as `order.items[2].price`."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field


class ResultError(JobwireError):
    """What the handler returned cannot travel: no encoding for its type, or too large."""


class CommandFailed(JobwireError):  # noqa: N818 - a failed attempt, not a mistake in the program
    """A command ended with an exit code that is not 0, or by a signal, whose number is then negative."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class SetupError(JobwireError):
    """The program cannot run as it is written; starting it again does not help."""


class AppNotFound(SetupError):  # noqa: N818
    """The module, or the app in it, was not found."""


class HandlerError(SetupError):
    """A handler that cannot be served."""


class ProtocolError(JobwireError):
    """The broker sent what cannot be read."""


class RefusedError(JobwireError):
    """The broker refused this peer; `code` is the number of PROTOCOL.md."""

    def __init__(self, code: int, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}" if message else name)
        self.code = code
