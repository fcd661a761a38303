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


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeBroker]:
    """A broker with one worker, shared by the tests of a module that leave both as they were."""
    fake = FakeBroker()
    log = tmp_path_factory.mktemp("served") / "host.log"
    try:
        with hosted(fake, log, "-c", "1"):
            yield fake
    finally:
        fake.close()
        print(log.read_text())
