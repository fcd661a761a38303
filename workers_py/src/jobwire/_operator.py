# SPDX-License-Identifier: Apache-2.0
"""An operator's connection to a broker: queues, contracts, sweeps over many jobs, dead letters."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from datetime import datetime
from typing import IO, Any
from uuid import UUID

from jobwire._answers import Receipt
from jobwire._client import AsyncClient, BlockingVerbs, Client
from jobwire._dead_json import dump, load
from jobwire._errors import ClientError, InvalidJob
from jobwire._operations import (
    DeadJob,
    DeadPage,
    HeldContract,
    ImportReport,
    JobFilter,
    QueueView,
    SweepReport,
)
from jobwire._operator_session import OperatorSession, SweepOrder
from jobwire._spans import Span, milliseconds
from jobwire._verbs import Verbs, blocking
from jobwire._wire_enums import ContractAction, QueueAction, Role, SweepAction
from jobwire._wire_operator import ContractReply, QueueReply, moment_ms

_PAGE = 100
_IMPORT_JOBS = 256
_IMPORT_BYTES = 8 << 20
_SWEEP_TIMEOUT: Span = "1h"


def _ignore(report: SweepReport) -> None:
    pass


class OperatorVerbs(Verbs):
    """A client's verbs, and those of an operator.

    `by` says who, 1 to 128 bytes, and stays with what was changed; `why` has at most 1 KiB.
    """

    # ---------------------------------------------------------------- queues

    async def queue(self, name: str) -> QueueView:
        """One queue as it is. Raises UnknownQueue when no queue of that name was ever used or set."""
        (view,) = (await self._command(QueueAction.Look, queue=name)).queues
        return view

    async def queues(self) -> list[QueueView]:
        """All queues, by name."""
        found: list[QueueView] = []
        after = ""
        while True:
            reply = await self._command(QueueAction.Look, after=after)
            found += reply.queues
            after = reply.next
            if not after:
                return found

    async def pause(
        self, queue: str, *, by: str, why: str = "", until: datetime | None = None
    ) -> QueueView:
        """Nothing more is handed out of the queue: intake goes on, and what runs goes on. Returns when that holds.

        until: lifted by itself at this time; else by `resume`.
        """
        return await self._change(QueueAction.Pause, queue, by, why, until_ms=moment_ms(until))

    async def drain(
        self, queue: str, *, by: str, why: str = "", until: datetime | None = None
    ) -> QueueView:
        """Intake is refused with Paused; what is there runs to its end."""
        return await self._change(QueueAction.Drain, queue, by, why, until_ms=moment_ms(until))

    async def resume(self, queue: str, *, by: str, why: str = "") -> QueueView:
        """Lifts pause and drain."""
        return await self._change(QueueAction.Resume, queue, by, why)

    async def set_weight(self, queue: str, weight: int, *, by: str, why: str = "") -> QueueView:
        """The queue's share of workers against other queues, 1 to 1000."""
        return await self._change(QueueAction.SetWeight, queue, by, why, weight=weight)

    async def _change(self, action: int, queue: str, by: str, why: str, **fields: Any) -> QueueView:
        (view,) = (await self._command(action, queue=queue, by=by, why=why, **fields)).queues
        return view

    async def _command(self, action: int, **fields: Any) -> QueueReply:
        future: Future[QueueReply] = Future()
        deadline = time.monotonic() + self._submit_timeout
        self._order(_on(lambda session: session.command(future, deadline, action, **fields)))
        return await self._wait(future)

    # ---------------------------------------------------------------- contracts

    async def contracts(self) -> list[HeldContract]:
        """The contracts by which the broker checks payloads, by name."""
        found: list[HeldContract] = []
        after = ""
        while True:
            reply = await self._contract(ContractAction.List, after=after)
            found += reply.contracts
            after = reply.next
            if not after:
                return found

    async def put_contract(
        self, name: str, schema: bytes, *, by: str, why: str = ""
    ) -> HeldContract:
        """From the next submit on payloads of its job types are checked by this contract too, over restarts; it takes
        the place of one of the same name. schema: the .bfbs that `jobwire gen --bfbs` or flatc writes.

        Raises InvalidJob for what is no contract, NotPermitted when the broker has its contracts from a folder.
        """
        (held,) = (
            await self._contract(ContractAction.Put, name=name, schema=schema, by=by, why=why)
        ).contracts
        return held

    async def remove_contract(self, name: str, *, by: str, why: str = "") -> None:
        """Payloads are no longer checked by it. One that is not held is removed already."""
        await self._contract(ContractAction.Remove, name=name, by=by, why=why)

    async def _contract(self, action: int, **fields: Any) -> ContractReply:
        future: Future[ContractReply] = Future()
        deadline = time.monotonic() + self._submit_timeout
        self._order(_on(lambda session: session.contract(future, deadline, action, **fields)))
        return await self._wait(future)

    # ---------------------------------------------------------------- sweeps

    async def purge(
        self,
        queue: str,
        which: JobFilter | None = None,
        *,
        by: str,
        why: str = "",
        dry_run: bool = False,
        rate: int = 0,
        limit: int = 0,
        timeout: Span = _SWEEP_TIMEOUT,
        on_report: Callable[[SweepReport], None] = _ignore,
    ) -> SweepReport:
        """Cancels the jobs that wait in a queue, those created before now, or before `which.before`.

        dry_run: counts, and changes nothing. rate: jobs a second at most; limit: jobs at most; 0 is no bound.
        on_report: called about once a second by the client's thread. Goes on over a restart of the broker. Raises
        NoAnswer at the timeout; the sweep stops when the client closes.
        """
        chosen = which or JobFilter()
        asked = JobFilter(queue, chosen.type, None, "", chosen.before, chosen.ids)
        order = SweepOrder(
            SweepAction.Purge, asked, by, why, dry_run, rate, limit, "", Future(), on_report
        )
        return await self._sweep(order, timeout)

    async def replay(
        self,
        which: JobFilter | None = None,
        *,
        by: str,
        why: str = "",
        to_queue: str = "",
        dry_run: bool = False,
        rate: int = 0,
        limit: int = 0,
        timeout: Span = _SWEEP_TIMEOUT,
        on_report: Callable[[SweepReport], None] = _ignore,
    ) -> SweepReport:
        """Dead jobs run again under their ids, with all their budgets: where they were submitted, or in `to_queue`.
        What dies again meanwhile is not replayed twice. The rest is as in `purge`."""
        order = SweepOrder(
            SweepAction.Replay,
            which or JobFilter(),
            by,
            why,
            dry_run,
            rate,
            limit,
            to_queue,
            Future(),
            on_report,
        )
        return await self._sweep(order, timeout)

    async def drop(
        self,
        which: JobFilter,
        *,
        by: str,
        why: str = "",
        dry_run: bool = False,
        rate: int = 0,
        limit: int = 0,
        timeout: Span = _SWEEP_TIMEOUT,
        on_report: Callable[[SweepReport], None] = _ignore,
    ) -> SweepReport:
        """Dead jobs are forgotten. The rest is as in `purge`."""
        order = SweepOrder(
            SweepAction.Drop, which, by, why, dry_run, rate, limit, "", Future(), on_report
        )
        return await self._sweep(order, timeout)

    async def _sweep(self, order: SweepOrder, timeout: Span) -> SweepReport:
        deadline = time.monotonic() + milliseconds(timeout) / 1000
        self._order(_on(lambda session: session.sweep(order, deadline)))
        return await self._wait(order.future)

    # ---------------------------------------------------------------- dead letters

    async def dead_page(
        self,
        which: JobFilter | None = None,
        *,
        after: str = "",
        limit: int = _PAGE,
        full: bool = False,
    ) -> DeadPage:
        """Some dead jobs, oldest first within a queue. full: with payload, options and attempts."""
        future: Future[DeadPage] = Future()
        deadline = time.monotonic() + self._submit_timeout
        asked = which or JobFilter()
        self._order(
            _on(lambda session: session.dead_page(asked, after, limit, full, future, deadline))
        )
        return await self._wait(future)

    async def dead(
        self, which: JobFilter | None = None, *, most: int = 1000, full: bool = False
    ) -> list[DeadJob]:
        """Dead jobs, at most `most` of them."""
        found: list[DeadJob] = []
        after = ""
        while len(found) < most:
            limit = min(_PAGE, most - len(found))
            page = await self.dead_page(which, after=after, limit=limit, full=full)
            found += page.jobs
            after = page.next
            if not after:
                break
        return found

    async def export_dead(self, file: IO[str], which: JobFilter | None = None) -> int:
        """Writes dead jobs with all that belongs to them, one a line (PROTOCOL.md, "Dead jobs as
        NDJSON"); returns how many."""
        count = 0
        after = ""
        while True:
            page = await self.dead_page(which, after=after, full=True)
            for dead in page.jobs:
                file.write(dump(dead) + "\n")
            count += len(page.jobs)
            after = page.next
            if not after:
                return count

    async def import_dead(
        self, file: Iterable[str], *, by: str, timeout: Span = "1m"
    ) -> ImportReport:
        """Makes dead jobs of an export; jobs that are known stay as they are, so that it may be run again.

        Raises ValueError for a line that is no dead job, before that and whatever follows is sent. timeout: of one
        message of at most 256 jobs.
        """
        imported = known = 0
        refused: dict[UUID, Exception] = {}
        batch: list[DeadJob] = []
        size = 0

        async def send() -> None:
            nonlocal imported, known
            for dead, answer in await self._import(batch, by, timeout):
                if isinstance(answer, Receipt):
                    imported += not answer.duplicate
                    known += answer.duplicate
                else:
                    refused[dead.id] = answer
            batch.clear()

        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                dead = load(line)
            except (ValueError, InvalidJob) as problem:
                raise ValueError(f"line {number}: {problem}") from problem
            more = len(dead.job.payload) + sum(len(one.error) for one in dead.attempt_list)
            if batch and (len(batch) >= _IMPORT_JOBS or size + more > _IMPORT_BYTES):
                await send()
                size = 0
            batch.append(dead)
            size += more
        if batch:
            await send()
        return ImportReport(imported, known, refused)

    async def _import(
        self, jobs: list[DeadJob], by: str, timeout: Span
    ) -> list[tuple[DeadJob, Receipt | ClientError]]:
        sent = list(jobs)
        futures: list[Future[Receipt]] = [Future() for _ in sent]
        deadline = time.monotonic() + milliseconds(timeout) / 1000
        self._order(_on(lambda session: session.import_dead(sent, by, futures, deadline)))
        answers: list[tuple[DeadJob, Receipt | ClientError]] = []
        for dead, future in zip(sent, futures, strict=True):
            try:
                receipt = await self._wait(future)
                answers.append((dead, receipt))
            except ClientError as error:
                answers.append((dead, error))
        return answers


def _on(order: Callable[[OperatorSession], None]) -> Callable[[Any, float], None]:
    return lambda session, now: order(session)


class _BlockingOperatorVerbs(OperatorVerbs, BlockingVerbs):
    pass


class AsyncOperator(OperatorVerbs, AsyncClient):
    """An operator's connection to a broker, for asyncio. See Operator."""

    _role = Role.Operator
    _session_type = OperatorSession


class Operator(Client):
    """An operator's connection to a broker: all that a Client can do, and what concerns queues and many jobs.

    with Operator("tcp://127.0.0.1:7700") as operator:
        operator.pause("images", by="ann", why="the disk is full")
        operator.replay(JobFilter(error="ConnectionError"), by="ann", rate=50)
    """

    _role = Role.Operator
    _session_type = OperatorSession
    _verbs_type = _BlockingOperatorVerbs

    @property
    def verbs(self) -> OperatorVerbs:
        assert isinstance(self._verbs, OperatorVerbs)
        return self._verbs

    queue = blocking(OperatorVerbs.queue)
    queues = blocking(OperatorVerbs.queues)
    pause = blocking(OperatorVerbs.pause)
    drain = blocking(OperatorVerbs.drain)
    resume = blocking(OperatorVerbs.resume)
    set_weight = blocking(OperatorVerbs.set_weight)
    contracts = blocking(OperatorVerbs.contracts)
    put_contract = blocking(OperatorVerbs.put_contract)
    remove_contract = blocking(OperatorVerbs.remove_contract)
    purge = blocking(OperatorVerbs.purge)
    replay = blocking(OperatorVerbs.replay)
    drop = blocking(OperatorVerbs.drop)
    dead_page = blocking(OperatorVerbs.dead_page)
    dead = blocking(OperatorVerbs.dead)
    export_dead = blocking(OperatorVerbs.export_dead)
    import_dead = blocking(OperatorVerbs.import_dead)
