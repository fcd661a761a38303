# SPDX-License-Identifier: Apache-2.0
"""Every exception of jobwire.

JobwireError
 +-- Retry             raised by handlers: try again after a delay
 +-- Reject            raised by handlers: never try again
 |    +-- PayloadError     the payload does not fit the handler's annotations
 +-- ResultError       what the handler returned cannot travel
 +-- CheckpointError   what a handler saved was not stored
 +-- CommandFailed     a command ended with an exit code that is not 0, or by a signal
 +-- SetupError        the program cannot run as it is written
 |    +-- AppNotFound      module, or app in it, not found
 |    +-- HandlerError     a handler that cannot be served: annotation, name, kind
 +-- ProtocolError     the broker sent what cannot be taken
 +-- RefusedError      the broker refused this worker
 +-- ClientError       a client's call did not do what it was asked; each says what the caller does next
 |    +-- InvalidJob       a value is out of its range, or the call makes no sense: fix it
 |    +-- TooLarge         payload or message over the broker's limit: send less
 |    +-- Conflict         the id is known for another queue or type: make a new id
 |    +-- Full             a bound is reached, here, in a queue or in the store: wait `retry_after`
 |    +-- Unavailable      no broker, or it takes no new work now: wait `retry_after`
 |    +-- Paused           the queue is closed for intake: wait, or ask the operator
 |    +-- NoAnswer         nothing came in time, the outcome is open: ask, or submit with the same id (a TimeoutError)
 |    +-- NotPermitted     this client's key does not allow it: ask the operator
 |    +-- Incompatible     broker and client speak different versions: upgrade one side
 |    +-- UnknownJob       the id was never seen by this broker: check it
 |    +-- GoneJob          the job is older than what the broker keeps
 |    +-- UnknownQueue     no queue of that name was ever used: check it
 |    +-- NotFinished      the job has not ended: wait for it
 |    +-- AlreadyFinal     the job has ended: read its result
 |    +-- Dropped          a posted job made room for a newer one, as `overflow` asked
 |    +-- Closed           the client was closed: make another one
 +-- JobFailed         a job whose value was asked for did not succeed; `result` is how it ended
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobwire._spans import LONGEST_MS, Span, milliseconds

if TYPE_CHECKING:
    from jobwire._answers import JobResult


class JobwireError(Exception):
    """Base of all of them."""


class Retry(JobwireError):  # noqa: N818 - reads as an order in the handler
    """Raised by a handler to have its job run again.

    delay: seconds (or a timedelta, or text such as "5m") until then; None leaves it to the job's backoff.
    The attempt counts against the job's attempts.
    """

    def __init__(self, delay: Span | None = None, reason: str = "") -> None:
        super().__init__(reason)
        delay_ms = 0 if delay is None else max(1, milliseconds(delay))
        if not 0 <= delay_ms <= LONGEST_MS or (isinstance(delay, int | float) and delay < 0):
            raise ValueError(f"Retry.delay must be 0 s to 366 days, not {delay!r}")
        self.delay_ms = delay_ms
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

    # Bytes were left out, and the error says so by its flag.
    truncated = False

    @classmethod
    def too_large(cls, size: int, limit: int) -> ResultError:
        error = cls(f"the result has {size} bytes, the limit is {limit}")
        error.truncated = True
        return error


class CheckpointError(JobwireError):
    """What a handler saved was not stored: too large, refused, or not known in time. The one before it stays.

    code: the number of PROTOCOL.md; 0 when nothing is known, and it may be stored yet.
    """

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


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


_MALFORMED_FRAME = 1


class ProtocolError(JobwireError):
    """The broker sent what cannot be taken; `code` is the number of PROTOCOL.md."""

    def __init__(self, message: str, code: int = _MALFORMED_FRAME) -> None:
        super().__init__(message)
        self.code = code


class RefusedError(JobwireError):
    """The broker refused this peer; `code` is the number of PROTOCOL.md."""

    def __init__(self, code: int, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}" if message else name)
        self.code = code


class ClientError(JobwireError):
    """A client's call did not do what it was asked. retry_after: seconds to wait first; 0.0 when nobody knows."""

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class InvalidJob(ClientError):  # noqa: N818 - these read as what happened
    """A value is out of its range, or the call makes no sense; the message names it."""


class TooLarge(ClientError):  # noqa: N818
    """Payload or message over the broker's limit."""


class Conflict(ClientError):  # noqa: N818
    """The id is known for another queue or type."""


class Full(ClientError):  # noqa: N818
    """A bound is reached, here, in a queue or in the store."""


class Unavailable(ClientError):  # noqa: N818
    """No broker, or it takes no new work now. Nothing was sent, or it was refused."""


class Paused(ClientError):  # noqa: N818
    """The queue is closed for intake."""


class NoAnswer(ClientError, TimeoutError):  # noqa: N818
    """Nothing came in time, and the outcome is open."""


class NotPermitted(ClientError):  # noqa: N818
    """This client's key does not allow it."""


class Incompatible(ClientError):  # noqa: N818
    """Broker and client speak different versions."""


class UnknownJob(ClientError):  # noqa: N818
    """The id was never seen by this broker."""


class GoneJob(ClientError):  # noqa: N818
    """The job is older than what the broker keeps."""


class UnknownQueue(ClientError):  # noqa: N818
    """No queue of that name was ever used."""


class NotFinished(ClientError):  # noqa: N818
    """The job has not ended."""


class AlreadyFinal(ClientError):  # noqa: N818
    """The job has ended."""


class Dropped(ClientError):  # noqa: N818
    """A posted job made room for a newer one."""


class Closed(ClientError):  # noqa: N818
    """The client was closed."""


class JobFailed(JobwireError):  # noqa: N818
    """A job whose value was asked for is dead, expired or cancelled; `result.error` has the Python error."""

    def __init__(self, message: str, result: JobResult) -> None:
        super().__init__(message)
        self.result = result
