# SPDX-License-Identifier: Apache-2.0
"""Values to and from bytes by annotation: payloads in, results out."""

from __future__ import annotations

import dataclasses
import difflib
import enum
import json
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jobwire._errors import HandlerError, PayloadError, ResultError
from jobwire._wire import Encoding

Check = Callable[[Any, str], Any]
"""(value of JSON, its path) -> the value as annotated; raises PayloadError."""

Read = Callable[[bytes, int], Any]
"""(payload, encoding) -> the argument as annotated; raises PayloadError."""

_TEXT = (Encoding.Bytes, Encoding.Utf8, Encoding.Json)
_MISSING: Any = dataclasses.MISSING


# ------------------------------------------------------------------ payloads


def reader(annotation: Any, field: str, where: str) -> Read:
    """How a whole payload becomes one argument; raises HandlerError, naming `where`, for what is not served."""
    if annotation is bytes:
        return lambda payload, encoding: payload
    if annotation is memoryview:
        return lambda payload, encoding: memoryview(payload)
    if annotation is str:
        return lambda payload, encoding: _read_str(payload, encoding, field)
    if annotation is Any:
        return lambda payload, encoding: _read_any(payload, encoding, field)
    check = checker(annotation, where)
    return lambda payload, encoding: check(read_json(payload, encoding, field), field)


def read_json(payload: bytes, encoding: int, field: str) -> Any:
    if encoding not in _TEXT:
        raise PayloadError(field, f"JSON is wanted, the payload is {_encoding_name(encoding)}")
    try:
        return json.loads(payload)
    except ValueError as problem:
        raise PayloadError(field, f"not JSON: {problem}") from None
    except RecursionError:
        raise PayloadError(field, "not JSON: nested too deeply") from None


def _read_str(payload: bytes, encoding: int, field: str) -> str:
    if encoding == Encoding.Json:
        value = read_json(payload, encoding, field)
        if not isinstance(value, str):
            raise _mismatch(field, "a string", value)
        return value
    if encoding not in _TEXT:
        raise PayloadError(field, f"text is wanted, the payload is {_encoding_name(encoding)}")
    try:
        return payload.decode()
    except UnicodeDecodeError as problem:
        raise PayloadError(field, f"not UTF-8 at byte {problem.start}") from None


def _read_any(payload: bytes, encoding: int, field: str) -> Any:
    if encoding == Encoding.Utf8:
        return _read_str(payload, encoding, field)
    if encoding == Encoding.Json:
        return read_json(payload, encoding, field)
    return payload


def _encoding_name(encoding: int) -> str:
    names = {number: name for name, number in vars(Encoding).items() if isinstance(number, int)}
    return names.get(encoding, f"encoding {encoding}")


# ------------------------------------------------------------------ JSON by annotation


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
    if isinstance(annotation, type):
        if dataclasses.is_dataclass(annotation):
            return _dataclass(annotation, where)
        if issubclass(annotation, enum.Enum):
            return _enum(annotation)
    raise HandlerError(
        f"{where}: cannot make {_show(annotation)} from a payload; "
        "served are bytes, memoryview, str, and JSON: dict, list, tuple, int, float, bool, None, "
        "Literal, Enum, unions and dataclasses of them"
    )


def _check_none(value: Any, path: str) -> None:
    if value is not None:
        raise _mismatch(path, "null", value)


def _check_bool(value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        raise _mismatch(path, "true or false", value)
    return value


def _check_int(value: Any, path: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _mismatch(path, "an integer", value)
    return value


def _check_float(value: Any, path: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _mismatch(path, "a number", value)
    try:
        return float(value)
    except OverflowError:
        raise PayloadError(path, "too large for a number") from None


def _check_str(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise _mismatch(path, "a string", value)
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
        raise _mismatch(path, _show(annotation), value)

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
            raise _mismatch(path, "a list", value)
        return [item(one, f"{path}[{i}]") for i, one in enumerate(value)]

    return check


def _tuple(arguments: tuple[Any, ...], where: str) -> Check:
    if not arguments or (len(arguments) == 2 and arguments[1] is Ellipsis):
        many = _list(checker(arguments[0] if arguments else Any, where))
        return lambda value, path: tuple(many(value, path))
    items = [checker(argument, where) for argument in arguments]

    def check(value: Any, path: str) -> tuple[Any, ...]:
        if not isinstance(value, list) or len(value) != len(items):
            raise _mismatch(path, f"a list of {len(items)}", value)
        return tuple(one(value[i], f"{path}[{i}]") for i, one in enumerate(items))

    return check


def _dict(item: Check) -> Check:
    def check(value: Any, path: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _mismatch(path, "an object", value)
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
            raise _mismatch(path, "an object", value)
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


def _mismatch(path: str, wanted: str, value: Any) -> PayloadError:
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


# ------------------------------------------------------------------ values that leave


def encode_result(value: Any) -> tuple[int, bytes]:
    """Encoding and bytes of what a handler returned; raises ResultError."""
    kind = type(value)
    # The two shapes in which microseconds count.
    if kind is bytes:
        return Encoding.Bytes, value
    if value is None:
        return Encoding.Bytes, b""
    return encode_value(value, "the returned")


def encode_value(value: Any, what: str = "a payload that is a") -> tuple[int, bytes]:
    """Encoding and bytes of any value that can travel; raises ResultError, in which `what` names the value's part."""
    kind = type(value)
    if kind is str:
        try:
            return Encoding.Utf8, value.encode()
        except UnicodeEncodeError as problem:
            raise ResultError(f"{what} str is not Unicode text: {problem}") from None
    if isinstance(value, bytes | bytearray | memoryview):
        return Encoding.Bytes, bytes(value)
    try:
        text = json.dumps(
            value, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_as_json
        )
        return Encoding.Json, text.encode()
    except (TypeError, ValueError, RecursionError) as problem:
        raise ResultError(f"{what} {kind.__qualname__} cannot travel: {problem}") from None


def _as_json(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    raise TypeError(f"{type(value).__qualname__} has no JSON form")
