# SPDX-License-Identifier: Apache-2.0
"""The bytes that are read, which may come from anybody, and the two errors."""

from __future__ import annotations

import struct

MAX_DEPTH = 64
FEW_TABLES = 64
BYTES_PER_TABLE = 8
FEW_BYTES = 64 << 20
_U32 = struct.Struct("<I")


class DecodeError(ValueError):
    """The bytes are not a FlatBuffer of the type that was asked for."""


class EncodeError(ValueError):
    """A value cannot be written; the message names the field."""


class Cursor:
    """The bytes under reading, and what they may still become: what many refer to is read as often, so that a few bytes
    could be a great many values."""

    __slots__ = ("data", "depth", "most_bytes", "tables")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.depth = 0
        self.tables = FEW_TABLES + len(data) // BYTES_PER_TABLE
        self.most_bytes = FEW_BYTES + 4 * len(data)

    def follow(self, at: int) -> int:
        """Where the offset at `at` leads."""
        target = at + int(_U32.unpack_from(self.data, at)[0])
        if target == at or target >= len(self.data):
            raise DecodeError(f"an offset at byte {at} leads outside")
        return target

    def span(self, at: int, size: int) -> tuple[int, int]:
        """Start and length of the vector at `at` whose items have `size` bytes."""
        start, count = at + 4, int(_U32.unpack_from(self.data, at)[0])
        if start + count * size > len(self.data):
            raise DecodeError(f"a vector at byte {at} leads outside")
        self.most_bytes -= count * size
        if self.most_bytes < 0:
            raise DecodeError("vectors and strings that are too many times what the bytes have")
        return start, count
