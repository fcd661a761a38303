# SPDX-License-Identifier: Apache-2.0
"""Notices that a program's source has changed, for `--reload`. Looks at files; imports nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

_MOST_FILES = 20_000
_SKIPPED = frozenset({"__pycache__", "node_modules", "site-packages"})


class Sources:
    """The Python files below some folders; environments and hidden folders are not looked into."""

    def __init__(self, folders: Iterable[str]) -> None:
        self._folders = list(dict.fromkeys(os.path.abspath(folder) for folder in folders))
        self._known = self._look()

    def changed(self) -> str | None:
        """One file that was written, made or removed since the last call."""
        now = self._look()
        known, self._known = self._known, now
        for path in known.keys() | now.keys():
            if known.get(path) != now.get(path):
                return path
        return None

    def _look(self) -> dict[str, tuple[int, int]]:
        found: dict[str, tuple[int, int]] = {}
        for folder in self._folders:
            for entry in _python_files(folder):
                try:
                    state = entry.stat()
                except OSError:  # gone in the meantime
                    continue
                found[entry.path] = state.st_mtime_ns, state.st_size
                if len(found) >= _MOST_FILES:
                    return found
        return found


def _python_files(folder: str) -> Iterator[os.DirEntry[str]]:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    if any(entry.name == "pyvenv.cfg" for entry in entries):
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            if entry.name not in _SKIPPED and not entry.name.startswith("."):
                yield from _python_files(entry.path)
        elif entry.name.endswith(".py"):
            yield entry
