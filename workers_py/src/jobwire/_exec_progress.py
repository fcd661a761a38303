# SPDX-License-Identifier: Apache-2.0
"""How a command tells its progress: lines `0.3 decoding` into the file that JOBWIRE_PROGRESS names."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable

from jobwire._slots import MAX_MESSAGE_BYTES

VARIABLE = "JOBWIRE_PROGRESS"
_READ_BYTES = 65536
_LINE_BYTES = 4096


class ProgressPipe:
    """One command's. The file is the writing end of a pipe, so any program can open it by its name."""

    def __init__(self, tell: Callable[[float, bytes], None]) -> None:
        self._tell = tell
        self._partial = b""
        self.read_fd, self.write_fd = os.pipe()
        os.set_blocking(self.read_fd, False)
        self.path = f"/dev/fd/{self.write_fd}"

    def started(self) -> None:
        """The command has its end: ours is not needed any more."""
        os.close(self.write_fd)
        self.write_fd = -1

    def read(self) -> bool:
        """Takes what has come, the latest line that makes sense; False when no more will."""
        try:
            piece = os.read(self.read_fd, _READ_BYTES)
        except BlockingIOError:
            return True
        *lines, self._partial = (self._partial + piece).split(b"\n")
        self._partial = self._partial[-_LINE_BYTES:]
        for line in reversed(lines):
            value, _, message = line.strip().partition(b" ")
            with contextlib.suppress(ValueError):
                if math.isfinite(number := float(value)):
                    text = message[:MAX_MESSAGE_BYTES].decode("utf-8", "ignore")
                    self._tell(number, text.encode())
                    break
        return bool(piece)

    def close(self) -> None:
        for descriptor in (self.read_fd, self.write_fd):
            if descriptor >= 0:
                os.close(descriptor)
        self.read_fd = self.write_fd = -1
