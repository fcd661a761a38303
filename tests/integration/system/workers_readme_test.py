# SPDX-License-Identifier: Apache-2.0
"""Every snippet of workers_py/README.md is run, against a real broker where it needs one, and strictly type-checked.

A Python snippet that starts with `# name.py` becomes that file, as does a contract with `// name.fbs`; any other one is a script, whose printed lines are
compared with the comments behind its `print` calls. Files named test_*.py are given to pytest. Lines of shell snippets are
run; `jobwire worker MODULE:APP` is started and serves the snippets behind it.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from mypy import api
from rig import ROOT, Rig, until

README = ROOT / "workers_py" / "README.md"
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PRINTED = re.compile(r"print\(.*\)  # (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Snippet:
    language: str
    text: str
    number: int

    @property
    def file(self) -> str:
        named = re.match(r"(?:#|//) (\w+\.(?:py|fbs))\n", self.text)
        return named[1] if named else f"script_{self.number}.py"

    @property
    def is_script(self) -> bool:
        return self.file.startswith("script_")


def snippets() -> list[Snippet]:
    return [
        Snippet(language, text, number)
        for number, (language, text) in enumerate(_FENCE.findall(README.read_text()))
    ]


def written(folder: Path, producers: str) -> list[Snippet]:
    found = snippets()
    for snippet in found:
        if snippet.language == "python":
            text = snippet.text.replace("tcp://127.0.0.1:7700", producers)
            (folder / snippet.file).write_text(text)
        elif snippet.language == "fbs":
            (folder / snippet.file).write_text(snippet.text)
    return found


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100,
        env={**os.environ, "PYTHONPATH": str(folder)},
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def start_worker(rig: Rig, folder: Path, words: list[str]) -> None:
    target, *options = words
    module, _, name = target.partition(":")
    assert (folder / f"{module}.py").exists(), f"{target} is in no snippet"
    host = rig.start_host(f"{folder / module}.py:{name}", options=options)
    until(f"{target} to serve", lambda: rig.worker_pids(host), 60)


@pytest.mark.timeout(240)
def test_every_snippet_does_what_it_says(tmp_path: Path) -> None:
    with Rig(tmp_path / "rig") as rig:
        rig.start_broker()
        ran = {"python": 0, "sh": 0}
        for snippet in written(tmp_path, rig.producers):
            if snippet.language == "fbs":
                continue
            assert snippet.language in ran, f"{snippet.language!r} is neither python nor sh"
            ran[snippet.language] += 1
            if snippet.language == "sh":
                for line in snippet.text.splitlines():
                    words = shlex.split(line)
                    if words[:2] == ["jobwire", "worker"] and ":" in words[2]:
                        start_worker(rig, tmp_path, words[2:])
                    else:
                        run([str(Path(sys.executable).parent / words[0]), *words[1:]], tmp_path)
            elif snippet.file.startswith("test_"):
                out = run([sys.executable, "-m", "pytest", "-q", snippet.file], tmp_path)
                assert f"{snippet.text.count('def test_')} passed" in out
            elif snippet.is_script:
                printed = run([sys.executable, snippet.file], tmp_path).splitlines()
                assert printed == _PRINTED.findall(snippet.text)
                assert printed
            else:
                run([sys.executable, "-c", f"import {Path(snippet.file).stem}"], tmp_path)
        assert ran["python"] >= 5
        assert ran["sh"] >= 2


def test_every_snippet_passes_a_strict_type_checker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = written(tmp_path, "tcp://x")
    for contract in [one.file for one in found if one.language == "fbs"]:
        jobwire = str(Path(sys.executable).parent / "jobwire")
        run([jobwire, "gen", contract, "--python", "."], tmp_path)
    files = [one.file for one in found if one.language == "python"]
    monkeypatch.setenv("MYPYPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    settings = str(ROOT / "workers_py" / "pyproject.toml")
    out, problem, code = api.run(
        ["--strict", "--config-file", settings, "--cache-dir", str(tmp_path / "cache"),
         "--python-executable", sys.executable, *files]
    )  # fmt: skip
    assert (code, problem) == (0, ""), out
