# SPDX-License-Identifier: Apache-2.0
"""How log lines look: text for people, one JSON object a line for machines. They go to stderr."""

from __future__ import annotations

import json
import logging
import os
import select
import shutil
import sys
import time

FORMATS = ("text", "json")
# The least a pipe takes without blocking once it is writable.
_PIPE_BUF = 4096
# Back to the first column, and what is there goes.
_CLEAR = "\r\x1b[K"
_TAGS = ("worker", "job", "attempt", "trace")


class _Text(logging.Formatter):
    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def format(self, record: logging.LogRecord) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        tags = " ".join(f"{tag}={record.__dict__[tag]}" for tag in _TAGS if tag in record.__dict__)
        line = f"{clock}.{int(record.msecs):03d} {record.levelname.lower():7} {self._name}: "
        line += record.getMessage() + (f" [{tags}]" if tags else "")
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


class _Json(logging.Formatter):
    def __init__(self, worker: int | None) -> None:
        super().__init__()
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = {
            "time": round(record.created, 3),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if self._worker is not None:
            fields["worker"] = self._worker
        fields.update({tag: record.__dict__[tag] for tag in _TAGS if tag in record.__dict__})
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str)


class Stderr:
    """Lines to stderr that never block: when nobody reads it, they are dropped and counted.

    The agent's heartbeats must not wait for a terminal that someone has paused. On a terminal the last line may be one
    that `show` keeps there, below all that is logged.
    """

    def __init__(self) -> None:
        self._lost = 0
        self._shown = ""

    def line(self, text: str) -> None:
        if self._lost:
            told = f"({self._lost} line(s) were dropped: nobody read stderr)\n"
            if not self._write(told.encode()):
                self._lost += 1
                return
            self._lost = 0
        before, after = (_CLEAR, self._shown) if self._shown else ("", "")
        if not self._write(f"{before}{text}\n{after}".encode("utf-8", "replace")):
            self._lost += 1

    def show(self, text: str) -> None:
        """Keeps one line at the end of the terminal, cut to its width; an empty one takes it away."""
        if text:
            text = text[: max(shutil.get_terminal_size().columns - 1, 0)]
        if text != self._shown:
            self._shown = text
            self._write(f"{_CLEAR}{text}".encode("utf-8", "replace"))

    def _write(self, raw: bytes) -> bool:
        while raw:
            _, writable, _ = select.select([], [2], [], 0)
            if not writable:
                return False
            try:
                raw = raw[os.write(2, raw[:_PIPE_BUF]) :]
            except OSError:  # its reader is gone, or the disk is full
                return False
        return True


class _Unblocking(logging.Handler):
    def __init__(self, stderr: Stderr) -> None:
        super().__init__()
        self._stderr = stderr

    def emit(self, record: logging.LogRecord) -> None:
        self._stderr.line(self.format(record))


def configure_agent(log_format: str, stderr: Stderr) -> None:
    """Sets up the root logger of the agent's process."""
    _install(_Unblocking(stderr), log_format, None)


def configure_worker(log_format: str, worker: int) -> None:
    """Sets up the root logger of a worker's process; a user's program may do it again as it likes."""
    _install(logging.StreamHandler(sys.stderr), log_format, worker)
    # What happens to the connection is said once for the host, by its agent.
    logging.getLogger("jobwire.worker").setLevel(logging.WARNING)


def _install(handler: logging.Handler, log_format: str, worker: int | None) -> None:
    name = "agent" if worker is None else f"worker {worker}"
    handler.setFormatter(_Json(worker) if log_format == "json" else _Text(name))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)


def wrap_line(line: str, worker: int, log_format: str) -> str:
    """A line that a worker printed, as the agent passes it on."""
    if log_format == "json":
        if line.startswith("{") and line.endswith("}"):
            return line
        return json.dumps({"time": round(time.time(), 3), "worker": worker, "message": line})
    return line if f" worker {worker}: " in line[:48] else f"worker {worker}| {line}"
