# SPDX-License-Identifier: Apache-2.0
# mypy: disallow-untyped-calls=False
"""Dead jobs to bytes and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import jobwire.wire.DeadAttempt as _DeadAttempt
import jobwire.wire.DeadJob as _DeadJob
from jobwire._answers import DeadReason
from jobwire._dead_json import job_of, retry_of
from jobwire._errors import ProtocolError
from jobwire._operations import DeadAttempt, DeadJob
from jobwire._retry_policy import RetryPolicy
from jobwire._wire_producer import encode_job
from jobwire._wire_tables import Texts, id_struct, offset_vector, text_of


def decode_dead(table: Any, blob: bytes) -> DeadJob:
    job = table.Job()
    retry = job.Retry()
    spec = job_of(
        id_=UUID(bytes=bytes(job.Id().Bytes())),
        queue=text_of(job.Queue()),
        type_=text_of(job.Type()),
        encoding=job.Encoding(),
        payload=_slice(blob, job.PayloadOffset(), job.PayloadSize()),
        priority=job.Priority(),
        timeout_ms=job.TimeoutMs(),
        result_ttl_ms=job.ResultTtlMs(),
        expires_at_ms=job.ExpiresAtMs(),
        headers={
            text_of(job.Headers(i).Key()): text_of(job.Headers(i).Value())
            for i in range(job.HeadersLength())
        },
        keep_payload=bool(job.KeepPayload()),
        dedup_key=text_of(job.DedupKey()) if job.DedupWindowMs() else "",
        dedup_window_ms=job.DedupWindowMs() if job.DedupKey() else 0,
        contract=job.Contract(),
        retry=None if retry is None else _retry(retry),
    )
    return DeadJob(
        spec,
        text_of(table.OriginQueue()),
        DeadReason(table.Reason()) if table.Reason() else None,
        text_of(table.ErrorType()),
        text_of(table.ErrorMessage()),
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
        text_of(table.Worker()),
        text_of(table.Host()),
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
        fatal=[text_of(table.Fatal(i)) for i in range(table.FatalLength())],
    )


def _slice(blob: bytes, at: int, size: int) -> bytes:
    if at + size > len(blob):
        raise ProtocolError("a slice reaches past the end of its blob")
    return blob[at : at + size]


def encode_dead(builder: Any, dead: DeadJob, offset: int, attempts: Sequence[int]) -> int:
    job_at = encode_job(builder, dead.job, offset)
    attempts_at = offset_vector(builder, attempts)
    texts = Texts(
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


def encode_attempt(builder: Any, one: DeadAttempt, offset: int) -> int:
    texts = Texts(builder, worker=one.worker, host=one.host)
    _DeadAttempt.Start(builder)
    _DeadAttempt.AddNumber(builder, one.number)
    _DeadAttempt.AddGeneration(builder, one.generation)
    if one.token:
        _DeadAttempt.AddToken(builder, id_struct(builder, one.token))
    texts.add("worker", _DeadAttempt.AddWorker)
    texts.add("host", _DeadAttempt.AddHost)
    _DeadAttempt.AddStartedMs(builder, one.started_ms)
    _DeadAttempt.AddEndedMs(builder, one.ended_ms)
    _DeadAttempt.AddOutcome(builder, one.outcome)
    _DeadAttempt.AddRunUs(builder, one.run_us)
    _DeadAttempt.AddErrorOffset(builder, offset)
    _DeadAttempt.AddErrorSize(builder, len(one.error))
    return int(_DeadAttempt.End(builder))
