# SPDX-License-Identifier: Apache-2.0
"""Facts that a C++ program checks against a system that a Python test has started: one test for each."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from rig import Rig


def facts_in(source: Path, suite: str) -> list[str]:
    """Names of a suite's tests, from their source: the program may not be built when tests are collected."""
    found = re.findall(rf"^TEST_[FP]\({suite}, (\w+)\)", source.read_text(), re.MULTILINE)
    assert found, f"no tests of {suite} in {source}"
    return found


def passed(program: Path, test: str, rig: Rig) -> str:
    """Runs one test of a program against the rig's broker, by its full name; what it has printed."""
    done = subprocess.run(
        [program, f"--gtest_filter={test}"],
        env={**os.environ, "JOBWIRE_ENDPOINT": rig.producers},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[  PASSED  ] 1 test." in done.stdout
    return done.stdout
