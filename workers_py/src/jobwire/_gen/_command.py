# SPDX-License-Identifier: Apache-2.0
"""`jobwire gen`: code of a contract, and what a change of it means."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from jobwire._gen._check import Verdict, accepted, compare, survives
from jobwire._gen._cpp import FLATC_OPTIONS, cpp_header
from jobwire._gen._hash import method_hash
from jobwire._gen._python import python_module
from jobwire._gen._schema import BFBS_OPTIONS, ContractError, Schema, flatc, load


def main(arguments: list[str]) -> int:
    """Makes a typed client and handlers of a FlatBuffers contract."""
    parser = argparse.ArgumentParser(
        prog="jobwire gen",
        description="From a FlatBuffers file with an rpc_service: a C++ client, a Python module with dataclasses, a "
        "handler base and a client, and the binary schema that jobwired --contracts reads. Without any of these, "
        "prints each method and the hash of its contract.",
        epilog="Exit codes: 0 done, or the change is survived; 1 it is not; 2 a contract cannot be used.",
    )
    parser.add_argument("contract", type=Path, nargs="?", metavar="CONTRACT.fbs")
    parser.add_argument(
        "--cpp", type=Path, metavar="DIR", help="write NAME_contract.h and NAME_generated.h"
    )
    parser.add_argument("--python", type=Path, metavar="DIR", help="write NAME_contract.py")
    parser.add_argument(
        "--bfbs", type=Path, metavar="DIR", help="write NAME.bfbs, for jobwired --contracts"
    )
    parser.add_argument(
        "--accepts",
        type=Path,
        action="append",
        default=[],
        metavar="OLD.fbs",
        help="an earlier contract whose jobs the worker runs too; refused when it cannot; may be repeated",
    )
    parser.add_argument(
        "--depfile",
        type=Path,
        metavar="FILE",
        help="write what --cpp depends on, for make and ninja",
    )
    parser.add_argument(
        "-I",
        dest="includes",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="where included files are",
    )
    parser.add_argument(
        "--check",
        type=Path,
        nargs=2,
        metavar=("OLD.fbs", "NEW.fbs"),
        help="say whether running producers and workers survive the change",
    )
    given = parser.parse_args(arguments)
    try:
        if given.check is not None:
            if given.contract is not None:
                parser.error("--check takes the two contracts, and no other")
            old, new = given.check
            return _check(old, new, given.includes)
        if given.contract is None:
            parser.error("a contract is needed")
        schema = load(given.contract, given.includes)
        if not any(service.methods for service in schema.services):
            raise ContractError(f"{given.contract}: no rpc_service with a method")
        olds = [(path, load(path, given.includes)) for path in given.accepts]
        generate(given.contract, schema, given.cpp, given.python, given.bfbs, olds, given.includes)
        if given.depfile is not None and given.cpp is not None:
            given.depfile.write_text(depfile(given.contract, schema, given.cpp))
        if given.cpp is given.python is given.bfbs is None:
            for service, method in schema.methods():
                print(f"{method_hash(schema, method):016x}  {service.job_type(method)}")
    except (ContractError, OSError) as problem:
        print(f"jobwire gen: {problem}", file=sys.stderr)
        return 2
    return 0


def generate(
    contract: Path,
    schema: Schema,
    cpp: Path | None,
    python: Path | None,
    bfbs: Path | None,
    olds: Sequence[tuple[Path, Schema]] = (),
    includes: Sequence[Path] = (),
) -> None:
    """Writes what is asked for; raises ContractError."""
    accepts = accepted_hashes(schema, olds)
    options = [word for folder in includes for word in ("-I", str(folder))]
    if cpp is not None:
        cpp.mkdir(parents=True, exist_ok=True)
        header = cpp_header(schema, contract.stem, contract.name)
        flatc([*FLATC_OPTIONS, *options, "-o", str(cpp), *map(str, _files(contract, schema))])
        (cpp / f"{contract.stem}_contract.h").write_text(header)
    if python is not None:
        python.mkdir(parents=True, exist_ok=True)
        module = python_module(schema, contract.name, accepts)
        (python / f"{contract.stem}_contract.py").write_text(module)
    if bfbs is not None:
        bfbs.mkdir(parents=True, exist_ok=True)
        flatc([*BFBS_OPTIONS, *options, "-o", str(bfbs), str(contract)])


def depfile(contract: Path, schema: Schema, cpp: Path) -> str:
    """A rule of make: the header, and every file that it was made from."""
    words = [str(path.resolve()).replace(" ", "\\ ") for path in _files(contract, schema)]
    target = str((cpp / f"{contract.stem}_contract.h").resolve()).replace(" ", "\\ ")
    return f"{target}: {' '.join(words)}\n"


def _files(contract: Path, schema: Schema) -> list[Path]:
    """The contract and what it includes: flatc's headers include one another."""
    root = contract.parent.resolve()
    included = [root / name.removeprefix("//") for name in schema.files]
    return [contract, *(path for path in included if path != contract.resolve())]


def accepted_hashes(schema: Schema, olds: Sequence[tuple[Path, Schema]]) -> dict[str, list[int]]:
    """Job type -> hashes of the earlier contracts that its worker serves; raises ContractError when it cannot."""
    hashes: dict[str, list[int]] = {}
    for path, old in olds:
        findings = compare(old, schema)
        for finding in findings:
            if finding.verdict is Verdict.BREAKS:
                raise ContractError(
                    f"--accepts {path}: {finding.where}: {finding.what}; "
                    "`jobwire gen --check` tells all"
                )
        for service, method in schema.methods():
            one = accepted(old, schema, service, method)
            known = hashes.setdefault(service.job_type(method), [])
            if one is not None and one != method_hash(schema, method) and one not in known:
                known.append(one)
    return hashes


def _check(old_path: Path, new_path: Path, includes: Sequence[Path]) -> int:
    old, new = load(old_path, includes), load(new_path, includes)
    findings = compare(old, new)
    for finding in findings:
        print(finding)
    if not survives(findings):
        count = sum(1 for one in findings if one.verdict is Verdict.BREAKS)
        print(f"running producers do not survive: {count} change(s) break what they send or get")
        return 1
    changed = any(
        method_hash(old, before) != method_hash(new, after)
        for service, before in old.methods()
        for other, after in new.methods()
        if service.job_type(before) == other.job_type(after)
    )
    if changed:
        print(
            f"running producers survive: start workers that were made with --accepts {old_path} first, then new producers"
        )
    else:
        print("running producers and workers survive: no method's contract changes")
    return 0
