# SPDX-License-Identifier: Apache-2.0
"""The golden messages, and what flatc reads in a message."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

SCHEMAS = Path(__file__).resolve().parents[3] / "schemas"
GOLDEN = SCHEMAS / "golden"


def golden(name: str) -> list[bytes]:
    blob = GOLDEN / f"{name}.blob.bin"
    envelope = (GOLDEN / f"{name}.bin").read_bytes()
    return [envelope, blob.read_bytes()] if blob.exists() else [envelope]


def as_json(envelope: bytes, folder: Path) -> Any:
    """What flatc reads in a message."""
    flatc = shutil.which("flatc")
    assert flatc, "flatc is not on PATH"
    (folder / "message.bin").write_bytes(envelope)
    options = ["--json", "--raw-binary", "--strict-json", "--defaults-json", "-o", folder]
    schema = SCHEMAS / "message.fbs"
    subprocess.run([flatc, *options, schema, "--", folder / "message.bin"], check=True)
    return json.loads((folder / "message.json").read_text())


def body_json(envelope: bytes, folder: Path) -> Any:
    return as_json(envelope, folder)["body"]
