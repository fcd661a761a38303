# SPDX-License-Identifier: Apache-2.0
"""Enums of a contract, which later versions of it may add to."""

from __future__ import annotations

from enum import KEEP, IntEnum, IntFlag


class OpenEnum(IntEnum):
    """An enum that keeps numbers which a later version of the contract has added: they have no name, and no harm is
    done in passing them on."""

    @classmethod
    def _missing_(cls, value: object) -> OpenEnum | None:
        if not isinstance(value, int):
            return None
        member = int.__new__(cls, value)
        member._name_ = f"value_{value}"
        member._value_ = value
        return member


class OpenFlags(IntFlag, boundary=KEEP):
    """Flags that keep bits which a later version of the contract has added."""
