# SPDX-License-Identifier: Apache-2.0
"""Names of queues, types and apps."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

from jobwire._errors import HandlerError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./-]*\Z")
_MAX_NAME_BYTES = 128


def checked_name(what: str, name: str) -> str:
    """The name, if it can travel; raises HandlerError otherwise."""
    if not _NAME.match(name) or len(name.encode()) > _MAX_NAME_BYTES:
        raise HandlerError(
            f"{what} name {name!r}: letters, digits and _ . / - after a letter or digit, "
            f"at most {_MAX_NAME_BYTES} bytes"
        )
    return name


def default_name(target: Callable[..., Any]) -> str:
    """A function's name, or a class's in snake_case."""
    name = getattr(target, "__name__", "")
    if inspect.isclass(target):
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
    return name
