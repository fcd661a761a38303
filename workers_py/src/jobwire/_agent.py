# SPDX-License-Identifier: Apache-2.0
"""The host agent: the process of `jobwire worker`. Runs no user code, so nothing that user code does can stop it.

One thread: it waits for the broker, a dead child, a log line, a signal or a deadline, and then sees to all of them.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator

from jobwire._agent_session import AgentSession
from jobwire._figures import Figures
from jobwire._health import Health, HealthServer
from jobwire._logging import Stderr, wrap_line
from jobwire._settings import Settings
from jobwire._sources import Sources
from jobwire._stopping import Stopping
from jobwire._supervisor import Outside, Supervisor
from jobwire._transport import Connection, Link, Woken
from jobwire._version import __version__
from jobwire._wire_enums import Role
from jobwire._wire_session import encode_hello

_PATIENCE_S = 2.0
_LOOK_AT_SOURCES_S = 0.5
_LOOK_S = 1.0
_SHOW_S = 0.25
# Without a terminal, how often a line says what gets done.
_TELL_S = 60.0
_STOPPING = (signal.SIGTERM, signal.SIGINT)


class Agent:
    """Owns the connection to the broker and the supervisor."""

    def __init__(self, settings: Settings, stderr: Stderr) -> None:
        self._settings = settings
        self._stderr = stderr
        self._log = logging.getLogger("jobwire.agent")
        self._health = Health()
        self._http: HealthServer | None = None
        if settings.http is not None:
            # First of all: that it cannot listen may be the end of it.
            self._http = HealthServer(settings.http, lambda: self._health)
        host, host_name = os.urandom(16), socket.gethostname()
        client = f"{settings.target} jobwire-py/{__version__}"
        hello = encode_hello(Role.Agent, client, host, host_name, 0, os.getpid())
        self._session = AgentSession(hello, self._log)
        self._connection = Connection(settings.broker)
        outside = Outside(
            watch=self._connection.watch,
            unwatch=self._connection.unwatch,
            report=self._session.report,
            tell=lambda news: self._session.progress(news, time.monotonic()),
            print_line=self._print_line,
        )
        self._supervisor = Supervisor(settings, host, host_name, outside, self._log)
        self._signals = 0
        self._signals_seen = 0
        self._stopping: Stopping | None = None
        # Why it cannot go on.
        self._problem = ""
        self._heard_at = time.monotonic()
        self._told_away = False
        self._sources = Sources(settings.source_folders) if settings.reload else None
        self._look_at_sources_at = 0.0
        self._told_hopeless = ""
        self._figures = Figures(time.monotonic())
        self._on_terminal = settings.log_format == "text" and os.isatty(2)
        self._plain = "utf" not in (sys.stderr.encoding or "").lower()
        self._show_at = 0.0
        self._tell_at = time.monotonic() + _TELL_S
        self._told_started = 0

    def run(self) -> int:
        """Runs until told to stop; returns the exit code: 0, or 2 when the program cannot run."""
        settings = self._settings
        self._log.info(
            "%s: %d worker(s) for %s, broker %s",
            settings.target,
            settings.workers,
            ", ".join(settings.queues) or "all its queues",
            settings.broker,
        )
        if settings.http is not None and self._http is not None:
            self._log.info("health at http://%s:%d", settings.http[0], self._http.port)
        try:
            with self._stop_signals() as wake:
                self._connection.watch(wake.fileno())
                while not self._done():
                    self._turn(wake)
                self._session.goodbye("stopped")
                self._send()
        finally:
            self._stderr.show("")
            self._supervisor.close()
            self._connection.close(1000)
            if self._http is not None:
                self._http.close()
        if self._problem:
            # The last line is the one that is read.
            self._log.error("%s", self._problem)
        else:
            totals = self._supervisor.totals()
            self._log.info("stopped: %s", self._figures.summary(totals, time.monotonic()))
        return 2 if self._problem else 0

    # ---------------------------------------------------------------- one turn

    def _turn(self, wake: socket.socket) -> None:
        session, supervisor = self._session, self._supervisor
        now = time.monotonic()
        if supervisor.changed or now >= session.beat_at:
            session.beat(supervisor.workers(), supervisor.running(), now)
            supervisor.changed = False
        self._send()
        woken = self._connection.wait(self._timeout_ms(now), bool(session.outbox))
        now = time.monotonic()
        if wake.fileno() in woken.descriptors:
            with contextlib.suppress(BlockingIOError):
                wake.recv(4096)
        self._see_signals(now)
        self._take(woken, now)
        if session.forgotten and session.open:
            session.forgotten = False
            supervisor.greet_again()
        while session.cancels:
            supervisor.cancel(session.cancels.popleft(), now)
        supervisor.step(set(woken.descriptors), now)
        session.progress([], now)
        if supervisor.hopeless and self._stopping is None and not self._settings.reload:
            self._give_up(supervisor.hopeless, now)
        self._tell_if_away(now)
        self._see_sources(now)
        self._see_burst(now)
        self._show(now)

    def _timeout_ms(self, now: float) -> int:
        at = self._supervisor.next_deadline(now)
        if self._session.open:
            at = min(at, self._session.beat_at)
        if self._sources is not None:
            at = min(at, self._look_at_sources_at)
        at = min(at, self._show_at)
        return max(0, math.ceil((at - now) * 1000))

    def _take(self, woken: Woken, now: float) -> None:
        session = self._session
        if woken.link:
            for change in self._connection.link_changes():
                if change is Link.UP:
                    session.connected(now)
                else:
                    session.disconnected()
        if woken.message:
            # What is left comes with the next turn.
            for _ in range(64):
                frames = self._connection.receive()
                if frames is None:
                    break
                session.receive(frames, now)
        session.tick(now)
        if session.fatal is not None and self._stopping is None:
            self._give_up(f"the broker at {self._settings.broker} refuses: {session.fatal}", now)

    def _send(self) -> None:
        outbox = self._session.outbox
        while outbox and self._connection.send(outbox[0]):
            outbox.popleft()

    def _tell_if_away(self, now: float) -> None:
        if self._session.open:
            self._heard_at = now
            self._told_away = False
        elif not self._told_away and now - self._heard_at > _PATIENCE_S:
            self._told_away = True
            told = "no broker answers at %s: waiting for it; is jobwired running there? (--broker names another)"
            if self._session.welcome is not None:
                told = "the broker at %s is away: what runs goes on, results wait"
            self._log.warning(told, self._settings.broker)

    def _show(self, now: float) -> None:
        """Keeps the health and the terminal's last line fresh; without a terminal, logs a line now and then."""
        if now < self._show_at:
            return
        self._show_at = now + (_SHOW_S if self._on_terminal else _LOOK_S)
        totals = self._supervisor.totals()
        self._health = Health(
            looked_at=now,
            connected=self._session.open,
            stopping=self._stopping is not None,
            workers=totals.workers,
            ready=totals.ready,
            running=totals.running,
            done=totals.done,
            failed=totals.failed,
            crashes=totals.crashes,
        )
        if self._on_terminal:
            line = self._figures.line(totals, self._session.open, now)
            self._stderr.show(f"{self._figures.bar(totals, self._plain)} {line}")
        elif now >= self._tell_at:
            self._tell_at = now + _TELL_S
            if totals.started != self._told_started or totals.running:
                self._told_started = totals.started
                self._log.info("%s", self._figures.line(totals, self._session.open, now))

    # ---------------------------------------------------------------- reload and burst

    def _see_sources(self, now: float) -> None:
        if self._sources is None or now < self._look_at_sources_at or self._stopping is not None:
            return
        self._look_at_sources_at = now + _LOOK_AT_SOURCES_S
        changed = self._sources.changed()
        if changed is not None:
            self._told_hopeless = ""
            self._supervisor.reload(os.path.relpath(changed))
        elif self._supervisor.hopeless != self._told_hopeless:
            self._told_hopeless = self._supervisor.hopeless
            self._log.error("%s; waiting for a change", self._told_hopeless)

    def _see_burst(self, now: float) -> None:
        burst_s = self._settings.burst_s
        if not burst_s or self._stopping is not None:
            return
        if self._supervisor.quiet_for(now, self._session.open) >= burst_s:
            self._log.info("nothing has come for %g s: leaving", burst_s)
            self._stop(now)

    # ---------------------------------------------------------------- stopping

    def _see_signals(self, now: float) -> None:
        while self._signals_seen < self._signals:
            self._signals_seen += 1
            if self._stopping is None:
                self._stop(now)
            else:
                self._log.warning("stopping now")
                self._supervisor.kill()

    def _give_up(self, problem: str, now: float) -> None:
        self._problem = problem
        if self._supervisor.any_ready:
            self._log.error("%s", problem)
        self._stop(now)

    def _stop(self, now: float) -> None:
        settings = self._settings
        quiet = not self._supervisor.any_ready
        self._stopping = Stopping(
            settings.grace_s, settings.term_grace_s, self._log, now, quiet=quiet
        )
        self._supervisor.drain(now)

    def _done(self) -> bool:
        if self._stopping is None:
            return False
        now = time.monotonic()
        workers = self._supervisor.workers()
        self._stopping.tell(len(self._supervisor.running()), len(workers), now)
        if workers:
            return False
        session = self._session
        # The broker should know who died, but a broker that is away must not hold us up.
        if session.unsettled and session.open and now < self._stopping.by:
            session.beat([], [], now)
            return False
        return True

    @contextlib.contextmanager
    def _stop_signals(self) -> Iterator[socket.socket]:
        def count(number: int, frame: object) -> None:
            self._signals += 1

        read, write = socket.socketpair()
        with read, write:
            read.setblocking(False)
            write.setblocking(False)
            old_wake = signal.set_wakeup_fd(write.fileno(), warn_on_full_buffer=False)
            old = {number: signal.signal(number, count) for number in _STOPPING}
            try:
                yield read
            finally:
                for number, handler in old.items():
                    signal.signal(number, handler)
                signal.set_wakeup_fd(old_wake)

    def _print_line(self, worker: int, line: str) -> None:
        self._stderr.line(wrap_line(line, worker, self._settings.log_format))
