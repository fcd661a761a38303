# SPDX-License-Identifier: Apache-2.0
"""The build hook `jobwire` of hatchling: makes the Python module of a contract before a package is built.

[build-system]
requires = ["hatchling", "jobwire"]

[tool.hatch.build.hooks.jobwire]
contracts = ["thumbs.fbs"]
output = "src/thumbs"
accepts = ["contracts/thumbs-1.fbs"]   # optional
includes = ["contracts"]               # optional
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.plugin import hookimpl

from jobwire._gen._command import generate
from jobwire._gen._schema import ContractError, load


class ContractBuildHook(BuildHookInterface[Any]):
    PLUGIN_NAME = "jobwire"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Writes the modules, and has them packed although version control ignores them."""
        root = Path(self.root)
        contracts = self._paths("contracts")
        output = self.config.get("output")
        if not contracts or not isinstance(output, str):
            raise ContractError(
                "tool.hatch.build.hooks.jobwire: contracts, a list of files, and output, a folder, are needed"
            )
        includes = self._paths("includes")
        olds = [(path, load(path, includes)) for path in self._paths("accepts")]
        for contract in contracts:
            schema = load(contract, includes)
            generate(contract, schema, None, root / output, None, olds, includes)
            build_data["artifacts"].append(f"/{output}/{contract.stem}_contract.py")

    def _paths(self, key: str) -> list[Path]:
        names = self.config.get(key, [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ContractError(f"tool.hatch.build.hooks.jobwire.{key}: a list of paths")
        return [Path(self.root) / name for name in names]


@hookimpl
def hatch_register_build_hook() -> type[ContractBuildHook]:
    return ContractBuildHook
