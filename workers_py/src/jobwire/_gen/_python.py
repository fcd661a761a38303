# SPDX-License-Identifier: Apache-2.0
"""The Python module of a contract: dataclasses, a handler base per service, and clients."""

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Iterator, Mapping, Sequence

from jobwire._gen._hash import method_hash
from jobwire._gen._schema import (
    ContractError,
    Enum,
    Field,
    Method,
    Object,
    Schema,
    Service,
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
# Names that the module itself uses, and those that a class body does.
_TAKEN_BY_MODULE = {"abc", "c", "dataclass", "field", "annotations", "Any", "ClassVar", "math"}
_TAKEN_IN_CLASS = {"field", "math"}


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
                *(_constant(service, m) for m in service.methods),
            ]
        for name in names:
            short = _class(name)
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
            yield from self._service(service)
            yield from self._client(service, is_async=False)
            yield from self._client(service, is_async=True)

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
        yield from ("", "", f"class {_class(kind.name)}({base}):")
        yield from _docstring(kind.docs or (f"{kind.name}.",))
        yield ""
        for value in kind.values:
            yield f"    {_member(value.name)} = {value.value}"

    def _struct(self, one: Object) -> Iterator[str]:
        yield from ("", "", "@dataclass(slots=True)", f"class {_class(one.name)}:")
        yield from _docstring(one.docs or (f"{one.name}, a struct.",))
        yield ""
        for field in one.fields:
            yield from _comments(field.docs)
            yield self._guarded(
                one, f"    {_name(field.name)}: {self._annotation(field)} = {self._default(field)}"
            )
        yield from self._layout_slot("Struct")

    def _table(self, one: Object) -> Iterator[str]:
        yield from ("", "", "@dataclass(slots=True)", f"class {_class(one.name)}:")
        yield from _docstring(one.docs or (f"{one.name}.",))
        yield ""
        for field in self._alive(one):
            yield from _comments(field.docs)
            yield self._guarded(
                one, f"    {_name(field.name)}: {self._annotation(field)} = {self._default(field)}"
            )
        yield from self._layout_slot("Table")
        unions = [field for field in one.fields if self._is_union(field) and not field.deprecated]
        if unions:
            yield from ("", "    def __post_init__(self) -> None:")
        for field in unions:
            tag, name = _name(self._tag(one, field).name), _name(field.name)
            many = "s" if field.type.base == BaseType.Vector else ""
            union = self.schema.enums[self._inner(field.type).index]
            yield f"        self.{tag} = c.tag{many}_of({_members(union)}, {_class(union.name)}, self.{name}, self.{tag})"

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
            return _class(self.schema.objects[kind.index].name)
        if kind.base == BaseType.Union:
            names = [
                "str"
                if value.union_type.base == BaseType.String
                else _class(self.schema.objects[value.union_type.index].name)
                for value in self.schema.enums[kind.index].values
                if value.value != 0
            ]
            return " | ".join(dict.fromkeys(names))
        if kind.index >= 0:
            return _class(self.schema.enums[kind.index].name)
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
            return _float(field.default_real)
        if kind.base == BaseType.Bool:
            return str(bool(field.default_integer))
        if kind.index >= 0:
            return self._enum_value(kind, field.default_integer)
        return str(field.default_integer)

    def _enum_value(self, kind: Type, number: int) -> str:
        enum = self.schema.enums[kind.index]
        for value in enum.values:
            if value.value == number:
                return f"{_class(enum.name)}.{_member(value.name)}"
        return f"{_class(enum.name)}({number})"

    def _zero(self, kind: Type) -> str:
        if kind.base == BaseType.Obj:
            return f"{_class(self.schema.objects[kind.index].name)}()"
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
                    f'    c.Member("{_name(f.name)}", {f.offset}, {self._kind(self._inner(f.type))}'
                    + (f", {f.type.fixed_length}" if f.type.base == BaseType.Array else "")
                    + "),"
                    for f in one.fields
                ]
                name = _class(one.name)
                head = f"{name}.__layout__ = c.Struct({name}, {one.bytesize}, {one.minalign}, ["
                yield from (head, *members, "])")
        for kind in self.schema.enums:
            if kind.is_union:
                entries = [
                    f"    {value.value}: {self._kind(value.union_type)},"
                    for value in kind.values
                    if value.value != 0
                ]
                yield from (f"{_members(kind)} = c.Union({{", *entries, "})")
        for one in self._in_order():
            if not one.is_struct:
                name = _class(one.name)
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
        name = _name(field.name)
        if self._is_union(field):
            union = self.schema.enums[self._inner(field.type).index]
            slot = "UnionsSlot" if field.type.base == BaseType.Vector else "UnionSlot"
            tag = _name(self._tag(one, field).name)
            return f'c.{slot}("{name}", "{tag}", {field.id}, {_members(union)}, {_class(union.name)}{required})'
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
            return f"c.{'Inline' if one.is_struct else 'Nested'}({_class(one.name)})"
        cast = f", {_class(self.schema.enums[kind.index].name)}" if kind.index >= 0 else ""
        return f'c.Scalar("{_CODES[kind.base]}"{cast})'

    # ------------------------------------------------------------------ services

    def _service(self, service: Service) -> Iterator[str]:
        for method in service.methods:
            yield from self._method(service, method)
        yield from self._handlers(service)

    def _method(self, service: Service, method: Method) -> Iterator[str]:
        job_type = service.job_type(method)
        yield from ("", f"{_constant(service, method)} = c.Method(")
        yield f'    "{job_type}",'
        yield f'    "{method.queue}",'
        yield f"    {_class(method.request)},"
        yield f"    {_class(method.response)},"
        yield f"    0x{method_hash(self.schema, method):016x},"
        accepts = self.accepts.get(job_type, ())
        if accepts:
            yield f"    accepts=({', '.join(f'0x{one:016x}' for one in accepts)},),"
        if method.timeout_ms:
            yield f"    timeout_ms={method.timeout_ms},"
        if method.retries is not None:
            yield f"    retries={method.retries},"
        yield ")"

    def _handlers(self, service: Service) -> Iterator[str]:
        name = f"{_class(service.name)}Handlers"
        yield from ("", "", f"class {name}(abc.ABC):")
        yield from _docstring(
            (
                *(service.docs or (f"What a worker does for {service.short}.",)),
                "",
                "Derive from it, write the methods, and serve them: `handlers.register(app)`.",
            )
        )
        for method in service.methods:
            yield ""
            yield "    @abc.abstractmethod"
            yield (
                f"    def {_name(method.name)}(self, ctx: c.Ctx[Any], request: {_class(method.request)}) "
                f"-> {_class(method.response)}:"
            )
            yield from _docstring(method.docs or (f"The job type {service.job_type(method)}.",), 8)
        yield ""
        yield '    def register(self, app: c.App, *, version: str = "") -> None:'
        yield '        """Declares every method as a job of `app`. version: told to the broker, for people."""'
        for method in service.methods:
            yield f"        c.register(app, {_constant(service, method)}, self.{_name(method.name)}, version)"

    def _client(self, service: Service, *, is_async: bool) -> Iterator[str]:
        kind = "AsyncClient" if is_async else "Client"
        name = f"{'Async' if is_async else ''}{_class(service.name)}Client"
        word, wait = ("async def", "await c.call_async") if is_async else ("def", "c.call")
        yield from ("", "", f"class {name}:")
        yield from _docstring(
            (
                f"Calls of {service.short}: each submits a job and waits for its response.",
                "",
                f"Raises what {kind}.call raises; JobFailed when the job did not succeed; contract.EncodeError for a request and",
                "contract.DecodeError for a response that cannot be written or read.",
            )
        )
        yield from (
            "",
            f"    def __init__(self, client: c.{kind}) -> None:",
            "        self._client = client",
        )
        for method in service.methods:
            yield ""
            yield (
                f"    {word} {_name(method.name)}(self, request: {_class(method.request)}, *, timeout: c.Span = 60.0) "
                f"-> {_class(method.response)}:"
            )
            yield from _docstring(method.docs or (f"The job type {service.job_type(method)}.",), 8)
            yield f"        return {wait}(self._client, {_constant(service, method)}, request, timeout)"


def _class(name: str) -> str:
    short = name.rpartition(".")[2]
    return f"{short}_" if short in _TAKEN_BY_MODULE else _name(short)


def _name(name: str) -> str:
    return f"{name}_" if keyword.iskeyword(name) or name in _TAKEN_IN_CLASS else name


def _member(name: str) -> str:
    # What an Enum has of its own.
    return f"{name}_" if name in ("mro", "name", "value") else _name(name)


def _constant(service: Service, method: Method) -> str:
    return f"{service.short}_{method.name}".upper()


def _members(union: Enum) -> str:
    return f"_{_class(union.name)}_members"


def _float(value: float) -> str:
    if math.isnan(value):
        return "math.nan"
    if math.isinf(value):
        return "math.inf" if value > 0 else "-math.inf"
    return repr(value)


def _docstring(lines: Sequence[str], indent: int = 4) -> Iterator[str]:
    pad = " " * indent
    safe = [line.replace("\\", "\\\\").replace('"""', "'''") for line in lines]
    if len(safe) == 1:
        yield f'{pad}"""{safe[0]}"""'
        return
    yield f'{pad}"""{safe[0]}'
    yield from (f"{pad}{line}".rstrip() for line in safe[1:])
    yield f'{pad}"""'


def _comments(lines: Sequence[str]) -> Iterator[str]:
    yield from (f"    # {line}" for line in lines)
