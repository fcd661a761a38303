# SPDX-License-Identifier: Apache-2.0
"""What a refusal of the broker is as an exception of a client."""

from __future__ import annotations

from jobwire._errors import (
    AlreadyFinal,
    ClientError,
    Conflict,
    Full,
    GoneJob,
    Incompatible,
    InvalidJob,
    NotPermitted,
    Paused,
    TooLarge,
    Unavailable,
    UnknownJob,
    UnknownQueue,
)
from jobwire._wire_enums import Code, code_name

_MEANINGS: dict[int, tuple[type[ClientError], str]] = {
    Code.MalformedFrame: (Incompatible, "the broker cannot read this client's messages"),
    Code.UnsupportedVersion: (Incompatible, "the broker does not speak this protocol"),
    Code.UnknownKind: (Incompatible, "the broker does not know this kind of message"),
    Code.HelloFirst: (Unavailable, "the broker knows no session"),
    Code.WrongRole: (NotPermitted, "not allowed for this client's role"),
    Code.TooLarge: (TooLarge, "over the broker's limit on bytes"),
    Code.TooMany: (TooLarge, "over the broker's limit on entries"),
    Code.InvalidArgument: (InvalidJob, "a value is out of its range"),
    Code.InvalidName: (InvalidJob, "a queue or type name is not valid"),
    Code.DuplicateMismatch: (Conflict, "the id is known for another queue or type"),
    Code.QueueFull: (Full, "the queue is full"),
    Code.WindowFull: (Full, "too many unreceipted jobs"),
    Code.StoreUnavailable: (Unavailable, "the broker's store is away"),
    Code.StoreFull: (Full, "the broker's store is full"),
    Code.ShuttingDown: (Unavailable, "the broker is shutting down"),
    Code.QueuePaused: (Paused, "the queue is closed for intake"),
    Code.QuotaExceeded: (Full, "a limit of this client's key is reached"),
    Code.UnknownJob: (UnknownJob, "this broker never saw the job"),
    Code.GoneJob: (GoneJob, "the job is older than what the broker keeps"),
    Code.AlreadyFinal: (AlreadyFinal, "the job has ended"),
    Code.IncompatibleContract: (Incompatible, "no worker may serve this contract"),
    Code.NotPermitted: (NotPermitted, "this client's key does not allow it"),
    Code.UnknownQueue: (UnknownQueue, "no queue of that name was ever used"),
    Code.SlowReader: (Unavailable, "the broker closed the session of a slow reader"),
}

PASSING = frozenset(
    {
        Code.QueueFull,
        Code.WindowFull,
        Code.StoreUnavailable,
        Code.StoreFull,
        Code.ShuttingDown,
        Code.QuotaExceeded,
        Code.HelloFirst,
        Code.SlowReader,
    }
)
"""Refusals that pass by themselves: the same job may be accepted a moment later."""


def refusal(code: int, message: str = "", retry_after_ms: int = 0) -> ClientError:
    """The exception for a refusal; a code of a newer broker says that it is not known."""
    kind, usual = _MEANINGS.get(code, (Incompatible, f"a refusal unknown here, {code_name(code)}"))
    return kind(message or usual, retry_after_ms / 1000)
