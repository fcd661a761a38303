# SPDX-License-Identifier: Apache-2.0
"""Layouts of the FlatBuffers structs that travel in vectors; a test compares them with the generated code.

The pure-Python FlatBuffers runtime needs tens of microseconds where one `struct` call needs a fraction of one.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

DISPATCH_HEAD = Struct("<16s16sIIIHHBBH")
RESULT_HEAD = Struct("<16s16sIIQqIBB2x")
LEASE_HEAD = Struct("<16s16sQqHB5x")
LEASE_REFUSAL = Struct("<16sH")
PROGRESS_HEAD = Struct("<16sfII")

CHECKPOINT_HEAD = Struct("<16sIIIB3x")
"""token, number, offset, size, encoding"""

CHECKPOINT_ACK_HEAD = Struct("<16sIH2x")
"""token, number, code"""

DispatchHead = tuple[bytes, bytes, int, int, int, int, int, int, int, int]
"""token, job, payload_offset, payload_size, timeout_ms, type, attempt, encoding, priority, extra"""


class Lease(NamedTuple):
    """One attempt's right to run, as LeaseHead carries it."""

    token: bytes
    job: bytes
    worker: int
    started_ms: int
    attempt: int
    finished: bool

    def pack(self) -> bytes:
        return LEASE_HEAD.pack(*self)


RECEIPT_HEAD = Struct("<16s16sIH?B")
"""id, job, retry_after_ms, code, duplicate, state"""

RESULT_VIEW = Struct("<16sIIqqqQHBBBB??")
"""id, payload_offset, payload_size, created_ms, started_ms, finished_ms, run_us, attempts, known, state, reason,
encoding, pushed, payload_is_error"""

PROGRESS_VIEW = Struct("<16sqfII4x")
"""id, at_ms, value, message_offset, message_size"""

CANCEL_HEAD = Struct("<16sHBx")
"""id, code, state"""
