# SPDX-License-Identifier: Apache-2.0
"""What goes wrong in Python, and in Redis, as the C++ caller sees it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from rig import Rig, children, until

HERE = Path(__file__).resolve().parent


def test_exception_reaches_the_cpp_caller_with_its_type_and_message(tmp_path: Path) -> None:
    with Rig(tmp_path / "rig", options=["--attempts", "2", "--backoff-base", "10ms"]) as rig:
        rig.start_broker()
        rig.start_host(f"{HERE / 'ledger_app.py'}", env={"LEDGER": str(tmp_path / "ran")})
        result = rig.campaign(
            "--queue", "ledger", "--type", "wrong", "--jobs", "20", "--timeout", "60"
        ).finish()
        assert result["ends"] == {"Dead": 20}, result
        assert "ValueError" in result["first_error"]
        assert "this one always fails" in result["first_error"]
        assert rig.ended("ledger", "dead") == 20
        assert rig.redis_cli("HGET", "jw:{0}:queue:ledger", "failed_attempts") == "40", (
            "two attempts each"
        )


@pytest.mark.timeout(240)
def test_embedded_redis_killed_under_load_loses_nothing(tmp_path: Path) -> None:
    ledger = tmp_path / "ran"
    with Rig(tmp_path / "rig", aof="always") as rig:
        broker = rig.start_broker()
        rig.start_host(f"{HERE / 'ledger_app.py'}", env={"LEDGER": str(ledger)})
        campaign = rig.campaign(
            *(
                "--queue",
                "ledger",
                "--type",
                "note",
                "--jobs",
                "10000",
                "--window",
                "20000",
                "--timeout",
                "150",
            )
        )
        for more in (500, 2_000, 4_000):
            until(
                "jobs to run",
                lambda more=more: ledger.exists() and ledger.read_bytes().count(b"\n") > more,
                60,
            )  # type: ignore[misc]
            (redis,) = list(children(broker.pid))
            os.kill(redis, signal.SIGKILL)
            until(
                "a new Redis",
                lambda redis=redis: [p for p in children(broker.pid) if p != redis],
                30,
            )  # type: ignore[misc]
        result = campaign.finish(200)
        assert result["ends"] == {"Succeeded": 10_000}, result
        until("all to be stored", lambda: rig.ended("ledger", "succeeded") == 10_000)
        assert broker.alive()


@pytest.mark.timeout(120)
def test_frozen_redis_delays_and_loses_nothing(tmp_path: Path) -> None:
    with Rig(tmp_path / "rig", aof="everysec") as rig:
        broker = rig.start_broker()
        rig.start_host(f"{HERE / 'ledger_app.py'}", env={"LEDGER": str(tmp_path / "ran")})
        campaign = rig.campaign(
            "--queue", "ledger", "--type", "note", "--jobs", "5000", "--timeout", "90"
        )
        until("jobs to run", lambda: (tmp_path / "ran").exists(), 30)
        (redis,) = children(broker.pid)
        os.kill(redis, signal.SIGSTOP)
        frozen = time.monotonic()
        # Longer than the store waits for a reply, so that the connection is given up and made anew.
        until("the freeze to last", lambda: time.monotonic() - frozen > 7, 10, every=0.2)
        os.kill(redis, signal.SIGCONT)
        result = campaign.finish(100)
        assert result["ends"] == {"Succeeded": 5_000}, result
