# SPDX-License-Identifier: Apache-2.0
"""The Python module of a contract: dataclasses, a handler base per service, and clients."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from jobwire._gen._python_names import (
    class_name,
    comments,
    constant_name,
    docstring,
    field_name,
    float_text,
    member_name,
    members_name,
)
from jobwire._gen._python_services import service_lines
from jobwire._gen._schema import (
    ContractError,
    Enum,
    Field,
    Object,
    Schema,
    Type,
)
from jobwire.wire.reflection.BaseType import BaseType

_CODES = {
    BaseType.Bool: "?",
    BaseType.UType: "B",
    BaseType.Byte: "b",
    BaseType.UByte: "B",
    BaseType.Short: "h",
    BaseType.UShort: "H",
    BaseType.Int: "i",
    BaseType.UInt: "I",
    BaseType.Long: "q",
    BaseType.ULong: "Q",
    BaseType.Float: "f",
    BaseType.Double: "d",
}
_BUILTINS = {"bool", "bytes", "float", "int", "list", "range", "str"}
_FLOATS = (BaseType.Float, BaseType.Double)


def python_module(schema: Schema, source: str, accepts: Mapping[str, Sequence[int]]) -> str:
    """The text of the module. accepts: job type -> hashes of earlier contracts."""
    return "\n".join(_Module(schema, source, accepts).lines()) + "\n"


class _Module:
    def __init__(self, schema: Schema, source: str, accepts: Mapping[str, Sequence[int]]) -> None:
        self.schema = schema
        self.source = source
        self.accepts = accepts
        self.struct_fields = {
            id(field) for one in schema.objects if one.is_struct for field in one.fields
        }
        self._refuse_collisions()

    def _refuse_collisions(self) -> None:
        seen: dict[str, str] = {}
        names = [one.name for one in self.schema.objects]
        names += [one.name for one in self.schema.enums]
        for service, method in self.schema.methods():
            if method.name == "register":
                raise ContractError(
                    f"{service.name}.register: handlers have a method register of their own; choose another name"
                )
        for service in self.schema.services:
            names += [service.name, f"{service.name}Handlers", f"{service.name}Client"]
            names += [
                f"Async{service.short}Client",
                *(constant_name(service, m) for m in service.methods),
            ]
        for name in names:
            short = class_name(name)
            if short in seen:
                raise ContractError(
                    f"{seen[short]} and {name} would both be {short} in Python: rename one"
                )
            seen[short] = name

    def lines(self) -> Iterator[str]:
        yield f"# Made by `jobwire gen` from {self.source}: change that, not this."
        yield f'"""The contract {self.source}: its types, and handlers and clients of its services."""'
        yield ""
        yield "from __future__ import annotations"
        yield ""
        yield "import abc"
        if any(field.name in _BUILTINS for field in self._fields()):
            yield "import builtins"
        if any("math." in self._default(f) for f in self._fields()):
            yield "import math"
        yield "from dataclasses import dataclass, field"
        yield "from typing import Any, ClassVar"
        yield ""
        yield "from jobwire import contract as c"
        for kind in self.schema.enums:
            yield from self._enum(kind)
        for one in self._in_order():
            yield from self._struct(one) if one.is_struct else self._table(one)
        yield from self._layouts()
        for service in self.schema.services:
            yield from service_lines(self.schema, service, self.accepts)

    def _fields(self) -> Iterator[Field]:
        for one in self.schema.objects:
            yield from one.fields

    def _in_order(self) -> Iterator[Object]:
        """Structs before those that hold them: a default is one of them."""
        done: set[str] = set()

        def visit(one: Object) -> Iterator[Object]:
            if one.name in done:
                return
            done.add(one.name)
            for field in one.fields if one.is_struct else ():
                inner = field.type.item if field.type.base == BaseType.Array else field.type
                if inner.base == BaseType.Obj:
                    yield from visit(self.schema.objects[inner.index])
            yield one

        for one in sorted(self.schema.objects, key=lambda one: not one.is_struct):
            yield from visit(one)

    # ------------------------------------------------------------------ types

    def _enum(self, kind: Enum) -> Iterator[str]:
        base = "c.OpenFlags" if kind.bit_flags else "c.OpenEnum"
        yield from ("", "", f"class {class_name(kind.name)}({base}):")
        yield from docstring(kind.docs or (f"{kind.name}.",))
        yield ""
        for value in kind.values:
            yield f"    {member_name(value.name)} = {value.value}"

    def _struct(self, one: Object) -> Iterator[str]:
        yield from ("", "", "@dataclass(slots=True)", f"class {class_name(one.name)}:")
        yield from docstring(one.docs or (f"{one.name}, a struct.",))
        yield ""
        for field in one.fields:
            yield from comments(field.docs)
            yield self._guarded(
                one,
                f"    {field_name(field.name)}: {self._annotation(field)} = {self._default(field)}",
            )
        yield from self._layout_slot("Struct")

    def _table(self, one: Object) -> Iterator[str]:
        yield from ("", "", "@dataclass(slots=True)", f"class {class_name(one.name)}:")
        yield from docstring(one.docs or (f"{one.name}.",))
        yield ""
        for field in self._alive(one):
            yield from comments(field.docs)
            yield self._guarded(
                one,
                f"    {field_name(field.name)}: {self._annotation(field)} = {self._default(field)}",
            )
        yield from self._layout_slot("Table")
        unions = [field for field in one.fields if self._is_union(field) and not field.deprecated]
        if unions:
            yield from ("", "    def __post_init__(self) -> None:")
        for field in unions:
            tag, name = field_name(self._tag(one, field).name), field_name(field.name)
            many = "s" if field.type.base == BaseType.Vector else ""
            union = self.schema.enums[self._inner(field.type).index]
            yield f"        self.{tag} = c.tag{many}_of({members_name(union)}, {class_name(union.name)}, self.{name}, self.{tag})"

    def _guarded(self, one: Object, line: str) -> str:
        """The line with `builtins.` before what a field of the class has the name of."""
        for name in sorted({field.name for field in one.fields} & _BUILTINS):
            left, colon, rest = line.partition(":")
            line = left + colon + re.sub(rf"(?<![\w.]){name}\b", f"builtins.{name}", rest)
        return line

    def _layout_slot(self, kind: str) -> Iterator[str]:
        yield ""
        yield f"    __layout__: ClassVar[c.{kind}]"

    def _alive(self, one: Object) -> list[Field]:
        return [field for field in one.fields if not field.deprecated]

    def _inner(self, kind: Type) -> Type:
        return kind.item if kind.base in (BaseType.Vector, BaseType.Array) else kind

    def _is_union(self, field: Field) -> bool:
        return self._inner(field.type).base == BaseType.Union

    def _tag(self, one: Object, field: Field) -> Field:
        return next(other for other in one.fields if other.id == field.id - 1)

    def _annotation(self, field: Field) -> str:
        kind = field.type
        if kind.base in (BaseType.Vector, BaseType.Array):
            if kind.base == BaseType.Vector and kind.element == BaseType.UByte and kind.index < 0:
                return "bytes"
            return f"list[{self._plain(kind.item)}]"
        text = self._plain(kind)
        may_be_none = kind.base in (BaseType.Obj, BaseType.Union) or (
            field.optional and kind.base in _CODES
        )
        return f"{text} | None" if may_be_none and not self._in_struct(field) else text

    def _in_struct(self, field: Field) -> bool:
        return id(field) in self.struct_fields

    def _plain(self, kind: Type) -> str:
        if kind.base == BaseType.Obj:
            return class_name(self.schema.objects[kind.index].name)
        if kind.base == BaseType.Union:
            names = [
                "str"
                if value.union_type.base == BaseType.String
                else class_name(self.schema.objects[value.union_type.index].name)
                for value in self.schema.enums[kind.index].values
                if value.value != 0
            ]
            return " | ".join(dict.fromkeys(names))
        if kind.index >= 0:
            return class_name(self.schema.enums[kind.index].name)
        if kind.base == BaseType.String:
            return "str"
        if kind.base == BaseType.Bool:
            return "bool"
        return "float" if kind.base in _FLOATS else "int"

    def _default(self, field: Field) -> str:
        kind = field.type
        if kind.base == BaseType.Array:
            one = self._zero(kind.item)
            return f"field(default_factory=lambda: [{one} for _ in range({kind.fixed_length})])"
        if kind.base == BaseType.Vector:
            octets = kind.element == BaseType.UByte and kind.index < 0
            return 'b""' if octets else "field(default_factory=list)"
        if kind.base == BaseType.String:
            return '""'
        if self._in_struct(field):
            zero = self._zero(kind)
            return f"field(default_factory={zero[:-2]})" if zero.endswith("()") else zero
        if kind.base in (BaseType.Obj, BaseType.Union) or field.optional:
            return "None"
        if kind.base in _FLOATS:
            return float_text(field.default_real)
        if kind.base == BaseType.Bool:
            return str(bool(field.default_integer))
        if kind.index >= 0:
            return self._enum_value(kind, field.default_integer)
        return str(field.default_integer)

    def _enum_value(self, kind: Type, number: int) -> str:
        enum = self.schema.enums[kind.index]
        for value in enum.values:
            if value.value == number:
                return f"{class_name(enum.name)}.{member_name(value.name)}"
        return f"{class_name(enum.name)}({number})"

    def _zero(self, kind: Type) -> str:
        if kind.base == BaseType.Obj:
            return f"{class_name(self.schema.objects[kind.index].name)}()"
        if kind.index >= 0:
            return self._enum_value(kind, 0)
        return {BaseType.Bool: "False", BaseType.Float: "0.0", BaseType.Double: "0.0"}.get(
            kind.base, "0"
        )

    # ------------------------------------------------------------------ layouts

    def _layouts(self) -> Iterator[str]:
        yield from ("", "", "# Where each field is in the bytes.")
        for one in self._in_order():
            if one.is_struct:
                members = [
                    f'    c.Member("{field_name(f.name)}", {f.offset}, {self._kind(self._inner(f.type))}'
                    + (f", {f.type.fixed_length}" if f.type.base == BaseType.Array else "")
                    + "),"
                    for f in one.fields
                ]
                name = class_name(one.name)
                head = f"{name}.__layout__ = c.Struct({name}, {one.bytesize}, {one.minalign}, ["
                yield from (head, *members, "])")
        for kind in self.schema.enums:
            if kind.is_union:
                entries = [
                    f"    {value.value}: {self._kind(value.union_type)},"
                    for value in kind.values
                    if value.value != 0
                ]
                yield from (f"{members_name(kind)} = c.Union({{", *entries, "})")
        for one in self._in_order():
            if not one.is_struct:
                name = class_name(one.name)
                slots = [
                    f"    {self._slot(one, field)},"
                    for field in self._alive(one)
                    if not self._is_tag(field)
                ]
                yield from (
                    f"{name}.__layout__ = c.Table({name}, {len(one.fields)}, [",
                    *slots,
                    "])",
                )

    def _is_tag(self, field: Field) -> bool:
        return self._inner(field.type).base == BaseType.UType

    def _slot(self, one: Object, field: Field) -> str:
        required = ", required=True" if field.required else ""
        name = field_name(field.name)
        if self._is_union(field):
            union = self.schema.enums[self._inner(field.type).index]
            slot = "UnionsSlot" if field.type.base == BaseType.Vector else "UnionSlot"
            tag = field_name(self._tag(one, field).name)
            return f'c.{slot}("{name}", "{tag}", {field.id}, {members_name(union)}, {class_name(union.name)}{required})'
        default = self._default(field) if field.type.base in _CODES else "None"
        shown = "" if default == "None" else f", {default}"
        return f'c.Slot("{name}", {field.id}, {self._kind(field.type)}{shown}{required})'

    def _kind(self, kind: Type) -> str:
        if kind.base == BaseType.Vector:
            if kind.element == BaseType.UByte and kind.index < 0:
                return "c.Vector(c.Octets())"
            return f"c.Vector({self._kind(kind.item)})"
        if kind.base == BaseType.String:
            return "c.Text()"
        if kind.base == BaseType.Obj:
            one = self.schema.objects[kind.index]
            return f"c.{'Inline' if one.is_struct else 'Nested'}({class_name(one.name)})"
        cast = f", {class_name(self.schema.enums[kind.index].name)}" if kind.index >= 0 else ""
        return f'c.Scalar("{_CODES[kind.base]}"{cast})'
