# SPDX-License-Identifier: Apache-2.0
"""jobwire for Python: functions that run the jobs of C++ programs."""

from jobwire._app import App, Job
from jobwire._ctx import Ctx
from jobwire._errors import (
    AppNotFound,
    HandlerError,
    JobwireError,
    PayloadError,
    ProtocolError,
    RefusedError,
    Reject,
    ResultError,
    Retry,
    SetupError,
)
from jobwire._version import __version__

__all__ = [
    "App",
    "AppNotFound",
    "Ctx",
    "HandlerError",
    "Job",
    "JobwireError",
    "PayloadError",
    "ProtocolError",
    "RefusedError",
    "Reject",
    "ResultError",
    "Retry",
    "SetupError",
    "__version__",
]
