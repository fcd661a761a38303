# SPDX-License-Identifier: Apache-2.0
"""The enums of the schema, and their names."""

from __future__ import annotations

from jobwire.wire.Body import Body
from jobwire.wire.Code import Code
from jobwire.wire.ContractAction import ContractAction
from jobwire.wire.Durability import Durability
from jobwire.wire.Encoding import Encoding
from jobwire.wire.Known import Known
from jobwire.wire.Outcome import Outcome
from jobwire.wire.QueueAction import QueueAction
from jobwire.wire.Relation import Relation
from jobwire.wire.Role import Role
from jobwire.wire.SweepAction import SweepAction
from jobwire.wire.WorkerEnd import WorkerEnd

__all__ = [
    "Body",
    "Code",
    "ContractAction",
    "Durability",
    "Encoding",
    "Known",
    "Outcome",
    "QueueAction",
    "Relation",
    "Role",
    "SweepAction",
    "WorkerEnd",
    "code_name",
    "durability_name",
    "enum_names",
]


def enum_names(enum: type) -> dict[int, str]:
    """The names of a generated enum, by number."""
    return {number: name for name, number in vars(enum).items() if isinstance(number, int)}


_CODE_NAMES = enum_names(Code)
_DURABILITY_NAMES = enum_names(Durability)


def code_name(code: int) -> str:
    return _CODE_NAMES.get(code, f"code {code}")


def durability_name(durability: int) -> str:
    return _DURABILITY_NAMES.get(durability, f"durability {durability}").lower()
