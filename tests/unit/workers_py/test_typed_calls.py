# SPDX-License-Identifier: Apache-2.0
"""A strict type checker sees what the handler takes and gives: each wrong call is an error, each right one is not."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from mypy import api

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parents[2] / "workers_py"
CALLS = HERE / "typed" / "calls.py"
_WANTED = re.compile(r"# E: ([\w, -]+)$")
_FOUND = re.compile(r"^(.*?):(\d+): error: .*\[([\w-]+)\]$", re.MULTILINE)


def wanted(path: Path) -> set[tuple[int, str]]:
    return {
        (number, code.strip())
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if (mark := _WANTED.search(line))
        for code in mark[1].split(",")
    }


def found(path: Path, cache: Path) -> set[tuple[int, str]]:
    out, problem, _ = api.run(
        ["--strict", "--config-file", str(PACKAGE / "pyproject.toml"), "--cache-dir", str(cache),
         "--python-executable", sys.executable, "--no-error-summary", "--hide-error-context", str(path)]
    )  # fmt: skip
    assert problem == ""
    errors = _FOUND.findall(out)
    assert {Path(name).name for name, _, _ in errors} <= {path.name}, out
    return {(int(line), code) for _, line, code in errors}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mypy")


def test_exactly_the_wrong_calls_are_errors(cache: Path) -> None:
    assert len(wanted(CALLS)) > 20
    assert found(CALLS, cache) == wanted(CALLS)


def test_a_wrong_call_that_is_not_marked_is_found(tmp_path: Path, cache: Path) -> None:
    """The test above can fail."""
    unmarked = tmp_path / "calls.py"
    unmarked.write_text(CALLS.read_text().replace("  # E: assignment", ""))
    assert found(unmarked, cache) - wanted(unmarked) == wanted(CALLS) - wanted(unmarked)
