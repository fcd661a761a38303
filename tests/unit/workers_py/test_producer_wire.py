# SPDX-License-Identifier: Apache-2.0
"""What a producer sends and reads is what the schema and the golden messages say."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from golden import body_json, golden
from jobwire import RetryPolicy, _wire_error, _wire_producer
from jobwire._answers import JobState
from jobwire._failure import describe
from jobwire._job_error import Frame, JobError
from jobwire._spec import JobSpec
from jobwire._views import status_of
from jobwire._wire_enums import Encoding
from jobwire._wire_producer import CancelReply, ProgressPush, Receipts, ResultPush

ID = UUID(bytes=bytes(range(16)))


def test_submit_carries_every_field_of_a_job(tmp_path: Path) -> None:
    spec = JobSpec(
        "thumb",
        "grün",
        queue="images",
        id=ID,
        priority=7,
        timeout="30s",
        delay=1.5,
        not_before=datetime(2030, 1, 1, tzinfo=UTC),
        expires_at=datetime(2030, 1, 2, tzinfo=UTC),
        result_ttl="1h",
        retry=RetryPolicy.listed(["1s", "5s"], attempts=5, never_on=[ValueError], jitter=True),
        dedup_key="k",
        dedup_window="1m",
        headers={"traceparent": "00-x"},
        contract=7,
        watch=True,
        keep_payload=True,
    )
    other = JobSpec("other", b"xyz")
    out = _wire_producer.encode_submit(9, [spec, other])
    assert out.blob == "grün".encode() + b"xyz"
    body = body_json(out.envelope, tmp_path)
    assert body["request"] == 9
    first, second = body["jobs"]
    retry = first.pop("retry")
    assert retry == {
        "attempts": 5,
        "crashes": 0,
        "backoff": "Listed",
        "base_ms": 0,
        "cap_ms": 5000,
        "factor": 2.0,
        "listed_ms": [1000, 5000],
        "no_jitter": False,
        "fatal": ["builtins.ValueError"],
        "timeouts": 0,
    }
    assert first == {
        "id": {"bytes": list(ID.bytes)},
        "queue": "images",
        "type": "thumb",
        "payload_offset": 0,
        "payload_size": 5,
        "encoding": "Utf8",
        "priority": 7,
        "timeout_ms": 30_000,
        "delay_ms": 1500,
        "not_before_ms": 1893456000000,
        "expires_at_ms": 1893542400000,
        "result_ttl_ms": 3_600_000,
        "dedup_key": "k",
        "dedup_window_ms": 60_000,
        "headers": [{"key": "traceparent", "value": "00-x"}],
        "contract": 7,
        "watch": True,
        "keep_payload": True,
    }
    assert second["id"]["bytes"] == list(other.id.bytes)
    assert (second["payload_offset"], second["payload_size"]) == (5, 3)
    assert (second["queue"], second["priority"], second["encoding"]) == ("default", 4, "Bytes")


def test_plain_jobs_are_written_by_hand_as_the_runtime_writes_them(tmp_path: Path) -> None:
    plain = [
        JobSpec("a", b""),
        JobSpec(
            "type.of-a/job",
            {"x": 1},
            queue="q" * 128,
            priority=0,
            timeout="7d",
            delay="366d",
            not_before=datetime(2031, 1, 1, tzinfo=UTC),
            expires_at=datetime(2032, 1, 1, tzinfo=UTC),
            result_ttl="1ms",
            contract=2**64 - 1,
            watch=True,
            keep_payload=True,
        ),
        JobSpec("a", "text", queue="other"),
    ]
    for count in range(1, 4):
        by_hand = _wire_producer.encode_submit(2**40, plain[:count])
        by_runtime = _wire_producer.encode_any_submit(2**40, plain[:count])
        assert by_hand.envelope != by_runtime
        assert body_json(by_hand.envelope, tmp_path) == body_json(by_runtime, tmp_path)
    many = [JobSpec(f"type{i % 7}", bytes(i % 5)) for i in range(1024)]
    by_hand = _wire_producer.encode_submit(1, many)
    assert body_json(by_hand.envelope, tmp_path) == body_json(
        _wire_producer.encode_any_submit(1, many), tmp_path
    )


def test_questions_are_what_the_schema_says(tmp_path: Path) -> None:
    asked = body_json(_wire_producer.encode_result_request(3, [ID.bytes], True).envelope, tmp_path)
    assert asked == {"request": 3, "ids": [{"bytes": list(ID.bytes)}], "wait": True}
    cancel = body_json(_wire_producer.encode_cancel(4, [ID.bytes], "no need").envelope, tmp_path)
    assert cancel == {"request": 4, "ids": [{"bytes": list(ID.bytes)}], "reason": "no need"}


def test_golden_receipts_are_read(tmp_path: Path) -> None:
    frames = golden("receipts")
    told = body_json(frames[0], tmp_path)
    message = _wire_producer.decode(frames)
    assert isinstance(message, Receipts)
    assert len(message.heads) == len(told["heads"]) > 0
    for head, want in zip(message.heads, told["heads"], strict=True):
        id_, job, retry_after_ms, _, duplicate, _ = head
        assert [list(id_), list(job)] == [want["id"]["bytes"], want["job"]["bytes"]]
        assert (retry_after_ms, duplicate) == (want["retry_after_ms"], want["duplicate"])
    assert message.refusals == {
        one["index"]: f"{one['field']}: {one['message']}" for one in told["refusals"]
    }


def test_golden_result_push_says_what_is_in_the_way(tmp_path: Path) -> None:
    message = _wire_producer.decode(golden("result_push_waiting"))
    assert isinstance(message, ResultPush)
    (view,) = message.views
    assert status_of(view).obstacle == "no worker that is here serves queue images"
    assert status_of(view).state is JobState.QUEUED


def test_golden_result_push_is_read(tmp_path: Path) -> None:
    frames = golden("result_push")
    told = body_json(frames[0], tmp_path)
    message = _wire_producer.decode(frames)
    assert isinstance(message, ResultPush)
    assert message.request == told["request"]
    assert len(message.views) == len(told["results"]) > 0
    for view, want in zip(message.views, told["results"], strict=True):
        at, size = want["payload_offset"], want["payload_size"]
        assert view.payload == frames[1][at : at + size]
        assert list(view.id) == want["id"]["bytes"]
        for name in ("created_ms", "started_ms", "finished_ms", "run_us", "attempts", "pushed"):
            assert getattr(view, name) == want[name]
        assert view.is_error == want["payload_is_error"]


def test_golden_progress_push_is_read(tmp_path: Path) -> None:
    frames = golden("progress_push")
    told = body_json(frames[0], tmp_path)
    message = _wire_producer.decode(frames)
    assert isinstance(message, ProgressPush)
    assert len(message.views) == len(told["views"]) > 0
    for (id_, at_ms, value, text), want in zip(message.views, told["views"], strict=True):
        assert list(id_) == want["id"]["bytes"]
        assert (at_ms, value) == (want["at_ms"], want["value"])
        at, size = want["message_offset"], want["message_size"]
        assert text.encode() == frames[1][at : at + size]


def test_golden_cancel_reply_is_read(tmp_path: Path) -> None:
    frames = golden("cancel_reply")
    told = body_json(frames[0], tmp_path)
    message = _wire_producer.decode(frames)
    assert isinstance(message, CancelReply)
    assert message.request == told["request"]
    assert [list(head[0]) for head in message.heads] == [
        one["id"]["bytes"] for one in told["heads"]
    ]


def test_error_is_read_as_it_was_described() -> None:
    def fail() -> None:
        try:
            raise KeyError("inner")
        except KeyError as behind:
            error = ValueError("outer")
            error.add_note("a note")
            raise error from behind

    try:
        fail()
    except ValueError as raised:
        error = _wire_error.decode_error(describe(raised, limit=65536, retryable=True))
    assert (error.type, error.message) == ("builtins.ValueError", "outer")
    assert error.notes == ("a note",)
    assert error.frames[-1].source == "raise error from behind"
    assert [(link.type, link.message) for link in error.chain] == [("builtins.KeyError", "'inner'")]
    assert (error.retryable, error.truncated) == (True, False)


@pytest.mark.parametrize(
    "buffer", [b"", b"\x08\0\0\0JWER", b"\xff\xff\xff\x7fJWER" + bytes(64), b"x" * 40]
)
def test_error_that_cannot_be_read_says_so(buffer: bytes) -> None:
    error = _wire_error.decode_error(buffer)
    assert (error.type, error.truncated) == ("jobwire.UnreadableError", True)


def test_traceback_is_printed_as_python_prints_it() -> None:
    error = JobError(
        "app.Broken", "it broke\nbadly", (Frame("/a.py", 3, "run", "boom()"),), notes=("look here",)
    )
    assert str(error) == (
        "Traceback (most recent call last):\n"
        '  File "/a.py", line 3, in run\n'
        "    boom()\n"
        "app.Broken: it broke\nbadly\n"
        "look here"
    )


@pytest.mark.parametrize(
    ("field", "make"),
    [
        ("type", lambda: JobSpec("a b")),
        ("queue", lambda: JobSpec("a", queue="")),
        ("priority", lambda: JobSpec("a", priority=10)),
        ("timeout", lambda: JobSpec("a", timeout=0)),
        ("delay", lambda: JobSpec("a", delay="367d")),
        ("not_before", lambda: JobSpec("a", not_before=datetime(2030, 1, 1))),
        ("dedup", lambda: JobSpec("a", dedup_key="k")),
        ("dedup", lambda: JobSpec("a", dedup_window=1)),
        ("headers", lambda: JobSpec("a", headers={"": "x"})),
        ("headers", lambda: JobSpec("a", headers={"k": "x" * 9000})),
        ("object cannot travel", lambda: JobSpec("a", object())),
    ],
)
def test_job_out_of_range_is_refused_by_the_name_of_the_field(field: str, make: Any) -> None:
    from jobwire import InvalidJob

    with pytest.raises(InvalidJob, match=field):
        make()


def test_ids_are_version_7_and_sort_by_time() -> None:
    first, second = JobSpec("a").id, JobSpec("a").id
    assert first.version == second.version == 7
    assert first != second
    assert first.int >> 80 <= second.int >> 80


def test_encoding_follows_the_payload_unless_it_is_said() -> None:
    assert JobSpec("a", b"x").encoding == Encoding.Bytes
    assert JobSpec("a", {"a": 1}).payload == b'{"a":1}'
    assert JobSpec("a", b"{}", encoding=Encoding.Json).encoding == Encoding.Json
