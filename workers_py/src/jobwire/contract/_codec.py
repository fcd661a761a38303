# SPDX-License-Identifier: Apache-2.0
"""FlatBuffers to and from the dataclasses that `jobwire gen` writes.

Each table class has a layout: one Slot per field, which says where the field is and what kind of value it holds. A
reader goes over bytes that may come from anybody: whatever is outside, too deep or too many is a DecodeError. Absent
strings and vectors are empty ones, as in the object API of C++; what equals its default is not written.
"""

from __future__ import annotations

import struct
from typing import TypeVar

import flatbuffers

from jobwire.contract._cursor import Cursor, DecodeError, EncodeError
from jobwire.contract._tables import Table

T = TypeVar("T")


def decode(cls: type[T], data: bytes) -> T:
    """Reads a finished FlatBuffer whose root is the table `cls`; raises DecodeError, whatever the bytes are."""
    cursor = Cursor(bytes(data))
    try:
        value: T = cls.__layout__.read(cursor, cursor.follow(0))  # type: ignore[attr-defined]
    except (struct.error, IndexError) as problem:
        raise DecodeError(f"it ends too early ({problem})") from None
    return value


def encode(value: object) -> bytes:
    """A finished FlatBuffer with `value`, a table, as its root; raises EncodeError."""
    builder = flatbuffers.Builder(256)
    layout = getattr(type(value), "__layout__", None)
    if not isinstance(layout, Table):
        raise EncodeError(f"{type(value).__name__} is not a table of a contract")
    try:
        root = layout.write(builder, value)
    except EncodeError as problem:
        raise EncodeError(f"{type(value).__name__}.{problem}") from None
    builder.Finish(root)
    return bytes(builder.Output())
