# SPDX-License-Identifier: Apache-2.0
"""A worker's main loop: jobs in, the handler in this thread, results out.

The order of things for one job: the shared slot says that it runs, the lock is given up, the handler runs, the lock
is taken, the result is noted. A result leaves when the jobs at hand are done, or a millisecond after it was made,
whichever comes first; while a long handler runs, the relay sends it.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from jobwire._contexts import Contexts
from jobwire._convert import encode_result
from jobwire._errors import Reject, ResultError, Retry
from jobwire._failure import describe
from jobwire._handlers import Bound
from jobwire._heads import DispatchHead
from jobwire._relay import LONG_NS, Relay
from jobwire._slots import ENDING, Command, WorkerSlot, WorkerState
from jobwire._transport import Connection, Link, Woken
from jobwire._wire import Encoding, Outcome
from jobwire._worker_session import WorkerSession

_FLUSH_NS = 1_000_000
_FLUSH_BYTES = 1 << 20
_SUCCEEDED = Outcome.Succeeded
# What became of a job whose handler saw an order to end, and ended.
_GAVE_UP = {
    Command.CANCEL: Outcome.Cancelled,
    Command.TIMEOUT: Outcome.TimedOut,
    Command.STOP: Outcome.HandedBack,
}


def _not_served(blob: bytes, at: int, size: int, encoding: int, head: DispatchHead) -> Any:
    raise Reject(f"type {head[5]} was not offered by this worker")


class Interrupted(BaseException):
    """Raised inside a handler by SIGTERM when the agent ends its run. The process ends after it."""


class WorkerLoop:
    """Runs jobs until it is told to drain. Everything is called by the main thread, but `_relay_turn`."""

    def __init__(
        self,
        *,
        connection: Connection,
        session: WorkerSession,
        slot: WorkerSlot,
        bound: list[Bound],
        contexts: Contexts,
        log: logging.Logger,
    ) -> None:
        self._connection = connection
        self._session = session
        self._slot = slot
        self._contexts = contexts
        self._served = [(one.call, one.timeout_ms) for one in bound]
        self._log = log
        self._lock = threading.Lock()
        self._relay = Relay(self._lock, lambda: self._running_since, self._relay_turn)
        # Types whose last run was long, or that have not run yet.
        self._slow = set(range(len(bound)))
        self._running_since = 0
        self._in_handler = False
        self._draining = False

    # ---------------------------------------------------------------- from signals

    def terminate(self) -> None:
        """SIGTERM came: drains, or, when the agent wants the running job ended, raises Interrupted in it."""
        command, token = self._slot.command()
        if command in ENDING:
            running = self._session.running
            if self._in_handler and running is not None and running[0] == token:
                raise Interrupted
            # The job that was meant has ended in the meantime.
            return
        self._draining = True

    # ---------------------------------------------------------------- the loop

    def run(self, wake_fd: int, drain_wake_fd: Callable[[], None], agent_fd: int) -> bool:
        """Runs until drained (True) or until a run is interrupted (False). Raises RefusedError."""
        self._connection.watch(wake_fd)
        self._connection.watch(agent_fd)
        self._relay.start()
        self._lock.acquire()
        try:
            while True:
                session = self._session
                busy = bool(session.batches) and not session.stalled
                if busy:
                    self._run_jobs()
                    session.flush()
                more = bool(session.batches) and not session.stalled
                woken = self._exchange(0 if more else None)
                if wake_fd in woken.descriptors:
                    drain_wake_fd()
                if agent_fd in woken.descriptors:
                    if not os.read(agent_fd, 64):
                        raise EOFError("the agent is gone")
                    # The broker has forgotten this host, and an idle worker would never learn it.
                    session.connected(time.monotonic())
                if self._draining and self._drained():
                    return True
        except Interrupted:
            self._in_handler = False
            session = self._session
            self._running_since = 0
            # Where the interrupt struck decides who holds the lock; a relay turn is short.
            self._lock.acquire(timeout=0.05)
            session.flush()
            self._send()
            return False

    def _run_jobs(self) -> None:
        """Runs jobs from the front of the queue until none is left or a flush is due."""
        session, slot, served, relay = self._session, self._slot, self._served, self._relay
        acquire, release = self._lock.acquire, self._lock.release
        clock = time.monotonic_ns
        contexts, batches, slow = self._contexts, session.batches, self._slow
        begin = clock()
        wall = time.time_ns() - begin
        flush_at = 0
        try:
            while batches:
                batch = batches[0]
                heads, blob = batch.heads, batch.blob
                index, count = batch.next, len(heads)
                contexts.headers = batch.headers
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
                        call, cap = _not_served, 0
                    if cap and cap < timeout_ms:
                        timeout_ms = cap
                    started_ms = (begin + wall) // 1_000_000
                    session.running = head
                    session.running_since_ms = started_ms
                    slot.run(token, job, begin, wall, timeout_ms, attempt)
                    self._running_since = begin
                    if session.unsent_jobs and kind in slow:
                        # It may hold the GIL, and then the relay could not send what came before it.
                        session.flush()
                        self._send()
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
                    except Interrupted:
                        raise
                    except BaseException as error:  # the user's handler may raise anything
                        self._in_handler = False
                        outcome, result, retry_ms = self._failed(error)
                        code = Encoding.FlatBuffer
                    end = clock()
                    acquire()
                    self._running_since = 0
                    session.running = None
                    if contexts.cancel_seen == token:
                        if outcome == _SUCCEEDED:
                            # Nobody wants it, and what goes with a failure must be a JobError.
                            code, result = Encoding.Unspecified, b""
                        outcome = _GAVE_UP[contexts.cancel_order]
                    if len(result) > session.limits.max_payload_bytes:
                        outcome, code, result = self._too_large(len(result))
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
                    begin = end
                    if not flush_at:
                        flush_at = end + _FLUSH_NS
                    if end >= flush_at or session.unsent_bytes >= _FLUSH_BYTES:
                        return
                    if session.unsent_jobs >= session.limits.max_jobs_per_message:
                        return
                batches.popleft()
        finally:
            if self._running_since == 0:
                slot.state(WorkerState.IDLE)

    def _failed(self, error: BaseException) -> tuple[int, bytes, int]:
        """Outcome, JobError buffer and retry delay of what a handler raised."""
        outcome, retry_ms = Outcome.Raised, 0
        if isinstance(error, Retry):
            outcome, retry_ms = Outcome.RetryAsked, error.delay_ms
        elif isinstance(error, Reject):
            outcome = Outcome.Rejected
        limit = self._session.limits.max_error_bytes
        buffer = describe(error, limit=limit, retryable=outcome != Outcome.Rejected)
        return outcome, buffer, retry_ms

    def _too_large(self, size: int) -> tuple[int, int, bytes]:
        limit = self._session.limits
        error = ResultError(f"the result has {size} bytes, the limit is {limit.max_payload_bytes}")
        buffer = describe(error, limit=limit.max_error_bytes, retryable=True)
        return Outcome.Raised, Encoding.FlatBuffer, buffer

    # ---------------------------------------------------------------- the connection

    def _exchange(self, timeout_ms: int | None) -> Woken:
        """Sends what waits, waits for something to come, and takes it."""
        session = self._session
        if session.outbox:
            self._send()
        next_tick = session.next_tick()
        if next_tick is not None and timeout_ms is None:
            timeout_ms = max(0, round((next_tick - time.monotonic()) * 1000)) + 1
        woken = self._connection.wait(timeout_ms, bool(session.outbox))
        self._take(woken.link, woken.message)
        return woken

    def _take(self, link: bool, message: bool) -> None:
        session = self._session
        now = time.monotonic()
        if link:
            for change in self._connection.link_changes():
                if change is Link.UP:
                    session.connected(now)
                else:
                    session.disconnected()
        if message:
            # One batch at a time: credit bounds what can lie here, and results must not wait for reading.
            frames = self._connection.receive()
            if frames is not None:
                session.receive(frames, now)
        session.tick(now)
        if session.outbox:
            self._send()
        if session.fatal is not None:
            raise session.fatal

    def _send(self) -> None:
        outbox = self._session.outbox
        while outbox and self._connection.send(outbox[0]):
            outbox.popleft()

    def _drained(self) -> bool:
        session = self._session
        if session.taking:
            session.stop_taking()
        if not session.settled or session.outbox:
            session.flush()
            self._send()
            return False
        session.goodbye("drained")
        self._send()
        return True

    def _relay_turn(self) -> None:
        """By the relay's thread, with the lock, while the main thread is in a handler."""
        session = self._session
        if session.fatal is not None:
            return
        if self._slot.command()[0] is Command.DRAIN:
            self._draining = True
        if self._draining and session.taking:
            session.stop_taking()
        session.flush()
        for _ in range(64):
            woken = self._connection.wait(0, False)
            if not woken.message and not woken.link:
                break
            try:
                self._take(woken.link, woken.message)
            except Exception:  # the main thread comes across it again
                self._log.exception("while a job was running")
                break
        self._send()
