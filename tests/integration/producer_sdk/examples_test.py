# SPDX-License-Identifier: Apache-2.0
"""The C++ examples do what they say, with the workers that stand beside them."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from rig import ROOT, Rig, build_dir

EXAMPLES = ROOT / "producer_sdk/examples"


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with Rig(tmp_path / "rig", aof="no") as rig:
        rig.start_broker()
        yield rig


def run(rig: Rig, name: str, *arguments: str | Path, text: str = "") -> str:
    folder = name.replace("-", "_")
    rig.start_host(f"{EXAMPLES / folder / f'{folder}_worker.py'}")
    return subprocess.run(
        [build_dir() / f"bin/jobwire-example-{name}", "--broker", rig.producers, *arguments],
        input=text,
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    ).stdout


def test_files_prints_each_files_digest(rig: Rig, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    expected = set()
    for number in range(20):
        content = bytes([number]) * (number * 1000)
        (folder / f"{number}.bin").write_bytes(content)
        expected.add(f"{hashlib.sha256(content).hexdigest()}  {number}.bin")
    assert set(run(rig, "files", folder).splitlines()) == expected


def test_service_answers_each_line(rig: Rig) -> None:
    lines = [f"request number {number} please" for number in range(50)]
    answers = run(rig, "service", text="\n".join(lines) + "\n").splitlines()
    assert sorted(answers) == sorted(f"{line}: 4 words, the longest is 'request'" for line in lines)


def test_hot_loop_loses_nothing_when_the_broker_keeps_up(rig: Rig) -> None:
    out = run(rig, "hot-loop", "2000")
    assert out.startswith("2000 posts: p50 ")
    assert out.rstrip().endswith("0 dropped, 0 not receipted")
