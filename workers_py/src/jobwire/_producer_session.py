# SPDX-License-Identifier: Apache-2.0
"""A producer's side of the protocol, without sockets and clocks: jobs go out until they are receipted, questions until
they are answered.

Whatever is not answered when a session is lost is sent again in the next one, jobs with the same ids.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from jobwire._answers import (
    ClientStats,
    Durability,
    JobProgress,
    JobResult,
    JobState,
    Receipt,
)
from jobwire._backlog import NEVER, Backlog, Entry
from jobwire._errors import ClientError, Closed, Dropped, Full, NoAnswer, TooLarge, Unavailable
from jobwire._messages import Heartbeat, Refused
from jobwire._questions import Answer, Question, Questions
from jobwire._refusals import PASSING, refusal
from jobwire._session import Phase, Session
from jobwire._settle import fail, settle
from jobwire._spec import JobSpec
from jobwire._timers import Timers
from jobwire._views import result_of, unknown
from jobwire._watches import OnProgress, Watches
from jobwire._wire_enums import Code, Known
from jobwire._wire_producer import (
    CancelReply,
    Outgoing,
    ProgressPush,
    Receipts,
    ResultPush,
    decode,
    encode_cancel,
    encode_result_request,
    encode_submit,
)
from jobwire._wire_session import encode_goodbye, encode_heartbeat

_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 10.0
_GREET_REFUSED_S = 2.0
_MAX_QUESTIONS = 16_384


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
        self._backlog = Backlog()
        self._questions = Questions()
        self._asked: dict[int, Sequence[bytes]] = {}
        self._numbers = 0
        self._timers = Timers()
        self._sent_at = 0.0
        self._closing = False

    # ---------------------------------------------------------------- verbs

    @property
    def backlog(self) -> tuple[int, int]:
        """Unreceipted jobs, and the bytes of their payloads."""
        return len(self._backlog), self._backlog.payload_bytes

    def take(
        self, specs: Sequence[JobSpec], futures: Sequence[Future[Receipt]], deadline: float
    ) -> None:
        """Has the jobs sent; each future gets a receipt or an error, by `deadline` at the latest. Without futures the
        jobs are posted: they are sent until they are receipted or refused."""
        for i, spec in enumerate(specs):
            self._take_one(spec, futures[i] if futures else None, deadline)
        if deadline != NEVER:
            ids = [spec.id.bytes for spec in specs]
            self._timers.at(deadline, lambda now: self._late(ids, now))

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
        self._watches.wait(id_, future, id_ in self._backlog, on_progress)

        def late(now: float) -> None:
            if not future.done():
                fail(future, self._late_error("the job has not ended in time"))
            self._watches.leave(id_, future)

        if deadline != NEVER:
            self._timers.at(deadline, late, future)

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
        self._backlog.flush(self._numbers, future)
        self._timers.at(
            deadline,
            lambda now: fail(future, NoAnswer(f"{len(self._backlog)} job(s) are unreceipted")),
        )

    def room(self, future: Future[None], deadline: float) -> None:
        """The future is settled when a job has left the backlog, or at the deadline."""
        self._backlog.room(future)
        self._timers.at(deadline, lambda now: settle(future, None), future)

    def close(self) -> None:
        """Takes no more jobs."""
        self._closing = True

    def end(self) -> list[UUID]:
        """Says goodbye; everything that waits gets Closed. Returns the ids that were not receipted."""
        self._closing = True
        error = Closed("the client was closed")
        unreceipted = [entry.spec.id for entry in self._backlog]
        for entry in self._backlog:
            self._backlog.forget(entry)
            self._give_up(entry, error)
        self._questions.close(error)
        self._backlog.close(error)
        self._watches.close(error)
        self.outbox.clear()
        if self.phase is Phase.OPEN:
            self.outbox.append([encode_goodbye("the client closes")])
        return unreceipted

    # ---------------------------------------------------------------- time

    def tick(self, now: float) -> None:
        super().tick(now)
        self._timers.run(now)
        if self.phase is Phase.OPEN and now >= self._sent_at + self._silence():
            self.outbox.append([encode_heartbeat((), (), 0)])
            self._sent_at = now

    def next_tick(self) -> float | None:
        timer = self._timers.next()
        moments = [] if timer is None else [timer]
        if self.phase is Phase.GREETING:
            moments.append(self._greet_at)
        elif self.phase is Phase.OPEN:
            moments.append(self._sent_at + self._silence())
        return min(moments, default=None)

    def pump(self, now: float) -> None:
        """Puts into the outbox what may be sent now."""
        if self.phase is not Phase.OPEN:
            return
        while self._backlog.has_ready:
            batch = self._backlog.batch(self.limits)
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
        self.stats.pending = len(self._backlog)
        self.stats.watched = len(self._watches)

    def _silence(self) -> float:
        return self.limits.session_timeout_ms / 3000

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
        known = self._backlog.get(id_)
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
        futures = [] if future is None else [future]
        self._backlog.add(
            Entry(spec, self._number(), deadline, self._settings.resend_after, futures)
        )
        self._watches.submitted(id_, spec.watch)

    def _make_room(self, size: int) -> None:
        settings, backlog = self._settings, self._backlog
        while (
            len(backlog) >= settings.backlog_jobs
            or backlog.payload_bytes + size > settings.backlog_bytes
        ):
            oldest = backlog.oldest_posted()
            if oldest is None:
                return
            self._backlog.forget(oldest)
            self.stats.dropped += 1
            self._give_up(oldest, Dropped("a newer job took its place"))

    def _send(self, batch: list[Entry], now: float) -> None:
        number = self._number()
        self.stats.resent += sum(entry.sends > 0 for entry in batch)
        self._backlog.fly(number, batch)
        self.stats.messages += 1
        self._put(encode_submit(number, [entry.spec for entry in batch]), now)
        self._timers.at(now + batch[0].interval, lambda now: self._backlog.resend(number))

    def _late(self, ids: Sequence[bytes], now: float) -> None:
        for id_ in ids:
            entry = self._backlog.get(id_)
            if entry is None or entry.deadline > now:
                continue
            self._backlog.forget(entry)
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
        self._backlog.check_flushes()

    def _late_error(self, text: str) -> ClientError:
        if self.phase is Phase.OPEN:
            return NoAnswer(text)
        return self.refused_hello or Unavailable(f"{text}: the broker cannot be reached")

    def _give_up(self, entry: Entry, error: ClientError) -> None:
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
            entry = self._backlog.get(id_)
            if entry is None:
                continue  # settled before: this answers a resend
            if code != Code.Unspecified:
                self._refuse(entry, code, receipts.refusals.get(index, ""), retry_after_ms, now)
                continue
            self._backlog.forget(entry)
            self.stats.receipted += 1
            counts = job if job != bytes(16) else id_
            self._watches.accepted(id_, counts, duplicate or entry.sends > 1)
            receipt = self._receipt(counts, duplicate, state)
            for future in entry.futures:
                settle(future, receipt)
        self._backlog.check_flushes()

    def _receipt(self, job: bytes, duplicate: bool, state: int) -> Receipt:
        return Receipt(
            UUID(bytes=job), duplicate, JobState(state or JobState.QUEUED), self._durability
        )

    def _refuse(
        self, entry: Entry, code: int, message: str, retry_after_ms: int, now: float
    ) -> None:
        error = refusal(code, message, retry_after_ms)
        # Nobody stands behind a posted job who could wait for its queue to open again.
        if code in PASSING or (entry.posted and code == Code.QueuePaused):
            pause = min(retry_after_ms / 1000 or _PAUSE_S, _LONGEST_PAUSE_S)
            if now + pause < entry.deadline:
                self.stats.retried += 1
                entry.refusal = error
                self._backlog.land(entry)
                entry.sends = 0  # what comes is no resend: the broker does not have it
                self._timers.at(now + pause, lambda now: self._backlog.ready(entry))
                return
        self._backlog.forget(entry)
        self.stats.refused += 1
        self._give_up(entry, error)

    # ---------------------------------------------------------------- questions

    def _question(self, number: int, question: Question, deadline: float) -> None:
        if self._closing:
            fail(question.future, Closed("the client was closed"))
            return
        if len(self._questions) >= _MAX_QUESTIONS:
            fail(question.future, Full("too many questions wait for their answers"))
            return
        self._questions.add(number, question)

        def late(now: float) -> None:
            if self._questions.take(number) is not None:
                fail(question.future, self._late_error("no answer in time"))

        self._timers.at(deadline, late, question.future)
        if self.phase is Phase.OPEN:
            self.outbox.append(question.message.frames)

    def _result_push(self, push: ResultPush) -> None:
        if push.request in self._questions:
            if self._questions.viewed(push.request, push.views):
                self.outbox.append([encode_heartbeat((), (), push.request)])
            return
        self._asked.pop(push.request, None)
        for view in push.views:
            if view.known in (Known.Unknown, Known.Gone):
                self._watches.unknown(view.id, unknown(view))
            elif view.known == Known.Final:
                self.stats.results += 1
                self._watches.ended(view.id, result_of(view))

    def _progress_push(self, push: ProgressPush) -> None:
        told = [
            (id_, JobProgress(value, message, datetime.fromtimestamp(at_ms / 1000, UTC)))
            for id_, at_ms, value, message in push.views
        ]
        self._questions.progress(told)
        for id_, progress in told:
            self._watches.progress(id_, progress)

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
        self._backlog.begin_session()
        for message in self._questions.begin_session():
            self._put(message, now)
        self._asked.clear()
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
            self._questions.cancelled(message)
        elif isinstance(message, ProgressPush):
            self._progress_push(message)
        elif isinstance(message, Heartbeat):
            self._questions.echoed(message.sequence)
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
        question = self._questions.take(refused.request)
        if question is not None:
            fail(question.future, error)
            return
        for entry in self._backlog.of_message(refused.request):
            self._refuse(entry, refused.code, refused.message, refused.retry_after_ms, now)
        asked = self._asked.pop(refused.request, None)
        if asked is not None:
            pause = max(_PAUSE_S, refused.retry_after_ms / 1000)
            self._timers.at(now + pause, lambda now: self._watches.questions.extend(asked))
        self._backlog.check_flushes()
