# SPDX-License-Identifier: Apache-2.0
"""What a benchmark writes beside its figures: where and how they were measured."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from rig import build_dir


def versions() -> dict[str, str]:
    redis = subprocess.run(
        ["redis-server", "--version"], capture_output=True, text=True, check=True
    ).stdout.split()[2]
    return {
        "jobwired": subprocess.run(
            [build_dir() / "bin/jobwired", "--version"], capture_output=True, text=True, check=True
        ).stdout.strip(),
        "redis": redis,
        "python": platform.python_version(),
        "pyzmq": metadata.version("pyzmq"),
        "flatbuffers": metadata.version("flatbuffers"),
    }


def machine() -> dict[str, Any]:
    model = [
        line
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "cpu": model[0].partition(":")[2].strip() if model else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release(),
    }


def write_report(path: Path | None, benchmark: str, **found: Any) -> None:
    """Writes the figures with the machine, the versions and the command line; nothing without a path."""
    if path is None:
        return
    report = {
        "machine": machine(),
        "versions": versions(),
        "command": " ".join(["ops/dev/bench", benchmark, *sys.argv[1:]]),
        **found,
    }
    path.write_text(json.dumps(report, indent=2) + "\n")
