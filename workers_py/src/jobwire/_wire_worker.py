# SPDX-License-Identifier: Apache-2.0
# mypy: disallow-untyped-calls=False
"""Messages between workers or agents and broker to bytes and back."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Any, NamedTuple

import flatbuffers

import jobwire.wire.CancelLease as _CancelLease
import jobwire.wire.Checkpoints as _Checkpoints
import jobwire.wire.Dispatch as _Dispatch
import jobwire.wire.HandBack as _HandBack
import jobwire.wire.Progress as _Progress
import jobwire.wire.Ready as _Ready
import jobwire.wire.Results as _Results
import jobwire.wire.TypeOffer as _TypeOffer
import jobwire.wire.WorkerDown as _WorkerDown
from jobwire._heads import (
    CHECKPOINT_ACK_HEAD,
    CHECKPOINT_HEAD,
    DISPATCH_HEAD,
    LEASE_REFUSAL,
    PROGRESS_HEAD,
    Lease,
)
from jobwire._messages import Ack, Cancel, CheckpointAck, Dispatch, Extra, Message, Recall, Revoke
from jobwire._retry_policy import RetryPolicy
from jobwire._wire import Reader, read
from jobwire._wire_enums import Body
from jobwire._wire_session import READERS, lease_vector
from jobwire._wire_tables import (
    elements,
    encode_retry,
    field_at,
    finish,
    offset_vector,
    struct_vector,
    table_at,
    text_of,
)

_U32 = Struct("<I").unpack_from
_U64 = Struct("<Q").unpack_from
_PACK_U64 = Struct("<Q").pack_into
_PACK_U32 = Struct("<I").pack


def decode(frames: Sequence[bytes]) -> Message:
    """Reads one message for a worker or an agent; raises ProtocolError for what cannot be taken."""
    return read(frames, _READERS)


def _dispatch(envelope: bytes, body: int, blob: bytes) -> Dispatch:
    heads = elements(envelope, body, 0, DISPATCH_HEAD.size)
    jobs: Any = list(DISPATCH_HEAD.iter_unpack(heads))
    extras = _extras(envelope, body, blob) if field_at(envelope, body, 1) else []
    return Dispatch(jobs, blob, extras)


def _extras(envelope: bytes, body: int, blob: bytes) -> list[Extra]:
    table = table_at(_Dispatch.Dispatch, envelope, body)
    extras = (table.Extras(i) for i in range(table.ExtrasLength()))
    return [
        Extra(
            {
                text_of(extra.Headers(i).Key()): text_of(extra.Headers(i).Value())
                for i in range(extra.HeadersLength())
            },
            (
                extra.CheckpointEncoding(),
                blob[extra.CheckpointOffset() : extra.CheckpointOffset() + extra.CheckpointSize()],
            ),
        )
        for extra in extras
    ]


def _ack(envelope: bytes, body: int, blob: bytes) -> Ack:
    at = field_at(envelope, body, 0)
    refused: Any = list(LEASE_REFUSAL.iter_unpack(elements(envelope, body, 1, LEASE_REFUSAL.size)))
    return Ack(_U64(envelope, at)[0] if at else 0, refused)


def _checkpoint_ack(envelope: bytes, body: int, blob: bytes) -> CheckpointAck:
    packed = elements(envelope, body, 0, CHECKPOINT_ACK_HEAD.size)
    heads: Any = list(CHECKPOINT_ACK_HEAD.iter_unpack(packed))
    return CheckpointAck(heads)


def _tokens(envelope: bytes, body: int) -> list[bytes]:
    raw = bytes(elements(envelope, body, 0, 16))
    return [raw[i : i + 16] for i in range(0, len(raw), 16)]


def _recall(envelope: bytes, body: int, blob: bytes) -> Recall:
    return Recall(_tokens(envelope, body))


def _revoke(envelope: bytes, body: int, blob: bytes) -> Revoke:
    return Revoke(_tokens(envelope, body))


def _cancel(envelope: bytes, body: int, blob: bytes) -> Cancel:
    cancel = table_at(_CancelLease.CancelLease, envelope, body)
    at = field_at(envelope, body, 0)
    return Cancel(bytes(envelope[at : at + 16]), cancel.Worker(), cancel.GraceMs())


_READERS: dict[int, Reader[Message]] = {
    **READERS,
    Body.Dispatch: _dispatch,
    Body.ResultAck: _ack,
    Body.CheckpointAck: _checkpoint_ack,
    Body.Recall: _recall,
    Body.Revoke: _revoke,
    Body.CancelLease: _cancel,
}

# ------------------------------------------------------------------ what workers and agents send


class ResultsEncoder:
    """Makes Results envelopes from a prefix that is built once.

    A builder works from the end, so a message whose first object is the vector of heads ends with it. The prefix is
    such a message with an empty vector, without that vector's length; its size is a multiple of 8 up to the elements.
    """

    def __init__(self) -> None:
        builder = flatbuffers.Builder(256)
        _Results.StartHeadsVector(builder, 0)
        heads = builder.EndVector()
        _Results.Start(builder)
        _Results.AddSequence(builder, 1)  # not 0: a default would be left out
        _Results.AddHeads(builder, heads)
        message = finish(builder, Body.Results, _Results.End(builder))
        self._prefix = bytearray(message[:-4])
        body_at = field_at(message, _U32(message, 0)[0], 1)
        self._sequence_at = field_at(message, body_at + _U32(message, body_at)[0], 0)
        assert (len(self._prefix) + 4) % 8 == 0
        assert self._sequence_at % 8 == 0

    def encode(self, sequence: int, heads: Sequence[bytes]) -> bytes:
        prefix = self._prefix
        _PACK_U64(prefix, self._sequence_at, sequence)
        return b"".join((prefix, _PACK_U32(len(heads)), *heads))


class OfferedType(NamedTuple):
    """One job type that a worker serves, with what holds for jobs that say nothing themselves.

    contract, accepts: hashes of the contract that it was made from, and of those whose jobs it takes too; 0 is none.
    """

    name: str
    version: str = ""
    retry: RetryPolicy | None = None
    timeout_ms: int = 0
    contract: int = 0
    accepts: tuple[int, ...] = ()


def encode_ready(
    queues: Sequence[str],
    types: Sequence[OfferedType],
    slots: int,
    credit: int,
    held: Sequence[Lease],
) -> bytes:
    """types: in the order to which Dispatch refers."""
    builder = flatbuffers.Builder(1024)
    held_at = lease_vector(builder, held)
    offers = []
    for name, version, retry, timeout_ms, contract, accepts in types:
        name_at = builder.CreateString(name)
        version_at = builder.CreateString(version) if version else 0
        retry_at = encode_retry(builder, retry) if retry is not None else 0
        packed = [Struct("<Q").pack(one) for one in accepts]
        accepts_at = struct_vector(builder, packed, 8, 8) if packed else 0
        _TypeOffer.Start(builder)
        _TypeOffer.AddName(builder, name_at)
        _TypeOffer.AddContract(builder, contract)
        if version_at:
            _TypeOffer.AddVersion(builder, version_at)
        if retry_at:
            _TypeOffer.AddRetry(builder, retry_at)
        _TypeOffer.AddTimeoutMs(builder, timeout_ms)
        if accepts_at:
            _TypeOffer.AddAccepts(builder, accepts_at)
        offers.append(_TypeOffer.End(builder))
    types_at = offset_vector(builder, offers)
    queues_at = offset_vector(builder, [builder.CreateString(queue) for queue in queues])
    _Ready.Start(builder)
    _Ready.AddQueues(builder, queues_at)
    _Ready.AddTypes(builder, types_at)
    _Ready.AddSlots(builder, slots)
    _Ready.AddCredit(builder, credit)
    _Ready.AddHeld(builder, held_at)
    return finish(builder, Body.Ready, _Ready.End(builder))


def encode_progress(news: Sequence[tuple[bytes, float, bytes]]) -> list[bytes]:
    """A whole message: token, value and message of each job; finite values, UTF-8 of at most 1 KiB."""
    heads, messages, offset = [], [], 0
    for token, value, message in news:
        heads.append(PROGRESS_HEAD.pack(token, value, offset, len(message)))
        messages.append(message)
        offset += len(message)
    builder = flatbuffers.Builder(256)
    heads_at = struct_vector(builder, heads, PROGRESS_HEAD.size, 4)
    _Progress.Start(builder)
    _Progress.AddHeads(builder, heads_at)
    envelope = finish(builder, Body.Progress, _Progress.End(builder))
    blob = b"".join(messages)
    return [envelope, blob] if blob else [envelope]


def encode_checkpoints(saves: Sequence[tuple[bytes, int, int, bytes]]) -> list[bytes]:
    """A whole message: token, number, encoding and bytes of each."""
    heads, offset = [], 0
    for token, number, encoding, data in saves:
        heads.append(CHECKPOINT_HEAD.pack(token, number, offset, len(data), encoding))
        offset += len(data)
    builder = flatbuffers.Builder(256)
    heads_at = struct_vector(builder, heads, CHECKPOINT_HEAD.size, 4)
    _Checkpoints.Start(builder)
    _Checkpoints.AddHeads(builder, heads_at)
    envelope = finish(builder, Body.Checkpoints, _Checkpoints.End(builder))
    return [envelope, b"".join(save[3] for save in saves)] if offset else [envelope]


def encode_hand_back(tokens: Sequence[bytes]) -> bytes:
    builder = flatbuffers.Builder(256)
    tokens_at = struct_vector(builder, tokens, 16, 1)
    _HandBack.Start(builder)
    _HandBack.AddTokens(builder, tokens_at)
    return finish(builder, Body.HandBack, _HandBack.End(builder))


def encode_worker_down(
    *,
    worker: int,
    end: int,
    pid: int,
    signal: int,
    exit_code: int,
    running: Sequence[Lease],
    rss_bytes: int,
    log_tail: str,
) -> bytes:
    builder = flatbuffers.Builder(1024)
    log_at = builder.CreateString(log_tail)
    running_at = lease_vector(builder, running)
    _WorkerDown.Start(builder)
    _WorkerDown.AddWorker(builder, worker)
    _WorkerDown.AddEnd(builder, end)
    _WorkerDown.AddPid(builder, pid)
    _WorkerDown.AddSignal(builder, signal)
    _WorkerDown.AddExitCode(builder, exit_code)
    _WorkerDown.AddRunning(builder, running_at)
    _WorkerDown.AddRssBytes(builder, rss_bytes)
    _WorkerDown.AddLogTail(builder, log_at)
    return finish(builder, Body.WorkerDown, _WorkerDown.End(builder))
