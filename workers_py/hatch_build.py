# SPDX-License-Identifier: Apache-2.0
"""Generates the wire code before the package is built, editable installs included."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class WireBuildHook(BuildHookInterface[Any]):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        path = Path(self.root) / "generate.py"
        spec = importlib.util.spec_from_file_location("jobwire_generate", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.generate()
