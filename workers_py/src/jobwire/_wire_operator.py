# SPDX-License-Identifier: Apache-2.0
# mypy: disallow-untyped-calls=False
"""Messages between operator and broker to bytes and back. See `_wire` and `_wire_producer`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from struct import error
from typing import Any
from uuid import UUID

import flatbuffers

import jobwire.wire.DeadAttempt as _DeadAttempt
import jobwire.wire.DeadImport as _DeadImport
import jobwire.wire.DeadJob as _DeadJob
import jobwire.wire.DeadPage as _DeadPage
import jobwire.wire.DeadQuery as _DeadQuery
import jobwire.wire.JobFilter as _JobFilter
import jobwire.wire.QueueCommand as _QueueCommand
import jobwire.wire.QueueReply as _QueueReply
import jobwire.wire.Sweep as _Sweep
import jobwire.wire.SweepReport as _SweepReport
from jobwire import _wire, _wire_producer
from jobwire._answers import DeadReason
from jobwire._dead_json import job_of, retry_of
from jobwire._errors import ClientError, ProtocolError
from jobwire._operations import (
    DeadAttempt,
    DeadJob,
    DeadPage,
    JobFilter,
    QueueView,
    SweepReport,
)
from jobwire._retry_policy import RetryPolicy
from jobwire._wire_producer import Incoming, Outgoing, encode_job
from jobwire.wire.Body import Body
from jobwire.wire.QueueAction import QueueAction
from jobwire.wire.SweepAction import SweepAction

__all__ = [
    "DeadReply",
    "QueueAction",
    "QueueReply",
    "SweepAction",
    "SweepTold",
    "decode",
    "encode_dead_import",
    "encode_dead_query",
    "encode_queue_command",
    "encode_sweep",
]


@dataclass(frozen=True, slots=True)
class QueueReply:
    request: int
    code: int
    message: str
    retry_after_ms: int
    queues: tuple[QueueView, ...]
    next: str


@dataclass(frozen=True, slots=True)
class SweepTold:
    request: int
    code: int
    message: str
    retry_after_ms: int
    report: SweepReport
    before_ms: int


@dataclass(frozen=True, slots=True)
class DeadReply:
    request: int
    code: int
    message: str
    retry_after_ms: int
    page: DeadPage


def decode(frames: Sequence[bytes]) -> Incoming | QueueReply | SweepTold | DeadReply:
    """Reads one message for an operator; raises ProtocolError when it cannot be read."""
    message = _wire_producer.decode(frames)
    if not isinstance(message, _wire.Other):
        return message
    envelope, blob = frames[0], frames[1] if len(frames) == 2 else b""
    try:
        if message.kind == Body.QueueReply:
            return _queue_reply(_wire.table_at(_QueueReply.QueueReply, envelope, message.body))
        if message.kind == Body.SweepReport:
            return _sweep_report(_wire.table_at(_SweepReport.SweepReport, envelope, message.body))
        if message.kind == Body.DeadPage:
            return _dead_page(_wire.table_at(_DeadPage.DeadPage, envelope, message.body), blob)
    except (error, IndexError, ValueError, TypeError, ClientError) as problem:
        raise ProtocolError(f"a message that cannot be read: {problem}") from problem
    return message


def _queue_reply(table: Any) -> QueueReply:
    views = tuple(_queue_view(table.Queues(i)) for i in range(table.QueuesLength()))
    return QueueReply(*_said(table), views, _wire.text_of(table.Next()))


def _said(table: Any) -> tuple[int, int, str, int]:
    return table.Request(), table.Code(), _wire.text_of(table.Message()), table.RetryAfterMs()


def _queue_view(view: Any) -> QueueView:
    return QueueView(
        _wire.text_of(view.Name()),
        view.Weight(),
        bool(view.Paused()),
        bool(view.Draining()),
        _wire.text_of(view.By()),
        _wire.text_of(view.Why()),
        _time(view.SinceMs()),
        _time(view.UntilMs()),
        view.Scheduled(),
        view.Queued(),
        view.Running(),
        view.Bytes(),
        view.Workers(),
        view.Dead(),
        view.Finished(),
    )


def _sweep_report(table: Any) -> SweepTold:
    report = SweepReport(
        table.Matched(),
        table.Done(),
        table.Failed(),
        bool(table.Finished()),
        _time(table.BeforeMs()),
    )
    return SweepTold(*_said(table), report, table.BeforeMs())


def _dead_page(table: Any, blob: bytes) -> DeadReply:
    jobs = tuple(_dead_job(table.Jobs(i), blob) for i in range(table.JobsLength()))
    return DeadReply(*_said(table), DeadPage(jobs, _wire.text_of(table.Next())))


def _dead_job(table: Any, blob: bytes) -> DeadJob:
    job = table.Job()
    retry = job.Retry()
    spec = job_of(
        id_=UUID(bytes=bytes(job.Id().Bytes())),
        queue=_wire.text_of(job.Queue()),
        type_=_wire.text_of(job.Type()),
        encoding=job.Encoding(),
        payload=_slice(blob, job.PayloadOffset(), job.PayloadSize()),
        priority=job.Priority(),
        timeout_ms=job.TimeoutMs(),
        result_ttl_ms=job.ResultTtlMs(),
        expires_at_ms=job.ExpiresAtMs(),
        headers={
            _wire.text_of(job.Headers(i).Key()): _wire.text_of(job.Headers(i).Value())
            for i in range(job.HeadersLength())
        },
        keep_payload=bool(job.KeepPayload()),
        dedup_key=_wire.text_of(job.DedupKey()) if job.DedupWindowMs() else "",
        dedup_window_ms=job.DedupWindowMs() if job.DedupKey() else 0,
        contract=job.Contract(),
        retry=None if retry is None else _retry(retry),
    )
    return DeadJob(
        spec,
        _wire.text_of(table.OriginQueue()),
        DeadReason(table.Reason()) if table.Reason() else None,
        _wire.text_of(table.ErrorType()),
        _wire.text_of(table.ErrorMessage()),
        table.CreatedMs(),
        table.DiedMs(),
        table.Attempts(),
        table.Raised(),
        table.TimedOut(),
        table.Crashed(),
        table.Generation(),
        table.PayloadBytes(),
        tuple(_attempt(table.AttemptList(i), blob) for i in range(table.AttemptListLength())),
    )


def _attempt(table: Any, blob: bytes) -> DeadAttempt:
    token = table.Token()
    return DeadAttempt(
        table.Number(),
        table.Generation(),
        bytes(token.Bytes()) if token is not None else b"",
        _wire.text_of(table.Worker()),
        _wire.text_of(table.Host()),
        table.StartedMs(),
        table.EndedMs(),
        table.Outcome(),
        table.RunUs(),
        _slice(blob, table.ErrorOffset(), table.ErrorSize()),
    )


def _retry(table: Any) -> RetryPolicy:
    return retry_of(
        attempts=table.Attempts(),
        timeouts=table.Timeouts(),
        crashes=table.Crashes(),
        backoff=table.Backoff(),
        base_ms=table.BaseMs(),
        cap_ms=table.CapMs(),
        factor=table.Factor(),
        listed_ms=[table.ListedMs(i) for i in range(table.ListedMsLength())],
        jitter=not table.NoJitter(),
        fatal=[_wire.text_of(table.Fatal(i)) for i in range(table.FatalLength())],
    )


def _slice(blob: bytes, at: int, size: int) -> bytes:
    if at + size > len(blob):
        raise ProtocolError("a slice reaches past the end of its blob")
    return blob[at : at + size]


def _time(milliseconds: int) -> datetime | None:
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None


def moment_ms(moment: datetime | None) -> int:
    return 0 if moment is None else round(moment.timestamp() * 1000)


# ------------------------------------------------------------------ what an operator sends


def encode_queue_command(
    request: int,
    action: int,
    *,
    queue: str = "",
    by: str = "",
    why: str = "",
    until_ms: int = 0,
    weight: int = 0,
    after: str = "",
    limit: int = 0,
) -> Outgoing:
    builder = flatbuffers.Builder(256)
    texts = _Texts(builder, queue=queue, by=by, why=why, after=after)
    _QueueCommand.Start(builder)
    _QueueCommand.AddRequest(builder, request)
    _QueueCommand.AddAction(builder, action)
    texts.add("queue", _QueueCommand.AddQueue)
    texts.add("by", _QueueCommand.AddBy)
    texts.add("why", _QueueCommand.AddWhy)
    texts.add("after", _QueueCommand.AddAfter)
    _QueueCommand.AddUntilMs(builder, until_ms)
    _QueueCommand.AddWeight(builder, weight)
    _QueueCommand.AddLimit(builder, limit)
    end = _QueueCommand.End(builder)
    return Outgoing(_wire.finish(builder, Body.QueueCommand, end), b"")


class _Texts:
    """Strings made before their table; what is empty is left out."""

    def __init__(self, builder: Any, **texts: str) -> None:
        self._builder = builder
        self._places = {name: builder.CreateString(text) for name, text in texts.items() if text}

    def add(self, name: str, add: Any) -> None:
        if name in self._places:
            add(self._builder, self._places[name])


def _filter(builder: Any, which: JobFilter, before_ms: int) -> int:
    texts = _Texts(builder, queue=which.queue, type=which.type, error=which.error)
    ids_at = _wire.struct_vector(builder, [id_.bytes for id_ in which.ids], 16, 1)
    _JobFilter.Start(builder)
    texts.add("queue", _JobFilter.AddQueue)
    texts.add("type", _JobFilter.AddType)
    texts.add("error", _JobFilter.AddError)
    _JobFilter.AddReason(builder, which.reason or 0)
    _JobFilter.AddBeforeMs(builder, before_ms)
    if which.ids:
        _JobFilter.AddIds(builder, ids_at)
    return int(_JobFilter.End(builder))


def encode_sweep(
    request: int,
    action: int,
    which: JobFilter,
    before_ms: int,
    *,
    by: str,
    why: str,
    dry_run: bool,
    rate_per_s: int,
    limit: int,
    to_queue: str,
) -> Outgoing:
    builder = flatbuffers.Builder(256)
    filter_at = _filter(builder, which, before_ms)
    texts = _Texts(builder, by=by, why=why, to_queue=to_queue)
    _Sweep.Start(builder)
    _Sweep.AddRequest(builder, request)
    _Sweep.AddAction(builder, action)
    _Sweep.AddFilter(builder, filter_at)
    texts.add("by", _Sweep.AddBy)
    texts.add("why", _Sweep.AddWhy)
    _Sweep.AddDryRun(builder, dry_run)
    _Sweep.AddRatePerS(builder, rate_per_s)
    _Sweep.AddLimit(builder, limit)
    texts.add("to_queue", _Sweep.AddToQueue)
    return Outgoing(_wire.finish(builder, Body.Sweep, _Sweep.End(builder)), b"")


def encode_dead_query(
    request: int, which: JobFilter, *, after: str, limit: int, full: bool
) -> Outgoing:
    builder = flatbuffers.Builder(256)
    filter_at = _filter(builder, which, moment_ms(which.before))
    texts = _Texts(builder, after=after)
    _DeadQuery.Start(builder)
    _DeadQuery.AddRequest(builder, request)
    _DeadQuery.AddFilter(builder, filter_at)
    texts.add("after", _DeadQuery.AddAfter)
    _DeadQuery.AddLimit(builder, limit)
    _DeadQuery.AddFull(builder, full)
    return Outgoing(_wire.finish(builder, Body.DeadQuery, _DeadQuery.End(builder)), b"")


def encode_dead_import(request: int, jobs: Sequence[DeadJob], by: str) -> Outgoing:
    builder = flatbuffers.Builder(512 * (1 + len(jobs)))
    parts: list[bytes] = []
    tables = []
    size = 0
    for dead in jobs:
        offset = size
        parts.append(dead.job.payload)
        size += len(dead.job.payload)
        attempts = []
        for one in dead.attempt_list:
            attempts.append(_encode_attempt(builder, one, size))
            parts.append(one.error)
            size += len(one.error)
        tables.append(_encode_dead(builder, dead, offset, attempts))
    jobs_at = _wire.offset_vector(builder, tables)
    texts = _Texts(builder, by=by)
    _DeadImport.Start(builder)
    _DeadImport.AddRequest(builder, request)
    _DeadImport.AddJobs(builder, jobs_at)
    texts.add("by", _DeadImport.AddBy)
    envelope = _wire.finish(builder, Body.DeadImport, _DeadImport.End(builder))
    return Outgoing(envelope, b"".join(parts))


def _encode_dead(builder: Any, dead: DeadJob, offset: int, attempts: Sequence[int]) -> int:
    job_at = encode_job(builder, dead.job, offset)
    attempts_at = _wire.offset_vector(builder, attempts)
    texts = _Texts(
        builder, origin=dead.origin_queue, type=dead.error_type, message=dead.error_message
    )
    _DeadJob.Start(builder)
    _DeadJob.AddJob(builder, job_at)
    texts.add("origin", _DeadJob.AddOriginQueue)
    _DeadJob.AddReason(builder, dead.reason or 0)
    texts.add("type", _DeadJob.AddErrorType)
    texts.add("message", _DeadJob.AddErrorMessage)
    _DeadJob.AddCreatedMs(builder, dead.created_ms)
    _DeadJob.AddDiedMs(builder, dead.died_ms)
    _DeadJob.AddAttempts(builder, dead.attempts)
    _DeadJob.AddRaised(builder, dead.raised)
    _DeadJob.AddTimedOut(builder, dead.timed_out)
    _DeadJob.AddCrashed(builder, dead.crashed)
    _DeadJob.AddGeneration(builder, dead.generation)
    _DeadJob.AddPayloadBytes(builder, dead.payload_bytes)
    _DeadJob.AddAttemptList(builder, attempts_at)
    return int(_DeadJob.End(builder))


def _encode_attempt(builder: Any, one: DeadAttempt, offset: int) -> int:
    texts = _Texts(builder, worker=one.worker, host=one.host)
    _DeadAttempt.Start(builder)
    _DeadAttempt.AddNumber(builder, one.number)
    _DeadAttempt.AddGeneration(builder, one.generation)
    if one.token:
        _DeadAttempt.AddToken(builder, _wire.id_struct(builder, one.token))
    texts.add("worker", _DeadAttempt.AddWorker)
    texts.add("host", _DeadAttempt.AddHost)
    _DeadAttempt.AddStartedMs(builder, one.started_ms)
    _DeadAttempt.AddEndedMs(builder, one.ended_ms)
    _DeadAttempt.AddOutcome(builder, one.outcome)
    _DeadAttempt.AddRunUs(builder, one.run_us)
    _DeadAttempt.AddErrorOffset(builder, offset)
    _DeadAttempt.AddErrorSize(builder, len(one.error))
    return int(_DeadAttempt.End(builder))
