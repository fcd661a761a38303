# SPDX-License-Identifier: Apache-2.0
# mypy: disallow-untyped-calls=False
"""FlatBuffers tables and vectors, read and built by hand where that is faster."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Any

import jobwire.wire.Message as _Message
import jobwire.wire.RetryPolicy as _RetryPolicy
from jobwire._errors import ProtocolError
from jobwire._retry_policy import RetryPolicy

_U16 = Struct("<H").unpack_from
_U32 = Struct("<I").unpack_from
_I32 = Struct("<i").unpack_from
MESSAGE_IDENTIFIER = b"JW01"


def field_at(buffer: bytes, table: int, slot: int) -> int:
    """Where a table's field lies, or 0 when it is absent."""
    vtable = table - _I32(buffer, table)[0]
    entry = 4 + 2 * slot
    if entry >= _U16(buffer, vtable)[0]:
        return 0
    offset: int = _U16(buffer, vtable + entry)[0]
    return table + offset if offset else 0


def elements(buffer: bytes, table: int, slot: int, size: int) -> memoryview:
    """The bytes of a vector's elements, each `size` long."""
    at = field_at(buffer, table, slot)
    if not at:
        return memoryview(b"")
    at += _U32(buffer, at)[0]
    end = at + 4 + _U32(buffer, at)[0] * size
    if end > len(buffer):
        raise ProtocolError("a vector reaches past the end of its message")
    return memoryview(buffer)[at + 4 : end]


def table_at(kind: Any, envelope: bytes, body: int) -> Any:
    table = kind()
    table.Init(envelope, body)
    return table


def text_of(raw: bytes | None) -> str:
    return raw.decode("utf-8", "replace") if raw else ""


def finish(builder: Any, kind: int, body: int) -> bytes:
    _Message.Start(builder)
    _Message.AddBodyType(builder, kind)
    _Message.AddBody(builder, body)
    builder.Finish(_Message.End(builder), MESSAGE_IDENTIFIER)
    return bytes(builder.Output())


def id_struct(builder: Any, raw: bytes) -> int:
    builder.Prep(1, 16)
    for byte in reversed(raw):
        builder.PrependUint8(byte)
    return int(builder.Offset())


def offset_vector(builder: Any, offsets: Sequence[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def struct_vector(builder: Any, packed: Sequence[bytes], size: int, alignment: int) -> int:
    """A vector of structs that are packed already."""
    builder.StartVector(size, len(packed), alignment)
    raw = b"".join(packed)
    # As Builder.CreateByteVector does: StartVector has made the room.
    builder.head = builder.Head() - len(raw)
    builder.Bytes[builder.Head() : builder.Head() + len(raw)] = raw
    return int(builder.EndVector())


class Texts:
    """Strings made before their table; what is empty is left out."""

    def __init__(self, builder: Any, **texts: str) -> None:
        self._builder = builder
        self._places = {name: builder.CreateString(text) for name, text in texts.items() if text}

    def add(self, name: str, add: Any) -> None:
        if name in self._places:
            add(self._builder, self._places[name])


def encode_retry(builder: Any, policy: RetryPolicy) -> int:
    """A RetryPolicy table, for a Submit or a Ready."""
    fatal_at = 0
    if policy.fatal:
        fatal_at = offset_vector(builder, [builder.CreateString(name) for name in policy.fatal])
    listed_at = 0
    if policy.listed_ms:
        packed = [Struct("<I").pack(rest) for rest in policy.listed_ms]
        listed_at = struct_vector(builder, packed, 4, 4)
    _RetryPolicy.Start(builder)
    _RetryPolicy.AddAttempts(builder, policy.attempts or 0)
    _RetryPolicy.AddTimeouts(builder, policy.timeouts or 0)
    _RetryPolicy.AddCrashes(builder, policy.crashes or 0)
    _RetryPolicy.AddBackoff(builder, policy.backoff)
    _RetryPolicy.AddBaseMs(builder, policy.base_ms)
    _RetryPolicy.AddCapMs(builder, policy.cap_ms)
    _RetryPolicy.AddFactor(builder, policy.factor)
    if listed_at:
        _RetryPolicy.AddListedMs(builder, listed_at)
    _RetryPolicy.AddNoJitter(builder, not policy.jitter)
    if fatal_at:
        _RetryPolicy.AddFatal(builder, fatal_at)
    return int(_RetryPolicy.End(builder))
