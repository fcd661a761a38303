# SPDX-License-Identifier: Apache-2.0
"""Bytes on the wire: what is written by hand is what the generated code, flatc and the golden messages say."""

from __future__ import annotations

import importlib
import os
import struct
from pathlib import Path
from typing import Any

import pytest
from golden import as_json, golden
from jobwire import RetryPolicy, _heads, _messages, _wire_session, _wire_worker
from jobwire._errors import ProtocolError
from jobwire._heads import RESULT_HEAD, Lease
from jobwire.wire import Message, Results
from jobwire.wire.Body import Body
from jobwire.wire.Encoding import Encoding
from jobwire.wire.Id import Id

TOKEN = bytes(range(40, 56))
JOB = bytes(range(56, 72))
LEASE = Lease(TOKEN, JOB, 3, 1700000000123, 2, False)


def result_heads(count: int) -> list[bytes]:
    return [
        RESULT_HEAD.pack(os.urandom(16), os.urandom(16), i, i + 1, i + 2, -i, i + 3, 1, 3)
        for i in range(count)
    ]


@pytest.mark.parametrize(
    "name",
    [
        "DispatchHead",
        "ResultHead",
        "LeaseHead",
        "LeaseRefusal",
        "ReceiptHead",
        "ResultView",
        "CancelHead",
        "ProgressView",
        "CheckpointHead",
        "CheckpointAckHead",
    ],
)
def test_struct_layouts_have_the_generated_size(name: str) -> None:
    ours = {
        "DispatchHead": _heads.DISPATCH_HEAD,
        "ResultHead": _heads.RESULT_HEAD,
        "LeaseHead": _heads.LEASE_HEAD,
        "LeaseRefusal": _heads.LEASE_REFUSAL,
        "ReceiptHead": _heads.RECEIPT_HEAD,
        "ResultView": _heads.RESULT_VIEW,
        "CancelHead": _heads.CANCEL_HEAD,
        "ProgressView": _heads.PROGRESS_VIEW,
        "CheckpointHead": _heads.CHECKPOINT_HEAD,
        "CheckpointAckHead": _heads.CHECKPOINT_ACK_HEAD,
    }
    generated = getattr(importlib.import_module(f"jobwire.wire.{name}"), name)
    assert ours[name].size == generated.SizeOf()


@pytest.mark.parametrize("count", [0, 1, 2, 3, 100, 1024])
def test_results_from_the_prefix_are_read_by_the_generated_code(count: int) -> None:
    encoder = _wire_worker.ResultsEncoder()
    heads = result_heads(count)
    envelope = encoder.encode(2**40 + count, heads)
    assert Message.Message.MessageBufferHasIdentifier(envelope, 0)
    message = Message.Message.GetRootAs(envelope, 0)
    assert message.BodyType() == Body.Results
    table = message.Body()
    results = Results.Results()
    results.Init(table.Bytes, table.Pos)
    assert results.Sequence() == 2**40 + count
    assert results.HeadsLength() == count
    for i, packed in enumerate(heads):
        head = results.Heads(i)
        assert (
            bytes(head.Token(Id()).Bytes()),
            bytes(head.Job(Id()).Bytes()),
            head.PayloadOffset(),
            head.PayloadSize(),
            head.RunUs(),
            head.StartedMs(),
            head.RetryDelayMs(),
            head.Outcome(),
            head.Encoding(),
        ) == RESULT_HEAD.unpack(packed)


@pytest.mark.parametrize("count", [1, 7])
def test_results_from_the_prefix_are_aligned_as_a_verifier_wants_them(count: int) -> None:
    envelope = _wire_worker.ResultsEncoder().encode(9, result_heads(count))
    message = Message.Message.GetRootAs(envelope, 0)
    results = Results.Results()
    results.Init(message.Body().Bytes, message.Body().Pos)
    tab = results._tab
    assert (tab.Pos + tab.Offset(4)) % 8 == 0, "sequence is a ulong"
    elements = tab.Vector(tab.Offset(6))
    assert elements % 8 == 0, "ResultHead holds ulongs"
    assert struct.unpack_from("<I", envelope, elements - 4) == (count,)
    assert elements + count * RESULT_HEAD.size == len(envelope)
    for table in (message._tab, tab):
        assert table.Pos % 4 == 0
        assert (table.Pos - struct.unpack_from("<i", envelope, table.Pos)[0]) % 2 == 0


def test_encoder_does_not_mix_up_messages() -> None:
    encoder = _wire_worker.ResultsEncoder()
    first = encoder.encode(1, result_heads(2))
    kept = bytes(first)
    second = encoder.encode(2, result_heads(3))
    assert first == kept
    assert len(second) == len(first) + RESULT_HEAD.size


def test_results_from_the_prefix_say_what_the_golden_message_says(tmp_path: Path) -> None:
    envelope, blob = golden("results")
    message = Message.Message.GetRootAs(envelope, 0)
    results = Results.Results()
    results.Init(message.Body().Bytes, message.Body().Pos)
    at = results._tab.Vector(results._tab.Offset(6))
    heads = [envelope[at + i * 64 : at + i * 64 + 64] for i in range(results.HeadsLength())]
    assert all(RESULT_HEAD.pack(*RESULT_HEAD.unpack(head)) == head for head in heads)
    again = _wire_worker.ResultsEncoder().encode(results.Sequence(), heads)
    assert as_json(again, tmp_path) == as_json(envelope, tmp_path)
    assert blob


@pytest.mark.parametrize(
    ("name", "encoded"),
    [
        (
            "hello_worker",
            _wire_session.encode_hello(2, "jobwire-py/0.1", bytes(range(1, 17)), "node-1", 3, 4242),
        ),
        (
            "hello_agent",
            _wire_session.encode_hello(3, "jobwire-py/0.1", bytes(range(1, 17)), "node-1", 0, 4241),
        ),
        ("heartbeat_agent", _wire_session.encode_heartbeat([3, 4], [LEASE], 12)),
        ("hand_back", _wire_worker.encode_hand_back([TOKEN, bytes(range(80, 96))])),
        (
            "worker_down",
            _wire_worker.encode_worker_down(
                worker=3,
                end=1,
                pid=4242,
                signal=11,
                exit_code=-11,
                running=[LEASE],
                rss_bytes=1048576,
                log_tail="Segmentation fault",
            ),
        ),
        ("goodbye", _wire_session.encode_goodbye("done")),
    ],
)
def test_encoded_messages_say_what_the_golden_ones_say(
    name: str, encoded: bytes, tmp_path: Path
) -> None:
    assert as_json(encoded, tmp_path) == as_json(golden(name)[0], tmp_path)


def test_ready_says_what_the_golden_one_says(tmp_path: Path) -> None:
    other = Lease(bytes(range(80, 96)), bytes(range(96, 112)), 3, 1700000000123, 2, False)
    encoded = _wire_worker.encode_ready(
        ["images", "mail"],
        [
            _wire_worker.OfferedType("thumbnail", "2", contract=99, accepts=(97, 98)),
            _wire_worker.OfferedType("send"),
        ],
        2,
        64,
        [LEASE._replace(finished=True), other],
    )
    expected = as_json(golden("ready")[0], tmp_path)
    assert as_json(encoded, tmp_path) == expected


def test_ready_carries_what_holds_for_jobs_of_a_type(tmp_path: Path) -> None:
    policy = RetryPolicy.fixed("2s", attempts=7, never_on=["app.Gone"])
    offered = [
        _wire_worker.OfferedType("mail", "3", policy, 1500),
        _wire_worker.OfferedType("plain"),
    ]
    first, second = as_json(_wire_worker.encode_ready(["q"], offered, 1, 8, []), tmp_path)["body"][
        "types"
    ]
    assert (first["timeout_ms"], first["retry"]["attempts"], first["retry"]["backoff"]) == (
        1500,
        7,
        "Fixed",
    )
    assert (first["retry"]["base_ms"], first["retry"]["fatal"]) == (2000, ["app.Gone"])
    assert first["retry"]["no_jitter"]
    assert second["timeout_ms"] == 0
    assert "retry" not in second


def test_golden_welcome_is_read() -> None:
    assert _wire_worker.decode(golden("welcome")) == _messages.Welcome(
        bytes(range(200, 216)), 5, 3, _messages.Limits(), "0.1.0"
    )


def test_golden_dispatch_is_read(tmp_path: Path) -> None:
    frames = golden("dispatch")
    expected = as_json(frames[0], tmp_path)["body"]
    message = _wire_worker.decode(frames)
    assert isinstance(message, _messages.Dispatch)
    assert message.blob == frames[1]
    assert len(message.heads) == len(expected["heads"]) > 0
    for head, told in zip(message.heads, expected["heads"], strict=True):
        token, job, at, size, timeout_ms, kind, attempt, _, priority, extra = head
        assert [list(token), list(job)] == [told["token"]["bytes"], told["job"]["bytes"]]
        assert (at, size, timeout_ms) == (
            told["payload_offset"],
            told["payload_size"],
            told["timeout_ms"],
        )
        assert (kind, attempt, priority, extra) == (
            told["type"],
            told["attempt"],
            told["priority"],
            told["extra"],
        )
    told_extras = [
        _messages.Extra(
            {one["key"]: one["value"] for one in extra.get("headers", [])},
            (
                getattr(Encoding, extra["checkpoint_encoding"]),
                frames[1][extra["checkpoint_offset"] :][: extra["checkpoint_size"]],
            ),
        )
        for extra in expected.get("extras", [])
    ]
    assert message.extras == told_extras


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("refused", _messages.Refused),
        ("goodbye_broker", _messages.Goodbye),
        ("heartbeat_broker", _messages.Heartbeat),
        ("result_ack", _messages.Ack),
        ("result_ack_refused", _messages.Ack),
        ("recall", _messages.Recall),
        ("cancel_lease", _messages.Cancel),
        ("revoke", _messages.Revoke),
    ],
)
def test_golden_messages_of_the_broker_are_read(name: str, kind: type[Any], tmp_path: Path) -> None:
    frames = golden(name)
    told = as_json(frames[0], tmp_path)["body"]
    message = _wire_worker.decode(frames)
    assert type(message) is kind
    if isinstance(message, _messages.Refused):
        assert (message.message, message.retry_after_ms) == (
            told["message"],
            told["retry_after_ms"],
        )
    elif isinstance(message, _messages.Ack):
        assert message.through == told["through"]
        refused = [list(token) for token, _ in message.refused]
        assert refused == [one["token"]["bytes"] for one in told.get("refused", [])]
    elif isinstance(message, _messages.Recall | _messages.Revoke):
        assert [list(token) for token in message.tokens] == [one["bytes"] for one in told["tokens"]]
    elif isinstance(message, _messages.Cancel):
        assert (list(message.token), message.worker, message.grace_ms) == (
            told["token"]["bytes"],
            told["worker"],
            told["grace_ms"],
        )


@pytest.mark.parametrize(
    "frames",
    [
        [b""],
        [b"short"],
        [b"\x10\0\0\0JW02" + bytes(64)],
        [b"\xff\xff\xff\x7fJW01"],
        [b"\x08\0\0\0JW01" + bytes(8)],
        [golden("dispatch")[0][:40]],
        [*golden("dispatch"), b"third"],
    ],
)
def test_what_cannot_be_read_is_a_protocol_error(frames: list[bytes]) -> None:
    with pytest.raises(ProtocolError):
        _wire_worker.decode(frames)
