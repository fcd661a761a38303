# SPDX-License-Identifier: Apache-2.0
"""Dead jobs that one language exports and the other imports are the same jobs when they are exported again."""

from __future__ import annotations

import io
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jobwire import JobFilter, JobSpec, Operator, RetryPolicy
from rig import Rig, build_dir, until

HERE = Path(__file__).resolve().parent
PROGRAM = build_dir() / "bin/jobwire-operator-live"
ALL = JobFilter("operated")


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with Rig(tmp_path / "rig", aof="no") as rig:
        rig.start_redis(aof="no")
        rig.start_broker()
        rig.start_host(f"{HERE / 'operator_live_app.py'}")
        yield rig


def cpp(rig: Rig, test: str, file: Path) -> None:
    done = subprocess.run(
        [PROGRAM, f"--gtest_filter=Exchanging.{test}"],
        env={**os.environ, "JOBWIRE_ENDPOINT": rig.producers, "JOBWIRE_EXPORT": str(file)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "[  PASSED  ] 1 test." in done.stdout


def python(operator: Operator) -> str:
    out = io.StringIO()
    operator.export_dead(out, ALL)
    return out.getvalue()


def jobs(lines: str) -> dict[str, Any]:
    return {job["job"]["id"]: job for job in map(json.loads, lines.splitlines())}


@pytest.mark.timeout(180)
def test_exports_of_both_languages_are_taken_by_the_other_without_a_change(
    rig: Rig, tmp_path: Path
) -> None:
    policy = RetryPolicy.exponential(
        "10ms", cap="2s", factor=1.5, jitter=False, attempts=3, crashes=2, never_on=["KeyError"]
    )
    specs = [
        JobSpec("refuses", "plain", queue="operated"),
        JobSpec("refuses", "größe 日本 \" \\ \n", queue="operated", priority=9, timeout="30s", result_ttl="1h"),
        JobSpec("refuses", "retry", queue="operated", retry=policy, headers={"trace": "1-2-3", "größe": "ä"}),
        JobSpec("refuses", "kept", queue="operated", keep_payload=True, dedup_key="k", dedup_window="1h"),
        JobSpec("refuses", "", queue="operated"),
    ]  # fmt: skip
    with Operator(rig.producers) as operator:
        ids = [operator.submit(spec).id for spec in specs]
        until("all to be dead", lambda: operator.queue("operated").dead == len(specs), 60)
        operator.replay(JobFilter(ids=(ids[0],)), by="ada")  # attempts of two generations
        until(
            "it to be dead again",
            lambda: {dead.id: dead.generation for dead in operator.dead(ALL)}.get(ids[0]) == 1,
            60,
        )
        before = jobs(python(operator))
        assert len(before) == len(specs)

        file = tmp_path / "from-cpp"
        cpp(rig, "DeadJobsAreWrittenToTheFile", file)
        assert jobs(file.read_text()) == before
        assert operator.drop(ALL, by="ada").done == len(specs)
        with file.open() as lines:
            report = operator.import_dead(lines, by="ada")
        assert (report.imported, report.known, report.refused) == (len(specs), 0, {})
        assert jobs(python(operator)) == before

        file = tmp_path / "from-python"
        file.write_text(python(operator))
        assert operator.drop(ALL, by="ada").done == len(specs)
        cpp(rig, "DeadJobsAreTakenFromTheFile", file)
        assert jobs(python(operator)) == before
        again = tmp_path / "from-cpp-again"
        cpp(rig, "DeadJobsAreWrittenToTheFile", again)
        assert jobs(again.read_text()) == before
