# SPDX-License-Identifier: Apache-2.0
"""What the modules that `jobwire gen` writes are made of. Programs use those, and the two errors."""

import typing as _typing

import jobwire as _jobwire
from jobwire._app import App
from jobwire._ctx import Ctx
from jobwire._spans import Span
from jobwire.contract._codec import decode, encode
from jobwire.contract._cursor import DecodeError, EncodeError
from jobwire.contract._kinds import Inline, Nested, Octets, Scalar, Text, Vector
from jobwire.contract._open_enums import OpenEnum, OpenFlags
from jobwire.contract._service import Method, call, call_async, register, spec
from jobwire.contract._structs import Member, Struct
from jobwire.contract._tables import Slot, Table, UnionSlot, UnionsSlot
from jobwire.contract._unions import Union, tag_of, tags_of

if _typing.TYPE_CHECKING:
    from jobwire._client import AsyncClient, Client

__all__ = [
    "App",
    "AsyncClient",
    "Client",
    "Ctx",
    "DecodeError",
    "EncodeError",
    "Inline",
    "Member",
    "Method",
    "Nested",
    "Octets",
    "OpenEnum",
    "OpenFlags",
    "Scalar",
    "Slot",
    "Span",
    "Struct",
    "Table",
    "Text",
    "Union",
    "UnionSlot",
    "UnionsSlot",
    "Vector",
    "call",
    "call_async",
    "decode",
    "encode",
    "register",
    "spec",
    "tag_of",
    "tags_of",
]

if not _typing.TYPE_CHECKING:

    def __getattr__(name):
        # A worker that serves a contract does without; see `jobwire`.
        if name in ("AsyncClient", "Client"):
            return getattr(_jobwire, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
