# SPDX-License-Identifier: Apache-2.0
"""Apps that cannot be served, or not yet."""

from __future__ import annotations

import os
from pathlib import Path

from jobwire import App

empty = App("empty")
unreadable = App("unreadable")


@unreadable.job(name="unreadable")
def cannot(data: complex) -> None: ...


def load() -> None:
    if not Path(os.environ["WORKER_JOBS_FLAG"]).exists():
        raise ConnectionError("the database is away")


fragile = App("fragile", lifespan=load)


@fragile.job
def fine() -> None: ...
