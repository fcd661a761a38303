# SPDX-License-Identifier: Apache-2.0
"""Settles futures that somebody else may have cancelled in the meantime."""

from __future__ import annotations

from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


def settle(future: Future[T], value: T) -> None:
    with suppress(InvalidStateError):
        future.set_result(value)


def fail(future: Future[T], error: Exception) -> None:
    with suppress(InvalidStateError):
        future.set_exception(error)
