# SPDX-License-Identifier: Apache-2.0
"""Links lead somewhere, commands exist, and no figure stands without the command that gives it."""

from __future__ import annotations

import os
import re
from pathlib import PurePosixPath
from urllib.parse import unquote

LINK = re.compile(r"(?<!\!)\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
IMAGE = re.compile(r"!\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+\s+(.*?)\s*$", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
VERB = re.compile(r"\bops/dev/([a-z][a-z-]*)\b(?![./])")
BENCH = re.compile(r"\bops/dev/bench ([a-z]+)\b")


def anchors(text: str) -> set[str]:
    """The names that GitHub gives to headings."""
    return {
        re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).replace(" ", "-")
        for heading in HEADING.findall(FENCE.sub("", text))
    }


def broken_links(tree, path: PurePosixPath, text: str) -> list[str]:
    broken = []
    prose = FENCE.sub("", text)
    for target in LINK.findall(prose) + IMAGE.findall(prose):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = unquote(target).partition("#")
        place = tree.root / path.parent / name if name else tree.root / path
        if not place.exists():
            broken.append(f"{path}: {target}")
        elif anchor and place.suffix == ".md" and anchor not in anchors(place.read_text()):
            broken.append(f"{path}: {target} has no such heading")
    return broken


def unknown_commands(tree, text: str) -> list[str]:
    verbs = [
        name for name in VERB.findall(text) if not os.access(tree.root / "ops/dev" / name, os.X_OK)
    ]
    benches = [
        name
        for name in BENCH.findall(text)
        if not re.search(rf"^  (?:\w+ \| )*{name}(?: \| \w+)*\)", tree.text("ops/dev/bench"), re.M)
    ]
    return [f"ops/dev/{name}" for name in verbs] + [f"ops/dev/bench {name}" for name in benches]


def figures_without_command(text: str) -> list[str]:
    """Rows of the table under the heading "Figures" whose last cell is no command of this tree."""
    section = re.search(r"^## Figures$(.*?)(?=^## |\Z)", text, re.M | re.S)
    rows = re.findall(r"^\|(.*)\|\s*$", section[1] if section else "", re.M)[2:]
    return [row for row in rows if not re.search(r"`ops/dev/[a-z]+[^`]*`\s*$", row)]


def test_every_relative_link_leads_to_a_file(tree):
    documents = tree.named(".md")
    assert documents
    assert [link for path in documents for link in broken_links(tree, path, tree.text(path))] == []


def test_every_verb_that_a_document_names_exists(tree):
    unknown = {
        str(path): found
        for path in tree.named(".md")
        if (found := unknown_commands(tree, tree.text(path)))
    }
    assert unknown == {}


def test_every_figure_in_the_readme_has_its_command(tree):
    assert figures_without_command(tree.text("README.md")) == []


def test_a_broken_link_and_a_missing_heading_are_found(tree):
    text = "# Title\n[a](nowhere.md) [b](#title) [c](#elsewhere) [d](https://example.org)\n"
    (tree.root / "build").mkdir(exist_ok=True)
    place = tree.root / "build/links.md"
    place.write_text(text)
    try:
        found = broken_links(tree, PurePosixPath("build/links.md"), text)
    finally:
        place.unlink()
    assert found == [
        "build/links.md: nowhere.md",
        "build/links.md: #elsewhere has no such heading",
    ]


def test_a_command_that_does_not_exist_is_found(tree):
    assert unknown_commands(tree, "run `ops/dev/fly` or `ops/dev/bench nothing`") == [
        "ops/dev/fly",
        "ops/dev/bench nothing",
    ]


def test_a_figure_without_a_command_is_found():
    table = "## Figures\n| what | figure | command |\n|---|---|---|\n"
    assert figures_without_command(table + "| jobs/s | 3 | `ops/dev/bench e2e` |\n") == []
    assert figures_without_command(table + "| jobs/s | 3 | on my machine |\n") != []
