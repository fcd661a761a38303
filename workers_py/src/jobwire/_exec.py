# SPDX-License-Identifier: Apache-2.0
"""Runs a command line as a handler: payload on stdin, result from stdout, stderr to the log, exit code to the error.

All its limits are hard: the command leads a process group of its own, which gets SIGTERM and then SIGKILL at the job's
timeout and when it is cancelled, and the worker goes on to the next job.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable
from typing import IO

from jobwire._command import Command
from jobwire._contexts import Contexts
from jobwire._errors import ResultError
from jobwire._exec_progress import VARIABLE, ProgressPipe
from jobwire._heads import DispatchHead
from jobwire._messages import Limits
from jobwire._outcomes import Interrupted
from jobwire._parent import end_with_parent
from jobwire._slots import Slot

_TAIL_BYTES = 4096
_READ_BYTES = 65536
# More than a pipe holds.
_LAST_PIECES = 64
# How soon a thread sees that the agent wants the run to end; the main thread is woken by its SIGTERM.
_LOOK_S = 0.02


class CommandCall:
    """A Call, for the main thread of a worker or one of its threads."""

    def __init__(
        self,
        command: Command,
        contexts: Contexts,
        limits: Callable[[], Limits],
        term_grace_s: float,
    ) -> None:
        self._command = command
        self._contexts = contexts
        self._limits = limits
        # The agent kills this whole worker after the grace, so the command has less of it.
        self._term_grace_s = term_grace_s / 2

    def __call__(
        self, blob: bytes, at: int, size: int, encoding: int, head: DispatchHead
    ) -> object:
        token = head[0]
        slot = self._contexts.slot_of(token)
        run: _Run | None = None
        try:
            run = self._start(memoryview(blob)[at : at + size], head, slot)
            ended = run.wait(lambda: self._contexts.cancelled(slot, token))
        except Interrupted:
            if run is None:
                raise
            # SIGTERM: the agent's order is there to be seen, and the worker lives if the command dies in time.
            self._contexts.cancelled(slot, token)
            ended = False
        finally:
            if run is not None:
                run.end(self._term_grace_s)
        if not ended:
            return None
        if run.overflown:
            raise ResultError.too_large(run.stdout_bytes, self._limits().max_payload_bytes)
        error = self._command.failure(run.exit_code, run.stderr_tail)
        if error is not None:
            raise error
        return self._command.read_result(bytes(run.stdout))

    def _start(self, payload: memoryview, head: DispatchHead, slot: Slot) -> _Run:
        token, job, _, _, _, _, attempt, *_ = head
        progress = ProgressPipe(lambda value, message: slot.progress(token, value, message))
        process: subprocess.Popen[bytes] | None = None
        try:
            process = subprocess.Popen(
                self._command.argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=self._command.cwd,
                env=self._command.environment(
                    {
                        "JOBWIRE_JOB": str(uuid.UUID(bytes=job)),
                        "JOBWIRE_ATTEMPT": str(attempt),
                        VARIABLE: progress.path,
                    }
                ),
                pass_fds=(progress.write_fd,),
                process_group=0,
                bufsize=0,
                # When the agent is killed, this worker is, and nothing else could end the command then.
                preexec_fn=end_with_parent,
            )
            progress.started()
            return _Run(process, payload, self._limits().max_payload_bytes, progress)
        except BaseException:
            progress.close()
            if process is not None:
                process.kill()
                process.wait()
            raise


class _Run:
    """One process of a command, with its pipes."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        payload: memoryview,
        limit: int,
        progress: ProgressPipe,
    ) -> None:
        self._process = process
        self._progress = progress
        self._payload = payload
        self._limit = limit
        self.stdout = bytearray()
        self.stdout_bytes = 0
        self.stderr_tail = b""
        self._pidfd = os.pidfd_open(process.pid)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._pidfd, selectors.EVENT_READ)
        self._selector.register(progress.read_fd, selectors.EVENT_READ)
        for pipe, events in (
            (process.stdin, selectors.EVENT_WRITE),
            (process.stdout, selectors.EVENT_READ),
            (process.stderr, selectors.EVENT_READ),
        ):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe, events)
        if not payload:
            self._close(process.stdin)

    @property
    def overflown(self) -> bool:
        """It has written more than a result may have; the rest was thrown away."""
        return self.stdout_bytes > self._limit

    @property
    def exit_code(self) -> int:
        return self._process.returncode

    def wait(self, cancelled: Callable[[], bool]) -> bool:
        """Feeds and reads it until it has ended or has written too much (True), or is to end (False)."""
        while not cancelled():
            ready = [key.fileobj for key, _ in self._selector.select(_LOOK_S)]
            for pipe in ready:
                self._step(pipe)
            if self.overflown:
                return True
            if self._pidfd in ready:
                # What it has started may keep its pipes open; what lies in them now is all that counts.
                for _ in range(_LAST_PIECES):
                    moved = [self._step(self._process.stdout), self._step(self._process.stderr)]
                    if self.overflown or not any(moved):
                        break
                return True
        return False

    def end(self, grace_s: float) -> None:
        """Sees to it that nothing of it is left."""
        with selectors.DefaultSelector() as dead:
            dead.register(self._pidfd, selectors.EVENT_READ)
            if not dead.select(0):
                self._signal(signal.SIGTERM)
                dead.select(grace_s)
        # Unburied, it still holds its group's number, and with it goes what it has started.
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._selector.close()
        self._progress.close()
        os.close(self._pidfd)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            self._close(pipe)

    def _step(self, pipe: object) -> bool:
        """Writes or reads a piece; False when nothing moved."""
        process = self._process
        try:
            if pipe == self._progress.read_fd:
                if not self._progress.read():
                    self._selector.unregister(self._progress.read_fd)
                return True
            if pipe is process.stdin and process.stdin is not None:
                self._payload = self._payload[os.write(process.stdin.fileno(), self._payload) :]
                if not self._payload:
                    self._close(process.stdin)
                return True
            if pipe is process.stdout:
                piece = self._read(process.stdout)
                self.stdout_bytes += len(piece)
                if not self.overflown:
                    self.stdout += piece
                return bool(piece)
            if pipe is process.stderr:
                piece = self._read(process.stderr)
                self._log(piece)
                return bool(piece)
        except BlockingIOError:
            pass
        except BrokenPipeError:
            # It does not want the rest of its payload.
            self._close(process.stdin)
        return False

    def _read(self, pipe: IO[bytes] | None) -> bytes:
        if pipe is None or pipe.closed:
            return b""
        piece = os.read(pipe.fileno(), _READ_BYTES)
        if not piece:
            self._close(pipe)
        return piece

    def _log(self, piece: bytes) -> None:
        self.stderr_tail = (self.stderr_tail + piece)[-_TAIL_BYTES:]
        sys.stderr.buffer.write(piece)
        sys.stderr.buffer.flush()

    def _close(self, pipe: IO[bytes] | None) -> None:
        if pipe is None or pipe.closed:
            return
        if self._selector.get_map() is not None:
            with contextlib.suppress(KeyError):
                self._selector.unregister(pipe)
        pipe.close()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)
