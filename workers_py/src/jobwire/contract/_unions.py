# SPDX-License-Identifier: Apache-2.0
"""Unions: values whose kind a number beside them names."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, TypeVar

from jobwire.contract._cursor import Cursor, DecodeError, EncodeError
from jobwire.contract._kinds import Inline, Kind, Nested

E = TypeVar("E", bound=IntEnum)


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
