# SPDX-License-Identifier: Apache-2.0
"""An exception becomes a JobError buffer: type, message, frames, chain, notes, within a limit of bytes."""

from __future__ import annotations

import linecache
from collections import deque
from itertools import islice
from types import TracebackType

from jobwire._errors import ResultError
from jobwire._job_error import Frame, JobError, LinkedError
from jobwire._redact import cleaned, secrets_of
from jobwire._wire_enums import Relation
from jobwire._wire_error import encode_error

# Deep recursion: its start and its end tell the story.
_FIRST_FRAMES = 20
_LAST_FRAMES = 60
_CHAIN = 8
_NOTES = 16
_SOURCE_CHARACTERS = 400


def describe(error: BaseException, *, limit: int, retryable: bool) -> bytes:
    """The JobError buffer of an exception, at most `limit` bytes long; jobwire's own calls are left out."""
    # Each round halves what may be kept; the smallest form fits any limit that a broker can name.
    text, first, last = max(limit // 4, 64), _FIRST_FRAMES, _LAST_FRAMES
    links, notes = _CHAIN, _NOTES
    while True:
        encoded = encode_error(
            _Describer(text, first, last, links, notes).describe(error, retryable)
        )
        if len(encoded) <= limit or (text <= 64 and last == 0):
            return encoded
        text, first, last = max(text // 2, 64), first // 2, last // 2
        links, notes = links // 2, notes // 2


class _Describer:
    """Describes within bounds, and remembers whether anything was left out."""

    def __init__(self, text: int, first: int, last: int, links: int, notes: int) -> None:
        self._text = text
        self._first = first
        self._last = last
        self._links = links
        self._notes = notes
        self._cut = False
        self._secrets: tuple[str, ...] = ()

    def describe(self, error: BaseException, retryable: bool) -> JobError:
        self._secrets = secrets_of(error)
        self._cut = isinstance(error, ResultError) and error.truncated
        frames = self._frames(error.__traceback__)
        message = self._message(error)
        chain = self._chain(error)
        notes = self._noted(error)
        return JobError(qualified_name(error), message, frames, chain, notes, retryable, self._cut)

    def _chain(self, error: BaseException) -> tuple[LinkedError, ...]:
        links: list[LinkedError] = []
        seen = {id(error)}
        while True:
            behind, relation = error.__cause__, Relation.Cause
            if behind is None and not error.__suppress_context__:
                behind, relation = error.__context__, Relation.Context
            if behind is None or id(behind) in seen:
                return tuple(links)
            if len(links) == self._links:
                self._cut = True
                return tuple(links)
            seen.add(id(behind))
            links.append(
                LinkedError(
                    relation,
                    qualified_name(behind),
                    self._message(behind),
                    self._frames(behind.__traceback__),
                )
            )
            error = behind

    def _frames(self, traceback: TracebackType | None) -> tuple[Frame, ...]:
        while traceback is not None and _is_ours(traceback):
            traceback = traceback.tb_next
        first: list[TracebackType] = []
        last: deque[TracebackType] = deque(maxlen=self._last)
        rest = 0
        while traceback is not None:
            if len(first) < self._first:
                first.append(traceback)
            else:
                rest += 1
                last.append(traceback)
            traceback = traceback.tb_next
        if rest > len(last):
            self._cut = True
        return tuple(self._frame(one) for one in (*first, *last))

    def _frame(self, traceback: TracebackType) -> Frame:
        code = traceback.tb_frame.f_code
        line = traceback.tb_lineno
        source = linecache.getline(code.co_filename, line, traceback.tb_frame.f_globals).strip()
        return Frame(
            _clean(code.co_filename),
            line,
            _clean(code.co_qualname),
            _clean(source[:_SOURCE_CHARACTERS]),
        )

    def _message(self, error: BaseException) -> str:
        try:
            return self._short(str(error))
        except Exception:  # the user's __str__ may raise anything
            return f"<{type(error).__qualname__} whose str() fails>"

    def _noted(self, error: BaseException) -> tuple[str, ...]:
        notes = getattr(error, "__notes__", None)
        if not isinstance(notes, list):
            return ()
        if len(notes) > self._notes:
            self._cut = True
        return tuple(
            self._short(note) for note in islice(notes, self._notes) if isinstance(note, str)
        )

    def _short(self, text: str) -> str:
        # Before the cut, which could leave the start of a secret.
        text = cleaned(text, self._secrets)
        # A character may need four bytes; the caller measures and comes again.
        if len(text) > self._text:
            self._cut = True
            text = text[: self._text]
        return _clean(text)


def _is_ours(traceback: TracebackType) -> bool:
    return str(traceback.tb_frame.f_globals.get("__name__")).startswith("jobwire.")


def qualified_name(error: BaseException) -> str:
    kind = type(error)
    # Not where jobwire keeps its classes, but where a user finds them.
    module = "jobwire" if kind.__module__.startswith("jobwire.") else kind.__module__
    return _clean(f"{module}.{kind.__qualname__}"[:400])


def _clean(text: str) -> str:
    """Text that UTF-8 can hold: lone surrogates become escapes."""
    return text.encode("utf-8", "backslashreplace").decode()
