# SPDX-License-Identifier: Apache-2.0
"""What `jobwire contracts` says when things are not as they should be."""

from __future__ import annotations

import getpass
import os
from typing import Any

import pytest
from jobwire import _contracts_command
from jobwire._errors import Unavailable


class Broker:
    """Stands in for Operator."""

    def __init__(self, problem: Exception | None = None) -> None:
        self.problem = problem
        self.by = ""

    def __call__(self, endpoint: str, *, name: str) -> Broker:
        return self

    def __enter__(self) -> Broker:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def contracts(self) -> list[Any]:
        if self.problem is not None:
            raise self.problem
        return []

    def remove_contract(self, name: str, *, by: str, why: str) -> None:
        self.by = by


def test_broker_that_is_not_there_is_told_with_its_endpoint(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_contracts_command, "Operator", Broker(Unavailable("no answer in time")))
    assert _contracts_command.main(["list", "--broker", "tcp://10.0.0.1:7700"]) == 1
    assert capsys.readouterr().err == (
        "jobwire contracts: no broker answers producers at tcp://10.0.0.1:7700 (no answer in time); "
        "is jobwired running there? (--broker names another)\n"
    )


def test_user_without_a_name_is_told_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 4711")

    broker = Broker()
    monkeypatch.setattr(_contracts_command, "Operator", broker)
    monkeypatch.setattr(getpass, "getuser", nobody)
    assert _contracts_command.main(["remove", "thumbs"]) == 0
    assert broker.by == f"uid {os.getuid()}"
