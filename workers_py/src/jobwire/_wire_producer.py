# SPDX-License-Identifier: Apache-2.0
# mypy: disallow-untyped-calls=False
"""Messages between producer and broker to bytes and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Any

import flatbuffers

import jobwire.wire.Cancel as _Cancel
import jobwire.wire.Header as _Header
import jobwire.wire.JobSpec as _JobSpec
import jobwire.wire.Receipts as _Receipts
import jobwire.wire.ResultPush as _ResultPush
import jobwire.wire.ResultRequest as _ResultRequest
import jobwire.wire.Submit as _Submit
from jobwire import _wire_session
from jobwire._errors import ProtocolError
from jobwire._heads import CANCEL_HEAD, PROGRESS_VIEW, RECEIPT_HEAD, RESULT_VIEW
from jobwire._spec import JobSpec
from jobwire._submit_layout import SubmitLayout
from jobwire._wire import Reader, read
from jobwire._wire_enums import Body
from jobwire._wire_session import ToEveryPeer
from jobwire._wire_tables import (
    elements,
    encode_retry,
    field_at,
    finish,
    id_struct,
    offset_vector,
    struct_vector,
    table_at,
    text_of,
)

__all__ = [
    "CancelReply",
    "Outgoing",
    "ProgressPush",
    "Receipts",
    "ResultPush",
    "View",
    "decode",
    "encode_cancel",
    "encode_job",
    "encode_result_request",
    "encode_submit",
]


@dataclass(frozen=True, slots=True)
class Receipts:
    """heads: (id, job, retry_after_ms, code, duplicate, state) each; refusals: index -> what is said about it."""

    heads: list[tuple[bytes, bytes, int, int, bool, int]]
    refusals: dict[int, str]


@dataclass(frozen=True, slots=True)
class View:
    """What is known of one job. `payload` is its result, or a JobError buffer when `is_error`."""

    id: bytes
    payload: bytes
    created_ms: int
    started_ms: int
    finished_ms: int
    run_us: int
    attempts: int
    known: int
    state: int
    reason: int
    encoding: int
    pushed: bool
    is_error: bool
    obstacle: str = ""


@dataclass(frozen=True, slots=True)
class ResultPush:
    request: int
    views: list[View]


@dataclass(frozen=True, slots=True)
class CancelReply:
    """heads: (id, code, state) each."""

    request: int
    heads: list[tuple[bytes, int, int]]


@dataclass(frozen=True, slots=True)
class ProgressPush:
    """views: (id, at_ms, value, message) each."""

    views: list[tuple[bytes, int, float, str]]


Incoming = ToEveryPeer | ProgressPush | Receipts | ResultPush | CancelReply


def decode(frames: Sequence[bytes]) -> Incoming:
    """Reads one message for a producer; raises ProtocolError for what cannot be taken."""
    return read(frames, READERS)


def _receipts(envelope: bytes, body: int, blob: bytes) -> Receipts:
    heads: Any = list(RECEIPT_HEAD.iter_unpack(elements(envelope, body, 0, RECEIPT_HEAD.size)))
    refusals = {}
    table = table_at(_Receipts.Receipts, envelope, body)
    for i in range(table.RefusalsLength()):
        refusal = table.Refusals(i)
        field, said = text_of(refusal.Field()), text_of(refusal.Message())
        refusals[refusal.Index()] = f"{field}: {said}" if field else said
    return Receipts(heads, refusals)


def _result_push(envelope: bytes, body: int, blob: bytes) -> ResultPush:
    views: list[View] = []
    obstacles = {}
    if field_at(envelope, body, 2):
        table = table_at(_ResultPush.ResultPush, envelope, body)
        for i in range(table.ObstaclesLength()):
            obstacle = table.Obstacles(i)
            obstacles[obstacle.Index()] = text_of(obstacle.Message())
    for fields in RESULT_VIEW.iter_unpack(elements(envelope, body, 1, RESULT_VIEW.size)):
        id_, at, size, *rest = fields
        if at + size > len(blob):
            raise ProtocolError("a result reaches past the end of its blob")
        values: list[Any] = [id_, blob[at : at + size], *rest, obstacles.get(len(views), "")]
        views.append(View(*values))
    return ResultPush(_request(envelope, body), views)


def _progress_push(envelope: bytes, body: int, blob: bytes) -> ProgressPush:
    views = []
    heads = elements(envelope, body, 0, PROGRESS_VIEW.size)
    for id_, at_ms, value, at, size in PROGRESS_VIEW.iter_unpack(heads):
        if at + size > len(blob):
            raise ProtocolError("a message of progress reaches past the end of its blob")
        views.append((id_, at_ms, value, text_of(blob[at : at + size])))
    return ProgressPush(views)


def _cancel_reply(envelope: bytes, body: int, blob: bytes) -> CancelReply:
    heads: Any = list(CANCEL_HEAD.iter_unpack(elements(envelope, body, 1, CANCEL_HEAD.size)))
    return CancelReply(_request(envelope, body), heads)


_U64 = Struct("<Q").unpack_from


def _request(envelope: bytes, body: int) -> int:
    at = field_at(envelope, body, 0)
    return int(_U64(envelope, at)[0]) if at else 0


READERS: dict[int, Reader[Incoming]] = {
    **_wire_session.READERS,
    Body.Receipts: _receipts,
    Body.ResultPush: _result_push,
    Body.ProgressPush: _progress_push,
    Body.CancelReply: _cancel_reply,
}

# ------------------------------------------------------------------ what a producer sends


@dataclass(slots=True)
class Outgoing:
    """One message: its envelope, and its blob if it has one."""

    envelope: bytes
    blob: bytes

    @property
    def frames(self) -> list[bytes]:
        return [self.envelope, self.blob] if self.blob else [self.envelope]


def encode_submit(request: int, specs: Sequence[JobSpec]) -> Outgoing:
    """One Submit of several jobs, their payloads side by side in the blob."""
    if all(spec.is_plain for spec in specs):
        envelope = _PLAIN.encode(request, specs)
    else:
        envelope = encode_any_submit(request, specs)
    blob = specs[0].payload if len(specs) == 1 else b"".join(spec.payload for spec in specs)
    return Outgoing(envelope, blob)


_PLAIN = SubmitLayout(Body.Submit)


def encode_any_submit(request: int, specs: Sequence[JobSpec]) -> bytes:
    """The envelope of jobs of which some are not plain."""
    builder = flatbuffers.Builder(256 + 192 * len(specs))
    jobs = []
    offset = 0
    for spec in specs:
        jobs.append(encode_job(builder, spec, offset))
        offset += len(spec.payload)
    jobs_at = offset_vector(builder, jobs)
    _Submit.Start(builder)
    _Submit.AddRequest(builder, request)
    _Submit.AddJobs(builder, jobs_at)
    return finish(builder, Body.Submit, _Submit.End(builder))


def encode_job(builder: Any, spec: JobSpec, offset: int) -> int:
    """A JobSpec table, whose payload lies at `offset` of the blob."""
    queue_at = builder.CreateSharedString(spec.queue)
    type_at = builder.CreateSharedString(spec.type)
    key_at = builder.CreateString(spec.dedup_key) if spec.dedup_key else 0
    retry_at = encode_retry(builder, spec.retry) if spec.retry is not None else 0
    headers_at = _headers(builder, spec) if spec.headers else 0
    _JobSpec.Start(builder)
    # Structs lie inside their table.
    _JobSpec.AddId(builder, id_struct(builder, spec.id.bytes))
    _JobSpec.AddQueue(builder, queue_at)
    _JobSpec.AddType(builder, type_at)
    _JobSpec.AddPayloadOffset(builder, offset)
    _JobSpec.AddPayloadSize(builder, len(spec.payload))
    _JobSpec.AddEncoding(builder, spec.encoding)
    _JobSpec.AddPriority(builder, spec.priority)
    _JobSpec.AddTimeoutMs(builder, spec.timeout_ms)
    _JobSpec.AddDelayMs(builder, spec.delay_ms)
    _JobSpec.AddNotBeforeMs(builder, spec.not_before_ms)
    _JobSpec.AddExpiresAtMs(builder, spec.expires_at_ms)
    _JobSpec.AddResultTtlMs(builder, spec.result_ttl_ms)
    if retry_at:
        _JobSpec.AddRetry(builder, retry_at)
    if key_at:
        _JobSpec.AddDedupKey(builder, key_at)
        _JobSpec.AddDedupWindowMs(builder, spec.dedup_window_ms)
    if headers_at:
        _JobSpec.AddHeaders(builder, headers_at)
    _JobSpec.AddContract(builder, spec.contract)
    _JobSpec.AddWatch(builder, spec.watch)
    _JobSpec.AddKeepPayload(builder, spec.keep_payload)
    return int(_JobSpec.End(builder))


def _headers(builder: Any, spec: JobSpec) -> int:
    headers = []
    for key, value in spec.headers.items():
        key_at, value_at = builder.CreateString(key), builder.CreateString(value)
        _Header.Start(builder)
        _Header.AddKey(builder, key_at)
        _Header.AddValue(builder, value_at)
        headers.append(_Header.End(builder))
    return offset_vector(builder, headers)


def encode_result_request(request: int, ids: Sequence[bytes], wait: bool) -> Outgoing:
    builder = flatbuffers.Builder(128 + 16 * len(ids))
    ids_at = struct_vector(builder, ids, 16, 1)
    _ResultRequest.Start(builder)
    _ResultRequest.AddRequest(builder, request)
    _ResultRequest.AddIds(builder, ids_at)
    _ResultRequest.AddWait(builder, wait)
    end = _ResultRequest.End(builder)
    return Outgoing(finish(builder, Body.ResultRequest, end), b"")


def encode_cancel(request: int, ids: Sequence[bytes], reason: str) -> Outgoing:
    builder = flatbuffers.Builder(128 + 16 * len(ids))
    reason_at = builder.CreateString(reason)
    ids_at = struct_vector(builder, ids, 16, 1)
    _Cancel.Start(builder)
    _Cancel.AddRequest(builder, request)
    _Cancel.AddIds(builder, ids_at)
    _Cancel.AddReason(builder, reason_at)
    return Outgoing(finish(builder, Body.Cancel, _Cancel.End(builder)), b"")
