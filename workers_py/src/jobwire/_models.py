# SPDX-License-Identifier: Apache-2.0
"""Models of other packages as arguments and results: msgspec, pydantic, FlatBuffers tables, and pickles on request.

None of them is imported here: an annotation that names one shows that the program has it.
"""

from __future__ import annotations

import pickle
import re
import sys
import typing
from collections.abc import Callable
from struct import Struct, error
from typing import Any

from jobwire._errors import PayloadError, ResultError
from jobwire._wire_enums import Encoding

Check = Callable[[Any, str], Any]
Read = Callable[[Any, int], Any]


class Pickle:
    """Marks an argument or a result that travels as a pickle: `Annotated[Model, Pickle]`.

    Whoever can submit jobs to such a handler can run any code in its worker; nothing is pickled unless this says so.
    """


def is_pickled(annotation: Any) -> bool:
    return typing.get_origin(annotation) is typing.Annotated and any(
        mark is Pickle or isinstance(mark, Pickle) for mark in annotation.__metadata__
    )


def pickle_reader(annotation: Any, field: str) -> Read:
    kind = typing.get_args(annotation)[0]

    def read(payload: Any, encoding: int) -> Any:
        try:
            value = pickle.loads(payload)
        except Exception as problem:  # unpickling runs code, which may raise anything
            raise PayloadError(field, f"not a pickle: {problem}") from None
        if isinstance(kind, type) and not isinstance(value, kind):
            raise PayloadError(field, f"must be {kind.__qualname__}, is {type(value).__qualname__}")
        return value

    return read


def encode_pickle(value: Any) -> bytes:
    try:
        return pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    except Exception as problem:  # a __reduce__ may raise anything
        raise ResultError(f"the {type(value).__qualname__} cannot be pickled: {problem}") from None


# ------------------------------------------------------------------ msgspec and pydantic


def model_checker(annotation: Any) -> Check | None:
    """How a value of JSON becomes a model, or None when the annotation is none."""
    if not isinstance(annotation, type):
        return None
    msgspec = sys.modules.get("msgspec")
    if msgspec is not None and issubclass(annotation, msgspec.Struct):
        return _msgspec_checker(annotation, msgspec)
    pydantic = sys.modules.get("pydantic")
    if pydantic is not None and issubclass(annotation, pydantic.BaseModel):
        return _pydantic_checker(annotation, pydantic)
    return None


_MSGSPEC_PATH = re.compile(r"^(.*?)(?: - at `(\$[^`]*)`)?$", re.DOTALL)


def _msgspec_checker(kind: Any, msgspec: Any) -> Check:
    def check(value: Any, path: str) -> Any:
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as problem:
            said, at = _MSGSPEC_PATH.fullmatch(str(problem)).groups()  # type: ignore[union-attr]
            below = (at or "$")[1:]
            raise PayloadError((path + below).lstrip("."), said) from None

    return check


def _pydantic_checker(kind: Any, pydantic: Any) -> Check:
    def check(value: Any, path: str) -> Any:
        try:
            return kind.model_validate(value)
        except pydantic.ValidationError as problem:
            # Not its text: that shows the value, which may be a secret.
            first = problem.errors(include_input=False, include_url=False, include_context=False)[0]
            for step in first["loc"]:
                path += f"[{step}]" if isinstance(step, int) else f".{step}"
            raise PayloadError(path.lstrip("."), first["msg"]) from None

    return check


def model_as_json(value: Any) -> Any:
    """A model as values of JSON, or None when it is none."""
    msgspec = sys.modules.get("msgspec")
    if msgspec is not None and isinstance(value, msgspec.Struct):
        return msgspec.to_builtins(value)
    pydantic = sys.modules.get("pydantic")
    if pydantic is not None and isinstance(value, pydantic.BaseModel):
        return value.model_dump(mode="json")
    return None


# ------------------------------------------------------------------ FlatBuffers

_U32 = Struct("<I").unpack_from
_I32 = Struct("<i").unpack_from
_U16 = Struct("<H").unpack_from


def is_table_type(annotation: Any) -> bool:
    """Whether an annotation is a class that flatc made for a table."""
    return isinstance(annotation, type) and hasattr(annotation, "GetRootAs")


def table_reader(kind: Any, field: str) -> Read:
    """Reads a payload as the root table of a finished buffer, without a copy. The runtime has no verifier: what lies
    deeper than the root is looked at when the handler does."""
    has_identifier = getattr(kind, f"{kind.__name__}BufferHasIdentifier", None)

    def read(payload: Any, encoding: int) -> Any:
        if encoding not in (Encoding.FlatBuffer, Encoding.Bytes):
            raise PayloadError(field, "a FlatBuffers buffer is wanted, the payload is none")
        try:
            root = _U32(payload, 0)[0]
            vtable = root - _I32(payload, root)[0]
            if vtable < 0 or _U16(payload, vtable)[0] + vtable > len(payload):
                raise PayloadError(field, "not a FlatBuffers buffer: its root has no vtable")
            if len(payload) >= 8 and has_identifier and not has_identifier(payload, 0):
                identifier = bytes(payload[4:8])
                # A schema without a file_identifier has no such function.
                raise PayloadError(field, f"a buffer of another schema: identifier {identifier!r}")
        except error:
            raise PayloadError(field, "not a FlatBuffers buffer: it is too short") from None
        return kind.GetRootAs(payload, 0)

    return read


def table_bytes(value: Any) -> bytes | None:
    """The finished buffer of a Builder, or the one that a root table lies in; None for anything else."""
    flatbuffers = sys.modules.get("flatbuffers")
    if flatbuffers is not None and isinstance(value, flatbuffers.Builder):
        return bytes(value.Output())
    if is_table_type(type(value)):
        table = value._tab
        if _U32(table.Bytes, 0)[0] == table.Pos:
            return bytes(table.Bytes)
        raise ResultError(f"the {type(value).__qualname__} is not the root of its buffer")
    return None
