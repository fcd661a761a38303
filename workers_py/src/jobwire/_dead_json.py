# SPDX-License-Identifier: Apache-2.0
"""Dead jobs as lines of JSON: PROTOCOL.md, "Dead jobs as NDJSON". What has its default is left out, unknown keys are
passed over. The C++ client writes and reads the same."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from jobwire._answers import DeadReason
from jobwire._operations import DeadAttempt, DeadJob
from jobwire._retry_policy import Backoff, RetryPolicy
from jobwire._spec import JobSpec
from jobwire._wire_enums import Encoding, Outcome, enum_names

_FORMAT = 1
_NUMBERS = ("created_ms", "died_ms", "attempts", "raised", "timed_out", "crashed", "generation")
_ATTEMPT_NUMBERS = ("number", "generation", "started_ms", "ended_ms", "run_us")
_ENCODINGS = enum_names(Encoding)
_OUTCOMES = enum_names(Outcome)
_REASONS = {reason: reason.name.title().replace("_", "") for reason in DeadReason}
_BACKOFFS = {one: one.name.title() for one in Backoff if one is not Backoff.DEFAULT}


def dump(dead: DeadJob) -> str:
    """One line of an export, without its end."""
    line: dict[str, Any] = {"jobwire": _FORMAT, "job": _job(dead.job)}
    _put(line, "payload", _text(dead.job.payload))
    _put(line, "origin_queue", dead.origin_queue)
    line["reason"] = _REASONS[dead.reason] if dead.reason else "Unspecified"
    _put(line, "error_type", dead.error_type)
    _put(line, "error_message", dead.error_message)
    for name in _NUMBERS:
        _put(line, name, getattr(dead, name))
    _put(line, "attempt_list", [_attempt(one) for one in dead.attempt_list])
    return json.dumps(line, ensure_ascii=False, separators=(",", ":"))


def load(text: str) -> DeadJob:
    """Reads a line of an export; raises ValueError when it is none."""
    line = json.loads(text)
    if not isinstance(line, dict) or line.get("jobwire") != _FORMAT:
        raise ValueError(f'no dead job: "jobwire" is not {_FORMAT}')
    try:
        return DeadJob(
            job=_read_job(line["job"], _bytes(line.get("payload", ""))),
            origin_queue=line.get("origin_queue", ""),
            reason=_named(_REASONS, line["reason"], "reason"),
            error_type=line.get("error_type", ""),
            error_message=line.get("error_message", ""),
            payload_bytes=len(_bytes(line.get("payload", ""))),
            attempt_list=tuple(_read_attempt(one) for one in line.get("attempt_list", ())),
            **{name: line.get(name, 0) for name in _NUMBERS},
        )
    except (KeyError, TypeError, AttributeError) as problem:
        raise ValueError(f"no dead job: {problem!r}") from problem


def _job(spec: JobSpec) -> dict[str, Any]:
    job: dict[str, Any] = {
        "id": str(spec.id),
        "queue": spec.queue,
        "type": spec.type,
        "encoding": _ENCODINGS[spec.encoding],
        "priority": spec.priority,
    }
    for name in ("timeout_ms", "expires_at_ms", "result_ttl_ms"):
        _put(job, name, getattr(spec, name))
    if spec.retry is not None:
        job["retry"] = _retry(spec.retry)
    _put(job, "dedup_key", spec.dedup_key)
    _put(job, "dedup_window_ms", spec.dedup_window_ms)
    _put(job, "headers", [[key, value] for key, value in spec.headers.items()])
    _put(job, "contract", spec.contract)
    _put(job, "keep_payload", spec.keep_payload)
    return job


def _read_job(job: Mapping[str, Any], payload: bytes) -> JobSpec:
    return job_of(
        id_=UUID(job["id"]),
        queue=job["queue"],
        type_=job["type"],
        encoding=_named(_ENCODINGS, job["encoding"], "encoding"),
        payload=payload,
        priority=job.get("priority", 4),
        timeout_ms=job.get("timeout_ms", 0),
        expires_at_ms=job.get("expires_at_ms", 0),
        result_ttl_ms=job.get("result_ttl_ms", 0),
        retry=_read_retry(job["retry"]) if "retry" in job else None,
        dedup_key=job.get("dedup_key", ""),
        dedup_window_ms=job.get("dedup_window_ms", 0),
        headers=dict(job.get("headers", ())),
        contract=job.get("contract", 0),
        keep_payload=job.get("keep_payload", False),
    )


def _retry(policy: RetryPolicy) -> dict[str, Any]:
    retry: dict[str, Any] = {}
    for name in ("attempts", "timeouts", "crashes"):
        _put(retry, name, getattr(policy, name) or 0)
    if policy.backoff in _BACKOFFS:
        retry["backoff"] = _BACKOFFS[policy.backoff]
    _put(retry, "base_ms", policy.base_ms)
    _put(retry, "cap_ms", policy.cap_ms)
    if policy.factor != 2.0:
        retry["factor"] = policy.factor
    _put(retry, "listed_ms", list(policy.listed_ms))
    _put(retry, "no_jitter", not policy.jitter)
    _put(retry, "fatal", list(policy.fatal))
    return retry


def _read_retry(retry: Mapping[str, Any]) -> RetryPolicy:
    return retry_of(
        attempts=retry.get("attempts", 0),
        timeouts=retry.get("timeouts", 0),
        crashes=retry.get("crashes", 0),
        backoff=_named(_BACKOFFS, retry["backoff"], "backoff") if "backoff" in retry else 0,
        base_ms=retry.get("base_ms", 0),
        cap_ms=retry.get("cap_ms", 0),
        factor=retry.get("factor", 2.0),
        listed_ms=retry.get("listed_ms", ()),
        jitter=not retry.get("no_jitter", False),
        fatal=retry.get("fatal", ()),
    )


def _attempt(one: DeadAttempt) -> dict[str, Any]:
    attempt: dict[str, Any] = {}
    for name in _ATTEMPT_NUMBERS:
        _put(attempt, name, getattr(one, name))
    if one.token:
        attempt["token"] = str(UUID(bytes=one.token))
    _put(attempt, "worker", one.worker)
    _put(attempt, "host", one.host)
    attempt["outcome"] = _OUTCOMES.get(one.outcome, _OUTCOMES[0])
    _put(attempt, "error", _text(one.error))
    return attempt


def _read_attempt(one: Mapping[str, Any]) -> DeadAttempt:
    return DeadAttempt(
        token=UUID(one["token"]).bytes if "token" in one else b"",
        worker=one.get("worker", ""),
        host=one.get("host", ""),
        outcome=_named(_OUTCOMES, one["outcome"], "outcome"),
        error=_bytes(one.get("error", "")),
        **{name: one.get(name, 0) for name in _ATTEMPT_NUMBERS},
    )


def job_of(
    *,
    id_: UUID,
    queue: str,
    type_: str,
    encoding: int,
    payload: bytes,
    priority: int,
    timeout_ms: int,
    result_ttl_ms: int,
    expires_at_ms: int,
    headers: Mapping[str, str],
    keep_payload: bool,
    retry: RetryPolicy | None,
    dedup_key: str,
    dedup_window_ms: int,
    contract: int,
) -> JobSpec:
    """A JobSpec of what travels; raises InvalidJob."""
    return JobSpec(
        type_,
        payload,
        queue=queue,
        id=id_,
        encoding=encoding,
        priority=priority,
        timeout=timeout_ms / 1000 if timeout_ms else None,
        result_ttl=result_ttl_ms / 1000 if result_ttl_ms else None,
        expires_at=datetime.fromtimestamp(expires_at_ms / 1000, UTC) if expires_at_ms else None,
        headers=headers,
        keep_payload=keep_payload,
        retry=retry,
        dedup_key=dedup_key,
        dedup_window=dedup_window_ms / 1000 if dedup_window_ms else None,
        contract=contract,
    )


def retry_of(
    *,
    attempts: int,
    timeouts: int,
    crashes: int,
    backoff: int,
    base_ms: int,
    cap_ms: int,
    factor: float,
    listed_ms: Iterable[int],
    jitter: bool,
    fatal: Iterable[str],
) -> RetryPolicy:
    """A RetryPolicy of what travels, where 0 is what was not said."""
    return RetryPolicy(
        attempts or None,
        timeouts or None,
        crashes or None,
        tuple(fatal),
        Backoff(backoff),
        base_ms,
        cap_ms,
        factor,
        tuple(listed_ms),
        jitter,
    )


def _put(target: dict[str, Any], key: str, value: Any) -> None:
    if value:
        target[key] = value


def _named(names: Mapping[Any, str], name: str, key: str) -> Any:
    for value, one in names.items():
        if one == name and value:
            return value
    raise ValueError(f'no dead job: "{key}" is {name!r}, which is none that is known')


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
