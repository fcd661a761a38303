# SPDX-License-Identifier: Apache-2.0
"""The closing summary of ops/dev/test, counted from the JUnit files that ctest and pytest leave.

Usage: summary.py FOLDER RING:LANGUAGE:EXIT_CODE...

FOLDER holds `<ring>-<language>.xml` and `.log` for each run, and `sanitizer/`, in which every file is a report.
Whatever is not plainly a pass or a named skip counts as a failure: a test whose program is missing, a runner that
ended badly without naming a failed test, a ring in which nothing ran, a sanitizer's report.
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TextIO

PYTEST_NO_TESTS = 5
SHOWN_CHARACTERS = 12_000


@dataclass
class Run:
    """One runner's tests in one ring."""

    ring: str
    language: str
    passed: int = 0
    seconds: float = 0.0
    failed: list[tuple[str, str]] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)

    @property
    def ran(self) -> int:
        return self.passed + len(self.failed)


def read_run(folder: Path, ring: str, language: str, exit_code: int) -> Run:
    """Reads one runner's JUnit file; a file that is missing or broken makes the run a failure."""
    run = Run(ring, language)
    log = folder / f"{ring}-{language}.log"
    try:
        cases = list(ET.parse(folder / f"{ring}-{language}.xml").getroot().iter("testcase"))
    except (OSError, ET.ParseError) as error:
        if language == "python" and exit_code == PYTEST_NO_TESTS:
            return run
        run.failed.append(
            (f"the {language} runner", f"left no readable report: {error}\n{_tail(log)}")
        )
        return run
    for case in cases:
        _count(run, case)
    if exit_code not in (0, PYTEST_NO_TESTS) and not run.failed:
        run.failed.append((f"the {language} runner", f"ended with code {exit_code}\n{_tail(log)}"))
    return run


def _count(run: Run, case: ET.Element) -> None:
    name = case.get("name", "?")
    module = case.get("classname", "")
    if module and module != name:
        name = f"{module}::{name}"
    run.seconds += float(case.get("time") or 0)
    broken = [element for element in case if element.tag in ("failure", "error")]
    skip = case.find("skipped")
    output = case.findtext("system-out") or ""
    if broken:
        texts = [
            f"{element.get('message') or ''}\n{element.text or ''}".strip() for element in broken
        ]
        run.failed.append((name, "\n".join([*texts, output]).strip()))
    elif skip is not None and case.get("status") == "notrun" and not _asked_to_skip(skip):
        run.failed.append((name, f"did not run: {skip.get('message')}"))
    elif skip is not None:
        run.skipped.append((name, _reason(skip, output)))
    elif case.get("status") == "disabled":
        run.skipped.append((name, "disabled"))
    else:
        run.passed += 1


def _asked_to_skip(skip: ET.Element) -> bool:
    return (skip.get("message") or "").startswith("SKIP_")


def _reason(skip: ET.Element, output: str) -> str:
    """pytest gives the reason as the message; GoogleTest prints it on the line after "<file>:<line>: Skipped"."""
    message = skip.get("message") or ""
    if not message.startswith("SKIP_"):
        return message
    lines = output.splitlines()
    for line, following in pairwise(lines):
        if line.endswith(": Skipped"):
            return following.strip()
    return ""


def _tail(log: Path) -> str:
    try:
        return log.read_text(errors="replace")[-SHOWN_CHARACTERS:]
    except OSError:
        return ""


def read_reports(folder: Path) -> list[tuple[str, str]]:
    if not folder.is_dir():
        return []
    return [
        (f"sanitizer report {path.name}", path.read_text(errors="replace"))
        for path in sorted(folder.iterdir())
    ]


def empty_rings(runs: Iterable[Run]) -> list[str]:
    """The rings in which neither language ran a test."""
    ran: dict[str, int] = {}
    for run in runs:
        ran[run.ring] = ran.get(run.ring, 0) + run.ran
    return [ring for ring, count in ran.items() if count == 0]


def write(runs: Sequence[Run], reports: Sequence[tuple[str, str]], out: TextIO) -> bool:
    """Writes failures first, then skips, the table and the closing line. True when everything is well."""
    failed = [
        (f"{run.ring}, {run.language}: {name}", text) for run in runs for name, text in run.failed
    ]
    failed += reports
    failed += [(f"the {ring} ring", "ran no test") for ring in empty_rings(runs)]
    for name, text in failed:
        print(f"\n--- failed: {name}\n{text[-SHOWN_CHARACTERS:].rstrip()}", file=out)
    skipped = [
        (f"{run.ring}, {run.language}: {name}", reason)
        for run in runs
        for name, reason in run.skipped
    ]
    if skipped:
        print("\nskipped:", file=out)
    for name, reason in skipped:
        print(f"  {name}{': ' if reason else ''}{reason}", file=out)
    if failed:
        print("\nfailed:", file=out)
    for name, _ in failed:
        print(f"  {name}", file=out)
    print(
        f"\n{'ring':<12} {'language':<9} {'passed':>7} {'failed':>7} {'skipped':>8} {'seconds':>9}",
        file=out,
    )
    for run in runs:
        if not run.ran and not run.skipped:
            continue
        print(
            f"{run.ring:<12} {run.language:<9} {run.passed:>7} {len(run.failed):>7} {len(run.skipped):>8}"
            f" {run.seconds:>9.1f}",
            file=out,
        )
    passed = sum(run.passed for run in runs)
    print(f"\n{passed} passed, {len(failed)} failed, {len(skipped)} skipped", file=out)
    return not failed and passed > 0


def main(arguments: Sequence[str]) -> int:
    folder = Path(arguments[0])
    runs = []
    for argument in arguments[1:]:
        ring, language, code = argument.split(":")
        runs.append(read_run(folder, ring, language, int(code)))
    return 0 if write(runs, read_reports(folder / "sanitizer"), sys.stdout) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
