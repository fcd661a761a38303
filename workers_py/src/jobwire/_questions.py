# SPDX-License-Identifier: Apache-2.0
"""Questions that have one answer each, by the number of their message. Sent again in each session until it comes."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from jobwire._answers import JobProgress, JobState
from jobwire._errors import ClientError
from jobwire._refusals import refusal
from jobwire._settle import fail, settle
from jobwire._wire_enums import Code, Known
from jobwire._wire_producer import CancelReply, Outgoing, View

Answer = tuple[View, JobProgress | None]
"""What the broker knows of a job."""


@dataclass(slots=True, eq=False)
class Question:
    """id: the job that is asked about, if it is about one."""

    id: bytes
    message: Outgoing
    future: Future[Any]


class Questions:
    def __init__(self) -> None:
        self._open: dict[int, Question] = {}
        # Answers about running jobs that wait for what comes with them.
        self._running: dict[int, View] = {}
        self._progress: dict[bytes, JobProgress] = {}

    def __len__(self) -> int:
        return len(self._open)

    def __contains__(self, number: int) -> bool:
        return number in self._open

    def add(self, number: int, question: Question) -> None:
        self._open[number] = question

    def take(self, number: int) -> Question | None:
        """The question, which is not open any more."""
        self._running.pop(number, None)
        return self._open.pop(number, None)

    def begin_session(self) -> Iterable[Outgoing]:
        """What is to be sent in a session that has just begun."""
        self._running.clear()
        return [question.message for question in self._open.values()]

    def close(self, error: ClientError) -> None:
        for question in self._open.values():
            fail(question.future, error)
        self._open.clear()

    def viewed(self, number: int, views: Iterable[View]) -> bool:
        """Answers a question about a job. True when the job runs: then its progress comes in a message of its own,
        with this one, and the echo of a heartbeat with the same number has to tell that it has."""
        question = self._open[number]
        for view in views:
            if view.id != question.id:
                continue
            if view.known == Known.Running:
                self._running[number] = view
                return True
            del self._open[number]
            settle(question.future, (view, None))
            break
        return False

    def progress(self, told: Iterable[tuple[bytes, JobProgress]]) -> None:
        asked = {question.id for question in self._open.values()}
        self._progress.update(one for one in told if one[0] in asked)

    def echoed(self, number: int) -> None:
        view = self._running.pop(number, None)
        question = self._open.pop(number, None) if view is not None else None
        if question is not None:
            settle(question.future, (view, self._progress.pop(question.id, None)))
        if not self._running:
            self._progress.clear()

    def cancelled(self, reply: CancelReply) -> None:
        question = self._open.pop(reply.request, None)
        if question is None:
            return
        for id_, code, state in reply.heads:
            if id_ == question.id:
                if code == Code.Unspecified:
                    settle(question.future, JobState(state))
                else:
                    fail(question.future, refusal(code))
