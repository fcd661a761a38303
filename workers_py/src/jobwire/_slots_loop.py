# SPDX-License-Identifier: Apache-2.0
"""The loop of a worker that runs several jobs at the same time, in threads or on an event loop.

The main thread talks to the broker, starts attempts where a slot is free, and collects those that have ended; the
handlers run beside it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence

from jobwire._attempt import Attempt, Executor
from jobwire._contexts import Contexts
from jobwire._exchange import Exchange
from jobwire._handlers import Bound
from jobwire._heads import DispatchHead
from jobwire._loop import not_served
from jobwire._outcomes import gave_up
from jobwire._slots import Order, WorkerSlots
from jobwire._wake import Wake
from jobwire._wire_enums import Outcome
from jobwire._worker_session import Batch


class SlotsLoop:
    """Everything is called by the main thread, but `ended`."""

    def __init__(
        self,
        exchange: Exchange,
        slots: WorkerSlots,
        bound: Sequence[Bound],
        contexts: Contexts,
        max_jobs: int,
        wake: Wake,
    ) -> None:
        self._exchange = exchange
        self._session = exchange.session
        self._slots = slots
        self._contexts = contexts
        contexts.save = self._save
        self._wake = wake
        self._left = max_jobs or -1
        self._free = list(reversed(list(slots)))
        self._served = [(one.call, one.timeout_ms) for one in bound]
        # How many of each type may run at the same time, and how many do.
        self._most = [one.options.concurrency or len(self._free) for one in bound]
        self._active = [0] * len(bound)
        self._running: dict[bytes, Attempt] = {}
        self._done: deque[Attempt] = deque()
        self._terminated = False
        # Free slots name the jobs that ran there last.
        self._unsettled = False

    @property
    def used_up(self) -> bool:
        """It has run its number of jobs."""
        return self._left == 0

    def ended(self, attempt: Attempt) -> None:
        """An attempt has ended; for the executor, from any thread."""
        self._done.append(attempt)
        self._wake.set()

    def _save(self, token: bytes, encoding: int, data: bytes, wait_s: float | None) -> None:
        """By a handler, from its thread."""
        saves = self._session.saves
        number = saves.save(token, encoding, data, self._session.limits.max_checkpoint_bytes)
        self._wake.set()
        if wait_s is not None:
            saves.wait(token, number, wait_s)

    def terminate(self) -> None:
        """SIGTERM came: the loop will look for orders, and drain when there are none."""
        self._terminated = True

    def run(self, executor: Executor) -> bool:
        """Runs until drained. Raises RefusedError, EOFError."""
        session, exchange = self._session, self._exchange
        while True:
            if self._terminated:
                self._terminated = False
                self._see_orders(executor)
            self._collect()
            if session.batches and self._free and not session.stalled and not exchange.draining:
                started = self._start()
                if started:
                    executor.begin(started)
            if not self._left:
                exchange.draining = True
            session.flush()
            if exchange.turn(more=False):
                return True
            if self._unsettled and session.settled:
                self._unsettled = False
                for slot in self._free:
                    slot.idle()

    def _start(self) -> list[Attempt]:
        """Takes jobs for the slots that are free; those of a type that has reached its number are passed over."""
        started = []
        begin = time.monotonic_ns()
        wall = time.time_ns() - begin
        while self._free and self._left:
            found = self._next()
            if found is None:
                break
            batch, head = found
            token, job, _, _, timeout_ms, kind, attempt, *_ = head
            call, cap = self._served[kind] if kind < len(self._served) else (not_served, 0)
            if cap and cap < timeout_ms:
                timeout_ms = cap
            self._count(kind, 1)
            slot = self._free.pop()
            started_ms = (begin + wall) // 1_000_000
            one = Attempt(slot, head, batch.blob, call, begin, started_ms)
            self._running[token] = one
            self._session.running[token] = head, started_ms
            self._contexts.running[token] = slot, batch.extras
            slot.run(token, job, begin, wall, timeout_ms, attempt)
            self._left -= 1
            started.append(one)
        return started

    def _next(self) -> tuple[Batch, DispatchHead] | None:
        batches = self._session.batches
        found = None
        for batch in batches:
            heads = batch.heads
            for index in range(batch.next, len(heads)):
                head = heads[index]
                if head is None or not self._has_room(head[5]):
                    continue
                heads[index] = None
                # A lease runs once, however often it is handed over.
                if head[0] not in self._running:
                    found = batch, head
                    break
            while batch.next < len(heads) and heads[batch.next] is None:
                batch.next += 1
            if found is not None:
                break
        while batches and batches[0].next == len(batches[0].heads):
            batches.popleft()
        return found

    def _has_room(self, kind: int) -> bool:
        return kind >= len(self._most) or self._active[kind] < self._most[kind]

    def _count(self, kind: int, change: int) -> None:
        if kind < len(self._active):
            self._active[kind] += change

    def _collect(self) -> None:
        """Notes the results of the attempts that have ended."""
        while self._done:
            attempt = self._done.popleft()
            assert attempt.ended is not None
            token = attempt.token
            outcome, encoding, payload, retry_ms = attempt.ended
            if outcome != Outcome.Succeeded:
                self._slots.count_failure()
            order = self._contexts.seen.pop(token, Order.NONE)
            if order is Order.NONE and outcome != Outcome.Succeeded:
                order = attempt.order
            if order is not Order.NONE:
                outcome, encoding, payload, retry_ms = gave_up(order, outcome, encoding, payload)
            del self._running[token], self._session.running[token], self._contexts.running[token]
            self._count(attempt.head[5], -1)
            run_us = (attempt.end_ns - attempt.begin_ns) // 1000
            self._session.finish(
                attempt.head, attempt.started_ms, run_us, outcome, encoding, payload, retry_ms
            )
            attempt.slot.ended()
            self._unsettled = True
            self._free.append(attempt.slot)

    def _see_orders(self, executor: Executor) -> None:
        """SIGTERM came: ends what the agent wants ended; when it wants nothing, the worker itself is meant."""
        meant = False
        for slot in self._slots:
            order, token = slot.order()
            meant = meant or order is not Order.NONE
            attempt = self._running.get(token)
            if attempt is not None and order is not Order.NONE and attempt.order is Order.NONE:
                attempt.order = order
                executor.interrupt(attempt)
        if self._slots.draining or not meant:
            self._exchange.draining = True
