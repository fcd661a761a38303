# SPDX-License-Identifier: Apache-2.0
"""Layouts of structs."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from jobwire.contract._cursor import Cursor, DecodeError, EncodeError
from jobwire.contract._kinds import Kind, Scalar


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
