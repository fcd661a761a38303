# SPDX-License-Identifier: Apache-2.0
"""Takes the values of named parameters out of what is told about a failure."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from typing import Any

_ATTRIBUTE = "__jobwire_secrets__"
REDACTED = "[redacted]"
# Of a value like 7 or "ok" nothing would be left to read, and nothing is hidden.
_LEAST_CHARACTERS = 3
_DEPTH = 16


def mark(error: BaseException, secrets: Iterable[str]) -> None:
    """Notes on the exception which texts must not leave the process with it."""
    found = frozenset(secrets)
    if found:
        setattr(error, _ATTRIBUTE, found | getattr(error, _ATTRIBUTE, frozenset()))


def secrets_of(error: BaseException) -> tuple[str, ...]:
    """What `mark` has noted, the longest first, so that no part of one is left when another one is in it."""
    return tuple(sorted(getattr(error, _ATTRIBUTE, ()), key=len, reverse=True))


def cleaned(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, REDACTED)
    return text


def secrets_in(payload: bytes, single: str | None, names: frozenset[str]) -> set[str]:
    """The texts of the named values in a payload. `single` is the name of the only parameter."""
    found: set[str] = set()
    try:
        value: Any = json.loads(payload)
    except (ValueError, RecursionError):
        value = None
        if single in names:
            _add(payload.decode("utf-8", "replace"), found)
    if single in names:
        _all(value, found, 0)
    _named(value, names, found, 0)
    return found


def _named(value: Any, names: frozenset[str], found: set[str], depth: int) -> None:
    if depth > _DEPTH:
        return
    if isinstance(value, Mapping):
        for name, member in value.items():
            if name in names:
                _all(member, found, depth)
            else:
                _named(member, names, found, depth + 1)
    elif isinstance(value, list):
        for member in value:
            _named(member, names, found, depth + 1)


def _all(value: Any, found: set[str], depth: int) -> None:
    if depth > _DEPTH or value is None or isinstance(value, bool):
        return
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, Mapping):
        for member in value.values():
            _all(member, found, depth + 1)
    elif isinstance(value, list | tuple):
        for member in value:
            _all(member, found, depth + 1)
    else:
        _add(str(value), found)


def _add(text: str, found: set[str]) -> None:
    if len(text) < _LEAST_CHARACTERS:
        return
    found.add(text)
    # As repr and JSON show it, when they show it otherwise.
    for shown in (repr(text)[1:-1], json.dumps(text)[1:-1]):
        found.add(shown)
