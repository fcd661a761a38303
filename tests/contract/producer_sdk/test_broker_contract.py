# SPDX-License-Identifier: Apache-2.0
"""The suite that holds the C++ FakeBroker to the real broker's behaviour, here against the real one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from facts import facts_in, passed
from rig import Rig, build_dir, until

HERE = Path(__file__).resolve().parent
PROGRAM = build_dir() / "bin/jobwire-broker-contract"


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with Rig(tmp_path_factory.mktemp("contract") / "rig", aof="no") as rig:
        rig.start_broker()
        host = rig.start_host(f"{HERE / 'contract_app.py'}")
        until("the workers", lambda: len(rig.worker_pids(host)) == 2)
        yield rig


@pytest.mark.timeout(120)
@pytest.mark.parametrize("fact", facts_in(HERE / "broker_contract_test.cc", "BrokerContract"))
def test_broker_contract(rig: Rig, fact: str) -> None:
    passed(PROGRAM, f"On/BrokerContract.{fact}/Jobwired", rig)
