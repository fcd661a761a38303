# SPDX-License-Identifier: Apache-2.0
"""Keeps a host's workers going: starts them, watches what they run, ends what must end, reports who died.

Called by one thread, which passes the time in; waits for nothing.
"""

from __future__ import annotations

import logging
import math
import os
import random
from collections.abc import Callable
from dataclasses import dataclass

from jobwire._boot import EXIT_REFUSED, EXIT_SETUP, Boot
from jobwire._cancels import Cancels
from jobwire._child import Child, Death, Ending
from jobwire._heads import Lease
from jobwire._kinds import Kind, kinds_in
from jobwire._messages import Cancel
from jobwire._orphans import Orphans
from jobwire._restarts import Restarts
from jobwire._settings import Settings
from jobwire._slots import Order, Progress, Run, WorkerState
from jobwire._totals import Totals
from jobwire._verdict import judge, story
from jobwire._wire_enums import WorkerEnd
from jobwire._wire_worker import encode_worker_down

# How often the slots are looked at: a job whose whole timeout is shorter than this is stopped that much late.
LOOK_S = 0.05
_HOUSEKEEPING_S = 1.0
_SLOW_RESTART_S = 0.5
# Leases that one heartbeat may name.
_MAX_RUNNING = 4096
# A whole host must not load its models again in the same minute.
_AGE_SPREAD = 0.1


@dataclass(frozen=True, slots=True)
class Outside:
    """What a supervisor asks of its agent."""

    watch: Callable[[int], None]
    unwatch: Callable[[int], None]
    report: Callable[[bytes], None]
    tell: Callable[[list[Progress]], None]
    print_line: Callable[[int, str], None]


class _Place:
    """Where one worker after the other lives."""

    def __init__(self, kind: Kind, index: int) -> None:
        self.kind = kind
        self.index = index
        self.restarts = Restarts()
        self.child: Child | None = None
        self.start_at = 0.0
        self.oldest_s = random.uniform(1 - _AGE_SPREAD, 1)


class Supervisor:
    """Owns the children."""

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
        self._places = [_Place(Kind.ANY, index) for index in range(settings.workers)]
        self._kinds = 0
        self._last_worker = 0
        self._cancels = Cancels()
        # One worker at least has come through its setup.
        self.any_ready = False
        self._stop_by: float | None = None
        self._reloading = False
        self._housekeeping_at = 0.0
        self._orphans = Orphans()
        # Of workers that are gone.
        self._started = self._failed = self._crashes = 0
        self._quiet_since = 0.0
        self._quiet_sign: tuple[int, ...] = ()
        # The set of workers has changed since someone last set this to False.
        self.changed = False
        # Why no worker of this program can run at all.
        self.hopeless = ""
        # The last traceback of a program that did not come up.
        self._told_frames: list[str] = []

    @property
    def empty(self) -> bool:
        """No worker is left."""
        return not self._children()

    def workers(self) -> list[int]:
        return [child.worker for child in self._children()]

    def running(self) -> list[Lease]:
        """What the workers run now."""
        leases = [child.lease(run) for child in self._children() for run in child.runs()]
        return leases[:_MAX_RUNNING]

    def totals(self) -> Totals:
        children = self._children()
        return Totals(
            started=self._started + sum(child.memory.started for child in children),
            running=sum(len(child.runs()) for child in children),
            slots=sum(child.memory.slots for child in children),
            failed=self._failed + sum(child.memory.failed for child in children),
            crashes=self._crashes,
            workers=len(self._places),
            ready=sum(child.state is WorkerState.READY for child in children),
        )

    def next_deadline(self, now: float) -> float:
        """When `step` must be called again, at the latest."""
        at = now + 1.0
        if self._stop_by is None and not self.hopeless:
            at = min([at, *(place.start_at for place in self._places if place.child is None)])
        for child in self._children():
            at = min([at, now + LOOK_S, *(one.next_at() for one in child.endings.values())])
            for run in child.runs():
                if run.slot not in child.endings:
                    at = min(at, run.deadline_s)
        return at

    def step(self, ready: set[int], now: float) -> None:
        """Sees to every worker; `ready` are the watched descriptors that are readable."""
        news: list[Progress] = []
        for place in self._places:
            child = place.child
            if child is None:
                continue
            news += child.news()
            if child.pidfd in ready:
                self._bury(place, child, now)
                continue
            if child.log_fd in ready and not child.read_log(self._printer(child)):
                # It has closed its descriptors, and lives on.
                self._outside.unwatch(child.log_fd)
                child.log_open = False
            self._watch(child, now)
        if news:
            self._outside.tell(news)
        if now >= self._housekeeping_at:
            self._housekeeping_at = now + _HOUSEKEEPING_S
            self._sweep()
            self._recycle(now)
        self._fill(now)

    def cancel(self, order: Cancel, now: float) -> None:
        """The broker wants one run to end: by flag now, by SIGTERM after its grace, then by SIGKILL."""
        self._cancels.keep(order, now)

    def greet_again(self) -> None:
        """Has all workers say Hello anew: the broker forgot the host, and idle workers would not notice."""
        for child in self._children():
            child.greet_again()

    def quiet_for(self, now: float, connected: bool) -> float:
        """For how long every worker has been there, welcomed by the broker, and without a job; 0 when not so."""
        sign: tuple[int, ...] = ()
        children = self._children()
        if (
            connected
            and len(children) == len(self._places)
            and not any(child.runs() for child in children)
        ):
            greeted = [child.memory.greeted for child in children]
            if all(greeted):
                sign = (self.totals().started, *self.workers(), *greeted)
        if not sign or sign != self._quiet_sign:
            self._quiet_since = now
            self._quiet_sign = sign
        return now - self._quiet_since

    def reload(self, what: str) -> None:
        """Replaces all workers when their jobs have ended: the program has changed."""
        self._log.info("%s has changed: the workers start again", what)
        self._reloading = True
        self.hopeless = ""
        for child in self._children():
            child.recycled_for = "a change of the program"
            child.drain(WorkerEnd.Recycled)

    def drain(self, now: float) -> None:
        """Asks all workers to end what runs, hand back the rest and leave, within the grace."""
        self._stop_by = now + self._settings.grace_s
        for child in self._children():
            child.drain()

    def kill(self) -> None:
        """Ends all workers now."""
        for child in self._children():
            child.kill(WorkerEnd.Stopped)

    def close(self) -> None:
        """Kills whatever is left and gives everything up."""
        self.kill()
        for place in self._places:
            if place.child is not None:
                place.child.bury(self._printer(place.child))
                place.child.close()
                place.child = None
        self._sweep()

    # ---------------------------------------------------------------- starting

    def _children(self) -> list[Child]:
        return [place.child for place in self._places if place.child is not None]

    def _sweep(self) -> None:
        children = self._children()
        self._orphans.sweep([one.pid for one in children], [one.worker for one in children])

    def _fill(self, now: float) -> None:
        """Starts workers where they are due."""
        if self._stop_by is not None:
            return
        if self._reloading:
            if not self.empty:
                return
            # What the program needs now, its first worker will tell.
            self._reloading, self.any_ready, self._kinds = False, False, 0
            self._places = [_Place(Kind.ANY, index) for index in range(self._settings.workers)]
        if self.hopeless:
            return
        for place in self._places:
            if place.child is None and now >= place.start_at:
                self._start(place, now)

    def _start(self, place: _Place, now: float) -> None:
        self._last_worker += 1
        settings = self._settings
        boot = Boot(
            target=settings.target,
            broker=settings.broker,
            host=self._host.hex(),
            host_name=self._host_name,
            worker=self._last_worker,
            kind=place.kind,
            threads=settings.threads,
            memory_fd=-1,
            agent_pid=os.getpid(),
            queues=settings.queues,
            credit=settings.credit,
            max_jobs=settings.max_jobs,
            term_grace_s=settings.term_grace_s,
            log_format=settings.log_format,
        )
        environment = {**os.environ, **settings.environment(place.index)}
        environment.update(self._orphans.mark(boot.worker))
        try:
            place.child = Child(boot, environment, now)
        except OSError as problem:
            delay = place.restarts.delay(ready=False, lived_s=0.0, wanted=False)
            self._log.error("cannot start a worker: %s; trying again in %.1f s", problem, delay)
            place.start_at = now + delay
            return
        self._outside.watch(place.child.pidfd)
        self._outside.watch(place.child.log_fd)
        self.changed = True

    def _learn(self, child: Child) -> None:
        """Sees how far a worker is; the first one that has loaded the program tells what kinds it needs."""
        memory = child.memory
        if not self._kinds and memory.kinds:
            self._kinds = memory.kinds
            first, *others = kinds_in(self._kinds)
            for place in self._places:
                place.kind = first
            each = self._settings.workers
            self._places += [_Place(kind, index) for kind in others for index in range(each)]
        # One with few and short jobs may be on its way out before it is looked at again.
        if not child.was_ready and memory.state >= WorkerState.READY:
            child.was_ready = self.any_ready = True
            self._log.info("worker %d is ready (pid %d)", child.worker, child.pid)
            slots = sum(one.memory.slots for one in self._children())
            if slots > _MAX_RUNNING:
                self.hopeless = (
                    f"{slots} jobs at the same time are more than the {_MAX_RUNNING} of one host: "
                    "lower -c, or the concurrency of the jobs"
                )

    # ---------------------------------------------------------------- watching

    def _watch(self, child: Child, now: float) -> None:
        self._learn(child)
        stopping = self._stop_by is not None and now >= self._stop_by
        runs = child.runs()
        for run in runs:
            if now >= run.deadline_s and child.ordered(run) is not Order.TIMEOUT:
                self._log.warning(
                    "worker %d: job %s has run for its %g s, ending it",
                    child.worker,
                    run.job.hex(),
                    run.timeout_ms / 1000,
                )
                self._order(child, run, WorkerEnd.TimedOut, Order.TIMEOUT, now)
            elif stopping and run.slot not in child.endings:
                self._order(child, run, WorkerEnd.Stopped, Order.STOP, now)
            elif (term_at := self._cancels.take(run.token)) is not None:
                self._order(child, run, WorkerEnd.Cancelled, Order.CANCEL, term_at)
        if stopping and not runs and not child.endings:
            child.kill(WorkerEnd.Stopped)
        if child.state is WorkerState.LEAVING:
            self._see_out(child, now)
        child.enforce(now)

    def _see_out(self, child: Child, now: float) -> None:
        """A thread of the program, or what it takes down, may keep a process that has nothing left to do."""
        if child.leaving_since is None:
            child.leaving_since = now
        elif now - child.leaving_since > self._settings.grace_s:
            self._log.warning(
                "worker %d has left and does not end: killed after %g s",
                child.worker,
                self._settings.grace_s,
            )
            child.kill(WorkerEnd.Stopped)
            child.leaving_since = math.inf

    def _order(self, child: Child, run: Run, end: int, order: Order, term_at: float) -> None:
        child.order(Ending(run, end, order, term_at, term_at + self._settings.term_grace_s))

    def _recycle(self, now: float) -> None:
        """Has workers that are too old or too large end what they run and leave."""
        settings = self._settings
        for place in self._places:
            child = place.child
            if child is None or child.recycled_for or self._stop_by is not None:
                continue
            age = now - child.started_at
            if settings.max_age_s and age >= settings.max_age_s * place.oldest_s:
                child.recycled_for = f"its age, {age:.0f} s"
            elif settings.max_rss_bytes and (rss := child.rss_bytes()) > settings.max_rss_bytes:
                child.recycled_for = f"its memory, {rss >> 20} MiB"
            if child.recycled_for:
                child.drain(WorkerEnd.Recycled)

    # ---------------------------------------------------------------- burying

    def _bury(self, place: _Place, child: Child, now: float) -> None:
        self._outside.unwatch(child.pidfd)
        if child.log_open:
            self._outside.unwatch(child.log_fd)
        death = child.bury(self._printer(child))
        if child.frames and child.frames != self._told_frames:
            self._told_frames = child.frames
            tell = self._printer(child)
            for line in child.frames:
                tell(line)
        self._learn(child)
        place.child = None
        self.changed = True
        end, charged = judge(child, death)
        self._outside.report(
            encode_worker_down(
                worker=child.worker,
                end=end,
                pid=child.pid,
                signal=death.signal,
                exit_code=death.exit_code,
                running=[child.lease(run) for run in charged],
                rss_bytes=death.rss_bytes,
                log_tail=child.log_tail(),
            )
        )
        self._started += child.memory.started
        self._failed += child.memory.failed
        self._crashes += end == WorkerEnd.Crashed
        self._sweep()
        if self._stop_by is None and not self._reloading:
            self._replace(place, child, death, end, charged, now)
        child.close()

    def _replace(
        self, place: _Place, child: Child, death: Death, end: int, charged: list[Run], now: float
    ) -> None:
        told = child.problem or story(child, death, end, charged)
        # The first workers tell whether the program can run at all.
        if not self.any_ready:
            if death.exit_code in (EXIT_SETUP, EXIT_REFUSED) and child.problem:
                self.hopeless = told
                return
            if death.exit_code and death.state in (WorkerState.EMPTY, WorkerState.LOADING):
                self.hopeless = f"{self._settings.target} cannot be imported"
                return
        level = logging.INFO if end in (WorkerEnd.Recycled, WorkerEnd.Stopped) else logging.WARNING
        if place.kind is not Kind.FRESH or end != WorkerEnd.Recycled:
            self._log.log(level, "worker %d (pid %d) ended: %s", child.worker, child.pid, told)
        delay = place.restarts.delay(
            ready=child.was_ready and death.exit_code != EXIT_REFUSED,
            lived_s=now - child.started_at,
            # A fresh process was there for the job that killed it: nothing is wrong with the next one.
            wanted=end != WorkerEnd.Crashed or (place.kind is Kind.FRESH and bool(death.runs)),
        )
        if delay >= _SLOW_RESTART_S:
            self._log.warning("its place is filled again in %.1f s", delay)
        place.start_at = now + delay

    def _printer(self, child: Child) -> Callable[[str], None]:
        return lambda line: self._outside.print_line(child.worker, line)
