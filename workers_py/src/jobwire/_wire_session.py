# SPDX-License-Identifier: Apache-2.0
# mypy: disallow-untyped-calls=False
"""What every peer says to a broker and hears of it: greeting, heartbeat, refusal, farewell."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Any

import flatbuffers

import jobwire.wire.Goodbye as _Goodbye
import jobwire.wire.Heartbeat as _Heartbeat
import jobwire.wire.Hello as _Hello
import jobwire.wire.Refused as _Refused
import jobwire.wire.Welcome as _Welcome
from jobwire._heads import LEASE_HEAD, Lease
from jobwire._messages import Goodbye, Heartbeat, Limits, Refused, Welcome
from jobwire._wire import Reader
from jobwire._wire_enums import Body
from jobwire._wire_tables import finish, id_struct, struct_vector, table_at, text_of

PROTOCOL = 1


def _welcome(envelope: bytes, body: int, blob: bytes) -> Welcome:
    welcome = table_at(_Welcome.Welcome, envelope, body)
    told = welcome.Limits()
    limits = usual = Limits()
    if told is not None:
        limits = Limits(
            told.MaxPayloadBytes() or usual.max_payload_bytes,
            told.MaxJobsPerMessage() or usual.max_jobs_per_message,
            told.MaxErrorBytes() or usual.max_error_bytes,
            told.MaxMessageBytes() or usual.max_message_bytes,
            told.SessionTimeoutMs() or usual.session_timeout_ms,
            told.HeartbeatMs() or usual.heartbeat_ms,
            told.WindowJobs() or usual.window_jobs,
            told.WindowBytes() or usual.window_bytes,
            told.MaxCheckpointBytes() or usual.max_checkpoint_bytes,
        )
    id_ = welcome.Broker()
    broker = bytes(id_.Bytes()) if id_ is not None else b""
    return Welcome(
        broker, welcome.Epoch(), welcome.Durability(), limits, text_of(welcome.Version())
    )


def _refused(envelope: bytes, body: int, blob: bytes) -> Refused:
    refused = table_at(_Refused.Refused, envelope, body)
    return Refused(
        refused.Code(), text_of(refused.Message()), refused.Request(), refused.RetryAfterMs()
    )


def _goodbye(envelope: bytes, body: int, blob: bytes) -> Goodbye:
    goodbye = table_at(_Goodbye.Goodbye, envelope, body)
    return Goodbye(goodbye.Code(), text_of(goodbye.Message()))


def _heartbeat(envelope: bytes, body: int, blob: bytes) -> Heartbeat:
    return Heartbeat(table_at(_Heartbeat.Heartbeat, envelope, body).Sequence())


ToEveryPeer = Welcome | Refused | Goodbye | Heartbeat
READERS: dict[int, Reader[ToEveryPeer]] = {
    Body.Welcome: _welcome,
    Body.Refused: _refused,
    Body.Goodbye: _goodbye,
    Body.Heartbeat: _heartbeat,
}


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
