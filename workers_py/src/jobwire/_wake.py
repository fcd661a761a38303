# SPDX-License-Identifier: Apache-2.0
"""A descriptor that becomes readable when a signal has come, or when another thread asks for it."""

from __future__ import annotations

import contextlib
import signal
import socket


class Wake:
    """For the main thread, which waits for it among other things."""

    def __init__(self) -> None:
        self._read, self._write = socket.socketpair()
        for end in (self._read, self._write):
            end.setblocking(False)

    def fileno(self) -> int:
        return self._read.fileno()

    def on_signals(self) -> None:
        """Signals that have a Python handler wake it from now on."""
        signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)

    def set(self) -> None:
        # Full is as good as written.
        with contextlib.suppress(BlockingIOError):
            self._write.send(b"w")

    def clear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while len(self._read.recv(4096)) == 4096:
                pass
