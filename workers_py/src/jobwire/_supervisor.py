# SPDX-License-Identifier: Apache-2.0
"""Keeps a host's workers going: starts them, watches what they run, ends what must end, reports who died.

Called by one thread, which passes the time in; waits for nothing.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeGuard

from jobwire._boot import EXIT_REFUSED, EXIT_SETUP, Boot
from jobwire._child import Child, Death, Ending
from jobwire._heads import Lease
from jobwire._restarts import Restarts
from jobwire._slots import Command, Run, SlotTable, WorkerState
from jobwire._wire import Cancel, WorkerEnd, encode_worker_down

# How often the slots are looked at: a job whose whole timeout is shorter than this is stopped that much late.
LOOK_S = 0.05
_SLOW_RESTART_S = 0.5
_CANCELS_KEPT = 1024
_CANCEL_KEPT_S = 60.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What `jobwire worker` was asked to do. Times are seconds."""

    target: str
    broker: str
    queues: tuple[str, ...]
    workers: int
    credit: int
    grace_s: float
    term_grace_s: float
    log_format: str


@dataclass(frozen=True, slots=True)
class Outside:
    """What a supervisor asks of its agent."""

    watch: Callable[[int], None]
    unwatch: Callable[[int], None]
    report: Callable[[bytes], None]
    print_line: Callable[[int, str], None]


class Supervisor:
    """Owns the shared slots and the children."""

    def __init__(
        self,
        settings: Settings,
        host: bytes,
        host_name: str,
        outside: Outside,
        log: logging.Logger,
    ) -> None:
        self._settings = settings
        self._host = host
        self._host_name = host_name
        self._outside = outside
        self._log = log
        self._slots = SlotTable(settings.workers)
        self._children: dict[int, Child] = {}
        self._restarts = [Restarts() for _ in range(settings.workers)]
        self._start_at: dict[int, float] = dict.fromkeys(range(settings.workers), 0.0)
        self._last_worker = 0
        # Token to (when SIGTERM is due, when the order is forgotten), oldest first.
        self._cancels: dict[bytes, tuple[float, float]] = {}
        self._any_ready = False
        self._stop_by: float | None = None
        # The set of workers has changed since someone last set this to False.
        self.changed = False
        # Why no worker of this program can run at all.
        self.hopeless = ""

    @property
    def empty(self) -> bool:
        """No worker is left."""
        return not self._children

    def workers(self) -> list[int]:
        return [child.worker for child in self._children.values()]

    def running(self) -> list[Lease]:
        """What the workers run now."""
        runs = ((child.worker, child.run()) for child in self._children.values())
        return [_lease(worker, run) for worker, run in runs if _is_running(run)]

    def next_deadline(self, now: float) -> float:
        """When `step` must be called again, at the latest."""
        at = now + 1.0
        if self._stop_by is None:
            at = min([at, *self._start_at.values()])
        for child in self._children.values():
            at = min(at, now + LOOK_S)
            run = child.run()
            if child.ending is not None:
                at = min(at, child.ending.next_at())
            elif _is_running(run):
                at = min(at, run.deadline_s)
        return at

    def step(self, ready: set[int], now: float) -> None:
        """Sees to every worker; `ready` are the watched descriptors that are readable."""
        for slot, child in list(self._children.items()):
            if child.pidfd in ready:
                self._bury(slot, child, now)
                continue
            if child.log_fd in ready and not child.read_log(self._printer(child)):
                # It has closed its descriptors, and lives on.
                self._outside.unwatch(child.log_fd)
                child.log_open = False
            self._watch(child, now)
        if self._stop_by is None and not self.hopeless:
            for slot, at in list(self._start_at.items()):
                if now >= at:
                    self._start(slot, now)

    def cancel(self, order: Cancel, now: float) -> None:
        """The broker wants one run to end: by flag now, by SIGTERM after its grace, then by SIGKILL."""
        # Kept: the job may be about to start, too late for the worker to give it back.
        self._cancels[order.token] = (now + order.grace_ms / 1000, now + _CANCEL_KEPT_S)
        while len(self._cancels) > _CANCELS_KEPT or next(iter(self._cancels.values()))[1] < now:
            del self._cancels[next(iter(self._cancels))]

    def greet_again(self) -> None:
        """Has all workers say Hello anew: the broker forgot the host, and idle workers would not notice."""
        for child in self._children.values():
            child.greet_again()

    def drain(self, now: float) -> None:
        """Asks all workers to end what runs, hand back the rest and leave, within the grace."""
        self._stop_by = now + self._settings.grace_s
        for child in self._children.values():
            child.drain()

    def kill(self) -> None:
        """Ends all workers now."""
        for child in self._children.values():
            child.kill(WorkerEnd.Stopped)

    def close(self) -> None:
        """Kills whatever is left and gives everything up."""
        self.kill()
        for child in self._children.values():
            child.bury(self._printer(child))
            child.close()
        self._children.clear()
        self._slots.close()

    # ---------------------------------------------------------------- details

    def _start(self, slot: int, now: float) -> None:
        del self._start_at[slot]
        self._last_worker += 1
        settings = self._settings
        boot = Boot(
            target=settings.target,
            broker=settings.broker,
            host=self._host.hex(),
            host_name=self._host_name,
            worker=self._last_worker,
            slot=slot,
            slots_fd=self._slots.fd,
            agent_pid=os.getpid(),
            queues=settings.queues,
            credit=settings.credit,
            log_format=settings.log_format,
        )
        try:
            child = Child(boot, self._slots, now)
        except OSError as problem:
            delay = self._restarts[slot].delay(ready=False, lived_s=0.0, wanted=False)
            self._log.error("cannot start a worker: %s; trying again in %.1f s", problem, delay)
            self._start_at[slot] = now + delay
            return
        self._children[slot] = child
        self._outside.watch(child.pidfd)
        self._outside.watch(child.log_fd)
        self.changed = True

    def _watch(self, child: Child, now: float) -> None:
        run = child.run()
        if run is not None:
            self._see_ready(child, run)
        stopping = self._stop_by is not None and now >= self._stop_by
        if _is_running(run):
            if now >= run.deadline_s and child.ending_of(run.token) != Command.TIMEOUT:
                self._log.warning(
                    "worker %d: job %s has run for its %g s, ending it",
                    child.worker,
                    run.job.hex(),
                    run.timeout_ms / 1000,
                )
                self._order(child, run.token, WorkerEnd.TimedOut, Command.TIMEOUT, now)
            elif stopping and child.ending is None:
                self._order(child, run.token, WorkerEnd.Stopped, Command.STOP, now)
            elif run.token in self._cancels:
                term_at, _ = self._cancels.pop(run.token)
                self._order(child, run.token, WorkerEnd.Cancelled, Command.CANCEL, term_at)
        elif stopping and child.ending is None:
            child.kill(WorkerEnd.Stopped)
        child.enforce(now)

    def _order(
        self, child: Child, token: bytes, end: int, command: Command, term_at: float
    ) -> None:
        kill_at = term_at + self._settings.term_grace_s
        child.order(Ending(token, end, command, term_at, kill_at))

    def _see_ready(self, child: Child, run: Run) -> None:
        if not child.was_ready and run.state in (WorkerState.IDLE, WorkerState.RUNNING):
            child.was_ready = self._any_ready = True
            self._log.info("worker %d is ready (pid %d)", child.worker, child.pid)

    def _bury(self, slot: int, child: Child, now: float) -> None:
        self._outside.unwatch(child.pidfd)
        if child.log_open:
            self._outside.unwatch(child.log_fd)
        last = child.run()
        if last is not None:
            self._see_ready(child, last)
        death = child.bury(self._printer(child))
        del self._children[slot]
        self.changed = True
        end = _end_of(child, death)
        self._outside.report(
            encode_worker_down(
                worker=child.worker,
                end=end,
                pid=child.pid,
                signal=death.signal,
                exit_code=death.exit_code,
                running=[_lease(child.worker, death.run)] if _is_running(death.run) else [],
                rss_bytes=death.rss_bytes,
                log_tail=child.log_tail(),
            )
        )
        child.close()
        if self._stop_by is None:
            self._replace(slot, child, death, end, now)

    def _replace(self, slot: int, child: Child, death: Death, end: int, now: float) -> None:
        story = child.problem or _story(death, end)
        # The first workers tell whether the program can run at all.
        if not self._any_ready:
            if death.exit_code in (EXIT_SETUP, EXIT_REFUSED) and child.problem:
                self.hopeless = story
                return
            if death.exit_code and death.state in (WorkerState.EMPTY, WorkerState.LOADING):
                self.hopeless = f"{self._settings.target} cannot be imported"
                return
        level = logging.ERROR if end == WorkerEnd.Crashed else logging.INFO
        self._log.log(level, "worker %d (pid %d) ended: %s", child.worker, child.pid, story)
        delay = self._restarts[slot].delay(
            ready=child.was_ready and death.exit_code != EXIT_REFUSED,
            lived_s=now - child.started_at,
            wanted=end != WorkerEnd.Crashed,
        )
        if delay >= _SLOW_RESTART_S:
            self._log.warning("its place is filled again in %.1f s", delay)
        self._start_at[slot] = now + delay

    def _printer(self, child: Child) -> Callable[[str], None]:
        return lambda line: self._outside.print_line(child.worker, line)


def _is_running(run: Run | None) -> TypeGuard[Run]:
    return run is not None and run.state == WorkerState.RUNNING


def _lease(worker: int, run: Run) -> Lease:
    return Lease(run.token, run.job, worker, run.started_ms, run.attempt, False)


def _end_of(child: Child, death: Death) -> int:
    ending = child.ending
    if ending is not None and ending.termed and _is_running(death.run):
        return ending.end
    if child.stopped_as is not None:
        return child.stopped_as
    if not (death.signal or death.exit_code or _is_running(death.run)):
        # Someone sent SIGTERM to it alone: it drained and left.
        return WorkerEnd.Stopped
    return WorkerEnd.Crashed


def _story(death: Death, end: int) -> str:
    if death.signal:
        how = f"signal {death.signal} ({signal.strsignal(death.signal)})"
    else:
        how = f"exit code {death.exit_code}"
    if end == WorkerEnd.TimedOut:
        how = f"its job's time was up, {how}"
    elif end == WorkerEnd.Cancelled:
        how = f"its job was cancelled, {how}"
    if _is_running(death.run):
        how += f", while running job {death.run.job.hex()}"
    return how
