# SPDX-License-Identifier: Apache-2.0
"""Builds `src/jobwire/wire/` from the schemas with flatc: `python workers_py/generate.py`.

The package's build runs it too (`hatch_build.py`). Files that are already right are left alone, so that it may run
while workers are running.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
TARGET = HERE / "src" / "jobwire" / "wire"


class GenerateError(Exception):
    """Code could not be generated; the message says what is missing."""


def schema_folder() -> Path:
    # Beside this folder in the repository, inside it in a source distribution.
    for folder in (HERE.parent / "schemas", HERE / "schemas"):
        if (folder / "message.fbs").is_file():
            return folder
    raise GenerateError(f"no schemas: neither {HERE.parent / 'schemas'} nor {HERE / 'schemas'}")


def schema_files() -> list[Path]:
    return [*sorted(schema_folder().glob("*.fbs")), HERE / "reflection.fbs"]


def _stamp(schemas: list[Path]) -> str:
    """Says what the code was made from."""
    digest = hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in schemas))
    return f'SCHEMAS = "{digest.hexdigest()}"\n'


def outdated(target: Path = TARGET) -> bool:
    """Whether the schemas are not those that the code was made from."""
    made = target / "__init__.py"
    try:
        return not made.is_file() or made.read_text() != _stamp(schema_files())
    except GenerateError:
        return False  # there are none to compare with


def generate(target: Path = TARGET) -> int:
    """Brings `target` up to date and returns how many files changed."""
    flatc = shutil.which("flatc")
    if flatc is None:
        raise GenerateError("flatc is not on PATH (Debian: apt-get install flatbuffers-compiler)")
    schemas = schema_files()
    with tempfile.TemporaryDirectory() as scratch:
        run = subprocess.run(
            [flatc, "--python", "-o", scratch, *schemas], capture_output=True, text=True
        )
        if run.returncode != 0:
            raise GenerateError(f"flatc failed:\n{run.stdout}{run.stderr}")
        (Path(scratch) / "jobwire" / "wire" / "__init__.py").write_text(_stamp(schemas))
        return _mirror(Path(scratch) / "jobwire" / "wire", target)


def _mirror(source: Path, target: Path) -> int:
    changed = 0
    wanted = {path.relative_to(source): path.read_bytes() for path in source.rglob("*.py")}
    for name, content in wanted.items():
        path = target / name
        if path.is_file() and path.read_bytes() == content:
            continue
        # Replaced in one step: another process may be importing it.
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f"{path.name}.new")
        fresh.write_bytes(content)
        fresh.replace(path)
        changed += 1
    for path in target.rglob("*.py"):
        if path.relative_to(target) not in wanted:
            path.unlink()
            changed += 1
    return changed


def main() -> int:
    try:
        changed = generate()
    except GenerateError as error:
        print(f"generate: {error}", file=sys.stderr)
        return 1
    print(f"{TARGET}: {changed} file(s) changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
