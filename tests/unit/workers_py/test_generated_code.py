# SPDX-License-Identifier: Apache-2.0
"""Code that was generated from other schemas than those beside it is refused in one line."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from jobwire import _cli

SCRIPT = Path(__file__).resolve().parents[3] / "workers_py" / "generate.py"


@pytest.fixture
def generate(tmp_path: Path) -> Any:
    """generate.py, with schemas of its own to read and a folder of its own to write to."""
    spec = importlib.util.spec_from_file_location("generate_under_test", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "schemas").mkdir()
    for path in (SCRIPT.parents[1] / "schemas").glob("*.fbs"):
        (tmp_path / "schemas" / path.name).write_bytes(path.read_bytes())
    (tmp_path / "reflection.fbs").write_bytes((SCRIPT.parent / "reflection.fbs").read_bytes())
    module.HERE = tmp_path
    return module


def test_code_is_outdated_until_it_is_made_and_when_a_schema_changes(
    generate: Any, tmp_path: Path
) -> None:
    target = tmp_path / "wire"
    assert generate.outdated(target)
    assert generate.generate(target) > 0
    assert not generate.outdated(target)
    with (tmp_path / "schemas" / "error.fbs").open("a") as schema:
        schema.write("table More { text:string (id: 0); }\n")
    assert generate.outdated(target)
    assert generate.generate(target) > 0
    assert not generate.outdated(target)
    assert list(target.rglob("More.py"))


def test_command_with_outdated_code_says_what_to_run_and_starts_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_cli, "_outdated", lambda script: script == SCRIPT)
    assert _cli.main(["worker", "no_such_module"]) == 1
    said = capsys.readouterr()
    assert said.err == f"jobwire: the schemas have changed, run: python {SCRIPT}\n"
    assert not said.out


def test_installed_package_has_no_schemas_to_compare_with(tmp_path: Path) -> None:
    assert not _cli._outdated(tmp_path / "generate.py")
