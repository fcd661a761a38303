# SPDX-License-Identifier: Apache-2.0
"""Kinds of values: how each is read and written."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

from jobwire.contract._cursor import Cursor, DecodeError, EncodeError


class Kind:
    """One kind of value: `size` bytes in its place, aligned to `align`.

    read(cursor, at): the value in its place. put(builder, value): writes what lies elsewhere and returns what belongs
    into the place, an offset or the value itself. place(builder, it): writes that.
    """

    size = 4
    align = 4
    empty: Any = None

    def read(self, cursor: Cursor, at: int) -> Any:
        raise NotImplementedError

    def put(self, builder: Any, value: Any) -> Any:
        return value

    def place(self, builder: Any, value: Any) -> None:
        builder.PrependUOffsetTRelative(value)

    def read_items(self, cursor: Cursor, start: int, count: int) -> Any:
        return [self.read(cursor, start + i * self.size) for i in range(count)]

    def put_items(self, builder: Any, values: Sequence[Any]) -> int:
        placed = [self.put(builder, value) for value in values]
        builder.StartVector(self.size, len(placed), self.align)
        for one in reversed(placed):
            self.place(builder, one)
        return int(builder.EndVector())


class Scalar(Kind):
    """`code` is struct's."""

    empty = 0

    def __init__(self, code: str, cast: Callable[[Any], Any] | None = None) -> None:
        self.packer = struct.Struct("<" + code)
        self.code = code
        self.size = self.align = self.packer.size
        self.cast = cast

    def read(self, cursor: Cursor, at: int) -> Any:
        value = self.packer.unpack_from(cursor.data, at)[0]
        return value if self.cast is None else self.cast(value)

    def place(self, builder: Any, value: Any) -> None:
        _place_bytes(builder, self.packer.pack(value), self.align)

    def read_items(self, cursor: Cursor, start: int, count: int) -> Any:
        values = struct.unpack_from(f"<{count}{self.code}", cursor.data, start)
        return list(values) if self.cast is None else [self.cast(value) for value in values]

    def put_items(self, builder: Any, values: Sequence[Any]) -> int:
        raw = struct.pack(f"<{len(values)}{self.code}", *values)
        builder.StartVector(self.size, len(values), self.align)
        _fill(builder, raw)
        return int(builder.EndVector())


class Octets(Scalar):
    """`[ubyte]`, which is `bytes` in Python."""

    def __init__(self) -> None:
        super().__init__("B")

    def read_items(self, cursor: Cursor, start: int, count: int) -> bytes:
        return cursor.data[start : start + count]

    def put_items(self, builder: Any, values: Any) -> int:
        return int(builder.CreateByteVector(bytes(values)))


class Text(Kind):
    empty = ""

    def read(self, cursor: Cursor, at: int) -> str:
        start, count = cursor.span(cursor.follow(at), 1)
        try:
            return cursor.data[start : start + count].decode()
        except UnicodeDecodeError as problem:
            raise DecodeError(f"a string is not UTF-8 at its byte {problem.start}") from None

    def put(self, builder: Any, value: str) -> int:
        return int(builder.CreateString(value))


class Nested(Kind):
    """A table; the class has its layout by the time that one is read."""

    def __init__(self, table: type[Any]) -> None:
        self.table = table

    def read(self, cursor: Cursor, at: int) -> Any:
        return self.table.__layout__.read(cursor, cursor.follow(at))

    def put(self, builder: Any, value: Any) -> int:
        if not isinstance(value, self.table):
            raise EncodeError(f"must be a {self.table.__name__}, is {type(value).__name__}")
        return int(self.table.__layout__.write(builder, value))


class Inline(Kind):
    """A struct, in its place."""

    def __init__(self, struct_class: type[Any]) -> None:
        self.table = struct_class
        layout = struct_class.__layout__
        self.size, self.align = layout.size, layout.align

    def read(self, cursor: Cursor, at: int) -> Any:
        return self.table.__layout__.read(cursor, at)

    def place(self, builder: Any, value: Any) -> None:
        if not isinstance(value, self.table):
            raise EncodeError(f"must be a {self.table.__name__}, is {type(value).__name__}")
        raw = bytearray(self.size)
        self.table.__layout__.pack(raw, 0, value)
        _place_bytes(builder, bytes(raw), self.align)


class Vector(Kind):
    def __init__(self, item: Kind) -> None:
        self.item = item

    def read(self, cursor: Cursor, at: int) -> Any:
        start, count = cursor.span(cursor.follow(at), self.item.size)
        return self.item.read_items(cursor, start, count)

    def put(self, builder: Any, value: Any) -> int:
        return self.item.put_items(builder, value)


def _place_bytes(builder: Any, raw: bytes, align: int) -> None:
    builder.Prep(align, len(raw))  # makes room, too
    _fill(builder, raw)


def _fill(builder: Any, raw: bytes) -> None:
    """Writes bytes as they are. Requires: Prep has made room for them."""
    builder.Pad(len(raw))
    at = builder.Head()
    builder.Bytes[at : at + len(raw)] = raw
