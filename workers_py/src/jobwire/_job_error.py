# SPDX-License-Identifier: Apache-2.0
"""What went wrong in an attempt, as values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobwire._wire_enums import Relation


@dataclass(frozen=True, slots=True)
class Frame:
    """One call of a traceback."""

    file: str
    line: int
    function: str
    source: str


@dataclass(frozen=True, slots=True)
class LinkedError:
    """An error behind another one: its cause, or what was being handled when it was raised."""

    relation: int
    type: str
    message: str
    frames: tuple[Frame, ...]


@dataclass(frozen=True, slots=True)
class JobError:
    """What went wrong in one attempt, as schemas/error.fbs has it."""

    type: str
    message: str
    frames: tuple[Frame, ...] = ()
    chain: tuple[LinkedError, ...] = ()
    notes: tuple[str, ...] = ()
    retryable: bool = True
    truncated: bool = False

    def __str__(self) -> str:
        """The traceback in Python's own layout, the oldest cause first."""
        lines = []
        for link in reversed(self.chain):
            lines += [*_traceback(link.frames), f"{link.type}: {link.message}", ""]
            lines += [_RELATIONS.get(link.relation, _RELATIONS[Relation.Context]), ""]
        lines += [*_traceback(self.frames), f"{self.type}: {self.message}", *self.notes]
        return "\n".join(lines)


_RELATIONS = {
    Relation.Cause: "The above exception was the direct cause of the following exception:",
    Relation.Context: "During handling of the above exception, another exception occurred:",
}


def _traceback(frames: Sequence[Frame]) -> list[str]:
    lines = ["Traceback (most recent call last):"] if frames else []
    for frame in frames:
        lines.append(f'  File "{frame.file}", line {frame.line}, in {frame.function}')
        if frame.source:
            lines.append(f"    {frame.source}")
    return lines
