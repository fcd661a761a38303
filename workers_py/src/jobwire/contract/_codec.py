# SPDX-License-Identifier: Apache-2.0
"""FlatBuffers to and from the dataclasses that `jobwire gen` writes.

Each table class has a layout: one Slot per field, which says where the field is and what kind of value it holds. A
reader goes over bytes that may come from anybody: whatever is outside, too deep or too many is a DecodeError. Absent
strings and vectors are empty ones, as in the object API of C++; what equals its default is not written.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from enum import KEEP, IntEnum, IntFlag
from typing import Any, TypeVar

import flatbuffers

MAX_DEPTH = 64
FEW_TABLES = 64
BYTES_PER_TABLE = 8
FEW_BYTES = 64 << 20

T = TypeVar("T")
E = TypeVar("E", bound=IntEnum)

_U16 = struct.Struct("<H")
_U32 = struct.Struct("<I")
_I32 = struct.Struct("<i")


class DecodeError(ValueError):
    """The bytes are not a FlatBuffer of the type that was asked for."""


class EncodeError(ValueError):
    """A value cannot be written; the message names the field."""


class OpenEnum(IntEnum):
    """An enum that keeps numbers which a later version of the contract has added: they have no name, and no harm is
    done in passing them on."""

    @classmethod
    def _missing_(cls, value: object) -> OpenEnum | None:
        if not isinstance(value, int):
            return None
        member = int.__new__(cls, value)
        member._name_ = f"value_{value}"
        member._value_ = value
        return member


class OpenFlags(IntFlag, boundary=KEEP):
    """Flags that keep bits which a later version of the contract has added."""


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


# ------------------------------------------------------------------ kinds of values


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


class Union(Kind):
    """What a union's number stands for: the kind of each member, in its place an offset."""

    def __init__(self, members: dict[int, Kind]) -> None:
        self.members = members

    def member(self, tag: int) -> Kind:
        found = self.members.get(tag)
        if found is None:
            raise DecodeError(f"a union of the unknown member {tag}")
        return found

    def tag_of(self, value: Any, tag: int) -> int:
        """The member that `value` is; `tag` decides when its class is that of several."""
        fitting = [number for number, kind in self.members.items() if _fits(kind, value)]
        if tag in fitting:
            return tag
        if tag or len(fitting) != 1:
            names = " or ".join(str(number) for number in fitting) or "none"
            raise EncodeError(
                f"{type(value).__name__} is member {names} of the union, the type says {tag}"
            )
        return fitting[0]

    def read_as(self, cursor: Cursor, at: int, tag: int) -> Any:
        kind = self.member(tag)
        if isinstance(kind, Inline):  # out of line here, as nowhere else
            return kind.read(cursor, cursor.follow(at))
        return kind.read(cursor, at)

    def put_as(self, builder: Any, value: Any, tag: int) -> int:
        kind = self.members[tag]
        if isinstance(kind, Inline):
            kind.place(builder, value)
            return int(builder.Offset())
        return int(kind.put(builder, value))


def _fits(kind: Kind, value: Any) -> bool:
    if isinstance(kind, Nested | Inline):
        return type(value) is kind.table
    return isinstance(value, str)


def tag_of(members: Union, cls: type[E], value: object, tag: int) -> E:
    """The type of a union's value: as `tag` says, or by the value's class."""
    return cls(0 if value is None else members.tag_of(value, tag))


def tags_of(members: Union, cls: type[E], values: Sequence[object], tags: Sequence[int]) -> list[E]:
    """The types of a vector of unions."""
    if not tags:
        tags = [0] * len(values)
    if len(tags) != len(values):
        raise EncodeError(f"{len(values)} values of a union and {len(tags)} types")
    return [cls(members.tag_of(value, tag)) for value, tag in zip(values, tags, strict=True)]


def _place_bytes(builder: Any, raw: bytes, align: int) -> None:
    builder.Prep(align, len(raw))  # makes room, too
    _fill(builder, raw)


def _fill(builder: Any, raw: bytes) -> None:
    """Writes bytes as they are. Requires: Prep has made room for them."""
    builder.Pad(len(raw))
    at = builder.Head()
    builder.Bytes[at : at + len(raw)] = raw


# ------------------------------------------------------------------ tables


class Slot:
    """A field of a table. default: what an absent one is; None for what may be absent."""

    def __init__(
        self, name: str, number: int, kind: Kind, default: Any = None, *, required: bool = False
    ) -> None:
        self.name = name
        self.id = number
        self.kind = kind
        self.default = default
        self.required = required


class UnionSlot(Slot):
    """A union's value; its type is the field before it, `id - 1`, named `tag`."""

    def __init__(
        self,
        name: str,
        tag: str,
        number: int,
        kind: Union,
        tag_class: type[IntEnum],
        *,
        required: bool = False,
    ) -> None:
        super().__init__(name, number, kind, required=required)
        self.tag = tag
        self.union = kind
        self.tag_class = tag_class


class UnionsSlot(UnionSlot):
    """A vector of unions, beside the vector of their types."""


class Table:
    """The layout of a table class. `fields` counts those that are deprecated too."""

    def __init__(self, cls: type[Any], fields: int, slots: Sequence[Slot]) -> None:
        self.cls = cls
        self.fields = fields
        self.slots = tuple(slots)

    def read(self, cursor: Cursor, at: int) -> Any:
        cursor.tables -= 1
        if cursor.tables < 0 or cursor.depth >= MAX_DEPTH:
            raise DecodeError("too deep, or too many tables")
        data = cursor.data
        vtable = at - int(_I32.unpack_from(data, at)[0])
        if vtable < 0:
            raise DecodeError(f"a table at byte {at} has no vtable")
        length = int(_U16.unpack_from(data, vtable)[0])
        cursor.depth += 1
        values: dict[str, Any] = {}
        for slot in self.slots:
            here = 4 + 2 * slot.id
            offset = int(_U16.unpack_from(data, vtable + here)[0]) if here + 2 <= length else 0
            if isinstance(slot, UnionSlot):
                tag_offset = (
                    int(_U16.unpack_from(data, vtable + here - 2)[0]) if here <= length else 0
                )
                self._read_union(
                    cursor,
                    slot,
                    at + tag_offset if tag_offset else 0,
                    at + offset if offset else 0,
                    values,
                )
            elif offset:
                values[slot.name] = slot.kind.read(cursor, at + offset)
            elif slot.required:
                raise DecodeError(f"{self.cls.__name__}.{slot.name} is missing")
        cursor.depth -= 1
        return self.cls(**values)

    def _read_union(
        self, cursor: Cursor, slot: UnionSlot, tag_at: int, at: int, values: dict[str, Any]
    ) -> None:
        union = slot.union
        if isinstance(slot, UnionsSlot):
            tags = _TAGS.read(cursor, tag_at) if tag_at else []
            start, count = cursor.span(cursor.follow(at), 4) if at else (0, 0)
            if count != len(tags):
                raise DecodeError(f"{self.cls.__name__}.{slot.name}: types and values differ")
            values[slot.tag] = [slot.tag_class(tag) for tag in tags]
            values[slot.name] = [
                union.read_as(cursor, start + 4 * i, tag) for i, tag in enumerate(tags)
            ]
            return
        tag = cursor.data[tag_at] if tag_at else 0
        if tag and at:
            values[slot.tag] = slot.tag_class(tag)
            values[slot.name] = union.read_as(cursor, at, tag)
        elif tag or at:
            raise DecodeError(f"{self.cls.__name__}.{slot.name}: a type without a value")
        elif slot.required:
            raise DecodeError(f"{self.cls.__name__}.{slot.name} is missing")

    def write(self, builder: Any, value: Any) -> int:
        placed: list[tuple[int, Kind, Any]] = []
        for slot in self.slots:
            try:
                self._put(builder, slot, value, placed)
            except EncodeError as problem:
                raise EncodeError(f"{slot.name}: {problem}") from None
            except (struct.error, TypeError, AttributeError, OverflowError) as problem:
                raise EncodeError(f"{slot.name}: {problem}") from None
        builder.StartObject(self.fields)
        # Large ones first, so that alignment costs least.
        for number, kind, one in sorted(placed, key=lambda entry: -entry[1].size):
            try:
                kind.place(builder, one)
            except (struct.error, TypeError, OverflowError, EncodeError) as problem:
                name = next(slot.name for slot in self.slots if slot.id == number)
                raise EncodeError(f"{name}: {problem}") from None
            builder.Slot(number)
        return int(builder.EndObject())

    def _put(
        self, builder: Any, slot: Slot, value: Any, placed: list[tuple[int, Kind, Any]]
    ) -> None:
        one = getattr(value, slot.name)
        if isinstance(slot, UnionsSlot):
            if not one and not slot.required:
                return
            tags = tags_of(slot.union, slot.tag_class, one, getattr(value, slot.tag))
            offsets = [
                slot.union.put_as(builder, item, tag) for item, tag in zip(one, tags, strict=True)
            ]
            placed.append((slot.id, slot.kind, _OFFSETS.put_items(builder, offsets)))
            placed.append((slot.id - 1, _TAGS, _TAGS.put(builder, bytes(tags))))
        elif isinstance(slot, UnionSlot):
            if one is None:
                if slot.required:
                    raise EncodeError("is required")
                return
            tag = slot.union.tag_of(one, getattr(value, slot.tag))
            placed.append((slot.id, slot.kind, slot.union.put_as(builder, one, tag)))
            placed.append((slot.id - 1, _TAG, tag))
        elif one is None:
            if slot.required or slot.default is not None:
                raise EncodeError("is required")
        elif slot.required or not _is_default(slot, one):
            placed.append((slot.id, slot.kind, slot.kind.put(builder, one)))


def _is_default(slot: Slot, value: Any) -> bool:
    if isinstance(slot.kind, Scalar):
        # By their bytes: -0.0 is another value than 0.0, and a NaN is the same as itself.
        return slot.default is not None and slot.kind.packer.pack(value) == slot.kind.packer.pack(
            slot.default
        )
    return isinstance(slot.kind, Text | Vector) and len(value) == 0


class _Offsets(Kind):
    """Offsets that are known already."""


_OFFSETS = _Offsets()
_TAG = Scalar("B")
_TAGS = Vector(Octets())


# ------------------------------------------------------------------ structs


class Member:
    """A field of a struct. length: of an array; 0 for a single value."""

    def __init__(self, name: str, offset: int, kind: Kind, length: int = 0) -> None:
        self.name = name
        self.offset = offset
        self.kind = kind
        self.length = length


class Struct:
    """The layout of a struct class."""

    def __init__(self, cls: type[Any], size: int, align: int, members: Sequence[Member]) -> None:
        self.cls = cls
        self.size = size
        self.align = align
        self.members = tuple(members)

    def read(self, cursor: Cursor, at: int) -> Any:
        if at + self.size > len(cursor.data):
            raise DecodeError(f"a struct at byte {at} leads outside")
        return self.cls(
            *(
                member.kind.read_items(cursor, at + member.offset, member.length)
                if member.length
                else member.kind.read(cursor, at + member.offset)
                for member in self.members
            )
        )

    def pack(self, raw: bytearray, at: int, value: Any) -> None:
        for member in self.members:
            one = getattr(value, member.name)
            if member.length and len(one) != member.length:
                raise EncodeError(f"{member.name}: must have {member.length} items, has {len(one)}")
            for i, item in enumerate(one if member.length else (one,)):
                place = at + member.offset + i * member.kind.size
                try:
                    if isinstance(member.kind, Scalar):
                        member.kind.packer.pack_into(raw, place, item)
                    else:
                        member.kind.table.__layout__.pack(raw, place, item)  # type: ignore[attr-defined]
                except (struct.error, AttributeError, OverflowError) as problem:
                    raise EncodeError(f"{member.name}: {problem}") from None


# ------------------------------------------------------------------ whole buffers


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
