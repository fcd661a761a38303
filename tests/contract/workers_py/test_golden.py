# SPDX-License-Identifier: Apache-2.0
"""The golden messages as the generated Python code reads and writes them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import flatbuffers
import pytest
from jobwire import wire

GOLDEN = Path(__file__).resolve().parents[3] / "schemas/golden"
INDEX = json.loads((GOLDEN / "golden.json").read_text())
GOOD = {entry["name"]: entry for entry in INDEX["good"]}


def load(module: str) -> Any:
    return getattr(__import__(f"jobwire.wire.{module}", fromlist=[module]), module)


def kinds() -> dict[int, str]:
    body = load("Body")
    return {number: name for name, number in vars(body).items() if isinstance(number, int)}


def camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def body_of(buffer: bytes) -> tuple[str, Any]:
    assert load("Message").MessageBufferHasIdentifier(buffer, 0)
    message = load("Message").GetRootAs(buffer, 0)
    kind = kinds()[message.BodyType()]
    body = load(kind)()
    body.Init(message.Body().Bytes, message.Body().Pos)
    return kind, body


def assert_reads(got: Any, expected: Any, where: str) -> None:
    """Every field that `expected` names has its value in the generated object."""
    for name, value in expected.items():
        field = getattr(got, camel(name))
        place = f"{where}.{name}"
        if isinstance(value, list):
            if name == "bytes":  # an Id's fixed array
                assert list(field()) == value, place
                continue
            assert getattr(got, camel(name) + "Length")() == len(value), place
            for i, item in enumerate(value):
                assert_value(field(i), item, f"{place}[{i}]")
        elif isinstance(value, dict):
            nested = field(load("Id")()) if takes_object(field) else field()
            assert_reads(nested, value, place)
        else:
            assert_value(field(), value, place)


def takes_object(field: Any) -> bool:
    """Accessors of structs inside structs are handed the object to fill."""
    return field.__code__.co_argcount == 2


def assert_value(got: Any, value: Any, where: str) -> None:
    if isinstance(value, dict):
        assert_reads(got, value, where)
    elif isinstance(value, str):
        assert got.decode() == value, where
    else:
        assert got == value, where


@pytest.mark.parametrize("name", GOOD)
def test_python_reads_every_golden_message_as_the_index_says(name: str) -> None:
    kind, body = body_of((GOLDEN / f"{name}.bin").read_bytes())
    message = GOOD[name]["message"]
    assert kinds()[message["body_type"]] == kind
    assert_reads(body, message["body"], kind)


def test_blobs_are_what_the_index_says() -> None:
    for name, entry in GOOD.items():
        path = GOLDEN / f"{name}.blob.bin"
        assert (path.read_bytes() if path.exists() else b"").hex() == entry["blob"], name


def test_every_bad_message_is_there_with_a_code_of_the_protocol() -> None:
    document = (GOLDEN.parent / "PROTOCOL.md").read_text()
    codes = set(re.findall(r"^\| (\w+) \| \d+ \|", document, re.M))
    for entry in INDEX["bad"]:
        assert entry["code"] in codes, entry["name"]
        made = entry["name"] == "oversized_envelope"  # a megabyte of zeros
        assert made or (GOLDEN / f"bad/{entry['name']}.bin").exists(), entry["name"]


def put_id(builder: flatbuffers.Builder, value: dict[str, Any]) -> int:
    return int(wire.Id.CreateId(builder, value["bytes"]))


def finish(builder: flatbuffers.Builder, kind: str, body: int) -> bytes:
    message = __import__("jobwire.wire.Message", fromlist=["Message"])
    message.Start(builder)
    message.AddBodyType(builder, getattr(load("Body"), kind))
    message.AddBody(builder, body)
    builder.Finish(message.End(builder), b"JW01")
    return bytes(builder.Output())


def rewrite_hello(fields: dict[str, Any]) -> bytes:
    hello = __import__("jobwire.wire.Hello", fromlist=["Hello"])
    builder = flatbuffers.Builder()
    client = builder.CreateString(fields["client"])
    host_name = builder.CreateString(fields["host_name"])
    hello.Start(builder)
    hello.AddProtocol(builder, fields["protocol"])
    hello.AddRole(builder, fields["role"])
    hello.AddClient(builder, client)
    hello.AddHost(builder, put_id(builder, fields["host"]))
    hello.AddHostName(builder, host_name)
    hello.AddWorker(builder, fields["worker"])
    hello.AddPid(builder, fields["pid"])
    return finish(builder, "Hello", hello.End(builder))


def rewrite_hand_back(fields: dict[str, Any]) -> bytes:
    hand_back = __import__("jobwire.wire.HandBack", fromlist=["HandBack"])
    builder = flatbuffers.Builder()
    hand_back.StartTokensVector(builder, len(fields["tokens"]))
    for token in reversed(fields["tokens"]):
        put_id(builder, token)
    tokens = builder.EndVector()
    hand_back.Start(builder)
    hand_back.AddTokens(builder, tokens)
    return finish(builder, "HandBack", hand_back.End(builder))


@pytest.mark.parametrize(
    ("name", "rewrite"), [("hello_worker", rewrite_hello), ("hand_back", rewrite_hand_back)]
)
def test_what_python_writes_reads_like_the_golden_message(name: str, rewrite: Any) -> None:
    message = GOOD[name]["message"]
    kind, body = body_of(rewrite(message["body"]))
    assert kinds()[message["body_type"]] == kind
    assert_reads(body, message["body"], kind)
