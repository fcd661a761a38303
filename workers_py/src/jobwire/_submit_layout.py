# SPDX-License-Identifier: Apache-2.0
"""A Submit of plain jobs written by hand, at fixed places: about 3 us a job where the FlatBuffers runtime needs 60.

Plain jobs say nothing about retries, deduplication and headers. A test compares what flatc reads in both.

    0    root, identifier          104  vector of N offsets to the jobs
    8    vtable of Message         ...  N job tables of 88 bytes each
    16   Message                   ...  strings, each distinct one once
    28   vtable of Submit
    40   Submit
    56   vtable of JobSpec
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Protocol
from uuid import UUID

_VTABLE_OF_JOBS = 56
_VECTOR = 104
_JOB = Struct("<iIIIIIQqqQQ16sBB??4x")
"""offset of the vtable, queue, type, payload_offset, payload_size, timeout_ms, delay_ms, not_before_ms, expires_at_ms,
result_ttl_ms, contract, id, encoding, priority, watch, keep_payload"""
# Where each field of JobSpec lies in the table, by its id; 0 is left out.
_PLACES = (64, 4, 8, 12, 16, 80, 81, 20, 24, 32, 40, 48, 0, 0, 0, 0, 56, 82, 83)
_U32 = Struct("<I").pack_into
_U64 = Struct("<Q").pack_into


def _head(body: int) -> bytes:
    return b"".join(
        (
            Struct("<I4s").pack(16, b"JW01"),
            Struct("<4H").pack(8, 12, 8, 4),
            Struct("<iIB3x").pack(8, 40 - 20, body),
            Struct("<4H").pack(8, 16, 8, 4),
            bytes(4),
            Struct("<iIQ").pack(40 - 28, _VECTOR - 44, 0),
            Struct(f"<2H{len(_PLACES)}H").pack(4 + 2 * len(_PLACES), _JOB.size, *_PLACES),
            bytes(6),
        )
    )


class PlainJob(Protocol):
    """What a JobSpec has."""

    @property
    def id(self) -> UUID: ...
    @property
    def queue(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def payload(self) -> bytes: ...
    @property
    def encoding(self) -> int: ...
    @property
    def priority(self) -> int: ...
    @property
    def timeout_ms(self) -> int: ...
    @property
    def delay_ms(self) -> int: ...
    @property
    def not_before_ms(self) -> int: ...
    @property
    def expires_at_ms(self) -> int: ...
    @property
    def result_ttl_ms(self) -> int: ...
    @property
    def contract(self) -> int: ...
    @property
    def watch(self) -> bool: ...
    @property
    def keep_payload(self) -> bool: ...


class SubmitLayout:
    """Writes envelopes; `body` is the number of Submit among the bodies."""

    def __init__(self, body: int) -> None:
        self._head = _head(body)
        assert len(self._head) == _VECTOR

    def encode(self, request: int, jobs: Sequence[PlainJob]) -> bytes:
        """The envelope of plain jobs whose payloads lie one after the other in the blob."""
        count = len(jobs)
        first = (_VECTOR + 4 + 4 * count + 7) & ~7
        end = first + count * _JOB.size
        strings: dict[str, int] = {}
        tail: list[bytes] = []
        for job in jobs:
            for text in (job.queue, job.type):
                if text not in strings:
                    raw = text.encode()
                    strings[text] = end
                    # A length, the bytes, a zero, and what fills the last word.
                    raw = len(raw).to_bytes(4, "little") + raw + b"\0"
                    raw += bytes(-len(raw) % 4)
                    tail.append(raw)
                    end += len(raw)
        buffer = bytearray(
            b"".join((self._head, bytes(first + count * _JOB.size - _VECTOR), *tail))
        )
        _U64(buffer, 48, request)
        _U32(buffer, _VECTOR, count)
        pack = _JOB.pack_into
        at, element, offset = first, _VECTOR + 4, 0
        for job in jobs:
            size = len(job.payload)
            _U32(buffer, element, at - element)
            pack(
                buffer,
                at,
                at - _VTABLE_OF_JOBS,
                strings[job.queue] - (at + 4),
                strings[job.type] - (at + 8),
                offset,
                size,
                job.timeout_ms,
                job.delay_ms,
                job.not_before_ms,
                job.expires_at_ms,
                job.result_ttl_ms,
                job.contract,
                job.id.bytes,
                job.encoding,
                job.priority,
                job.watch,
                job.keep_payload,
            )
            offset += size
            at += _JOB.size
            element += 4
        return bytes(buffer)
