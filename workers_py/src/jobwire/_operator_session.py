# SPDX-License-Identifier: Apache-2.0
"""An operator's side of the protocol: a producer's, and questions and orders about many jobs. See ProducerSession.

Whatever is not answered is sent again in the next session. A sweep that has begun goes out again with the time that its
first report named, so that it never touches what was created, or died again, since.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from jobwire._answers import Receipt
from jobwire._errors import Closed
from jobwire._messages import Refused
from jobwire._operations import DeadJob, DeadPage, JobFilter, SweepReport
from jobwire._producer_session import ProducerSession
from jobwire._questions import Question
from jobwire._refusals import refusal
from jobwire._session import Phase
from jobwire._settle import fail, settle
from jobwire._wire_enums import Code
from jobwire._wire_operator import (
    ContractReply,
    DeadReply,
    QueueReply,
    SweepTold,
    decode,
    encode_contract_command,
    encode_dead_import,
    encode_dead_query,
    encode_queue_command,
    encode_sweep,
    moment_ms,
)
from jobwire._wire_producer import Receipts


@dataclass(slots=True, eq=False)
class SweepOrder:
    """One sweep: what is asked for, what was told last, and who wants to know."""

    action: int
    which: JobFilter
    by: str
    why: str
    dry_run: bool
    rate_per_s: int
    limit: int
    to_queue: str
    future: Future[SweepReport]
    on_report: Callable[[SweepReport], None]
    before_ms: int = 0
    # What the broker had done when its last session ended.
    done_before: int = 0
    failed_before: int = 0
    last: SweepReport | None = None


@dataclass(slots=True, eq=False)
class _Import:
    jobs: Sequence[DeadJob]
    by: str
    waiting: dict[bytes, Future[Receipt]] = field(default_factory=dict)


class OperatorSession(ProducerSession):
    """See ProducerSession; `on_report` is called by the thread that owns the session."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._sweeps: dict[int, SweepOrder] = {}
        self._imports: dict[int, _Import] = {}

    # ---------------------------------------------------------------- verbs

    def command(
        self, future: Future[QueueReply], deadline: float, action: int, **fields: Any
    ) -> None:
        number = self._number()
        message = encode_queue_command(number, action, **fields)
        self._question(number, Question(b"", message, future), deadline)

    def contract(
        self, future: Future[ContractReply], deadline: float, action: int, **fields: Any
    ) -> None:
        number = self._number()
        message = encode_contract_command(number, action, **fields)
        self._question(number, Question(b"", message, future), deadline)

    def dead_page(
        self,
        which: JobFilter,
        after: str,
        limit: int,
        full: bool,
        future: Future[DeadPage],
        deadline: float,
    ) -> None:
        number = self._number()
        message = encode_dead_query(number, which, after=after, limit=limit, full=full)
        self._question(number, Question(b"", message, future), deadline)

    def sweep(self, order: SweepOrder, deadline: float) -> None:
        """The future gets the last report. At the deadline it gets NoAnswer, and the sweep ends with its session."""
        if self._closing:
            fail(order.future, Closed("the client was closed"))
            return
        order.before_ms = moment_ms(order.which.before)
        number = self._number()
        self._sweeps[number] = order
        if self.phase is Phase.OPEN:
            self._send_sweep(number, order)

        def late(now: float) -> None:
            if self._sweeps.pop(number, None) is not None:
                fail(order.future, self._late_error("the sweep has not finished in time"))

        self._timers.at(deadline, late, order.future)

    def import_dead(
        self, jobs: Sequence[DeadJob], by: str, futures: Sequence[Future[Receipt]], deadline: float
    ) -> None:
        """Each future gets a receipt or an error."""
        if self._closing:
            for future in futures:
                fail(future, Closed("the client was closed"))
            return
        number = self._number()
        waiting = {dead.id.bytes: future for dead, future in zip(jobs, futures, strict=True)}
        self._imports[number] = _Import(jobs, by, waiting)
        if self.phase is Phase.OPEN:
            self.outbox.append(encode_dead_import(number, jobs, by).frames)

        def late(now: float) -> None:
            if self._imports.pop(number, None) is not None:
                for future in futures:
                    fail(future, self._late_error("no receipt in time"))

        self._timers.at(deadline, late)

    def end(self) -> list[UUID]:
        error = Closed("the client was closed")
        for order in self._sweeps.values():
            fail(order.future, error)
        for batch in self._imports.values():
            for future in batch.waiting.values():
                fail(future, error)
        self._sweeps.clear()
        self._imports.clear()
        return super().end()

    def _send_sweep(self, number: int, order: SweepOrder) -> None:
        done = order.done_before + order.failed_before
        self.outbox.append(
            encode_sweep(
                number,
                order.action,
                order.which,
                order.before_ms,
                by=order.by,
                why=order.why,
                dry_run=order.dry_run,
                rate_per_s=order.rate_per_s,
                limit=max(1, order.limit - done) if order.limit else 0,
                to_queue=order.to_queue,
            ).frames
        )

    # ---------------------------------------------------------------- Session

    def _read(self, frames: Sequence[bytes]) -> Any:
        return decode(frames)

    def _opened(self, restarted: bool, now: float) -> None:
        super()._opened(restarted, now)
        for number, order in self._sweeps.items():
            if order.last is not None and not order.dry_run:
                order.done_before += order.last.done
                order.failed_before += order.last.failed
                order.last = None
            self._send_sweep(number, order)
        for number, batch in self._imports.items():
            self.outbox.append(encode_dead_import(number, batch.jobs, batch.by).frames)

    def _take(self, message: Any, now: float) -> None:
        if isinstance(message, QueueReply | DeadReply | ContractReply):
            question = self._questions.take(message.request)
            if question is None:
                return
            if message.code != Code.Unspecified:
                fail(
                    question.future, refusal(message.code, message.message, message.retry_after_ms)
                )
            else:
                settle(question.future, message.page if isinstance(message, DeadReply) else message)
        elif isinstance(message, SweepTold):
            self._sweep_told(message)
        elif isinstance(message, Receipts) and self._imports:
            self._import_receipts(message)
            super()._take(message, now)
        else:
            super()._take(message, now)

    def _sweep_told(self, told: SweepTold) -> None:
        order = self._sweeps.get(told.request)
        if order is None:
            return
        if told.code != Code.Unspecified:
            del self._sweeps[told.request]
            fail(order.future, refusal(told.code, told.message, told.retry_after_ms))
            return
        order.before_ms = told.before_ms or order.before_ms
        order.last = told.report
        report = SweepReport(
            told.report.matched + order.done_before + order.failed_before,
            told.report.done + order.done_before,
            told.report.failed + order.failed_before,
            told.report.finished,
            told.report.before,
        )
        if report.finished:
            del self._sweeps[told.request]
            settle(order.future, report)
        else:
            order.on_report(report)

    def _import_receipts(self, receipts: Receipts) -> None:
        for index, (id_, job, retry_after_ms, code, duplicate, state) in enumerate(receipts.heads):
            for number, batch in list(self._imports.items()):
                future = batch.waiting.pop(id_, None)
                if future is None:
                    continue
                if code != Code.Unspecified:
                    fail(future, refusal(code, receipts.refusals.get(index, ""), retry_after_ms))
                else:
                    settle(future, self._receipt(job, duplicate, state))
                if not batch.waiting:
                    del self._imports[number]
                break

    def _refused(self, refused: Refused, now: float) -> None:
        error = refusal(refused.code, refused.message, refused.retry_after_ms)
        order = self._sweeps.pop(refused.request, None)
        batch = self._imports.pop(refused.request, None)
        if order is not None:
            fail(order.future, error)
        elif batch is not None:
            for future in batch.waiting.values():
                fail(future, error)
        else:
            super()._refused(refused, now)
