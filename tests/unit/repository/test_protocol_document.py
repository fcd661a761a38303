# SPDX-License-Identifier: Apache-2.0
"""PROTOCOL.md's tables say what the schemas say."""

from __future__ import annotations

import re

import pytest


def without_comments(schema: str) -> str:
    return re.sub(r"//[^\n]*", "", schema)


def enum(schema: str, name: str) -> dict[str, int]:
    body = re.search(rf"\benum {name} : \w+ \{{(.*?)\}}", without_comments(schema), re.S)
    assert body, f"there is no enum {name}"
    return {key: int(value) for key, value in re.findall(r"(\w+) = (\d+)", body[1])}


def union(schema: str, name: str) -> list[str]:
    body = re.search(rf"\bunion {name} \{{(.*?)\}}", without_comments(schema), re.S)
    assert body, f"there is no union {name}"
    return re.findall(r"\w+", body[1])


def fields(schema: str, name: str) -> list[str]:
    body = re.search(rf"\b(?:table|struct) {name} \{{(.*?)\}}", without_comments(schema), re.S)
    assert body, f"there is no table {name}"
    return re.findall(r"(\w+)\s*:", re.sub(r"\([^)]*\)", "", body[1]))


def rows(document: str, *header: str) -> list[list[str]]:
    """The cells of the table with this header."""
    lines = list(document.splitlines())
    first = "| " + " | ".join(header) + " |"
    assert first in lines, f"there is no table {first}"
    found = []
    for line in lines[lines.index(first) + 2 :]:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip("|").split("|")])
    assert found
    return found


@pytest.fixture(scope="module")
def document(tree) -> str:
    return tree.text("schemas/PROTOCOL.md")


@pytest.fixture(scope="module")
def types(tree) -> str:
    return tree.text("schemas/types.fbs")


@pytest.fixture(scope="module")
def messages(tree) -> str:
    return tree.text("schemas/message.fbs")


def test_code_table_is_the_code_enum(document, types):
    table = {row[0]: int(row[1]) for row in rows(document, "code", "number", "meaning", "the peer")}
    codes = enum(types, "Code")
    assert codes.pop("Unspecified") == 0
    assert table == codes


def test_message_table_is_the_body_union_in_its_order(document, messages):
    table = rows(document, "kind", "from", "to", "answered by")
    kinds = union(messages, "Body")
    assert [row[0] for row in table] == kinds
    answers = {answer for row in table for answer in row[3].split(", ")} - {"-"}
    assert answers - set(kinds) == set()


def test_message_table_names_only_roles_of_the_schema(document, types):
    roles = {role.lower() for role in enum(types, "Role")} - {"unspecified"}
    table = rows(document, "kind", "from", "to", "answered by")
    named = {peer for row in table for cell in row[1:3] for peer in cell.split(", ")}
    assert named - roles - {"any", "broker"} == set()


def test_limits_table_names_only_fields_of_limits(document, messages):
    table = {row[0]: int(row[1]) for row in rows(document, "limit", "default")}
    assert set(table) == set(fields(messages, "Limits"))
    assert all(value > 0 for value in table.values())
    assert table["max_payload_bytes"] < table["max_message_bytes"]


def test_lifecycle_table_names_every_state_and_no_other(document, types):
    states = set(enum(types, "State")) - {"Unspecified"}
    table = rows(document, "from", "event", "to")
    assert {row[0] for row in table} | {row[2] for row in table} == states | {"(new)"}


def test_every_enum_starts_at_unspecified_zero(tree):
    for path in tree.below("schemas"):
        if path.suffix != ".fbs":
            continue
        schema = tree.text(path)
        for name in re.findall(r"\benum (\w+)", without_comments(schema)):
            assert next(iter(enum(schema, name).items())) == ("Unspecified", 0), (path, name)


def test_a_difference_between_document_and_schema_is_found(document, types):
    forged = document.replace("| TooMany | 7 |", "| TooMany | 9 |")
    assert forged != document
    with pytest.raises(AssertionError):
        test_code_table_is_the_code_enum(forged, types)


def test_every_table_field_has_an_explicit_id(tree):
    for path in tree.below("schemas"):
        if path.suffix != ".fbs":
            continue
        for name, body in re.findall(
            r"\btable (\w+) \{(.*?)\}", without_comments(tree.text(path)), re.S
        ):
            ids = [int(number) for number in re.findall(r"\(id: (\d+)", body)]
            count = len(re.findall(r":", re.sub(r"\([^)]*\)", "", body)))
            assert len(ids) == count, (path, name)
