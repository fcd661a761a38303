# SPDX-License-Identifier: Apache-2.0
"""A producer's side of the protocol, without sockets and clocks: jobs go out until they are receipted, questions until
they are answered.

    taken --room in the window--> in flight --receipt--> settled
      ^                             |
      +-- new session, silence, a refusal that passes (after its pause)

Whatever is not answered when a session is lost is sent again in the next one, jobs with the same ids.
"""

from __future__ import annotations

import heapq
import logging
import math
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from jobwire._answers import (
    ClientStats,
    DeadReason,
    Durability,
    JobProgress,
    JobResult,
    JobState,
    JobStatus,
    Receipt,
)
from jobwire._errors import ClientError, Closed, Dropped, Full, NoAnswer, TooLarge, Unavailable
from jobwire._messages import Heartbeat, Refused
from jobwire._refusals import PASSING, refusal
from jobwire._session import Phase, Session
from jobwire._settle import fail, settle
from jobwire._spec import JobSpec
from jobwire._watches import OnProgress, Watches
from jobwire._wire_enums import Code, Known
from jobwire._wire_error import decode_error
from jobwire._wire_producer import (
    CancelReply,
    Outgoing,
    ProgressPush,
    Receipts,
    ResultPush,
    View,
    decode,
    encode_cancel,
    encode_result_request,
    encode_submit,
)
from jobwire._wire_session import encode_goodbye, encode_heartbeat

_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 10.0
_LONGEST_RESEND_S = 60.0
_GREET_REFUSED_S = 2.0
_MAX_QUESTIONS = 16_384
_TIMERS = 100_000
NEVER = math.inf

Answer = tuple[View, JobProgress | None]
"""What the broker knows of a job."""


@dataclass(slots=True)
class Settings:
    """The bounds of one client; see Client."""

    resend_after: float = 5.0
    backlog_jobs: int = 65_536
    backlog_bytes: int = 256 << 20
    max_watched: int = 1 << 20
    kept_results: int = 131_072
    kept_bytes: int = 256 << 20
    overflow: str = "block"


@dataclass(slots=True, eq=False)
class _Entry:
    """One job that is not receipted. Posted jobs have nobody who waits, and no deadline."""

    spec: JobSpec
    sequence: int
    deadline: float
    futures: list[Future[Receipt]] = field(default_factory=list)
    sends: int = 0
    request: int = 0
    interval: float = 0.0
    refusal: ClientError | None = None

    @property
    def posted(self) -> bool:
        return self.deadline == NEVER


@dataclass(slots=True, eq=False)
class Question:
    """A message that has one answer, sent again in each session until that comes."""

    id: bytes
    message: Outgoing
    future: Future[Any]


class ProducerSession(Session):
    """See Session. `take` and the other verbs are followed by `pump`; futures are settled when answers come."""

    def __init__(self, hello: bytes, settings: Settings, log: logging.Logger) -> None:
        super().__init__(hello, log)
        self.stats = ClientStats()
        self.refused_hello: ClientError | None = None
        # Posted jobs that will not be receipted any more, for the owner to take away.
        self.lost: list[tuple[UUID, ClientError]] = []
        self._settings = settings
        self._durability = Durability.MEMORY
        self._watches = Watches(settings.kept_results, settings.kept_bytes)
        # Every unreceipted job, oldest first, and of those the ones that wait to be sent.
        self._entries: dict[bytes, _Entry] = {}
        self._ready: deque[_Entry] = deque()
        self._flight_jobs = 0
        self._flight_bytes = 0
        self._bytes = 0
        self._requests: dict[int, list[_Entry]] = {}
        self._questions: dict[int, Question] = {}
        self._asked: dict[int, Sequence[bytes]] = {}
        # Answers about running jobs that wait for what comes with them.
        self._running: dict[int, View] = {}
        self._progress: dict[bytes, JobProgress] = {}
        self._flushes: list[tuple[int, Future[None]]] = []
        self._rooms: list[Future[None]] = []
        self._numbers = 0
        # (when, number, what, the future that makes it needless)
        self._timers: list[tuple[float, int, Callable[[float], Any], Future[Any] | None]] = []
        self._sweep_at = _TIMERS
        self._sent_at = 0.0
        self._closing = False

    # ---------------------------------------------------------------- verbs

    @property
    def backlog(self) -> tuple[int, int]:
        """Unreceipted jobs, and the bytes of their payloads."""
        return len(self._entries), self._bytes

    def take(
        self, specs: Sequence[JobSpec], futures: Sequence[Future[Receipt]], deadline: float
    ) -> None:
        """Has the jobs sent; each future gets a receipt or an error, by `deadline` at the latest. Without futures the
        jobs are posted: they are sent until they are receipted or refused."""
        for i, spec in enumerate(specs):
            self._take_one(spec, futures[i] if futures else None, deadline)
        if deadline != NEVER:
            ids = [spec.id.bytes for spec in specs]
            self._at(deadline, lambda now: self._late(ids, now))

    def wait(
        self,
        id_: bytes,
        future: Future[JobResult],
        deadline: float,
        on_progress: OnProgress | None = None,
    ) -> None:
        """The future gets the job's result when it has ended, or NoAnswer at the deadline."""
        if self._closing:
            fail(future, Closed("the client was closed"))
            return
        if len(self._watches) >= self._settings.max_watched:
            fail(future, Full("as many jobs are watched as this client may watch"))
            return
        self._watches.wait(id_, future, id_ in self._entries, on_progress)

        def late(now: float) -> None:
            if not future.done():
                fail(future, self._late_error("the job has not ended in time"))
            self._watches.leave(id_, future)

        if deadline != NEVER:
            self._at(deadline, late, future)

    def leave(self, id_: bytes, future: Future[JobResult]) -> None:
        self._watches.leave(id_, future)

    def ask(self, id_: bytes, future: Future[Answer], deadline: float) -> None:
        """The future gets what the broker knows of the job now, and the progress of one that runs."""
        number = self._number()
        message = encode_result_request(number, [id_], False)
        self._question(number, Question(id_, message, future), deadline)

    def cancel(self, id_: bytes, reason: str, future: Future[JobState], deadline: float) -> None:
        """The future gets the state after the request, or an error."""
        number = self._number()
        self._question(
            number, Question(id_, encode_cancel(number, [id_], reason), future), deadline
        )

    def flush(self, future: Future[None], deadline: float) -> None:
        """The future is settled when every job taken before is receipted or refused."""
        self._flushes.append((self._numbers, future))
        self._check_flushes()
        self._at(
            deadline,
            lambda now: fail(future, NoAnswer(f"{len(self._entries)} job(s) are unreceipted")),
        )

    def room(self, future: Future[None], deadline: float) -> None:
        """The future is settled when a job has left the backlog, or at the deadline."""
        if not self._entries:
            settle(future, None)
            return
        self._rooms.append(future)
        self._at(deadline, lambda now: settle(future, None), future)

    def close(self) -> None:
        """Takes no more jobs."""
        self._closing = True

    def end(self) -> list[UUID]:
        """Says goodbye; everything that waits gets Closed. Returns the ids that were not receipted."""
        self._closing = True
        error = Closed("the client was closed")
        unreceipted = [entry.spec.id for entry in self._entries.values()]
        for entry in list(self._entries.values()):
            self._forget(entry)
            self._give_up(entry, error)
        for question in self._questions.values():
            fail(question.future, error)
        self._questions.clear()
        for _, future in self._flushes:
            fail(future, error)
        self._watches.close(error)
        self.outbox.clear()
        if self.phase is Phase.OPEN:
            self.outbox.append([encode_goodbye("the client closes")])
        return unreceipted

    # ---------------------------------------------------------------- time

    def tick(self, now: float) -> None:
        super().tick(now)
        timers = self._timers
        while timers and timers[0][0] <= now:
            heapq.heappop(timers)[2](now)
        if self.phase is Phase.OPEN and now >= self._sent_at + self._silence():
            self.outbox.append([encode_heartbeat((), (), 0)])
            self._sent_at = now

    def next_tick(self) -> float | None:
        moments = [self._timers[0][0]] if self._timers else []
        if self.phase is Phase.GREETING:
            moments.append(self._greet_at)
        elif self.phase is Phase.OPEN:
            moments.append(self._sent_at + self._silence())
        return min(moments, default=None)

    def pump(self, now: float) -> None:
        """Puts into the outbox what may be sent now."""
        if self.phase is not Phase.OPEN:
            return
        while self._ready:
            batch = self._batch()
            if not batch:
                break
            self._send(batch, now)
        most = self.limits.max_jobs_per_message
        questions = self._watches.questions
        while questions:
            ids = [questions.popleft() for _ in range(min(most, len(questions)))]
            number = self._number()
            self._asked[number] = ids
            self._put(encode_result_request(number, ids, True), now)
        self._sent_at = now if self.outbox else self._sent_at
        self.stats.pending = len(self._entries)
        self.stats.watched = len(self._watches)

    def _silence(self) -> float:
        return self.limits.session_timeout_ms / 3000

    def _at(
        self, when: float, what: Callable[[float], Any], future: Future[Any] | None = None
    ) -> None:
        self._numbers += 1
        heapq.heappush(self._timers, (when, self._numbers, what, future))
        if len(self._timers) > self._sweep_at:
            # Waits of an hour that ended after a millisecond must not pile up.
            self._timers = [one for one in self._timers if one[3] is None or not one[3].done()]
            heapq.heapify(self._timers)
            self._sweep_at = max(_TIMERS, 2 * len(self._timers))

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers

    def _put(self, message: Outgoing, now: float) -> None:
        self.outbox.append(message.frames)
        self._sent_at = now

    # ---------------------------------------------------------------- jobs

    def _take_one(self, spec: JobSpec, future: Future[Receipt] | None, deadline: float) -> None:
        if self._closing:
            self._lose(spec.id, future, Closed("the client was closed"))
            return
        id_ = spec.id.bytes
        self.stats.submitted += 1
        known = self._entries.get(id_)
        if known is not None:
            if future is not None:
                known.futures.append(future)
            return
        if len(spec.payload) > self.limits.max_payload_bytes:
            limit = self.limits.max_payload_bytes
            self.stats.refused += 1
            self._lose(
                spec.id, future, TooLarge(f"payload: {len(spec.payload)} bytes, {limit} may travel")
            )
            return
        if future is None and self._settings.overflow == "drop_oldest":
            self._make_room(len(spec.payload))
        entry = _Entry(spec, self._number(), deadline, [] if future is None else [future])
        entry.interval = self._settings.resend_after
        self._entries[id_] = entry
        self._bytes += len(spec.payload)
        self._watches.submitted(id_, spec.watch)
        self._ready.append(entry)

    def _make_room(self, size: int) -> None:
        settings = self._settings
        while (
            len(self._entries) >= settings.backlog_jobs
            or self._bytes + size > settings.backlog_bytes
        ):
            oldest = next((entry for entry in self._ready if entry.posted), None)
            if oldest is None:
                return
            self._ready.remove(oldest)
            self._forget(oldest)
            self.stats.dropped += 1
            self._give_up(oldest, Dropped("a newer job took its place"))

    def _batch(self) -> list[_Entry]:
        limits = self.limits
        batch: list[_Entry] = []
        size = 0
        while self._ready and len(batch) < limits.max_jobs_per_message:
            entry = self._ready[0]
            if self._entries.get(entry.spec.id.bytes) is not entry:
                self._ready.popleft()  # given up
                continue
            more = len(entry.spec.payload)
            if self._flight_jobs + len(batch) >= limits.window_jobs:
                break
            if self._flight_bytes + size + more > limits.window_bytes and (
                batch or self._flight_jobs
            ):
                break
            if batch and size + more > limits.max_message_bytes:
                break
            batch.append(self._ready.popleft())
            size += more
        return batch

    def _send(self, batch: list[_Entry], now: float) -> None:
        number = self._number()
        for entry in batch:
            self.stats.resent += entry.sends > 0
            entry.sends += 1
            entry.request = number
            self._flight_jobs += 1
            self._flight_bytes += len(entry.spec.payload)
        self._requests[number] = batch
        self.stats.messages += 1
        self._put(encode_submit(number, [entry.spec for entry in batch]), now)
        self._at(now + batch[0].interval, lambda now: self._send_again(number))

    def _send_again(self, number: int) -> None:
        """No receipts for a message: those of its jobs that are still in flight are sent once more."""
        for entry in self._requests.pop(number, ()):
            if entry.request == number:
                entry.interval = min(2 * entry.interval, _LONGEST_RESEND_S)
                self._land(entry)
                self._ready.append(entry)

    def _land(self, entry: _Entry) -> None:
        if entry.request:
            entry.request = 0
            self._flight_jobs -= 1
            self._flight_bytes -= len(entry.spec.payload)

    def _forget(self, entry: _Entry) -> None:
        self._land(entry)
        if self._entries.pop(entry.spec.id.bytes, None) is not None:
            self._bytes -= len(entry.spec.payload)
            rooms, self._rooms = self._rooms, []
            for future in rooms:
                settle(future, None)

    def _late(self, ids: Sequence[bytes], now: float) -> None:
        for id_ in ids:
            entry = self._entries.get(id_)
            if entry is None or entry.deadline > now:
                continue
            self._forget(entry)
            self.stats.expired += 1
            error = entry.refusal
            if error is None and entry.sends == 0:
                error = self._late_error("no session with a broker")
            if error is not None:
                self._give_up(entry, error)
                continue
            # The job may live: whoever waits for its result goes on waiting, and the broker is asked.
            self._watches.accepted(id_, id_, True)
            late = NoAnswer(
                "no receipt in time; the broker may have the job, the same id may be sent again"
            )
            for future in entry.futures:
                fail(future, late)
        self._check_flushes()

    def _late_error(self, text: str) -> ClientError:
        if self.phase is Phase.OPEN:
            return NoAnswer(text)
        return self.refused_hello or Unavailable(f"{text}: the broker cannot be reached")

    def _give_up(self, entry: _Entry, error: ClientError) -> None:
        self._watches.refused(entry.spec.id.bytes, error)
        for future in entry.futures:
            fail(future, error)
        if entry.posted:
            self.lost.append((entry.spec.id, error))

    def _lose(self, id_: UUID, future: Future[Receipt] | None, error: ClientError) -> None:
        if future is not None:
            fail(future, error)
        else:
            self.lost.append((id_, error))

    def _receipts(self, receipts: Receipts, now: float) -> None:
        for index, (id_, job, retry_after_ms, code, duplicate, state) in enumerate(receipts.heads):
            entry = self._entries.get(id_)
            if entry is None:
                continue  # settled before: this answers a resend
            if code != Code.Unspecified:
                self._refuse(entry, code, receipts.refusals.get(index, ""), retry_after_ms, now)
                continue
            self._forget(entry)
            self.stats.receipted += 1
            counts = job if job != bytes(16) else id_
            self._watches.accepted(id_, counts, duplicate or entry.sends > 1)
            receipt = self._receipt(counts, duplicate, state)
            for future in entry.futures:
                settle(future, receipt)
        self._check_flushes()

    def _receipt(self, job: bytes, duplicate: bool, state: int) -> Receipt:
        return Receipt(
            UUID(bytes=job), duplicate, JobState(state or JobState.QUEUED), self._durability
        )

    def _refuse(
        self, entry: _Entry, code: int, message: str, retry_after_ms: int, now: float
    ) -> None:
        error = refusal(code, message, retry_after_ms)
        # Nobody stands behind a posted job who could wait for its queue to open again.
        if code in PASSING or (entry.posted and code == Code.QueuePaused):
            pause = min(retry_after_ms / 1000 or _PAUSE_S, _LONGEST_PAUSE_S)
            if now + pause < entry.deadline:
                self.stats.retried += 1
                entry.refusal = error
                self._land(entry)
                entry.sends = 0  # what comes is no resend: the broker does not have it
                self._at(now + pause, lambda now: self._ready.append(entry))
                return
        self._forget(entry)
        self.stats.refused += 1
        self._give_up(entry, error)

    def _check_flushes(self) -> None:
        if not self._flushes:
            return
        oldest = next(iter(self._entries.values())).sequence if self._entries else NEVER
        for through, future in self._flushes:
            if oldest > through:
                settle(future, None)
        self._flushes = [one for one in self._flushes if not one[1].done()]

    # ---------------------------------------------------------------- questions

    def _question(self, number: int, question: Question, deadline: float) -> None:
        if self._closing:
            fail(question.future, Closed("the client was closed"))
            return
        if len(self._questions) >= _MAX_QUESTIONS:
            fail(question.future, Full("too many questions wait for their answers"))
            return
        self._questions[number] = question

        def late(now: float) -> None:
            self._running.pop(number, None)
            if self._questions.pop(number, None) is not None:
                fail(question.future, self._late_error("no answer in time"))

        self._at(deadline, late, question.future)
        if self.phase is Phase.OPEN:
            self.outbox.append(question.message.frames)

    def _result_push(self, push: ResultPush) -> None:
        question = self._questions.get(push.request)
        if question is not None:
            for view in push.views:
                if view.id == question.id:
                    self._answered(push.request, question, view)
            return
        self._asked.pop(push.request, None)
        for view in push.views:
            if view.known in (Known.Unknown, Known.Gone):
                self._watches.unknown(view.id, unknown(view))
            elif view.known == Known.Final:
                self.stats.results += 1
                self._watches.ended(view.id, result_of(view))

    def _answered(self, number: int, question: Question, view: View) -> None:
        if view.known != Known.Running:
            del self._questions[number]
            settle(question.future, (view, None))
            return
        # Its progress comes in a message of its own, with this one; the echo of a heartbeat comes behind both.
        self._running[number] = view
        self.outbox.append([encode_heartbeat((), (), number)])

    def _echo(self, number: int) -> None:
        view = self._running.pop(number, None)
        question = self._questions.pop(number, None) if view is not None else None
        if question is not None:
            settle(question.future, (view, self._progress.pop(question.id, None)))
        if not self._running:
            self._progress.clear()

    def _progress_push(self, push: ProgressPush) -> None:
        asked = {question.id for question in self._questions.values()}
        for id_, at_ms, value, message in push.views:
            told = JobProgress(value, message, datetime.fromtimestamp(at_ms / 1000, UTC))
            if id_ in asked:
                self._progress[id_] = told
            self._watches.progress(id_, told)

    def _cancel_reply(self, reply: CancelReply) -> None:
        question = self._questions.pop(reply.request, None)
        if question is None:
            return
        for id_, code, state in reply.heads:
            if id_ == question.id:
                if code == Code.Unspecified:
                    settle(question.future, JobState(state))
                else:
                    fail(question.future, refusal(code))

    # ---------------------------------------------------------------- Session

    def _read(self, frames: Sequence[bytes]) -> Any:
        return decode(frames)

    def _opened(self, restarted: bool, now: float) -> None:
        assert self.welcome is not None
        self.refused_hello = None
        self._durability = Durability(self.welcome.durability or Durability.MEMORY)
        self.stats.sessions += 1
        self.stats.brokers += restarted or self.stats.brokers == 0
        self.stats.connected = True
        in_flight = [entry for entry in self._entries.values() if entry.request]
        for entry in in_flight:
            self._land(entry)
        self._ready.extendleft(reversed(in_flight))
        self._requests.clear()
        for question in self._questions.values():
            self._put(question.message, now)
        self._asked.clear()
        self._running.clear()
        self._watches.ask_all_again()
        self._sent_at = now
        self.pump(now)

    def disconnected(self) -> None:
        super().disconnected()
        self.stats.connected = False

    def _take(self, message: Any, now: float) -> None:
        if isinstance(message, Receipts):
            self._receipts(message, now)
        elif isinstance(message, ResultPush):
            self._result_push(message)
        elif isinstance(message, CancelReply):
            self._cancel_reply(message)
        elif isinstance(message, ProgressPush):
            self._progress_push(message)
        elif isinstance(message, Heartbeat):
            self._echo(message.sequence)
        self.pump(now)

    def _refused(self, refused: Refused, now: float) -> None:
        if refused.code in (Code.HelloFirst, Code.SlowReader):
            super()._refused(refused, now)
            return
        error = refusal(refused.code, refused.message, refused.retry_after_ms)
        if self.phase is not Phase.OPEN:
            # What is wrong may be put right at the broker's side, so it is greeted on, slowly.
            self.refused_hello = error
            self._greet_at = now + max(_GREET_REFUSED_S, refused.retry_after_ms / 1000)
            return
        question = self._questions.pop(refused.request, None)
        if question is not None:
            fail(question.future, error)
            return
        for entry in self._requests.pop(refused.request, ()):
            if entry.request == refused.request:
                self._refuse(entry, refused.code, refused.message, refused.retry_after_ms, now)
        asked = self._asked.pop(refused.request, None)
        if asked is not None:
            pause = max(_PAUSE_S, refused.retry_after_ms / 1000)
            self._at(now + pause, lambda now: self._watches.questions.extend(asked))
        self._check_flushes()


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
