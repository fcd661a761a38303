# SPDX-License-Identifier: Apache-2.0
"""Values to and from bytes by annotation: payloads in, results out."""

from __future__ import annotations

import dataclasses
import enum
import json
import types
import typing
from collections.abc import Callable
from typing import Any

from jobwire._arrays import array_reader, encode_array, is_array, is_array_type, scalar_as_json
from jobwire._checkers import checker, mismatch
from jobwire._errors import HandlerError, PayloadError, ResultError
from jobwire._models import (
    encode_pickle,
    is_pickled,
    is_table_type,
    model_as_json,
    pickle_reader,
    table_bytes,
    table_reader,
)
from jobwire._wire_enums import Encoding

Read = Callable[[Any, int], Any]
"""(payload, encoding) -> the argument as annotated; raises PayloadError. The payload is bytes, or a memoryview where
`takes_view` says so."""

_TEXT = (Encoding.Bytes, Encoding.Utf8, Encoding.Json)


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
    if is_pickled(annotation):
        return pickle_reader(annotation, field)
    if is_array_type(annotation):
        return array_reader(annotation, field, where)
    if is_table_type(annotation):
        return table_reader(annotation, field)
    check = checker(annotation, where)
    return lambda payload, encoding: check(read_json(payload, encoding, field), field)


def takes_view(annotation: Any) -> bool:
    """Whether the argument lies over the payload's bytes, so that they need not be copied out of their message."""
    return annotation is memoryview or is_array_type(annotation) or is_table_type(annotation)


def result_reader(annotation: Any, where: str) -> Read:
    """How what a handler returned is read again by who asked for it."""
    empty_is_none = annotation is None or annotation is type(None)
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        rest = [one for one in typing.get_args(annotation) if one is not type(None)]
        empty_is_none = len(rest) < len(typing.get_args(annotation))
        if empty_is_none and len(rest) == 1:
            annotation = rest[0]
    try:
        read = reader(annotation, "result", where)
    except HandlerError:
        # What has no reader may still be returned: it comes as its encoding says.
        read = reader(Any, "result", where)
    if not empty_is_none:
        return read
    return lambda payload, encoding: read(payload, encoding) if payload else None


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
            raise mismatch(field, "a string", value)
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


# ------------------------------------------------------------------ values that leave


class FlatBuffer(bytes):
    """A finished FlatBuffer, which travels as one."""


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
    if kind is FlatBuffer:
        return Encoding.FlatBuffer, bytes(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return Encoding.Bytes, bytes(value)
    if is_array(value):
        return Encoding.Npy, encode_array(value)
    table = table_bytes(value)
    if table is not None:
        return Encoding.FlatBuffer, table
    try:
        text = json.dumps(
            value, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_as_json
        )
        return Encoding.Json, text.encode()
    except (TypeError, ValueError, RecursionError) as problem:
        raise ResultError(f"{what} {kind.__qualname__} cannot travel: {problem}") from None


def encode_as(annotation: Any, value: Any) -> tuple[int, bytes]:
    """`encode_value` for an argument or result with this annotation: only there may a pickle be asked for."""
    if is_pickled(annotation):
        return Encoding.Bytes, encode_pickle(value)
    return encode_value(value)


def _as_json(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    for form in (model_as_json(value), scalar_as_json(value)):
        if form is not None:
            return form
    raise TypeError(f"{type(value).__qualname__} has no JSON form")
