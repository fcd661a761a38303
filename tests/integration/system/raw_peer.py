# SPDX-License-Identifier: Apache-2.0
"""A peer that says whatever a test wants: messages are written as JSON and encoded by flatc."""

from __future__ import annotations

import json
import subprocess
import tempfile
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any

import zmq

SCHEMA = Path(__file__).resolve().parents[3] / "schemas/message.fbs"


def encode(kind: str, **fields: Any) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "message.json")
        source.write_text(json.dumps({"body_type": kind, "body": fields}))
        subprocess.run(
            ["flatc", "--binary", "-o", folder, SCHEMA, source], check=True, capture_output=True
        )
        return Path(folder, "message.bin").read_bytes()


def decode(envelope: bytes) -> tuple[str, dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "message.bin")
        source.write_bytes(envelope)
        subprocess.run(
            [
                "flatc",
                "--json",
                "--raw-binary",
                "--strict-json",
                "-o",
                folder,
                SCHEMA,
                "--",
                source,
            ],
            check=True,
            capture_output=True,
        )
        message = json.loads(Path(folder, "message.json").read_text())
        return message["body_type"], message["body"]


def as_id(value: bytes) -> dict[str, list[int]]:
    return {"bytes": list(value)}


def new_id() -> bytes:
    """A random id; the broker takes any sixteen bytes but zeros."""
    return uuid.uuid4().bytes


class RawPeer:
    """A DEALER socket with deadlines."""

    def __init__(self, endpoint: str, *, receive_buffer: int = 0) -> None:
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        if receive_buffer:
            self.socket.setsockopt(zmq.RCVHWM, 1)
            self.socket.setsockopt(zmq.RCVBUF, receive_buffer)
        self.socket.connect(endpoint)

    def __enter__(self) -> RawPeer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()
        self.context.term()

    def send(self, kind: str, blob: bytes = b"", **fields: Any) -> None:
        self.send_raw(encode(kind, **fields), *([blob] if blob else []))

    def send_raw(self, *frames: bytes) -> None:
        self.socket.send_multipart(list(frames))

    def receive(self, timeout_s: float = 10) -> tuple[str, dict[str, Any]]:
        if not self.socket.poll(int(timeout_s * 1000)):
            raise TimeoutError(f"no answer within {timeout_s:g} s")
        return decode(self.socket.recv_multipart()[0])

    def ask(self, kind: str, blob: bytes = b"", **fields: Any) -> tuple[str, dict[str, Any]]:
        self.send(kind, blob, **fields)
        return self.receive()

    def hello(self, role: str, **fields: Any) -> dict[str, Any]:
        kind, welcome = self.ask("Hello", protocol=1, role=role, client="raw", **fields)
        assert kind == "Welcome", welcome
        return welcome
