# SPDX-License-Identifier: Apache-2.0
"""One worker process as its agent sees it: started, watched, told to end, buried."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from jobwire._boot import PROBLEM_PREFIX, Boot
from jobwire._slots import Command, Run, SlotTable, WorkerState
from jobwire._wire import WorkerEnd

_TAIL_BYTES = 4096
_LINE_BYTES = 8192
_READ_BYTES = 65536


@dataclass(slots=True)
class Ending:
    """An order to end one run: SIGTERM at `term_at`, SIGKILL at `kill_at` (monotonic seconds)."""

    token: bytes
    end: int
    command: Command
    term_at: float
    kill_at: float
    termed: bool = False

    def next_at(self) -> float:
        return self.kill_at if self.termed else self.term_at


@dataclass(frozen=True, slots=True)
class Death:
    """How a worker ended."""

    signal: int
    exit_code: int
    rss_bytes: int
    run: Run | None
    state: WorkerState


class Child:
    """Owns the process, its pidfd, and the agent's ends of its two pipes."""

    def __init__(self, boot: Boot, slots: SlotTable, now: float) -> None:
        self.worker = boot.worker
        self.slot = boot.slot
        self.started_at = now
        self.ending: Ending | None = None
        self.was_ready = False
        self.log_open = True
        # What the worker itself named as the reason why it cannot run.
        self.problem = ""
        # Set when the agent ended the process for a reason of its own.
        self.stopped_as: int | None = None
        self._slots = slots
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0
        self._partial = b""
        slots.clear(boot.slot)
        boot_read, self._boot_write = os.pipe()
        self.log_fd, log_write = os.pipe()
        os.set_blocking(self.log_fd, False)
        with contextlib.ExitStack() as undo:
            undo.callback(os.close, self._boot_write)
            undo.callback(os.close, self.log_fd)
            try:
                self._process = subprocess.Popen(
                    # -P: what lies in the working directory must not stand in for a module of ours.
                    [sys.executable, "-P", "-m", "jobwire._worker", str(boot_read)],
                    pass_fds=(boot_read, boot.slots_fd),
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

    def run(self) -> Run | None:
        """What it does now; None when it was changing just then."""
        return self._slots.read(self.slot)

    # ---------------------------------------------------------------- telling it to end

    def greet_again(self) -> None:
        """Has it say Hello to the broker anew, through the pipe by which it got its orders."""
        with contextlib.suppress(BrokenPipeError, BlockingIOError):
            os.write(self._boot_write, b"g")

    def drain(self) -> None:
        """Asks it to end the running job, hand back the rest, and leave."""
        self.stopped_as = WorkerEnd.Stopped
        self._slots.command(self.slot, Command.DRAIN)
        self._signal(signal.SIGTERM)

    def kill(self, end: int) -> None:
        if self.stopped_as is None:
            self.stopped_as = end
        self._signal(signal.SIGKILL)

    def order(self, ending: Ending) -> None:
        """Begins to end one run; of two orders for the same run the one that ends it earlier counts."""
        old = self.ending if self.ending_of(ending.token) else None
        if old is not None and (old.termed or old.term_at <= ending.term_at):
            return
        self.ending = ending
        self._slots.command(self.slot, ending.command, ending.token)

    def enforce(self, now: float) -> None:
        """Carries on with the order, if there is one."""
        ending = self.ending
        if ending is None:
            return
        run = self.run()
        if run is not None and (run.state != WorkerState.RUNNING or run.token != ending.token):
            # It ended by itself in time.
            self.ending = None
            self._slots.command(
                self.slot,
                Command.DRAIN if self.stopped_as is not None else Command.NONE,
            )
            return
        if now >= ending.kill_at:
            ending.termed = True
            self._signal(signal.SIGKILL)
        elif now >= ending.term_at and not ending.termed:
            ending.termed = True
            self._signal(signal.SIGTERM)

    def ending_of(self, token: bytes) -> Command:
        """The order in force for a run."""
        ending = self.ending
        return ending.command if ending is not None and ending.token == token else Command.NONE

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
        self._tail.append(line)
        self._tail_bytes += len(line) + 1
        while self._tail_bytes > _TAIL_BYTES and len(self._tail) > 1:
            self._tail_bytes -= len(self._tail.popleft()) + 1
        text = line.decode("utf-8", "replace")
        if not self.was_ready and line.startswith(PROBLEM_PREFIX):
            # Every worker of a host says the same; the agent says it once.
            self.problem = text[len(PROBLEM_PREFIX) :]
        else:
            forward(text)

    def log_tail(self) -> str:
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
        run = self.run()
        code = self._process.returncode
        return Death(
            signal=-code if code < 0 else 0,
            exit_code=max(code, 0),
            rss_bytes=usage.ru_maxrss * 1024,
            run=run if run is not None and run.state == WorkerState.RUNNING else None,
            state=WorkerState.EMPTY if run is None else run.state,
        )

    def close(self) -> None:
        for descriptor in (self.pidfd, self.log_fd, self._boot_write):
            os.close(descriptor)
