# SPDX-License-Identifier: Apache-2.0
"""Processes that end when their parent does, however that comes about: the kernel sees to it."""

from __future__ import annotations

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def end_with_parent() -> int:
    """Has this process killed when the thread that started it is gone; 0, or what errno says."""
    if _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) == 0:
        return 0
    return ctypes.get_errno() or os.EX_OSERR
