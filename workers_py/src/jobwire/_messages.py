# SPDX-License-Identifier: Apache-2.0
"""What a broker says to every peer, and to workers and agents, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from jobwire._heads import DispatchHead


@dataclass(frozen=True, slots=True)
class Limits:
    """What Welcome allows; the values here hold until it has come."""

    max_payload_bytes: int = 33554432
    max_jobs_per_message: int = 1024
    max_error_bytes: int = 65536
    max_message_bytes: int = 34603008
    session_timeout_ms: int = 30000
    heartbeat_ms: int = 2000
    window_jobs: int = 16384
    window_bytes: int = 67108864
    max_checkpoint_bytes: int = 65536


@dataclass(frozen=True, slots=True)
class Welcome:
    broker: bytes
    epoch: int
    durability: int
    limits: Limits
    version: str


@dataclass(frozen=True, slots=True)
class Refused:
    code: int
    message: str
    request: int
    retry_after_ms: int


@dataclass(frozen=True, slots=True)
class Goodbye:
    code: int
    message: str


@dataclass(frozen=True, slots=True)
class Heartbeat:
    sequence: int


class Extra(NamedTuple):
    """What few jobs have: headers, and what an earlier attempt has saved; its encoding is 0 when none has."""

    headers: Mapping[str, str]
    checkpoint: tuple[int, bytes] = (0, b"")


@dataclass(frozen=True, slots=True)
class Dispatch:
    heads: list[DispatchHead]
    blob: bytes
    extras: list[Extra]


@dataclass(frozen=True, slots=True)
class Ack:
    through: int
    refused: list[tuple[bytes, int]]


@dataclass(frozen=True, slots=True)
class CheckpointAck:
    """Token, number and code of each."""

    heads: list[tuple[bytes, int, int]]


@dataclass(frozen=True, slots=True)
class Recall:
    tokens: list[bytes]


@dataclass(frozen=True, slots=True)
class Revoke:
    tokens: list[bytes]


@dataclass(frozen=True, slots=True)
class Cancel:
    token: bytes
    worker: int
    grace_ms: int


Message = (
    Welcome
    | Refused
    | Goodbye
    | Heartbeat
    | Dispatch
    | Ack
    | CheckpointAck
    | Recall
    | Revoke
    | Cancel
)
