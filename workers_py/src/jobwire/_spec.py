# SPDX-License-Identifier: Apache-2.0
"""One job to be done, as a producer describes it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from jobwire._convert import encode_value
from jobwire._errors import HandlerError, InvalidJob, ResultError
from jobwire._names import checked_name
from jobwire._retry_policy import RetryPolicy
from jobwire._spans import DAY_MS, LONGEST_MS, Span, bounded

_MAX_HEADERS = 32
_MAX_HEADER_BYTES = 8192
_MAX_KEY_BYTES = 128


def new_id() -> UUID:
    """A UUIDv7 (RFC 9562): it sorts by the time at which it was made, and the broker reads its age from it."""
    return UUID(int=_v7(time.time_ns() // 1_000_000, secrets.randbits(74)))


def _v7(now_ms: int, random: int) -> int:
    return (
        (now_ms << 80) | (0x7 << 76) | ((random >> 62) << 64) | (0x2 << 62) | (random & (2**62 - 1))
    )


@dataclass(frozen=True, slots=True)
class JobSpec:
    """Which handler, in which queue, on which bytes, and under which rules. Only the type is required.

        JobSpec("thumbnail", photo, queue="images", timeout=30, priority=7)

    Checked when it is made: raises InvalidJob, which names the field.

    payload: bytes as they are, str as text, a NumPy array, anything else as JSON; `encoding` overrides what that gives.
    id: one of the caller's own, so that the job can be submitted again without running twice.
    priority: 0 to 9, 9 first within its queue.
    timeout: one attempt's run time, 1 ms to 7 days; the job type's, then the broker's default otherwise.
    delay, not_before: not before so long after the broker has it, and not before this time; the later counts.
    expires_at: the latest start; a job that still waits then becomes EXPIRED.
    result_ttl: how long the finished job and its result are kept.
    dedup_key, dedup_window: within the window, jobs with the same key are one job.
    headers: carried along for the handler and for people.
    watch: have the result pushed here, so that a later `wait` costs no question.
    keep_payload: keep the payload with the finished job instead of deleting it at the end.
    contract: hash of the contract that the payload is made by; only workers that take it get the job. 0 is none.
    """

    type: str
    payload: Any = b""
    queue: str = field(default="default", kw_only=True)
    id: UUID = field(default_factory=new_id, kw_only=True)
    encoding: int = field(default=0, kw_only=True)
    priority: int = field(default=4, kw_only=True)
    timeout: Span | None = field(default=None, kw_only=True)
    delay: Span | None = field(default=None, kw_only=True)
    not_before: datetime | None = field(default=None, kw_only=True)
    expires_at: datetime | None = field(default=None, kw_only=True)
    result_ttl: Span | None = field(default=None, kw_only=True)
    retry: RetryPolicy | None = field(default=None, kw_only=True)
    dedup_key: str = field(default="", kw_only=True)
    dedup_window: Span | None = field(default=None, kw_only=True)
    headers: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    watch: bool = field(default=False, kw_only=True)
    keep_payload: bool = field(default=False, kw_only=True)
    contract: int = field(default=0, kw_only=True)
    # What travels, made from the fields above.
    timeout_ms: int = field(init=False, default=0, repr=False)
    delay_ms: int = field(init=False, default=0, repr=False)
    not_before_ms: int = field(init=False, default=0, repr=False)
    expires_at_ms: int = field(init=False, default=0, repr=False)
    result_ttl_ms: int = field(init=False, default=0, repr=False)
    dedup_window_ms: int = field(init=False, default=0, repr=False)

    def __post_init__(self) -> None:
        put = object.__setattr__
        try:
            checked_name("type", self.type)
            checked_name("queue", self.queue)
        except HandlerError as problem:
            raise InvalidJob(str(problem)) from None
        try:
            encoding, payload = encode_value(self.payload)
            put(self, "payload", payload)
            put(self, "encoding", self.encoding or encoding)
            if not 0 <= self.priority <= 9:
                raise ValueError(f"priority must be 0 to 9, not {self.priority!r}")
            put(self, "timeout_ms", _span("timeout", self.timeout, 1, 7 * DAY_MS, "1 ms to 7 days"))
            put(self, "delay_ms", _span("delay", self.delay, 0, LONGEST_MS, "at most 366 days"))
            put(
                self,
                "result_ttl_ms",
                _span("result_ttl", self.result_ttl, 1, LONGEST_MS, "1 ms to 366 days"),
            )
            put(
                self,
                "dedup_window_ms",
                _span("dedup_window", self.dedup_window, 1, LONGEST_MS, "1 ms to 366 days"),
            )
            put(self, "not_before_ms", _moment("not_before", self.not_before))
            put(self, "expires_at_ms", _moment("expires_at", self.expires_at))
            if bool(self.dedup_key) != bool(self.dedup_window_ms):
                raise ValueError("dedup_key and dedup_window go together")
            if len(self.dedup_key.encode()) > _MAX_KEY_BYTES:
                raise ValueError(f"dedup_key must be at most {_MAX_KEY_BYTES} bytes")
            _check_headers(self.headers)
        except (ValueError, ResultError) as problem:
            raise InvalidJob(f"job {self.type!r}: {problem}") from None

    @property
    def is_plain(self) -> bool:
        """It says nothing about retries, deduplication and headers."""
        return self.retry is None and not self.dedup_key and not self.headers


def _span(name: str, span: Span | None, least: int, most: int, told: str) -> int:
    return 0 if span is None else bounded(name, span, least, most, told)


def _moment(name: str, moment: datetime | None) -> int:
    if moment is None:
        return 0
    if moment.tzinfo is None:
        raise ValueError(f"{name} needs a time zone, such as datetime.now(UTC)")
    found = round(moment.timestamp() * 1000)
    if found <= 0:
        raise ValueError(f"{name} must be after 1970, not {moment}")
    return found


def _check_headers(headers: Mapping[str, str]) -> None:
    total = 0
    for key, value in headers.items():
        size = len(key.encode())
        if not 1 <= size <= _MAX_KEY_BYTES:
            raise ValueError(f"headers: a key has 1 to {_MAX_KEY_BYTES} bytes")
        total += size + len(value.encode())
    if len(headers) > _MAX_HEADERS or total > _MAX_HEADER_BYTES:
        raise ValueError(f"headers: at most {_MAX_HEADERS}, {_MAX_HEADER_BYTES} bytes together")
