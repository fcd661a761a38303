# SPDX-License-Identifier: Apache-2.0
"""The C++ Operator against a live system: each fact of operator_live.cc."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from facts import facts_in
from jobwire._gen._command import main
from rig import Rig, build_dir, until

HERE = Path(__file__).resolve().parent
PROGRAM = build_dir() / "bin/jobwire-operator-live"
RESTART = "ASweepOutlivesItsBroker"


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with Rig(tmp_path_factory.mktemp("operator") / "rig", aof="no") as rig:
        rig.start_redis(aof="no")
        rig.start_broker()
        host = rig.start_host(f"{HERE / 'operator_live_app.py'}")
        until("the workers", lambda: len(rig.worker_pids(host)) == 2)
        yield rig


def contract(folder: Path) -> Path:
    source = folder / "shop.fbs"
    source.write_text(
        "table Ask { word:string; } table Told { text:string; } rpc_service Shop { answer(Ask):Told; }"
    )
    assert main([str(source), "--bfbs", str(folder)]) == 0
    return folder / "shop.bfbs"


@pytest.mark.timeout(150)
@pytest.mark.parametrize("fact", facts_in(HERE / "operator_live.cc", "Operating"))
def test_operator_live(rig: Rig, fact: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with out.open("wb") as stdout:
        program = subprocess.Popen(
            [PROGRAM, f"--gtest_filter=Operating.{fact}"],
            env={
                **os.environ,
                "JOBWIRE_ENDPOINT": rig.producers,
                "JOBWIRE_CONTRACT": str(contract(tmp_path)),
            },
            stdout=stdout,
            stderr=subprocess.STDOUT,
        )
    try:
        if fact == RESTART:
            until("the sweep to be under way", lambda: "sweeping" in out.read_text(), 60)
            assert rig.broker
            rig.broker.kill()
            rig.start_broker()
        code = program.wait(120)
    finally:
        program.kill()
        program.wait(10)
    assert code == 0, out.read_text()
    assert "[  PASSED  ] 1 test." in out.read_text()
