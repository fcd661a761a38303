# SPDX-License-Identifier: Apache-2.0
"""What becomes of an attempt: from what a handler returned or raised to what travels."""

from __future__ import annotations

from jobwire._convert import encode_result
from jobwire._errors import Reject, ResultError, Retry
from jobwire._failure import describe
from jobwire._messages import Limits
from jobwire._slots import Order
from jobwire._wire_enums import Encoding, Outcome

_GAVE_UP = {
    Order.CANCEL: Outcome.Cancelled,
    Order.TIMEOUT: Outcome.TimedOut,
    Order.STOP: Outcome.HandedBack,
}


class Interrupted(BaseException):
    """Raised inside a handler when the agent ends its run."""

    reason = "it was told to end"

    def __str__(self) -> str:
        return self.reason


class TimedOut(Interrupted):
    reason = "it ran longer than its timeout"


class Cancelled(Interrupted):
    reason = "the job was cancelled"


class Stopped(Interrupted):
    reason = "the worker is stopping and its grace is over"


INTERRUPTS: dict[Order, type[Interrupted]] = {
    Order.CANCEL: Cancelled,
    Order.TIMEOUT: TimedOut,
    Order.STOP: Stopped,
}


Ended = tuple[int, int, bytes, int]
"""The end of one attempt: outcome, encoding, result or JobError buffer, milliseconds until a retry that was asked for"""


def returned(value: object, limits: Limits) -> Ended:
    """A handler has returned; raises ResultError for what cannot travel."""
    encoding, payload = encode_result(value)
    if len(payload) > limits.max_payload_bytes:
        raise ResultError.too_large(len(payload), limits.max_payload_bytes)
    return Outcome.Succeeded, encoding, payload, 0


def raised(error: BaseException, limits: Limits) -> Ended:
    """A handler, or `returned`, has raised."""
    outcome, retry_ms = Outcome.Raised, 0
    if isinstance(error, Retry):
        outcome, retry_ms = Outcome.RetryAsked, error.delay_ms
    elif isinstance(error, Reject):
        outcome = Outcome.Rejected
    payload = describe(error, limit=limits.max_error_bytes, retryable=outcome != Outcome.Rejected)
    return outcome, Encoding.FlatBuffer, payload, retry_ms


def gave_up(order: Order, outcome: int, encoding: int, payload: bytes) -> Ended:
    """The handler saw that it was to end, and ended. Nobody wants what it returned; what it raised may be told."""
    if outcome == Outcome.Succeeded:
        encoding, payload = Encoding.Unspecified, b""
    return _GAVE_UP[order], encoding, payload, 0
