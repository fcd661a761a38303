# SPDX-License-Identifier: Apache-2.0
"""Reads one message of a broker. Each role has its readers, by kind.

Only the `_wire` modules touch generated code. What comes for every batch of jobs (Dispatch, ResultAck, and Results the
other way) is read and written by hand at fixed places; all the rest goes through the FlatBuffers runtime. That runtime
has no verifier: read only what the own broker sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from struct import Struct, error
from typing import TypeVar

from jobwire._errors import ClientError, ProtocolError
from jobwire._wire_enums import Body, Code, enum_names
from jobwire._wire_tables import MESSAGE_IDENTIFIER, field_at

T = TypeVar("T")
Reader = Callable[[bytes, int, bytes], T]
"""What makes a value of an envelope, the place of the body in it, and the blob."""

MAX_ENVELOPE_BYTES = 1048576

_U32 = Struct("<I").unpack_from
_KINDS = enum_names(Body)


def read(frames: Sequence[bytes], readers: Mapping[int, Reader[T]]) -> T:
    """The message as a value; raises ProtocolError, with the code of PROTOCOL.md, for what cannot be taken."""
    if not 1 <= len(frames) <= 2:
        raise ProtocolError(f"a message of {len(frames)} frames")
    envelope = frames[0]
    if envelope[4:8] != MESSAGE_IDENTIFIER:
        if len(envelope) >= 8 and envelope[4:6] == MESSAGE_IDENTIFIER[:2]:
            raise ProtocolError("a message of another protocol than JW01", Code.UnsupportedVersion)
        raise ProtocolError("what is no jobwire message")
    if len(envelope) > MAX_ENVELOPE_BYTES:
        raise ProtocolError("an envelope of more than 1 MiB", Code.TooLarge)
    try:
        message = _U32(envelope, 0)[0]
        kind_at = field_at(envelope, message, 0)
        body_at = field_at(envelope, message, 1)
        kind = envelope[kind_at] if kind_at else 0
        reader = readers.get(kind)
        if reader is None or not body_at:
            named = _KINDS.get(kind, f"kind {kind}")
            raise ProtocolError(f"a message that has no place here: {named}", Code.UnknownKind)
        blob = frames[1] if len(frames) == 2 else b""
        return reader(envelope, body_at + _U32(envelope, body_at)[0], blob)
    except (error, IndexError, ValueError, TypeError, ClientError) as problem:
        raise ProtocolError(f"a message that cannot be read: {problem}") from problem
