# SPDX-License-Identifier: Apache-2.0
"""What lies where, under which name and licence, and what no file may say."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import pytest

TOP_LEVEL = {
    "CMakeLists.txt",
    "CMakePresets.json",
    "LICENSE",
    "README.md",
    "broker",
    "ops",
    "producer_sdk",
    "schemas",
    "tests",
    "workers_py",
}

SOURCE_SUFFIXES = {
    *(".h", ".cc", ".cmake", ".fbs"),
    *(".py", ".pyi"),
    *(".sh", ".js", ".mjs", ".ts", ".css"),
}

# A file or folder named so collects whatever finds no other place.
BIN_WORDS = {"helper", "helpers", "manager", "misc", "util", "utils"}
# These name nothing when they stand alone; beside another word they may.
BIN_NAMES = {"common", "data", "info"}


def has_a_word(label: str, *parts: str) -> re.Pattern[str]:
    """A host or folder, put together here so that this file does not say it."""
    return re.compile(r"(?<![\w.-])" + re.escape(label.join(parts)) + r"(?![\w-])")


# Locks pin by hash and name; where packages come from is the business of the machine that installs them.
NOT_SAID = [
    has_a_word(".", "pypi", "org"),
    has_a_word(".", "files", "pythonhosted", "org"),
    has_a_word(".", "registry", "npmjs", "org"),
    has_a_word(".", "npmjs", "com"),
    has_a_word(".", "crates", "io"),
    has_a_word(".", "proxy", "golang", "org"),
    has_a_word(".", "repo", "maven", "apache", "org"),
    has_a_word(".", "deb", "debian", "org"),
    # where somebody's machine keeps the tree
    re.compile(r"(?<![\w.-])/(?:work|root|Users/\w+)/"),
]


def is_source(path: PurePosixPath, text: str) -> bool:
    return (
        path.suffix in SOURCE_SUFFIXES or path.name == "CMakeLists.txt" or text.startswith("#!")
    ) and bool(text.strip())


def lacks_licence(path: PurePosixPath, text: str) -> bool:
    start = "\n".join(text.splitlines()[:3])
    return is_source(path, text) and "SPDX-License-Identifier: Apache-2.0" not in start


def bin_words(path: PurePosixPath) -> set[str]:
    found = set()
    for part in path.parts:
        words = [word for word in re.split(r"[_-]+", part.lower().split(".")[0]) if word]
        found |= BIN_WORDS.intersection(words)
        if len(words) == 1:
            found |= BIN_NAMES.intersection(words)
    return found


def said(text: str) -> list[str]:
    return [found[0] for pattern in NOT_SAID for found in pattern.finditer(text)]


def test_top_level_holds_only_what_the_design_names(tree):
    tops = {path.parts[0] for path in tree.files}
    assert {top for top in tops if not top.startswith(".")} - TOP_LEVEL == set()


def test_every_source_says_its_licence(tree):
    assert [path for path in tree.files if lacks_licence(path, tree.text(path))] == []


def test_no_file_has_a_bin_name(tree):
    assert [path for path in tree.files if bin_words(path)] == []


def test_no_file_names_a_registry_or_somebodys_folder(tree):
    assert {str(path): found for path in tree.files if (found := said(tree.text(path)))} == {}


def test_generated_and_built_files_are_not_tracked(tree):
    built = re.compile(r"_generated\.h$|(^|/)(build|node_modules|__pycache__|\.venv)/|\.pyc$")
    assert [path for path in tree.files if built.search(str(path))] == []


def test_no_file_is_huge(tree):
    assert [path for path in tree.files if (tree.root / path).stat().st_size > 1_000_000] == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("broker/core/job.h", "#pragma once\n"),
        ("ops/dev/verb", "#!/usr/bin/env bash\nset -e\n"),
        ("tests/x.cmake", "# a list\n"),
    ],
)
def test_a_missing_licence_line_is_found(name, text):
    assert lacks_licence(PurePosixPath(name), text)
    assert not lacks_licence(PurePosixPath(name), "# SPDX-License-Identifier: Apache-2.0\n" + text)


@pytest.mark.parametrize(
    "name", ["broker/core/utils.h", "workers_py/src/jobwire/_common.py", "tests/queue_manager.cc"]
)
def test_a_bin_name_is_found(name):
    assert bin_words(PurePosixPath(name))


def test_a_name_that_says_which_data_is_not_a_bin_name():
    assert not bin_words(PurePosixPath("broker/adapters/redis/data_directory.h"))


@pytest.mark.parametrize(
    "text",
    [
        "https://" + "pypi" + ".org/simple",
        '"resolved": "https://registry.' + "npmjs" + '.org/bullmq"',
        "cd /" + "work/main",
        "/" + "Users/someone/src",
    ],
)
def test_a_registry_or_a_folder_is_found(text):
    assert said(text)


@pytest.mark.parametrize("text", ["network/main", "a/work/b", "the work is done", "crates of ions"])
def test_ordinary_words_are_not_taken_for_hosts_or_folders(text):
    assert said(text) == []
