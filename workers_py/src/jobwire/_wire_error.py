# SPDX-License-Identifier: Apache-2.0
# mypy: disallow-untyped-calls=False
"""A JobError to bytes and back, as schemas/error.fbs has it."""

from __future__ import annotations

from collections.abc import Sequence
from struct import error
from typing import Any

import flatbuffers

import jobwire.wire.ChainedError as _ChainedError
import jobwire.wire.Frame as _Frame
import jobwire.wire.JobError as _JobError
from jobwire._errors import ProtocolError
from jobwire._job_error import Frame, JobError, LinkedError
from jobwire._wire_tables import offset_vector, text_of

ERROR_IDENTIFIER = b"JWER"


def encode_error(error_: JobError) -> bytes:
    builder = flatbuffers.Builder(2048)
    links = []
    for link in error_.chain:
        type_at, message_at = _string(builder, link.type), _string(builder, link.message)
        frames_at = _encode_frames(builder, link.frames)
        _ChainedError.Start(builder)
        _ChainedError.AddRelation(builder, link.relation)
        _ChainedError.AddType(builder, type_at)
        _ChainedError.AddMessage(builder, message_at)
        _ChainedError.AddFrames(builder, frames_at)
        links.append(_ChainedError.End(builder))
    chain_at = offset_vector(builder, links)
    notes_at = offset_vector(builder, [_string(builder, note) for note in error_.notes])
    frames_at = _encode_frames(builder, error_.frames)
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


def _encode_frames(builder: Any, frames: Sequence[Frame]) -> int:
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


def decode_error(buffer: bytes) -> JobError:
    """A JobError buffer as structure; one that cannot be read becomes an error that says so."""
    try:
        if buffer[4:8] != ERROR_IDENTIFIER:
            raise ProtocolError("not a JWER buffer")
        table = _JobError.JobError.GetRootAs(buffer, 0)
        return JobError(
            text_of(table.Type()),
            text_of(table.Message()),
            _frames(table),
            tuple(
                LinkedError(
                    link.Relation(),
                    text_of(link.Type()),
                    text_of(link.Message()),
                    _frames(link),
                )
                for link in (table.Chain(i) for i in range(table.ChainLength()))
            ),
            tuple(text_of(table.Notes(i)) for i in range(table.NotesLength())),
            bool(table.Retryable()),
            bool(table.Truncated()),
        )
    except (ProtocolError, error, IndexError, ValueError, TypeError):
        return JobError(
            "jobwire.UnreadableError", "the worker's error could not be read", truncated=True
        )


def _frames(table: Any) -> tuple[Frame, ...]:
    frames = (table.Frames(i) for i in range(table.FramesLength()))
    return tuple(
        Frame(
            text_of(frame.File()),
            frame.Line(),
            text_of(frame.Function()),
            text_of(frame.Source()),
        )
        for frame in frames
    )
