# SPDX-License-Identifier: Apache-2.0
"""What the modules that `jobwire gen` writes are made of. Programs use those, and the two errors."""

from jobwire._app import App
from jobwire._client import AsyncClient, Client
from jobwire._ctx import Ctx
from jobwire._spans import Span
from jobwire.contract._codec import (
    DecodeError,
    EncodeError,
    Inline,
    Member,
    Nested,
    Octets,
    OpenEnum,
    OpenFlags,
    Scalar,
    Slot,
    Struct,
    Table,
    Text,
    Union,
    UnionSlot,
    UnionsSlot,
    Vector,
    decode,
    encode,
    tag_of,
    tags_of,
)
from jobwire.contract._service import Method, call, call_async, register, spec

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
