# SPDX-License-Identifier: Apache-2.0
"""The life of a job from the C++ SDK through broker and workers to Redis: each feature, by the program life.cc."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from facts import facts_in, passed
from rig import Rig, build_dir, until

HERE = Path(__file__).resolve().parent
PROGRAM = build_dir() / "bin/jobwire-life"


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("life")
    # Cancelling by force shall not wait for the default grace of seconds.
    with Rig(folder / "rig") as rig:
        rig.start_broker()
        host = rig.start_host(f"{HERE / 'life_app.py'}")
        until("the workers", lambda: len(rig.worker_pids(host)) == 2)
        yield rig


@pytest.mark.timeout(120)
@pytest.mark.parametrize("fact", facts_in(HERE / "life.cc", "Life"))
def test_life(rig: Rig, fact: str) -> None:
    printed = passed(PROGRAM, f"Life.{fact}", rig)
    for line in printed.splitlines():
        if not line.startswith("redis "):
            continue
        _, job, *fields = line.split(" ")
        for field in fields:
            name, _, value = field.partition("=")
            key = f"jw:{{0}}:job:{job}"
            if value == "*":
                assert rig.redis_cli("HEXISTS", key, name) == "1", f"{job} has no {name}"
            else:
                assert rig.redis_cli("HGET", key, name) == value, f"{name} of {job}"
