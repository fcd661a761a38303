# SPDX-License-Identifier: Apache-2.0
"""Values of JSON by annotation: compiled once, each problem named by its path."""

from __future__ import annotations

import dataclasses
import difflib
import enum
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jobwire._errors import HandlerError, PayloadError
from jobwire._models import model_checker

Check = Callable[[Any, str], Any]
"""(value of JSON, its path) -> the value as annotated; raises PayloadError."""

_MISSING: Any = dataclasses.MISSING


def checker(annotation: Any, where: str) -> Check:
    """Compiles an annotation; raises HandlerError for what JSON cannot become."""
    if annotation is Any or annotation is object:
        return lambda value, path: value
    if annotation is None or annotation is type(None):
        return _check_none
    if annotation in _SCALARS:
        return _SCALARS[annotation]
    origin = typing.get_origin(annotation)
    arguments = typing.get_args(annotation)
    if origin is typing.Annotated:
        return checker(arguments[0], where)
    if origin is typing.Union or origin is types.UnionType:
        return _union([checker(argument, where) for argument in arguments], annotation)
    if origin is typing.Literal:
        return _literal(arguments)
    if annotation in (list, Sequence) or origin in (list, Sequence):
        return _list(checker(arguments[0] if arguments else Any, where))
    if annotation in (dict, Mapping) or origin in (dict, Mapping):
        if arguments and arguments[0] is not str:
            raise HandlerError(f"{where}: the keys of a JSON object are str, not {arguments[0]}")
        return _dict(checker(arguments[1] if arguments else Any, where))
    if annotation is tuple or origin is tuple:
        return _tuple(arguments, where)
    model = model_checker(annotation)
    if model is not None:
        return model
    if isinstance(annotation, type):
        if dataclasses.is_dataclass(annotation):
            return _dataclass(annotation, where)
        if issubclass(annotation, enum.Enum):
            return _enum(annotation)
    raise HandlerError(
        f"{where}: cannot make {_show(annotation)} from a payload; "
        "served are bytes, memoryview, str, and JSON: dict, list, tuple, int, float, bool, None, "
        "Literal, Enum, unions, dataclasses, msgspec and pydantic models of them; and, as the only parameter, "
        "NumPy arrays, FlatBuffers tables and Annotated[..., Pickle]"
    )


def _check_none(value: Any, path: str) -> None:
    if value is not None:
        raise mismatch(path, "null", value)


def _check_bool(value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        raise mismatch(path, "true or false", value)
    return value


def _check_int(value: Any, path: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise mismatch(path, "an integer", value)
    return value


def _check_float(value: Any, path: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise mismatch(path, "a number", value)
    try:
        return float(value)
    except OverflowError:
        raise PayloadError(path, "too large for a number") from None


def _check_str(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise mismatch(path, "a string", value)
    return value


_SCALARS: dict[Any, Check] = {
    bool: _check_bool,
    int: _check_int,
    float: _check_float,
    str: _check_str,
}


def _union(checks: Sequence[Check], annotation: Any) -> Check:
    def check(value: Any, path: str) -> Any:
        problems = []
        for one in checks:
            try:
                return one(value, path)
            except PayloadError as problem:
                problems.append(problem)
        # The alternative that got furthest into the value names the field at fault.
        deepest = max(problems, key=lambda problem: len(problem.field))
        if deepest.field != path:
            raise deepest
        raise mismatch(path, _show(annotation), value)

    return check


def _literal(allowed: tuple[Any, ...]) -> Check:
    def check(value: Any, path: str) -> Any:
        for one in allowed:
            if type(one) is type(value) and one == value:
                return one
        raise PayloadError(path, f"must be one of {', '.join(map(repr, allowed))}")

    return check


def _enum(kind: type[enum.Enum]) -> Check:
    def check(value: Any, path: str) -> Any:
        try:
            return kind(value)
        except ValueError:
            values = ", ".join(repr(member.value) for member in kind)
            raise PayloadError(path, f"must be one of {values}") from None

    return check


def _list(item: Check) -> Check:
    def check(value: Any, path: str) -> list[Any]:
        if not isinstance(value, list):
            raise mismatch(path, "a list", value)
        return [item(one, f"{path}[{i}]") for i, one in enumerate(value)]

    return check


def _tuple(arguments: tuple[Any, ...], where: str) -> Check:
    if not arguments or (len(arguments) == 2 and arguments[1] is Ellipsis):
        many = _list(checker(arguments[0] if arguments else Any, where))
        return lambda value, path: tuple(many(value, path))
    items = [checker(argument, where) for argument in arguments]

    def check(value: Any, path: str) -> tuple[Any, ...]:
        if not isinstance(value, list) or len(value) != len(items):
            raise mismatch(path, f"a list of {len(items)}", value)
        return tuple(one(value[i], f"{path}[{i}]") for i, one in enumerate(items))

    return check


def _dict(item: Check) -> Check:
    def check(value: Any, path: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise mismatch(path, "an object", value)
        return {key: item(one, f"{path}.{key}") for key, one in value.items()}

    return check


def _dataclass(kind: type[Any], where: str) -> Check:
    # Compiled at the first use: a dataclass may contain itself.
    compiled: list[Callable[[Any, str], dict[str, Any]]] = []

    def check(value: Any, path: str) -> Any:
        if not compiled:
            hints = typing.get_type_hints(kind, include_extras=True)
            fields = [field for field in dataclasses.fields(kind) if field.init]
            compiled.append(
                object_checker(
                    {field.name: hints[field.name] for field in fields},
                    {
                        field.name
                        for field in fields
                        if field.default is _MISSING and field.default_factory is _MISSING
                    },
                    f"{where} ({kind.__qualname__})",
                )
            )
        arguments = compiled[0](value, path)
        try:
            return kind(**arguments)
        except (ValueError, TypeError) as problem:
            # What __post_init__ says about a value is about the payload.
            raise PayloadError(path, str(problem)) from problem

    return check


def object_checker(
    members: Mapping[str, Any], required: set[str], where: str
) -> Callable[[Any, str], dict[str, Any]]:
    """Checks a JSON object whose members have annotations; names of members nobody asked for are refused."""
    checks = {name: checker(annotation, f"{where}.{name}") for name, annotation in members.items()}

    def check(value: Any, path: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise mismatch(path, "an object", value)
        prefix = f"{path}." if path else ""
        found = {}
        for key, one in value.items():
            known = checks.get(key)
            if known is None:
                near = difflib.get_close_matches(key, checks, 1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise PayloadError(f"{prefix}{key}", f"not known{hint}")
            found[key] = known(one, f"{prefix}{key}")
        for name in checks:
            if name in required and name not in found:
                raise PayloadError(f"{prefix}{name}", "missing")
        return found

    return check


def mismatch(path: str, wanted: str, value: Any) -> PayloadError:
    return PayloadError(path or "payload", f"must be {wanted}, is {_kind(value)}")


_KINDS = {
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    str: "a string",
    dict: "an object",
}


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    return "a list" if isinstance(value, list) else _KINDS.get(type(value), type(value).__name__)


def _show(annotation: Any) -> str:
    if isinstance(annotation, type) and not typing.get_args(annotation):
        return annotation.__qualname__
    return str(annotation).replace("typing.", "")
