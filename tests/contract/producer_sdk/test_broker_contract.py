# SPDX-License-Identifier: Apache-2.0
"""The suite that holds the C++ FakeBroker to the real broker's behaviour, here against the real one."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from rig import Rig, build_dir, until

HERE = Path(__file__).resolve().parent
PROGRAM = build_dir() / "bin/jobwire-broker-contract"


def facts() -> list[str]:
    """Names of the suite's tests, from its source: the program may not be built when tests are collected."""
    source = (HERE / "broker_contract_test.cc").read_text()
    return re.findall(r"^TEST_P\(BrokerContract, (\w+)\)", source, re.MULTILINE)


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with Rig(tmp_path_factory.mktemp("contract") / "rig", aof="no") as rig:
        rig.start_broker()
        host = rig.start_host(f"{HERE / 'contract_app.py'}")
        until("the workers", lambda: len(rig.worker_pids(host)) == 2)
        yield rig


@pytest.mark.timeout(120)
@pytest.mark.parametrize("fact", facts())
def test_broker_contract(rig: Rig, fact: str) -> None:
    done = subprocess.run(
        [PROGRAM, f"--gtest_filter=On/BrokerContract.{fact}/Jobwired"],
        env={**os.environ, "JOBWIRE_ENDPOINT": rig.producers},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[  PASSED  ] 1 test." in done.stdout
