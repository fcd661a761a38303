# SPDX-License-Identifier: Apache-2.0
"""The tree that these tests look at: what git tracks, and what it would track after `git add`."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest


@dataclass(frozen=True)
class Tree:
    root: Path
    files: tuple[PurePosixPath, ...]

    def named(self, *suffixes: str) -> list[PurePosixPath]:
        return [path for path in self.files if path.name.endswith(suffixes)]

    def below(self, folder: str) -> list[PurePosixPath]:
        return [path for path in self.files if path.is_relative_to(folder)]

    def text(self, path: PurePosixPath | str) -> str:
        """The file's text, or the empty string when it holds bytes that are no text."""
        try:
            return (self.root / path).read_text()
        except UnicodeDecodeError:
            return ""


@pytest.fixture(scope="session")
def tree() -> Tree:
    root = Path(__file__).resolve().parents[3]
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    paths = [PurePosixPath(name) for name in listed.split("\0") if name]
    return Tree(root, tuple(sorted(path for path in paths if (root / path).is_file())))
