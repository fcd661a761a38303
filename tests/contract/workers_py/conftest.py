# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

# Tests are imported each by itself, so what they share has to be found.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from worker_rig import FakeBroker, Host, hosted


@pytest.fixture
def broker() -> Iterator[FakeBroker]:
    fake = FakeBroker()
    try:
        yield fake
    finally:
        fake.close()


@pytest.fixture
def start(
    broker: FakeBroker, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Host]]:
    """Starts `jobwire worker worker_jobs:app ARGUMENTS`; the logs are shown when the test fails."""
    logs: list[Path] = []
    with ExitStack() as stack:

        def begin(*arguments: str, target: str = "worker_jobs:app") -> Host:
            logs.append(tmp_path / f"host{len(logs)}.log")
            return stack.enter_context(hosted(broker, logs[-1], *arguments, target=target))

        try:
            yield begin
        finally:
            for log in logs:
                print(log.read_text())
