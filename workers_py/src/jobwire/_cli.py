# SPDX-License-Identifier: Apache-2.0
"""The command `jobwire`. Its subcommands are entry points of the group `jobwire.commands`.

An entry point's name is the subcommand; its object is a function that takes the arguments after it and returns the
exit code. The first line of the function's docstring is its help. Only the one that is called is imported.
"""

from __future__ import annotations

import difflib
import importlib.util
import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from jobwire._version import __version__

GROUP = "jobwire.commands"


def main(arguments: list[str] | None = None) -> int:
    given = sys.argv[1:] if arguments is None else arguments
    commands = {found.name: found for found in entry_points(group=GROUP)}
    if not given or given[0] in ("-h", "--help"):
        print(_help(commands))
        return 0 if given else 2
    if given[0] in ("-V", "--version"):
        print(f"jobwire {__version__}")
        return 0
    command = commands.get(given[0])
    if command is None:
        near = difflib.get_close_matches(given[0], commands, 1)
        hint = f"; did you mean {near[0]!r}?" if near else "; `jobwire --help` lists them"
        print(f"jobwire: no command {given[0]!r}{hint}", file=sys.stderr)
        return 2
    script = Path(__file__).parents[2] / "generate.py"
    if _outdated(script):
        print(f"jobwire: the schemas have changed, run: python {script}", file=sys.stderr)
        return 1
    result: int | None = command.load()(given[1:])
    return result or 0


def _outdated(script: Path) -> bool:
    """Whether the generated code is older than the schemas. Only a source tree has what makes it; the workers of one
    would end at names that their code does not have."""
    spec = importlib.util.spec_from_file_location("jobwire_generate", script)
    if not script.is_file() or spec is None or spec.loader is None:
        return False
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return bool(module.outdated())


def _help(commands: dict[str, EntryPoint]) -> str:
    width = max((len(name) for name in commands), default=0)
    lines = ["usage: jobwire COMMAND ...", "", "commands:"]
    lines += [f"  {name:{width}}  {_summary(commands[name])}" for name in sorted(commands)]
    lines += ["", "`jobwire COMMAND --help` tells more."]
    return "\n".join(lines)


def _summary(command: EntryPoint) -> str:
    try:
        text: str | None = command.load().__doc__
    except Exception as problem:  # a broken package must not take the others' help away
        return f"(cannot be loaded: {problem})"
    return (text or "").strip().partition("\n")[0]


if __name__ == "__main__":
    sys.exit(main())
