# SPDX-License-Identifier: Apache-2.0
# mypy: disallow-untyped-calls=False
"""What every peer sends to a broker: its greeting, its heartbeat, its farewell."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Any

import flatbuffers

import jobwire.wire.Goodbye as _Goodbye
import jobwire.wire.Heartbeat as _Heartbeat
import jobwire.wire.Hello as _Hello
from jobwire._heads import LEASE_HEAD, Lease
from jobwire._wire_enums import Body
from jobwire._wire_tables import finish, id_struct, struct_vector

PROTOCOL = 1


def encode_hello(
    role: int, client: str, host: bytes, host_name: str, worker: int, pid: int
) -> bytes:
    builder = flatbuffers.Builder(256)
    client_at = builder.CreateString(client)
    name_at = builder.CreateString(host_name)
    _Hello.Start(builder)
    _Hello.AddProtocol(builder, PROTOCOL)
    _Hello.AddRole(builder, role)
    _Hello.AddClient(builder, client_at)
    _Hello.AddHost(builder, id_struct(builder, host))
    _Hello.AddHostName(builder, name_at)
    _Hello.AddWorker(builder, worker)
    _Hello.AddPid(builder, pid)
    return finish(builder, Body.Hello, _Hello.End(builder))


def encode_heartbeat(workers: Sequence[int], running: Sequence[Lease], sequence: int) -> bytes:
    builder = flatbuffers.Builder(512)
    running_at = lease_vector(builder, running)
    workers_at = struct_vector(builder, [Struct("<Q").pack(worker) for worker in workers], 8, 8)
    _Heartbeat.Start(builder)
    _Heartbeat.AddWorkers(builder, workers_at)
    _Heartbeat.AddRunning(builder, running_at)
    _Heartbeat.AddSequence(builder, sequence)
    return finish(builder, Body.Heartbeat, _Heartbeat.End(builder))


def encode_goodbye(message: str = "", code: int = 0) -> bytes:
    builder = flatbuffers.Builder(128)
    message_at = builder.CreateString(message)
    _Goodbye.Start(builder)
    _Goodbye.AddCode(builder, code)
    _Goodbye.AddMessage(builder, message_at)
    return finish(builder, Body.Goodbye, _Goodbye.End(builder))


def lease_vector(builder: Any, leases: Sequence[Lease]) -> int:
    return struct_vector(builder, [lease.pack() for lease in leases], LEASE_HEAD.size, 8)
