# SPDX-License-Identifier: Apache-2.0
# mypy: disallow-untyped-calls=False
"""Messages between operator and broker to bytes and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import flatbuffers

import jobwire.wire.ContractCommand as _ContractCommand
import jobwire.wire.ContractReply as _ContractReply
import jobwire.wire.DeadImport as _DeadImport
import jobwire.wire.DeadPage as _DeadPage
import jobwire.wire.DeadQuery as _DeadQuery
import jobwire.wire.JobFilter as _JobFilter
import jobwire.wire.QueueCommand as _QueueCommand
import jobwire.wire.QueueReply as _QueueReply
import jobwire.wire.Sweep as _Sweep
import jobwire.wire.SweepReport as _SweepReport
from jobwire._operations import (
    DeadJob,
    DeadPage,
    HeldContract,
    JobFilter,
    QueueView,
    SweepReport,
)
from jobwire._wire import Reader, read
from jobwire._wire_dead import decode_dead, encode_attempt, encode_dead
from jobwire._wire_enums import Body
from jobwire._wire_producer import READERS, Incoming, Outgoing
from jobwire._wire_tables import Texts, finish, offset_vector, struct_vector, table_at, text_of

__all__ = [
    "ContractReply",
    "DeadReply",
    "QueueReply",
    "SweepTold",
    "decode",
    "encode_contract_command",
    "encode_dead_import",
    "encode_dead_query",
    "encode_queue_command",
    "encode_sweep",
    "moment_ms",
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


@dataclass(frozen=True, slots=True)
class ContractReply:
    request: int
    code: int
    message: str
    retry_after_ms: int
    contracts: tuple[HeldContract, ...]
    next: str


def decode(
    frames: Sequence[bytes],
) -> Incoming | QueueReply | SweepTold | DeadReply | ContractReply:
    """Reads one message for an operator; raises ProtocolError for what cannot be taken."""
    return read(frames, _READERS)


def _queue_reply(envelope: bytes, body: int, blob: bytes) -> QueueReply:
    table = table_at(_QueueReply.QueueReply, envelope, body)
    views = tuple(_queue_view(table.Queues(i)) for i in range(table.QueuesLength()))
    return QueueReply(*_said(table), views, text_of(table.Next()))


def _said(table: Any) -> tuple[int, int, str, int]:
    return table.Request(), table.Code(), text_of(table.Message()), table.RetryAfterMs()


def _queue_view(view: Any) -> QueueView:
    return QueueView(
        text_of(view.Name()),
        view.Weight(),
        bool(view.Paused()),
        bool(view.Draining()),
        text_of(view.By()),
        text_of(view.Why()),
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


def _contract_reply(envelope: bytes, body: int, blob: bytes) -> ContractReply:
    table = table_at(_ContractReply.ContractReply, envelope, body)
    held = tuple(_held(table.Contracts(i)) for i in range(table.ContractsLength()))
    return ContractReply(*_said(table), held, text_of(table.Next()))


def _held(view: Any) -> HeldContract:
    methods = (view.Methods(i) for i in range(view.MethodsLength()))
    return HeldContract(
        text_of(view.Name()),
        view.Bytes(),
        tuple((text_of(method.Type()), method.Contract()) for method in methods),
    )


def _sweep_report(envelope: bytes, body: int, blob: bytes) -> SweepTold:
    table = table_at(_SweepReport.SweepReport, envelope, body)
    report = SweepReport(
        table.Matched(),
        table.Done(),
        table.Failed(),
        bool(table.Finished()),
        _time(table.BeforeMs()),
    )
    return SweepTold(*_said(table), report, table.BeforeMs())


def _dead_page(envelope: bytes, body: int, blob: bytes) -> DeadReply:
    table = table_at(_DeadPage.DeadPage, envelope, body)
    jobs = tuple(decode_dead(table.Jobs(i), blob) for i in range(table.JobsLength()))
    return DeadReply(*_said(table), DeadPage(jobs, text_of(table.Next())))


def _time(milliseconds: int) -> datetime | None:
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None


_READERS: dict[int, Reader[Incoming | QueueReply | SweepTold | DeadReply | ContractReply]] = {
    **READERS,
    Body.QueueReply: _queue_reply,
    Body.SweepReport: _sweep_report,
    Body.DeadPage: _dead_page,
    Body.ContractReply: _contract_reply,
}


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
    texts = Texts(builder, queue=queue, by=by, why=why, after=after)
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
    return Outgoing(finish(builder, Body.QueueCommand, end), b"")


def encode_contract_command(
    request: int,
    action: int,
    *,
    name: str = "",
    schema: bytes = b"",
    by: str = "",
    why: str = "",
    after: str = "",
) -> Outgoing:
    builder = flatbuffers.Builder(256)
    texts = Texts(builder, name=name, by=by, why=why, after=after)
    _ContractCommand.Start(builder)
    _ContractCommand.AddRequest(builder, request)
    _ContractCommand.AddAction(builder, action)
    texts.add("name", _ContractCommand.AddName)
    _ContractCommand.AddSchemaSize(builder, len(schema))
    texts.add("by", _ContractCommand.AddBy)
    texts.add("why", _ContractCommand.AddWhy)
    texts.add("after", _ContractCommand.AddAfter)
    end = _ContractCommand.End(builder)
    return Outgoing(finish(builder, Body.ContractCommand, end), schema)


def _filter(builder: Any, which: JobFilter, before_ms: int) -> int:
    texts = Texts(builder, queue=which.queue, type=which.type, error=which.error)
    ids_at = struct_vector(builder, [id_.bytes for id_ in which.ids], 16, 1)
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
    texts = Texts(builder, by=by, why=why, to_queue=to_queue)
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
    return Outgoing(finish(builder, Body.Sweep, _Sweep.End(builder)), b"")


def encode_dead_query(
    request: int, which: JobFilter, *, after: str, limit: int, full: bool
) -> Outgoing:
    builder = flatbuffers.Builder(256)
    filter_at = _filter(builder, which, moment_ms(which.before))
    texts = Texts(builder, after=after)
    _DeadQuery.Start(builder)
    _DeadQuery.AddRequest(builder, request)
    _DeadQuery.AddFilter(builder, filter_at)
    texts.add("after", _DeadQuery.AddAfter)
    _DeadQuery.AddLimit(builder, limit)
    _DeadQuery.AddFull(builder, full)
    return Outgoing(finish(builder, Body.DeadQuery, _DeadQuery.End(builder)), b"")


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
            attempts.append(encode_attempt(builder, one, size))
            parts.append(one.error)
            size += len(one.error)
        tables.append(encode_dead(builder, dead, offset, attempts))
    jobs_at = offset_vector(builder, tables)
    texts = Texts(builder, by=by)
    _DeadImport.Start(builder)
    _DeadImport.AddRequest(builder, request)
    _DeadImport.AddJobs(builder, jobs_at)
    texts.add("by", _DeadImport.AddBy)
    envelope = finish(builder, Body.DeadImport, _DeadImport.End(builder))
    return Outgoing(envelope, b"".join(parts))
