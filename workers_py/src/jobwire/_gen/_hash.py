# SPDX-License-Identifier: Apache-2.0
"""What a method's contract is, as a text that two builds have alike or not, and its 64-bit hash.

The broker computes the same from a .bfbs (broker/adapters/contracts); PROTOCOL.md describes it, and tests compare
both on one corpus.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from jobwire._gen._schema import BASE_NAMES, Enum, Method, Object, Schema, Type
from jobwire.wire.reflection.BaseType import BaseType


def method_hash(schema: Schema, method: Method) -> int:
    """FNV-1a over describe(); never 0, which stands for no contract."""
    value = 0xCBF29CE484222325
    for byte in describe(schema, method).encode():
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value or 1


def describe(schema: Schema, method: Method) -> str:
    """All that the bytes of a request and a response depend on: names, ids, types, defaults."""
    objects, enums = reachable(schema, method)
    lines = ["jobwire contract 1", f"request {method.request}", f"response {method.response}"]
    for one in sorted(objects, key=lambda one: one.name.encode()):
        lines += _object_lines(schema, one)
    for kind in sorted(enums, key=lambda kind: kind.name.encode()):
        lines += _enum_lines(schema, kind)
    return "\n".join(lines) + "\n"


def reachable(schema: Schema, method: Method) -> tuple[list[Object], list[Enum]]:
    """The types that a method's request and response are made of, each once."""
    objects: dict[str, Object] = {}
    enums: dict[str, Enum] = {}
    todo = [schema.object(method.request), schema.object(method.response)]
    while todo:
        one = todo.pop()
        if one.name in objects:
            continue
        objects[one.name] = one
        for field in one.fields:
            for target in _targets(schema, field.type):
                if isinstance(target, Object):
                    todo.append(target)
                elif target.name not in enums:
                    enums[target.name] = target
                    for value in target.values if target.is_union else ():
                        todo += [
                            member
                            for member in _targets(schema, value.union_type)
                            if isinstance(member, Object)
                        ]
    return list(objects.values()), list(enums.values())


def type_text(schema: Schema, kind: Type) -> str:
    if kind.base == BaseType.Vector:
        return f"[{type_text(schema, kind.item)}]"
    if kind.base == BaseType.Array:
        return f"[{type_text(schema, kind.item)}:{kind.fixed_length}]"
    name = BASE_NAMES[kind.base]
    if kind.index < 0:
        return name
    return f"{name} {_named(schema, kind).name}"


def _named(schema: Schema, kind: Type) -> Object | Enum:
    return schema.objects[kind.index] if kind.base == BaseType.Obj else schema.enums[kind.index]


def _targets(schema: Schema, kind: Type) -> Iterator[Object | Enum]:
    inner = kind.item if kind.base in (BaseType.Vector, BaseType.Array) else kind
    if inner.index >= 0:
        yield _named(schema, inner)


def _object_lines(schema: Schema, one: Object) -> Iterator[str]:
    yield (
        f"struct {one.name} {one.minalign} {one.bytesize}" if one.is_struct else f"table {one.name}"
    )
    for field in one.fields:
        bits = struct.unpack("<Q", struct.pack("<d", field.default_real))[0]
        flags = "".join(
            f" {word}"
            for word, is_set in (
                ("deprecated", field.deprecated),
                ("required", field.required),
                ("optional", field.optional),
                ("key", field.key),
            )
            if is_set
        )
        yield (
            f" {field.id} {field.offset} {field.name} {type_text(schema, field.type)} "
            f"{field.default_integer} {bits:016x}{flags}"
        )


def _enum_lines(schema: Schema, kind: Enum) -> Iterator[str]:
    word = "union" if kind.is_union else "enum"
    yield f"{word} {kind.name} {BASE_NAMES[kind.underlying]}"
    for value in kind.values:
        member = f" {type_text(schema, value.union_type)}" if kind.is_union else ""
        yield f" {value.value} {value.name}{member}"
