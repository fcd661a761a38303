# SPDX-License-Identifier: Apache-2.0
# mypy: disallow-untyped-calls=False
"""Messages to bytes and back, for workers and agents. Only this module and `_wire_producer` touch generated code.

What comes for every batch of jobs (Dispatch, ResultAck, Results) is read and written by hand at fixed places; all the
rest goes through the FlatBuffers runtime. That runtime has no verifier: read only what the own broker sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct, error
from typing import Any, NamedTuple

import flatbuffers

import jobwire.wire.CancelLease as _CancelLease
import jobwire.wire.ChainedError as _ChainedError
import jobwire.wire.Frame as _Frame
import jobwire.wire.Goodbye as _Goodbye
import jobwire.wire.HandBack as _HandBack
import jobwire.wire.Heartbeat as _Heartbeat
import jobwire.wire.Hello as _Hello
import jobwire.wire.JobError as _JobError
import jobwire.wire.Message as _Message
import jobwire.wire.Progress as _Progress
import jobwire.wire.Ready as _Ready
import jobwire.wire.Refused as _Refused
import jobwire.wire.Results as _Results
import jobwire.wire.RetryPolicy as _RetryPolicy
import jobwire.wire.TypeOffer as _TypeOffer
import jobwire.wire.Welcome as _Welcome
import jobwire.wire.WorkerDown as _WorkerDown
from jobwire import _heads
from jobwire._errors import ProtocolError
from jobwire._heads import DISPATCH_HEAD, DispatchHead, Lease
from jobwire._retry_policy import RetryPolicy
from jobwire.wire.Body import Body
from jobwire.wire.Code import Code
from jobwire.wire.Durability import Durability
from jobwire.wire.Encoding import Encoding
from jobwire.wire.Outcome import Outcome
from jobwire.wire.Relation import Relation
from jobwire.wire.Role import Role
from jobwire.wire.WorkerEnd import WorkerEnd

__all__ = [
    "Ack",
    "Cancel",
    "Code",
    "Dispatch",
    "Encoding",
    "Frame",
    "Goodbye",
    "Heartbeat",
    "JobError",
    "Limits",
    "LinkedError",
    "Message",
    "OfferedType",
    "Other",
    "Outcome",
    "Recall",
    "Refused",
    "Relation",
    "ResultsEncoder",
    "Revoke",
    "Role",
    "Welcome",
    "WorkerEnd",
    "code_name",
    "decode",
    "durability_name",
    "encode_error",
    "encode_goodbye",
    "encode_hand_back",
    "encode_heartbeat",
    "encode_hello",
    "encode_progress",
    "encode_ready",
    "encode_retry",
    "encode_worker_down",
]

PROTOCOL = 1
MESSAGE_IDENTIFIER = b"JW01"
ERROR_IDENTIFIER = b"JWER"

_U16 = Struct("<H").unpack_from
_U32 = Struct("<I").unpack_from
_I32 = Struct("<i").unpack_from
_U64 = Struct("<Q").unpack_from


def enum_names(enum: type) -> dict[int, str]:
    """The names of a generated enum, by number."""
    return {number: name for name, number in vars(enum).items() if isinstance(number, int)}


_CODE_NAMES = enum_names(Code)
_DURABILITY_NAMES = enum_names(Durability)


def code_name(code: int) -> str:
    return _CODE_NAMES.get(code, f"code {code}")


def durability_name(durability: int) -> str:
    return _DURABILITY_NAMES.get(durability, f"durability {durability}").lower()


# ------------------------------------------------------------------ what the broker sends


@dataclass(frozen=True, slots=True)
class Limits:
    """What Welcome allows; the values here hold until it has come."""

    max_payload_bytes: int = 33554432
    max_jobs_per_message: int = 1024
    max_error_bytes: int = 65536
    max_message_bytes: int = 34603008
    session_timeout_ms: int = 30000
    heartbeat_ms: int = 2000
    window_jobs: int = 16384
    window_bytes: int = 67108864


@dataclass(frozen=True, slots=True)
class Welcome:
    broker: bytes
    epoch: int
    durability: int
    limits: Limits
    version: str


@dataclass(frozen=True, slots=True)
class Refused:
    code: int
    message: str
    request: int
    retry_after_ms: int


@dataclass(frozen=True, slots=True)
class Goodbye:
    code: int
    message: str


@dataclass(frozen=True, slots=True)
class Heartbeat:
    sequence: int


@dataclass(frozen=True, slots=True)
class Dispatch:
    heads: list[DispatchHead]
    blob: bytes
    headers: list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Ack:
    through: int
    refused: list[tuple[bytes, int]]


@dataclass(frozen=True, slots=True)
class Recall:
    tokens: list[bytes]


@dataclass(frozen=True, slots=True)
class Revoke:
    tokens: list[bytes]


@dataclass(frozen=True, slots=True)
class Cancel:
    token: bytes
    worker: int
    grace_ms: int


@dataclass(frozen=True, slots=True)
class Other:
    """A body that a newer broker may send and this version does not know."""

    kind: int
    body: int = 0


Message = (
    Welcome | Refused | Goodbye | Heartbeat | Dispatch | Ack | Recall | Revoke | Cancel | Other
)


def decode(frames: Sequence[bytes]) -> Message:
    """Reads one message; raises ProtocolError when it cannot be read."""
    envelope = frames[0]
    if envelope[4:8] != MESSAGE_IDENTIFIER or not 1 <= len(frames) <= 2:
        raise ProtocolError("not a JW01 message of one or two frames")
    try:
        message = _U32(envelope, 0)[0]
        kind_at = field_at(envelope, message, 0)
        body_at = field_at(envelope, message, 1)
        kind = envelope[kind_at] if kind_at else 0
        if not body_at:
            raise ProtocolError("a message without a body")
        body = body_at + _U32(envelope, body_at)[0]
        if kind == Body.Dispatch:
            return _dispatch(envelope, body, frames[1] if len(frames) == 2 else b"")
        if kind == Body.ResultAck:
            return _ack(envelope, body)
        return _rare(envelope, kind, body)
    except (error, IndexError, UnicodeDecodeError, ValueError, TypeError) as problem:
        raise ProtocolError(f"a message that cannot be read: {problem}") from problem


def field_at(buffer: bytes, table: int, slot: int) -> int:
    """Where a table's field lies, or 0 when it is absent."""
    vtable = table - _I32(buffer, table)[0]
    entry = 4 + 2 * slot
    if entry >= _U16(buffer, vtable)[0]:
        return 0
    offset: int = _U16(buffer, vtable + entry)[0]
    return table + offset if offset else 0


def elements(buffer: bytes, table: int, slot: int, size: int) -> memoryview:
    """The bytes of a vector's elements, each `size` long."""
    at = field_at(buffer, table, slot)
    if not at:
        return memoryview(b"")
    at += _U32(buffer, at)[0]
    end = at + 4 + _U32(buffer, at)[0] * size
    if end > len(buffer):
        raise ProtocolError("a vector reaches past the end of its message")
    return memoryview(buffer)[at + 4 : end]


def _dispatch(envelope: bytes, body: int, blob: bytes) -> Dispatch:
    heads = elements(envelope, body, 0, DISPATCH_HEAD.size)
    jobs: Any = list(DISPATCH_HEAD.iter_unpack(heads))
    extras: list[dict[str, str]] = []
    if field_at(envelope, body, 1):
        extras = _headers(envelope, body)
    return Dispatch(jobs, blob, extras)


def _headers(envelope: bytes, body: int) -> list[dict[str, str]]:
    from jobwire.wire.Dispatch import Dispatch as Table

    table = Table()
    table.Init(envelope, body)
    extras = (table.Extras(i) for i in range(table.ExtrasLength()))
    return [
        {
            text_of(extra.Headers(i).Key()): text_of(extra.Headers(i).Value())
            for i in range(extra.HeadersLength())
        }
        for extra in extras
    ]


def _ack(envelope: bytes, body: int) -> Ack:
    at = field_at(envelope, body, 0)
    refused: Any = list(
        _heads.LEASE_REFUSAL.iter_unpack(elements(envelope, body, 1, _heads.LEASE_REFUSAL.size))
    )
    return Ack(_U64(envelope, at)[0] if at else 0, refused)


def _tokens(envelope: bytes, body: int) -> list[bytes]:
    raw = bytes(elements(envelope, body, 0, 16))
    return [raw[i : i + 16] for i in range(0, len(raw), 16)]


def _rare(envelope: bytes, kind: int, body: int) -> Message:
    if kind == Body.Welcome:
        return _welcome(table_at(_Welcome.Welcome, envelope, body))
    if kind == Body.Refused:
        refused = table_at(_Refused.Refused, envelope, body)
        return Refused(
            refused.Code(), text_of(refused.Message()), refused.Request(), refused.RetryAfterMs()
        )
    if kind == Body.Goodbye:
        goodbye = table_at(_Goodbye.Goodbye, envelope, body)
        return Goodbye(goodbye.Code(), text_of(goodbye.Message()))
    if kind == Body.Heartbeat:
        return Heartbeat(table_at(_Heartbeat.Heartbeat, envelope, body).Sequence())
    if kind == Body.Recall:
        return Recall(_tokens(envelope, body))
    if kind == Body.Revoke:
        return Revoke(_tokens(envelope, body))
    if kind == Body.CancelLease:
        cancel = table_at(_CancelLease.CancelLease, envelope, body)
        at = field_at(envelope, body, 0)
        return Cancel(bytes(envelope[at : at + 16]), cancel.Worker(), cancel.GraceMs())
    return Other(kind, body)


def table_at(kind: Any, envelope: bytes, body: int) -> Any:
    table = kind()
    table.Init(envelope, body)
    return table


def _welcome(welcome: Any) -> Welcome:
    told = welcome.Limits()
    usual = Limits()
    limits = usual
    if told is not None:
        limits = Limits(
            told.MaxPayloadBytes() or usual.max_payload_bytes,
            told.MaxJobsPerMessage() or usual.max_jobs_per_message,
            told.MaxErrorBytes() or usual.max_error_bytes,
            told.MaxMessageBytes() or usual.max_message_bytes,
            told.SessionTimeoutMs() or usual.session_timeout_ms,
            told.HeartbeatMs() or usual.heartbeat_ms,
            told.WindowJobs() or usual.window_jobs,
            told.WindowBytes() or usual.window_bytes,
        )
    id_ = welcome.Broker()
    broker = bytes(id_.Bytes()) if id_ is not None else b""
    return Welcome(
        broker, welcome.Epoch(), welcome.Durability(), limits, text_of(welcome.Version())
    )


def text_of(raw: bytes | None) -> str:
    return raw.decode("utf-8", "replace") if raw else ""


# ------------------------------------------------------------------ what worker and agent send


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


_PACK_U64 = Struct("<Q").pack_into
_PACK_U32 = Struct("<I").pack


def encode_hello(
    role: int, client: str, host: bytes, host_name: str, worker: int, pid: int
) -> bytes:
    builder = flatbuffers.Builder(256)
    client_at = builder.CreateString(client)
    name_at = builder.CreateString(host_name)
    _Hello.Start(builder)
    _Hello.AddProtocol(builder, PROTOCOL)
    _Hello.AddRole(builder, role)
    _Hello.AddClient(builder, client_at)
    _Hello.AddHost(builder, id_struct(builder, host))
    _Hello.AddHostName(builder, name_at)
    _Hello.AddWorker(builder, worker)
    _Hello.AddPid(builder, pid)
    return finish(builder, Body.Hello, _Hello.End(builder))


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
    held_at = _leases(builder, held)
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


def encode_heartbeat(workers: Sequence[int], running: Sequence[Lease], sequence: int) -> bytes:
    builder = flatbuffers.Builder(512)
    running_at = _leases(builder, running)
    workers_at = struct_vector(builder, [Struct("<Q").pack(worker) for worker in workers], 8, 8)
    _Heartbeat.Start(builder)
    _Heartbeat.AddWorkers(builder, workers_at)
    _Heartbeat.AddRunning(builder, running_at)
    _Heartbeat.AddSequence(builder, sequence)
    return finish(builder, Body.Heartbeat, _Heartbeat.End(builder))


def encode_progress(news: Sequence[tuple[bytes, float, bytes]]) -> list[bytes]:
    """A whole message: token, value and message of each job; finite values, UTF-8 of at most 1 KiB."""
    heads, messages, offset = [], [], 0
    for token, value, message in news:
        heads.append(_heads.PROGRESS_HEAD.pack(token, value, offset, len(message)))
        messages.append(message)
        offset += len(message)
    builder = flatbuffers.Builder(256)
    heads_at = struct_vector(builder, heads, _heads.PROGRESS_HEAD.size, 4)
    _Progress.Start(builder)
    _Progress.AddHeads(builder, heads_at)
    envelope = finish(builder, Body.Progress, _Progress.End(builder))
    blob = b"".join(messages)
    return [envelope, blob] if blob else [envelope]


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
    running_at = _leases(builder, running)
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


def encode_goodbye(message: str = "", code: int = 0) -> bytes:
    builder = flatbuffers.Builder(128)
    message_at = builder.CreateString(message)
    _Goodbye.Start(builder)
    _Goodbye.AddCode(builder, code)
    _Goodbye.AddMessage(builder, message_at)
    return finish(builder, Body.Goodbye, _Goodbye.End(builder))


def finish(builder: Any, kind: int, body: int) -> bytes:
    _Message.Start(builder)
    _Message.AddBodyType(builder, kind)
    _Message.AddBody(builder, body)
    builder.Finish(_Message.End(builder), MESSAGE_IDENTIFIER)
    return bytes(builder.Output())


def id_struct(builder: Any, raw: bytes) -> int:
    builder.Prep(1, 16)
    for byte in reversed(raw):
        builder.PrependUint8(byte)
    return int(builder.Offset())


def offset_vector(builder: Any, offsets: Sequence[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def struct_vector(builder: Any, packed: Sequence[bytes], size: int, alignment: int) -> int:
    """A vector of structs that are packed already."""
    builder.StartVector(size, len(packed), alignment)
    raw = b"".join(packed)
    # As Builder.CreateByteVector does: StartVector has made the room.
    builder.head = builder.Head() - len(raw)
    builder.Bytes[builder.Head() : builder.Head() + len(raw)] = raw
    return int(builder.EndVector())


def _leases(builder: Any, leases: Sequence[Lease]) -> int:
    return struct_vector(builder, [lease.pack() for lease in leases], _heads.LEASE_HEAD.size, 8)


def encode_retry(builder: Any, policy: RetryPolicy) -> int:
    """A RetryPolicy table, for a Submit or a Ready."""
    fatal_at = 0
    if policy.fatal:
        fatal_at = offset_vector(builder, [builder.CreateString(name) for name in policy.fatal])
    listed_at = 0
    if policy.listed_ms:
        packed = [Struct("<I").pack(rest) for rest in policy.listed_ms]
        listed_at = struct_vector(builder, packed, 4, 4)
    _RetryPolicy.Start(builder)
    _RetryPolicy.AddAttempts(builder, policy.attempts or 0)
    _RetryPolicy.AddTimeouts(builder, policy.timeouts or 0)
    _RetryPolicy.AddCrashes(builder, policy.crashes or 0)
    _RetryPolicy.AddBackoff(builder, policy.backoff)
    _RetryPolicy.AddBaseMs(builder, policy.base_ms)
    _RetryPolicy.AddCapMs(builder, policy.cap_ms)
    _RetryPolicy.AddFactor(builder, policy.factor)
    if listed_at:
        _RetryPolicy.AddListedMs(builder, listed_at)
    _RetryPolicy.AddNoJitter(builder, not policy.jitter)
    if fatal_at:
        _RetryPolicy.AddFatal(builder, fatal_at)
    return int(_RetryPolicy.End(builder))


# ------------------------------------------------------------------ errors


@dataclass(frozen=True, slots=True)
class Frame:
    """One call of a traceback."""

    file: str
    line: int
    function: str
    source: str


@dataclass(frozen=True, slots=True)
class LinkedError:
    """An error behind another one: its cause, or what was being handled when it was raised."""

    relation: int
    type: str
    message: str
    frames: tuple[Frame, ...]


@dataclass(frozen=True, slots=True)
class JobError:
    """What went wrong in one attempt, as schemas/error.fbs has it."""

    type: str
    message: str
    frames: tuple[Frame, ...] = ()
    chain: tuple[LinkedError, ...] = ()
    notes: tuple[str, ...] = ()
    retryable: bool = True
    truncated: bool = False

    def __str__(self) -> str:
        """The traceback in Python's own layout, the oldest cause first."""
        lines = []
        for link in reversed(self.chain):
            lines += [*_traceback(link.frames), f"{link.type}: {link.message}", ""]
            lines += [_RELATIONS.get(link.relation, _RELATIONS[Relation.Context]), ""]
        lines += [*_traceback(self.frames), f"{self.type}: {self.message}", *self.notes]
        return "\n".join(lines)


_RELATIONS = {
    Relation.Cause: "The above exception was the direct cause of the following exception:",
    Relation.Context: "During handling of the above exception, another exception occurred:",
}


def _traceback(frames: Sequence[Frame]) -> list[str]:
    lines = ["Traceback (most recent call last):"] if frames else []
    for frame in frames:
        lines.append(f'  File "{frame.file}", line {frame.line}, in {frame.function}')
        if frame.source:
            lines.append(f"    {frame.source}")
    return lines


def encode_error(error_: JobError) -> bytes:
    builder = flatbuffers.Builder(2048)
    links = []
    for link in error_.chain:
        type_at, message_at = _string(builder, link.type), _string(builder, link.message)
        frames_at = _frames(builder, link.frames)
        _ChainedError.Start(builder)
        _ChainedError.AddRelation(builder, link.relation)
        _ChainedError.AddType(builder, type_at)
        _ChainedError.AddMessage(builder, message_at)
        _ChainedError.AddFrames(builder, frames_at)
        links.append(_ChainedError.End(builder))
    chain_at = offset_vector(builder, links)
    notes_at = offset_vector(builder, [_string(builder, note) for note in error_.notes])
    frames_at = _frames(builder, error_.frames)
    type_at, message_at = _string(builder, error_.type), _string(builder, error_.message)
    _JobError.Start(builder)
    _JobError.AddType(builder, type_at)
    _JobError.AddMessage(builder, message_at)
    _JobError.AddFrames(builder, frames_at)
    _JobError.AddChain(builder, chain_at)
    _JobError.AddNotes(builder, notes_at)
    _JobError.AddRetryable(builder, error_.retryable)
    _JobError.AddTruncated(builder, error_.truncated)
    builder.Finish(_JobError.End(builder), ERROR_IDENTIFIER)
    return bytes(builder.Output())


def _frames(builder: Any, frames: Sequence[Frame]) -> int:
    offsets = []
    for frame in frames:
        file_at = builder.CreateSharedString(frame.file)
        function_at = builder.CreateSharedString(frame.function)
        source_at = builder.CreateSharedString(frame.source)
        _Frame.Start(builder)
        _Frame.AddFile(builder, file_at)
        _Frame.AddLine(builder, frame.line)
        _Frame.AddFunction(builder, function_at)
        _Frame.AddSource(builder, source_at)
        offsets.append(_Frame.End(builder))
    return offset_vector(builder, offsets)


def _string(builder: Any, text: str) -> int:
    return int(builder.CreateString(text))
