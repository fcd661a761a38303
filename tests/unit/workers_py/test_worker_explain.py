# SPDX-License-Identifier: Apache-2.0
"""How a program's own mistake is told."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from jobwire._errors import AppNotFound
from jobwire._explain import one_line, own_traceback
from jobwire._load import load_app


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the import path."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_line_names_error_and_place(load: Path) -> None:
    (load / "mistaken.py").write_text("x = 1\n\nimport no_such_library\n")
    with pytest.raises(ModuleNotFoundError) as raised:
        importlib.import_module("mistaken")
    assert one_line(raised.value) == (
        f"ModuleNotFoundError: No module named 'no_such_library' ({load}/mistaken.py, line 3)"
    )


def test_syntax_error_names_the_line_that_cannot_be_read(load: Path) -> None:
    (load / "garbled.py").write_text("x = 1\nthis is no Python\n")
    with pytest.raises(SyntaxError) as raised:
        importlib.import_module("garbled")
    assert one_line(raised.value) == f"SyntaxError: invalid syntax ({load}/garbled.py, line 2)"


def test_frames_of_the_import_system_are_left_out(load: Path) -> None:
    (load / "outer.py").write_text("import inner\n")
    (load / "inner.py").write_text("def f():\n    1 / 0\n\nf()\n")
    try:
        exec("import importlib\nimportlib.import_module('outer')", {"__name__": "jobwire._load"})
    except ZeroDivisionError as error:
        # This test's own frame stands for the worker's.
        shown = own_traceback(error.with_traceback(error.__traceback__.tb_next))  # type: ignore[union-attr]
    assert "importlib" not in shown.replace("import_module", "")
    places = [line.strip() for line in shown.splitlines() if line.startswith("  File")]
    assert places[0] == f'File "{load}/outer.py", line 1, in <module>'
    assert places[-1] == f'File "{load}/inner.py", line 2, in f'


def test_error_without_frames_has_no_place() -> None:
    assert one_line(SystemExit(3)) == "SystemExit: 3"


@pytest.mark.parametrize("mistake", ["ValueError('x')", "TypeError('x')", "ImportError('x')"])
def test_what_the_module_raises_is_not_taken_for_a_wrong_name(load: Path, mistake: str) -> None:
    name = f"raising_{mistake.partition('(')[0].lower()}"
    (load / f"{name}.py").write_text(f"raise {mistake}\n")
    with pytest.raises((ValueError, TypeError, ImportError), match=r"^x$"):
        load_app(name)


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("", "'' is not of the form module:app"),
        (":app", "':app' is not of the form module:app"),
        (".jobs", "'.jobs' is not of the form module:app"),
        ("mail.py", "a module is named with dots and without .py"),
        ("jobs/mail.py:app", "a module is named with dots and without .py"),
        ("no_such", "no module named 'no_such' (looked in "),
        ("json:tool", "module 'json' has no 'tool'"),
    ],
)
def test_name_that_leads_to_no_app_is_refused_with_what_is_wrong(target: str, told: str) -> None:
    with pytest.raises(AppNotFound) as refused:
        load_app(target)
    assert told in str(refused.value)
