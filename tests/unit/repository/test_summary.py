# SPDX-License-Identifier: Apache-2.0
"""ops/dev/test's closing summary: nothing that did not pass is counted as passed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SUMMARY = Path(__file__).resolve().parents[3] / "ops/dev/lib/summary.py"

CTEST = """<testsuite name="ring">
<testcase name="Job.Ends" classname="Job.Ends" time="0.5" status="run"/>
<testcase name="Job.Waits" classname="Job.Waits" time="0" status="notrun">
  <skipped message="SKIP_REGULAR_EXPRESSION_MATCHED"/>
  <system-out>job_test.cc:3: Skipped\nneeds a disk\n</system-out></testcase>
{more}</testsuite>"""

PYTEST = """<testsuites><testsuite name="pytest">
<testcase classname="test_a" name="test_runs" time="0.25"/>
<testcase classname="test_a" name="test_skips" time="0"><skipped message="no network"/></testcase>
{more}</testsuite></testsuites>"""


@pytest.fixture
def summarise(tmp_path):
    def run(*runs: str) -> tuple[int, list[str]]:
        done = subprocess.run(
            [sys.executable, SUMMARY, tmp_path, *runs], capture_output=True, text=True, check=False
        )
        assert done.stderr == ""
        return done.returncode, done.stdout.rstrip("\n").splitlines()

    return run


def test_passes_and_skips_of_both_languages_are_added_and_skips_named(tmp_path, summarise):
    (tmp_path / "unit-cpp.xml").write_text(CTEST.format(more=""))
    (tmp_path / "unit-python.xml").write_text(PYTEST.format(more=""))
    code, lines = summarise("unit:cpp:0", "unit:python:0")
    assert code == 0
    assert lines[-1] == "2 passed, 0 failed, 2 skipped"
    assert "  unit, cpp: Job.Waits: needs a disk" in lines
    assert "  unit, python: test_a::test_skips: no network" in lines


@pytest.mark.parametrize(
    "case",
    [
        '<testcase name="A.B" status="fail"><failure message=""/></testcase>',
        '<testcase name="A.B" status="notrun"><skipped message="Unable to find executable"/></testcase>',
    ],
)
def test_a_failed_test_and_a_missing_program_are_failures(tmp_path, summarise, case):
    (tmp_path / "unit-cpp.xml").write_text(CTEST.format(more=case))
    code, lines = summarise("unit:cpp:8")
    assert code == 1
    assert lines[-1] == "1 passed, 1 failed, 1 skipped"


def test_an_error_in_a_fixture_is_a_failure(tmp_path, summarise):
    case = '<testcase classname="t" name="u"><error message="setup">why</error></testcase>'
    (tmp_path / "unit-python.xml").write_text(PYTEST.format(more=case))
    code, lines = summarise("unit:python:1")
    assert (code, lines[-1]) == (1, "1 passed, 1 failed, 1 skipped")
    assert "why" in lines


def test_a_runner_that_dies_without_a_report_is_a_failure_with_its_log(tmp_path, summarise):
    (tmp_path / "unit-cpp.log").write_text("ctest fell over\n")
    code, lines = summarise("unit:cpp:1")
    assert code == 1
    assert "ctest fell over" in lines


def test_a_runner_that_ends_badly_though_no_test_failed_is_a_failure(tmp_path, summarise):
    (tmp_path / "unit-python.xml").write_text(PYTEST.format(more=""))
    code, lines = summarise("unit:python:3")
    assert (code, lines[-1]) == (1, "1 passed, 1 failed, 1 skipped")


def test_a_ring_that_ran_nothing_is_a_failure_and_an_empty_language_is_not(tmp_path, summarise):
    (tmp_path / "unit-cpp.xml").write_text(CTEST.format(more=""))
    (tmp_path / "sim-cpp.xml").write_text('<testsuite name="ring" tests="0"/>')
    code, lines = summarise("unit:cpp:0", "unit:python:5")
    assert (code, lines[-1]) == (0, "1 passed, 0 failed, 1 skipped")
    code, lines = summarise("unit:cpp:0", "unit:python:5", "sim:cpp:0", "sim:python:5")
    assert (code, lines[-1]) == (1, "1 passed, 1 failed, 1 skipped")
    assert "  the sim ring" in lines


def test_a_sanitizer_report_is_a_failure(tmp_path, summarise):
    (tmp_path / "unit-cpp.xml").write_text(CTEST.format(more=""))
    (tmp_path / "sanitizer").mkdir()
    (tmp_path / "sanitizer/tsan.77").write_text("WARNING: ThreadSanitizer: data race\n")
    code, lines = summarise("unit:cpp:0", "unit:python:5")
    assert (code, lines[-1]) == (1, "1 passed, 1 failed, 1 skipped")
    assert "WARNING: ThreadSanitizer: data race" in lines
