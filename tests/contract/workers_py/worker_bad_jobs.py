# SPDX-License-Identifier: Apache-2.0
"""Apps that cannot be served, or not yet."""

from __future__ import annotations

import os
from pathlib import Path

from jobwire import App

empty = App("empty")
unreadable = App("unreadable")
fragile = App("fragile")


@unreadable.job(name="unreadable")
def cannot(data: complex) -> None: ...


@fragile.setup
def load() -> None:
    if not Path(os.environ["WORKER_JOBS_FLAG"]).exists():
        raise ConnectionError("the database is away")


@fragile.job
def fine() -> None: ...
