# SPDX-License-Identifier: Apache-2.0
"""A contract as flatc understands it: its binary schema (.bfbs), read into plain values.

Schema -> services -> methods, each with a request and a response
       -> objects (tables and structs) -> fields, in the order of their ids
       -> enums and unions -> values, in the order of their numbers
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobwire.wire.reflection.BaseType import BaseType
from jobwire.wire.reflection.Schema import Schema as _Generated

BASE_NAMES: dict[int, str] = {
    number: name.rstrip("_") for name, number in vars(BaseType).items() if isinstance(number, int)
}
_Schema: Any = _Generated
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./-]*\Z")
_SPAN = re.compile(r"(\d+)(ms|s|m|h)\Z")
_UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
_MAX_TIMEOUT_MS = 7 * 86_400_000
_MAX_RETRIES = 99


BFBS_OPTIONS = ("-b", "--schema", "--bfbs-builtins")
"""Of flatc, for the binary schema that a broker reads."""


class ContractError(Exception):
    """A contract that cannot be used; the message says which part of it and why."""


@dataclass(frozen=True, slots=True)
class Type:
    base: int
    element: int
    index: int
    fixed_length: int

    @property
    def item(self) -> Type:
        """What a vector or an array holds."""
        return Type(self.element, BaseType.None_, self.index, 0)


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    id: int
    offset: int
    type: Type
    default_integer: int
    default_real: float
    deprecated: bool
    required: bool
    optional: bool
    key: bool
    docs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Object:
    name: str
    is_struct: bool
    minalign: int
    bytesize: int
    fields: tuple[Field, ...]
    docs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EnumValue:
    name: str
    value: int
    union_type: Type


@dataclass(frozen=True, slots=True)
class Enum:
    name: str
    is_union: bool
    underlying: int
    bit_flags: bool
    values: tuple[EnumValue, ...]
    docs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Method:
    name: str
    request: str
    response: str
    queue: str
    timeout_ms: int
    retries: int | None
    docs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Service:
    name: str
    methods: tuple[Method, ...]
    docs: tuple[str, ...]

    @property
    def short(self) -> str:
        return self.name.rpartition(".")[2]

    def job_type(self, method: Method) -> str:
        """The job type of a method: the service's name without its namespace, and the method's."""
        return f"{self.short}.{method.name}"


@dataclass(frozen=True, slots=True)
class Schema:
    """`objects` and `enums` in the order in which types refer to them."""

    objects: tuple[Object, ...]
    enums: tuple[Enum, ...]
    services: tuple[Service, ...]
    files: tuple[str, ...]

    def object(self, name: str) -> Object:
        return next(one for one in self.objects if one.name == name)

    def methods(self) -> Iterator[tuple[Service, Method]]:
        for service in self.services:
            for method in service.methods:
                yield service, method


# ------------------------------------------------------------------ reading


def load(path: Path, includes: Sequence[Path] = ()) -> Schema:
    """Reads a contract, .fbs (flatc compiles it) or .bfbs; raises ContractError."""
    if path.suffix == ".bfbs":
        try:
            binary = path.read_bytes()
        except OSError as problem:
            raise ContractError(f"{path}: {problem.strerror}") from None
        return _read(binary, str(path))
    if not path.is_file():
        raise ContractError(f"{path}: there is no such file")
    with tempfile.TemporaryDirectory() as scratch:
        # With file names relative to the contract's folder, for what it includes.
        where = str(path.parent.resolve())
        options = [
            "-b",
            "--schema",
            "--bfbs-comments",
            "--bfbs-builtins",
            "--bfbs-filenames",
            where,
        ]
        flatc([*options, *_include_options(includes), "-o", scratch, str(path)])
        schema = _read((Path(scratch) / f"{path.stem}.bfbs").read_bytes(), str(path))
        _refuse_lost_numbers(path, includes, Path(scratch))
    return schema


def compiled(path: Path, includes: Sequence[Path] = ()) -> bytes:
    """The binary schema of a contract, .fbs or .bfbs, for a broker; raises ContractError when it is none."""
    load(path, includes)
    if path.suffix == ".bfbs":
        return path.read_bytes()
    with tempfile.TemporaryDirectory() as scratch:
        flatc([*BFBS_OPTIONS, *_include_options(includes), "-o", scratch, str(path)])
        return (Path(scratch) / f"{path.stem}.bfbs").read_bytes()


def flatc(arguments: Sequence[str]) -> None:
    """Runs flatc; raises ContractError with what it said."""
    program = shutil.which("flatc")
    if program is None:
        raise ContractError("flatc is not on PATH (Debian: apt-get install flatbuffers-compiler)")
    run = subprocess.run([program, *arguments], capture_output=True, text=True)
    if run.returncode != 0:
        lines = [line.strip() for line in (run.stdout + run.stderr).splitlines() if line.strip()]
        said = [line for line in lines if line not in ("error:",)]
        raise ContractError("flatc: " + " ".join(said[:3] or ["it failed and said nothing"]))


def _include_options(includes: Sequence[Path]) -> list[str]:
    return [word for folder in includes for word in ("-I", str(folder))]


def _refuse_lost_numbers(path: Path, includes: Sequence[Path], scratch: Path) -> None:
    """flatc 2.0.8 writes a default or an enum value of more than 63 bits as another one; it must not be taken for
    the truth. Its C++ has the right ones."""
    options = ["--cpp", "--gen-all", *_include_options(includes), "-o", str(scratch)]
    flatc([*options, str(path)])
    text = (scratch / f"{path.stem}_generated.h").read_text()
    for number in re.findall(r"(\d+)ULL", text):
        if int(number) >= 1 << 63:
            raise ContractError(
                f"{path}: {number}: flatc keeps no default or enum value beyond 2^63 - 1 in its binary schema; "
                "choose a smaller one"
            )


def _read(binary: bytes, where: str) -> Schema:
    try:
        if not _Schema.SchemaBufferHasIdentifier(binary, 0):
            raise ContractError(f"{where}: not a binary schema of flatc")
        root = _Schema.GetRootAs(binary, 0)
        objects = tuple(_object(one) for one in _each(root, "Objects"))
        schema = Schema(
            objects,
            tuple(_enum(one) for one in _each(root, "Enums")),
            tuple(_service(one) for one in _each(root, "Services")),
            tuple(_text(one.Filename()) for one in _each(root, "FbsFiles")),
        )
    except (IndexError, ValueError, TypeError) as problem:
        raise ContractError(f"{where}: not a binary schema of flatc ({problem})") from None
    return schema


def _each(owner: Any, name: str) -> Iterator[Any]:
    at = getattr(owner, name)
    return (at(i) for i in range(getattr(owner, f"{name}Length")()))


def _text(value: bytes | None) -> str:
    return (value or b"").decode()


def _docs(owner: Any) -> tuple[str, ...]:
    return tuple(_text(line).strip() for line in _each(owner, "Documentation"))


def _attributes(owner: Any) -> dict[str, str]:
    return {_text(one.Key()): _text(one.Value()) for one in _each(owner, "Attributes")}


def _type(one: Any) -> Type:
    return Type(one.BaseType(), one.Element(), one.Index(), one.FixedLength())


def _field(one: Any) -> Field:
    return Field(
        _text(one.Name()),
        one.Id(),
        one.Offset(),
        _type(one.Type()),
        one.DefaultInteger(),
        one.DefaultReal(),
        one.Deprecated(),
        one.Required(),
        one.Optional(),
        one.Key(),
        _docs(one),
    )


def _object(one: Any) -> Object:
    fields = sorted((_field(field) for field in _each(one, "Fields")), key=lambda f: f.id)
    return Object(
        _text(one.Name()),
        one.IsStruct(),
        one.Minalign(),
        one.Bytesize(),
        tuple(fields),
        _docs(one),
    )


def _enum(one: Any) -> Enum:
    values = [
        EnumValue(_text(value.Name()), value.Value(), _type(value.UnionType()))
        for value in _each(one, "Values")
    ]
    return Enum(
        _text(one.Name()),
        one.IsUnion(),
        one.UnderlyingType().BaseType(),
        "bit_flags" in _attributes(one),
        tuple(sorted(values, key=lambda value: value.value)),
        _docs(one),
    )


def _service(one: Any) -> Service:
    name = _text(one.Name())
    methods = tuple(_method(call, name) for call in _each(one, "Calls"))
    return Service(name, methods, _docs(one))


def _method(call: Any, service: str) -> Method:
    name = _text(call.Name())
    where = f"{service}.{name}"
    attributes = _attributes(call)
    queue = attributes.get("queue", "default")
    for what, word in (("queue", queue), ("method", f"{service.rpartition('.')[2]}.{name}")):
        if not _NAME.match(word) or len(word) > 128:
            raise ContractError(
                f"{where}: {what} {word!r}: letters, digits and _ . / - after a letter or digit, at most 128"
            )
    return Method(
        name,
        _text(call.Request().Name()),
        _text(call.Response().Name()),
        queue,
        _timeout_ms(attributes.get("timeout"), where),
        _retries(attributes.get("retries"), where),
        _docs(call),
    )


def _timeout_ms(text: str | None, where: str) -> int:
    if text is None:
        return 0
    found = _SPAN.match(text)
    timeout = int(found[1]) * _UNITS_MS[found[2]] if found else 0
    if not 0 < timeout <= _MAX_TIMEOUT_MS:
        raise ContractError(
            f"{where}: timeout {text!r}: a time such as 500ms, 30s, 5m, at most 168h"
        )
    return timeout


def _retries(text: str | None, where: str) -> int | None:
    if text is None:
        return None
    if not text.isdecimal() or int(text) > _MAX_RETRIES:
        raise ContractError(f"{where}: retries {text!r}: a number from 0 to {_MAX_RETRIES}")
    return int(text)
