# SPDX-License-Identifier: Apache-2.0
"""jobwire for Python: functions that run the jobs of C++ programs."""

from jobwire._app import App
from jobwire._ctx import Ctx
from jobwire._errors import (
    AppNotFound,
    CommandFailed,
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
from jobwire._job import Job
from jobwire._middleware import AttemptLog, Middleware
from jobwire._retry_policy import RetryPolicy
from jobwire._version import __version__

__all__ = [
    "App",
    "AppNotFound",
    "AttemptLog",
    "CommandFailed",
    "Ctx",
    "HandlerError",
    "Job",
    "JobwireError",
    "Middleware",
    "PayloadError",
    "ProtocolError",
    "RefusedError",
    "Reject",
    "ResultError",
    "Retry",
    "RetryPolicy",
    "SetupError",
    "__version__",
]
