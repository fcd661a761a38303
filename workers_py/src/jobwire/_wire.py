# SPDX-License-Identifier: Apache-2.0
# mypy: disallow-untyped-calls=False
"""Reads what a broker sends to every peer, and to workers and agents.

Only the `_wire` modules touch generated code. What comes for every batch of jobs (Dispatch, ResultAck, and Results the
other way) is read and written by hand at fixed places; all the rest goes through the FlatBuffers runtime. That runtime
has no verifier: read only what the own broker sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct, error
from typing import Any

import jobwire.wire.CancelLease as _CancelLease
import jobwire.wire.Goodbye as _Goodbye
import jobwire.wire.Heartbeat as _Heartbeat
import jobwire.wire.Refused as _Refused
import jobwire.wire.Welcome as _Welcome
from jobwire._errors import ProtocolError
from jobwire._heads import DISPATCH_HEAD, LEASE_REFUSAL
from jobwire._messages import (
    Ack,
    Cancel,
    Dispatch,
    Goodbye,
    Heartbeat,
    Limits,
    Message,
    Other,
    Recall,
    Refused,
    Revoke,
    Welcome,
)
from jobwire._wire_enums import Body
from jobwire._wire_tables import MESSAGE_IDENTIFIER, elements, field_at, table_at, text_of

_U32 = Struct("<I").unpack_from
_U64 = Struct("<Q").unpack_from


def decode(frames: Sequence[bytes]) -> Message:
    """Reads one message; raises ProtocolError when it cannot be read."""
    envelope = frames[0]
    if envelope[4:8] != MESSAGE_IDENTIFIER or not 1 <= len(frames) <= 2:
        raise ProtocolError("not a JW01 message of one or two frames")
    try:
        message = _U32(envelope, 0)[0]
        kind_at = field_at(envelope, message, 0)
        body_at = field_at(envelope, message, 1)
        kind = envelope[kind_at] if kind_at else 0
        if not body_at:
            raise ProtocolError("a message without a body")
        body = body_at + _U32(envelope, body_at)[0]
        if kind == Body.Dispatch:
            return _dispatch(envelope, body, frames[1] if len(frames) == 2 else b"")
        if kind == Body.ResultAck:
            return _ack(envelope, body)
        return _rare(envelope, kind, body)
    except (error, IndexError, UnicodeDecodeError, ValueError, TypeError) as problem:
        raise ProtocolError(f"a message that cannot be read: {problem}") from problem


def _dispatch(envelope: bytes, body: int, blob: bytes) -> Dispatch:
    heads = elements(envelope, body, 0, DISPATCH_HEAD.size)
    jobs: Any = list(DISPATCH_HEAD.iter_unpack(heads))
    extras: list[dict[str, str]] = []
    if field_at(envelope, body, 1):
        extras = _headers(envelope, body)
    return Dispatch(jobs, blob, extras)


def _headers(envelope: bytes, body: int) -> list[dict[str, str]]:
    from jobwire.wire.Dispatch import Dispatch as Table

    table = Table()
    table.Init(envelope, body)
    extras = (table.Extras(i) for i in range(table.ExtrasLength()))
    return [
        {
            text_of(extra.Headers(i).Key()): text_of(extra.Headers(i).Value())
            for i in range(extra.HeadersLength())
        }
        for extra in extras
    ]


def _ack(envelope: bytes, body: int) -> Ack:
    at = field_at(envelope, body, 0)
    refused: Any = list(LEASE_REFUSAL.iter_unpack(elements(envelope, body, 1, LEASE_REFUSAL.size)))
    return Ack(_U64(envelope, at)[0] if at else 0, refused)


def _tokens(envelope: bytes, body: int) -> list[bytes]:
    raw = bytes(elements(envelope, body, 0, 16))
    return [raw[i : i + 16] for i in range(0, len(raw), 16)]


def _rare(envelope: bytes, kind: int, body: int) -> Message:
    if kind == Body.Welcome:
        return _welcome(table_at(_Welcome.Welcome, envelope, body))
    if kind == Body.Refused:
        refused = table_at(_Refused.Refused, envelope, body)
        return Refused(
            refused.Code(), text_of(refused.Message()), refused.Request(), refused.RetryAfterMs()
        )
    if kind == Body.Goodbye:
        goodbye = table_at(_Goodbye.Goodbye, envelope, body)
        return Goodbye(goodbye.Code(), text_of(goodbye.Message()))
    if kind == Body.Heartbeat:
        return Heartbeat(table_at(_Heartbeat.Heartbeat, envelope, body).Sequence())
    if kind == Body.Recall:
        return Recall(_tokens(envelope, body))
    if kind == Body.Revoke:
        return Revoke(_tokens(envelope, body))
    if kind == Body.CancelLease:
        cancel = table_at(_CancelLease.CancelLease, envelope, body)
        at = field_at(envelope, body, 0)
        return Cancel(bytes(envelope[at : at + 16]), cancel.Worker(), cancel.GraceMs())
    return Other(kind, body)


def _welcome(welcome: Any) -> Welcome:
    told = welcome.Limits()
    usual = Limits()
    limits = usual
    if told is not None:
        limits = Limits(
            told.MaxPayloadBytes() or usual.max_payload_bytes,
            told.MaxJobsPerMessage() or usual.max_jobs_per_message,
            told.MaxErrorBytes() or usual.max_error_bytes,
            told.MaxMessageBytes() or usual.max_message_bytes,
            told.SessionTimeoutMs() or usual.session_timeout_ms,
            told.HeartbeatMs() or usual.heartbeat_ms,
            told.WindowJobs() or usual.window_jobs,
            told.WindowBytes() or usual.window_bytes,
        )
    id_ = welcome.Broker()
    broker = bytes(id_.Bytes()) if id_ is not None else b""
    return Welcome(
        broker, welcome.Epoch(), welcome.Durability(), limits, text_of(welcome.Version())
    )
