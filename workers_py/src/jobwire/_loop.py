# SPDX-License-Identifier: Apache-2.0
"""The loop of a worker that runs its jobs one by one: jobs in, the handler in the main thread, results out.

The order of things for one job: the shared slot says that it runs, the lock is given up, the handler runs, the lock
is taken, the result is noted. A result leaves when the jobs at hand are done, or a millisecond after it was made,
whichever comes first; while a long handler runs, the relay sends it.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import Any, NoReturn

from jobwire._boot import EXIT_BROKEN
from jobwire._contexts import Contexts
from jobwire._convert import encode_result
from jobwire._errors import Reject, ResultError
from jobwire._exchange import Exchange
from jobwire._handlers import Bound
from jobwire._heads import DispatchHead
from jobwire._outcomes import Interrupted, gave_up, raised
from jobwire._relay import LONG_NS, Relay
from jobwire._slots import Order, WorkerSlots
from jobwire._wire_enums import Outcome

_FLUSH_NS = 1_000_000
_FLUSH_BYTES = 1 << 20
# While a handler waits for its checkpoint.
_GLANCE_MS = 5
_SUCCEEDED = Outcome.Succeeded


def not_served(blob: bytes, at: int, size: int, encoding: int, head: DispatchHead) -> Any:
    """In place of a handler, for a type that the broker has no reason to send."""
    raise Reject(f"type {head[5]} was not offered by this worker")


class MainLoop:
    """Runs jobs until it is told to drain. Everything is called by the main thread, but `_relay_turn`."""

    def __init__(
        self,
        exchange: Exchange,
        slots: WorkerSlots,
        bound: list[Bound],
        contexts: Contexts,
        max_jobs: int,
        log: logging.Logger,
    ) -> None:
        self._exchange = exchange
        self._session = exchange.session
        self._slots = slots
        (self._slot,) = slots
        self._contexts = contexts
        contexts.save = self._save
        self._served = [(one.call, one.timeout_ms) for one in bound]
        # How many jobs may still begin; below 0 it never comes to an end.
        self._left = max_jobs or -1
        self._log = log
        self._lock = threading.Lock()
        self._relay = Relay(
            self._lock, lambda: self._running_since, self._relay_turn, self._is_awaited
        )
        # Types whose last run was long, or that have not run yet.
        self._slow = set(range(len(bound)))
        self._running_since = 0
        self._in_handler = False
        # The slot names the job that ran last.
        self._unsettled = False

    @property
    def used_up(self) -> bool:
        """It has run its number of jobs."""
        return self._left == 0

    def terminate(self) -> None:
        """SIGTERM came: drains, or, when the agent wants the running job ended, raises Interrupted in it."""
        order, token = self._slot.order()
        if order is not Order.NONE:
            if self._in_handler and token in self._session.running:
                raise Interrupted
            # The job that was meant has ended in the meantime.
            if not self._slots.draining:
                return
        self._exchange.draining = True

    def run(self) -> bool:
        """Runs until drained (True) or until a run is interrupted (False). Raises RefusedError, EOFError."""
        session, exchange = self._session, self._exchange
        self._relay.start()
        self._lock.acquire()
        try:
            while True:
                if session.batches and not session.stalled and not exchange.draining:
                    self._run_jobs()
                    session.flush()
                    if not self._left:
                        exchange.draining = True
                more = bool(session.batches) and not session.stalled and not exchange.draining
                if exchange.turn(more):
                    return True
                if self._unsettled and session.settled:
                    self._unsettled = False
                    self._slot.idle()
        except Interrupted:
            self._in_handler = False
            self._running_since = 0
            # Where the interrupt struck decides who holds the lock; a relay turn is short.
            self._lock.acquire(timeout=0.05)
            session.flush()
            exchange.send()
            return False

    def _run_jobs(self) -> None:
        """Runs jobs from the front of the queue until none is left or a flush is due."""
        session, slot, served, relay = self._session, self._slot, self._served, self._relay
        acquire, release = self._lock.acquire, self._lock.release
        clock = time.monotonic_ns
        contexts, batches, slow = self._contexts, session.batches, self._slow
        running, seen = session.running, contexts.seen
        is_open, descriptor = os.get_blocking, self._exchange.wake_fd
        begin = clock()
        wall = time.time_ns() - begin
        flush_at = 0
        try:
            while batches:
                batch = batches[0]
                heads, blob = batch.heads, batch.blob
                index, count = batch.next, len(heads)
                contexts.extras = batch.extras
                while index < count:
                    head = heads[index]
                    index += 1
                    batch.next = index
                    if head is None:
                        continue
                    token, job, at, size, timeout_ms, kind, attempt, encoding, _, _ = head
                    try:
                        call, cap = served[kind]
                    except IndexError:
                        call, cap = not_served, 0
                    if cap and cap < timeout_ms:
                        timeout_ms = cap
                    started_ms = (begin + wall) // 1_000_000
                    running[token] = head, started_ms
                    slot.run(token, job, begin, wall, timeout_ms, attempt)
                    self._running_since = begin
                    if session.unsent_jobs and kind in slow:
                        # It may hold the GIL, and then the relay could not send what came before it.
                        session.flush()
                        self._exchange.send()
                    # Asked after the line above, as the relay looks there after it has lain down.
                    if relay.asleep:
                        relay.wake()
                    retry_ms = 0
                    self._in_handler = True
                    release()
                    try:
                        value = call(blob, at, size, encoding, head)
                        self._in_handler = False
                        code, result = encode_result(value)
                        outcome = _SUCCEEDED
                        if len(result) > session.limits.max_payload_bytes:
                            raise ResultError.too_large(
                                len(result), session.limits.max_payload_bytes
                            )
                    except Interrupted:
                        raise
                    except BaseException as error:  # the user's handler may raise anything
                        self._in_handler = False
                        outcome, code, result, retry_ms = self._failed(error)
                    end = clock()
                    try:
                        # A handler that has closed what is not its own is found out before another one runs.
                        is_open(descriptor)
                    except OSError:
                        self._broken(job)
                    acquire()
                    self._running_since = 0
                    del running[token]
                    if seen:
                        order = seen.pop(token, Order.NONE)
                        if order is not Order.NONE:
                            outcome, code, result, retry_ms = gave_up(order, outcome, code, result)
                    session.finish(
                        head,
                        started_ms,
                        (end - begin) // 1000,
                        outcome,
                        code,
                        result,
                        retry_ms,
                    )
                    if (end - begin > LONG_NS) is not (kind in slow):
                        slow ^= {kind}
                    self._left -= 1
                    begin = end
                    if not flush_at:
                        flush_at = end + _FLUSH_NS
                    if not self._left or end >= flush_at or session.unsent_bytes >= _FLUSH_BYTES:
                        return
                    if session.unsent_jobs >= session.limits.max_jobs_per_message:
                        return
                batches.popleft()
        finally:
            if self._running_since == 0:
                slot.ended()
                self._unsettled = True

    def _failed(self, error: BaseException) -> tuple[int, int, bytes, int]:
        self._slots.count_failure()
        return raised(error, self._session.limits)

    def _broken(self, job: bytes) -> NoReturn:
        """Ends the process while the slot still names the job."""
        self._log.error("job %s has closed file descriptors that are its worker's", job.hex())
        os._exit(EXIT_BROKEN)

    def _save(self, token: bytes, encoding: int, data: bytes, wait_s: float | None) -> None:
        """By a handler. The relay sends it: an order to end that strikes here must not strike the session."""
        saves = self._session.saves
        number = saves.save(token, encoding, data, self._session.limits.max_checkpoint_bytes)
        if wait_s is not None:
            self._relay.hurry()
            saves.wait(token, number, wait_s)

    def _is_awaited(self) -> bool:
        return self._session.saves.waiting > 0

    def _relay_turn(self) -> None:
        """By the relay's thread, with the lock, while the main thread is in a handler."""
        try:
            self._exchange.glance(_GLANCE_MS if self._is_awaited() else 0)
        except Exception:  # the main thread comes across it again
            self._log.exception("while a job was running")
