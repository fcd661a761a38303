# SPDX-License-Identifier: Apache-2.0
"""What a program's own mistake looks like to whoever starts it: one line that names the place, and its own frames."""

from __future__ import annotations

import traceback
from types import TracebackType

# What stands between us and the program in every traceback.
# The worker itself is `__main__`.
_OURS = ("__main__.", "jobwire.", "importlib.", "runpy", "asyncio.", "concurrent.", "contextlib")


def one_line(error: BaseException) -> str:
    """`ModuleNotFoundError: No module named 'nosuch' (thumbs.py, line 3)`."""
    text = traceback.format_exception_only(error)[-1].strip()
    place = ""
    if isinstance(error, SyntaxError) and error.filename:
        place = f"{error.filename}, line {error.lineno}"
    else:
        frames = traceback.extract_tb(_own(error.__traceback__))
        if frames:
            place = f"{frames[-1].filename}, line {frames[-1].lineno}"
    return f"{text} ({place})" if place else text


def own_traceback(error: BaseException) -> str:
    """The traceback from the first frame of the program on."""
    own = _own(error.__traceback__)
    return "".join(traceback.format_exception(type(error), error, own))


def _own(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and _is_ours(trace):
        trace = trace.tb_next
    return trace


def _is_ours(trace: TracebackType) -> bool:
    module = f"{trace.tb_frame.f_globals.get('__name__')}."
    return module.startswith(_OURS) or trace.tb_frame.f_code.co_filename.startswith("<frozen ")
