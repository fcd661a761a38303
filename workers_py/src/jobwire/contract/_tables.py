# SPDX-License-Identifier: Apache-2.0
"""Layouts of tables: one Slot per field, which says where the field is and what kind of value it holds."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import Any

from jobwire.contract._cursor import MAX_DEPTH, Cursor, DecodeError, EncodeError
from jobwire.contract._kinds import Kind, Octets, Scalar, Text, Vector
from jobwire.contract._unions import Union, tags_of

_I32 = struct.Struct("<i")
_U16 = struct.Struct("<H")


class _Offsets(Kind):
    """Offsets that are known already."""


_OFFSETS = _Offsets()
_TAG = Scalar("B")
_TAGS = Vector(Octets())


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
