# SPDX-License-Identifier: Apache-2.0
"""jobwire for Python: functions that run jobs, and a client that hands jobs over."""

import importlib as _importlib
import typing as _typing

from jobwire._answers import (
    ClientStats,
    CloseReport,
    DeadReason,
    Durability,
    JobProgress,
    JobResult,
    JobState,
    JobStatus,
    Receipt,
)
from jobwire._app import App
from jobwire._ctx import Ctx
from jobwire._enqueue import AsyncJobHandle, JobHandle, PreparedJob
from jobwire._errors import (
    AlreadyFinal,
    AppNotFound,
    CheckpointError,
    ClientError,
    Closed,
    CommandFailed,
    Conflict,
    Dropped,
    Full,
    GoneJob,
    HandlerError,
    Incompatible,
    InvalidJob,
    JobFailed,
    JobwireError,
    NoAnswer,
    NotFinished,
    NotPermitted,
    Paused,
    PayloadError,
    ProtocolError,
    RefusedError,
    Reject,
    ResultError,
    Retry,
    SetupError,
    TooLarge,
    Unavailable,
    UnknownJob,
    UnknownQueue,
)
from jobwire._job import Job
from jobwire._job_error import Frame, JobError, LinkedError
from jobwire._middleware import AttemptLog, Middleware
from jobwire._models import Pickle
from jobwire._operations import (
    DeadAttempt,
    DeadJob,
    DeadPage,
    HeldContract,
    ImportReport,
    JobFilter,
    QueueView,
    SweepReport,
)
from jobwire._retry_policy import RetryPolicy
from jobwire._spec import JobSpec
from jobwire._version import __version__
from jobwire._wire_enums import Encoding

if _typing.TYPE_CHECKING:
    from jobwire._client import AsyncClient, Client
    from jobwire._operator import AsyncOperator, Operator

__all__ = [
    "AlreadyFinal",
    "App",
    "AppNotFound",
    "AsyncClient",
    "AsyncJobHandle",
    "AsyncOperator",
    "AttemptLog",
    "CheckpointError",
    "Client",
    "ClientError",
    "ClientStats",
    "CloseReport",
    "Closed",
    "CommandFailed",
    "Conflict",
    "Ctx",
    "DeadAttempt",
    "DeadJob",
    "DeadPage",
    "DeadReason",
    "Dropped",
    "Durability",
    "Encoding",
    "Frame",
    "Full",
    "GoneJob",
    "HandlerError",
    "HeldContract",
    "ImportReport",
    "Incompatible",
    "InvalidJob",
    "Job",
    "JobError",
    "JobFailed",
    "JobFilter",
    "JobHandle",
    "JobProgress",
    "JobResult",
    "JobSpec",
    "JobState",
    "JobStatus",
    "JobwireError",
    "LinkedError",
    "Middleware",
    "NoAnswer",
    "NotFinished",
    "NotPermitted",
    "Operator",
    "Paused",
    "PayloadError",
    "Pickle",
    "PreparedJob",
    "ProtocolError",
    "QueueView",
    "Receipt",
    "RefusedError",
    "Reject",
    "ResultError",
    "Retry",
    "RetryPolicy",
    "SetupError",
    "SweepReport",
    "TooLarge",
    "Unavailable",
    "UnknownJob",
    "UnknownQueue",
    "__version__",
]

# What a worker's program does not need: it imports this package too, in a fresh process for each isolated job.
_ON_DEMAND = {
    "AsyncClient": "_client",
    "AsyncOperator": "_operator",
    "Client": "_client",
    "Operator": "_operator",
}

if not _typing.TYPE_CHECKING:  # a type checker would take every name for one that is found here

    def __getattr__(name):
        if name not in _ON_DEMAND:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = _importlib.import_module(f"{__name__}.{_ON_DEMAND[name]}")
        value = globals()[name] = getattr(module, name)
        return value

    def __dir__():
        return sorted({*globals(), *_ON_DEMAND})
