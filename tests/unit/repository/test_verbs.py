# SPDX-License-Identifier: Apache-2.0
"""Each verb explains itself and refuses what it does not know before it installs or builds anything."""

from __future__ import annotations

import os
import subprocess

import pytest

VERBS = ["bench", "build", "chaos", "check", "demo", "fmt", "fuzz", "lock", "test"]


def run(tree, verb: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [tree.root / "ops/dev" / verb, *arguments],
        # Without these folders a verb that tried to install or build something would fail otherwise.
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_the_list_of_verbs_is_complete(tree):
    found = [
        path.name for path in tree.below("ops/dev") if len(path.parts) == 3 and "." not in path.name
    ]
    assert found == VERBS
    assert all(os.access(tree.root / "ops/dev" / verb, os.X_OK) for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_prints_its_help(tree, verb):
    done = run(tree, verb, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"ops/dev/{verb}")


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_refuses_an_unknown_argument_with_one_line(tree, verb):
    done = run(tree, verb, "--no-such-thing")
    assert done.returncode == 2
    assert done.stderr.startswith(f"{verb}: ")
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""
