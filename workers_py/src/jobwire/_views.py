# SPDX-License-Identifier: Apache-2.0
"""What a broker's view of a job means to who asked for it."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from jobwire._answers import DeadReason, JobProgress, JobResult, JobState, JobStatus
from jobwire._errors import ClientError
from jobwire._refusals import refusal
from jobwire._wire_enums import Code, Known
from jobwire._wire_error import decode_error
from jobwire._wire_producer import View


def unknown(view: View) -> ClientError:
    return refusal(Code.GoneJob if view.known == Known.Gone else Code.UnknownJob)


def status_of(view: View, progress: JobProgress | None = None) -> JobStatus:
    return JobStatus(
        UUID(bytes=view.id),
        JobState(view.state),
        DeadReason(view.reason) if view.reason else None,
        view.attempts,
        _time(view.created_ms),
        _time(view.started_ms),
        _time(view.finished_ms),
        view.run_us / 1e6,
        progress,
        view.obstacle,
    )


def result_of(view: View) -> JobResult:
    status = status_of(view)
    if view.is_error:
        return JobResult(status, error=decode_error(view.payload))
    return JobResult(status, view.encoding, view.payload)


def _time(milliseconds: int) -> datetime | None:
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None
