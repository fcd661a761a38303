# SPDX-License-Identifier: Apache-2.0
"""One worker process as its agent sees it: started, watched, told to end, buried."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from jobwire._boot import FRAMES_PREFIX, PROBLEM_PREFIX, Boot
from jobwire._heads import Lease
from jobwire._redact import REDACTED
from jobwire._slots import TORN, Order, Progress, Run, WorkerMemory, WorkerState
from jobwire._wire_enums import WorkerEnd

_MOST_FRAME_LINES = 1000
_TAIL_BYTES = 4096
_LINE_BYTES = 8192
_READ_BYTES = 65536


@dataclass(slots=True)
class Ending:
    """An order to end one run: SIGTERM at `term_at`, SIGKILL at `kill_at` (monotonic seconds)."""

    run: Run
    end: int
    order: Order
    term_at: float
    kill_at: float
    termed: bool = False

    def next_at(self) -> float:
        return self.kill_at if self.termed else self.term_at


@dataclass(frozen=True, slots=True)
class Death:
    """How a worker ended, what it was running then, and what it had run last."""

    signal: int
    exit_code: int
    rss_bytes: int
    runs: list[Run]
    ended: list[Run]
    state: WorkerState


class Child:
    """Owns the process, its pidfd, its memory, and the agent's ends of its two pipes."""

    def __init__(self, boot: Boot, environment: Mapping[str, str], now: float) -> None:
        self.worker = boot.worker
        self.started_at = now
        # One order at most for each of its slots.
        self.endings: dict[int, Ending] = {}
        self.was_ready = False
        self.log_open = True
        # What the worker itself named as the reason why it cannot run.
        self.problem = ""
        # Its traceback, a line each.
        self.frames: list[str] = []
        # Set when the agent ended the process for a reason of its own.
        self.stopped_as: int | None = None
        # Since when it has had nothing left to do but to end.
        self.leaving_since: float | None = None
        # Why it is to be replaced when its jobs are done.
        self.recycled_for = ""
        self.memory = WorkerMemory()
        self._told: dict[int, int] = {}
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0
        self._partial = b""
        boot = replace(boot, memory_fd=self.memory.fd)
        boot_read, self._boot_write = os.pipe()
        self.log_fd, log_write = os.pipe()
        os.set_blocking(self.log_fd, False)
        with contextlib.ExitStack() as undo:
            undo.callback(self.memory.close)
            undo.callback(os.close, self._boot_write)
            undo.callback(os.close, self.log_fd)
            try:
                self._process = subprocess.Popen(
                    # -P: what lies in the working directory must not stand in for a module of ours.
                    [sys.executable, "-P", "-m", "jobwire._worker", str(boot_read)],
                    pass_fds=(boot_read, boot.memory_fd),
                    env={**environment},
                    # Its own group: what it starts ends with it, and Ctrl-C is the agent's alone.
                    process_group=0,
                    stdin=subprocess.DEVNULL,
                    stdout=log_write,
                    stderr=log_write,
                )
            finally:
                os.close(boot_read)
                os.close(log_write)
            undo.callback(self._process.wait)
            undo.callback(self._process.kill)
            self.pid = self._process.pid
            self.pidfd = os.pidfd_open(self.pid)
            os.write(self._boot_write, boot.dump())
            os.set_blocking(self._boot_write, False)
            undo.pop_all()

    @property
    def state(self) -> WorkerState:
        return self.memory.state

    def runs(self) -> list[Run]:
        """What it runs now."""
        return self.memory.runs()

    def lease(self, run: Run) -> Lease:
        return Lease(run.token, run.job, self.worker, run.started_ms, run.attempt, False)

    def news(self) -> list[Progress]:
        """What its jobs have told about their progress since the last call, the latest word of each."""
        found = []
        for slot in range(self.memory.slots):
            told = self.memory.progress(slot, self._told.get(slot, 0))
            if told is not None:
                self._told[slot] = told.sequence
                found.append(told)
        return found

    def rss_bytes(self) -> int:
        """Its memory now; 0 when it is dead."""
        try:
            with open(f"/proc/{self.pid}/statm", "rb") as statm:
                return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError):
            return 0

    # ---------------------------------------------------------------- telling it to end

    def greet_again(self) -> None:
        """Has it say Hello to the broker anew, through the pipe by which it got its orders."""
        with contextlib.suppress(BrokenPipeError, BlockingIOError):
            os.write(self._boot_write, b"g")

    def drain(self, end: int = WorkerEnd.Stopped) -> None:
        """Asks it to end what runs, hand back the rest, and leave."""
        if self.stopped_as is None:
            self.stopped_as = end
        self.memory.drain()
        self._signal(signal.SIGTERM)

    def kill(self, end: int) -> None:
        if self.stopped_as is None:
            self.stopped_as = end
        self._signal(signal.SIGKILL)

    def order(self, ending: Ending) -> None:
        """Begins to end one run; of two orders for the same run the one that ends it earlier counts."""
        slot = ending.run.slot
        old = self.endings.get(slot)
        same = old is not None and old.run.token == ending.run.token
        if old is not None and same and (old.termed or old.term_at <= ending.term_at):
            return
        self.endings[slot] = ending
        self.memory.order(slot, ending.order, ending.run.token)

    def enforce(self, now: float) -> None:
        """Carries on with the orders that there are."""
        for slot, ending in list(self.endings.items()):
            run = self.memory.run(slot)
            if run is not TORN and (run is None or run.token != ending.run.token):
                # It ended by itself in time.
                del self.endings[slot]
                self.memory.order(slot, Order.NONE)
            elif now >= ending.kill_at:
                ending.termed = True
                self._signal(signal.SIGKILL)
            elif now >= ending.term_at and not ending.termed:
                ending.termed = True
                self._signal(signal.SIGTERM)

    def ordered(self, run: Run) -> Order:
        """The order in force for a run."""
        ending = self.endings.get(run.slot)
        return ending.order if ending is not None and ending.run.token == run.token else Order.NONE

    def _signal(self, number: int) -> None:
        # Through the pidfd: a pid may belong to someone else by now.
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, number)

    # ---------------------------------------------------------------- its log

    def read_log(self, forward: Callable[[str], None], pieces: int = 1) -> bool:
        """Passes on what it printed since the last call; False when nothing more will come."""
        for _ in range(pieces):
            try:
                piece = os.read(self.log_fd, _READ_BYTES)
            except BlockingIOError:
                return True
            if not piece:
                return False
            *lines, self._partial = (self._partial + piece).split(b"\n")
            for line in lines:
                self._line(line, forward)
            if len(self._partial) > _LINE_BYTES:
                self._line(self._partial, forward)
                self._partial = b""
        return True

    def _line(self, line: bytes, forward: Callable[[str], None]) -> None:
        line = line[:_LINE_BYTES]
        of_frames = not self.was_ready and line.startswith(FRAMES_PREFIX)
        if of_frames:
            line = line[len(FRAMES_PREFIX) :]
        self._tail.append(line)
        self._tail_bytes += len(line) + 1
        while self._tail_bytes > _TAIL_BYTES and len(self._tail) > 1:
            self._tail_bytes -= len(self._tail.popleft()) + 1
        text = line.decode("utf-8", "replace")
        # Every worker of a host says the same; the agent says it once.
        if of_frames:
            if len(self.frames) < _MOST_FRAME_LINES:
                self.frames.append(text)
        elif not self.was_ready and line.startswith(PROBLEM_PREFIX):
            self.problem = text[len(PROBLEM_PREFIX) :]
        else:
            forward(text)

    def log_tail(self) -> str:
        """Its last lines, for the report of its death. Of a worker that runs jobs with `redact` they stay on this host:
        any of them may hold a value of any of its jobs, in whatever form."""
        if self.memory.redacts:
            return REDACTED
        return b"\n".join(self._tail)[-_TAIL_BYTES:].decode("utf-8", "replace")

    # ---------------------------------------------------------------- its end

    def bury(self, forward: Callable[[str], None]) -> Death:
        """Takes the dead process's leavings; call it once, when the pidfd is readable."""
        # Unburied, it still holds its group's number.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        _, status, usage = os.wait4(self.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        self.read_log(forward, 16)
        if self._partial:
            self._line(self._partial, forward)
            self._partial = b""
        code = self._process.returncode
        return Death(
            signal=-code if code < 0 else 0,
            exit_code=max(code, 0),
            rss_bytes=usage.ru_maxrss * 1024,
            runs=self.runs(),
            ended=self.memory.ended(),
            state=self.state,
        )

    def close(self) -> None:
        for descriptor in (self.pidfd, self.log_fd, self._boot_write):
            os.close(descriptor)
        self.memory.close()
