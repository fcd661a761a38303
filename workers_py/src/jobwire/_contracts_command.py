# SPDX-License-Identifier: Apache-2.0
"""`jobwire contracts`: what the broker checks payloads by."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from pathlib import Path

from jobwire._errors import ClientError, Unavailable
from jobwire._gen._schema import ContractError, compiled
from jobwire._operator import Operator


def main(arguments: list[str]) -> int:
    """Lists, puts and removes the contracts by which the broker checks payloads."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--broker",
        default="tcp://127.0.0.1:7700",
        metavar="ENDPOINT",
        help="the broker's producer endpoint (default: %(default)s)",
    )
    said = argparse.ArgumentParser(add_help=False)
    said.add_argument("--by", metavar="WHO", help="who, for the log (default: the user's name)")
    said.add_argument("--why", default="", metavar="TEXT", help="why, for the log")
    parser = argparse.ArgumentParser(
        prog="jobwire contracts",
        description="The contracts that a broker holds while it runs. A payload that is not what its contract says is "
        "refused when it is submitted. A broker that was started with --contracts has them from that folder, and lists "
        "them only.",
        epilog="Exit codes: 0 done; 1 the broker refused, or was not there; 2 a file is no contract.",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser("list", parents=[common], help="name, method and hash, one line a method")
    put = verbs.add_parser(
        "put", parents=[common, said], help="hold a contract, or a new one of its name"
    )
    put.add_argument(
        "contract", type=Path, metavar="FILE", help=".fbs, or .bfbs as flatc writes it"
    )
    put.add_argument(
        "-I",
        dest="includes",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="where included files are",
    )
    remove = verbs.add_parser("remove", parents=[common, said], help="hold it no longer")
    remove.add_argument(
        "name", metavar="NAME", help="as `list` prints it: the file's, without ending"
    )
    given = parser.parse_args(arguments)
    try:
        schema = compiled(given.contract, given.includes) if given.verb == "put" else b""
    except ContractError as problem:
        print(f"jobwire contracts: {problem}", file=sys.stderr)
        return 2
    try:
        operator = Operator(given.broker, name="jobwire-contracts")
        with operator:
            if given.verb == "list":
                held = operator.contracts()
            else:
                by = given.by or _user()
                if given.verb == "put":
                    name = given.contract.stem
                    held = [operator.put_contract(name, schema, by=by, why=given.why)]
                else:
                    operator.remove_contract(given.name, by=by, why=given.why)
                    held = []
    except Unavailable as problem:
        print(
            f"jobwire contracts: no broker answers producers at {given.broker} ({problem}); is jobwired running there? "
            "(--broker names another)",
            file=sys.stderr,
        )
        return 1
    except ClientError as problem:
        print(f"jobwire contracts: {problem}", file=sys.stderr)
        return 1
    for contract in held:
        for type_, method in contract.methods:
            print(f"{contract.name}  {method:016x}  {type_}")
    return 0


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return f"uid {os.getuid()}"
