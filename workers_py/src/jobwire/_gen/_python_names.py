# SPDX-License-Identifier: Apache-2.0
"""How names, docs and numbers of a contract are spelled in Python."""

from __future__ import annotations

import keyword
import math
from collections.abc import Iterator, Sequence

from jobwire._gen._schema import Enum, Method, Service

# Names that the module itself uses, and those that a class body does.
_TAKEN_BY_MODULE = {"abc", "c", "dataclass", "field", "annotations", "Any", "ClassVar", "math"}
_TAKEN_IN_CLASS = {"field", "math"}


def class_name(name: str) -> str:
    short = name.rpartition(".")[2]
    return f"{short}_" if short in _TAKEN_BY_MODULE else field_name(short)


def field_name(name: str) -> str:
    return f"{name}_" if keyword.iskeyword(name) or name in _TAKEN_IN_CLASS else name


def member_name(name: str) -> str:
    # What an Enum has of its own.
    return f"{name}_" if name in ("mro", "name", "value") else field_name(name)


def constant_name(service: Service, method: Method) -> str:
    return f"{service.short}_{method.name}".upper()


def members_name(union: Enum) -> str:
    return f"_{class_name(union.name)}_members"


def float_text(value: float) -> str:
    if math.isnan(value):
        return "math.nan"
    if math.isinf(value):
        return "math.inf" if value > 0 else "-math.inf"
    return repr(value)


def docstring(lines: Sequence[str], indent: int = 4) -> Iterator[str]:
    pad = " " * indent
    safe = [line.replace("\\", "\\\\").replace('"""', "'''") for line in lines]
    if len(safe) == 1:
        yield f'{pad}"""{safe[0]}"""'
        return
    yield f'{pad}"""{safe[0]}'
    yield from (f"{pad}{line}".rstrip() for line in safe[1:])
    yield f'{pad}"""'


def comments(lines: Sequence[str]) -> Iterator[str]:
    yield from (f"    # {line}" for line in lines)
