# SPDX-License-Identifier: Apache-2.0
"""The rules that jobwire.testing follows are the core's: its table and its judgements, case by case."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jobwire import JobState, RetryPolicy
from jobwire.testing import _rules
from jobwire.testing._rules import Failures, Policy, Random, from_asked, judge, with_defaults

RULES: dict[str, Any] = json.loads(
    (Path(__file__).resolve().parents[3] / "schemas/golden/rules.json").read_text()
)


def policy_of(told: dict[str, Any]) -> Policy:
    lists = {name: tuple(told[name]) for name in ("listed_ms", "fatal")}
    return Policy(**{**told, **lists})


def test_moves_are_those_of_the_core() -> None:
    ours = {
        ("none" if state is None else state.name.lower(), move.value, to.name.lower())
        for (state, move), to in _rules.TRANSITIONS.items()
    }
    assert ours == {tuple(one) for one in RULES["transitions"]}
    assert {state.name.lower() for state in JobState} == {to for _, _, to in RULES["transitions"]}


def test_defaults_are_those_of_the_core() -> None:
    assert policy_of(RULES["default_policy"]) == Policy()
    assert RULES["default_timeout_ms"] == _rules.DEFAULT_TIMEOUT_MS
    assert from_asked(RetryPolicy()) == policy_of(RULES["completed"][0][0])


@pytest.mark.parametrize("case", range(len(RULES["completed"])))
def test_what_a_policy_leaves_open_is_filled_in_as_the_core_does(case: int) -> None:
    asked, completed = RULES["completed"][case]
    assert with_defaults(policy_of(asked), Policy()) == policy_of(completed)


def test_every_judgement_is_the_cores() -> None:
    policies = [policy_of(told) for told in RULES["policies"]]
    wrong = []
    for case in RULES["verdicts"]:
        at, raised, timed_out, crashed, outcome, kind, retryable, asked, seed, *told = case
        verdict = judge(
            policies[at],
            Failures(raised, timed_out, crashed),
            outcome,
            kind,
            retryable,
            asked,
            Random(seed),
        )
        if [verdict.retry, verdict.delay_ms, int(verdict.reason or 0)] != told:
            wrong.append((case, verdict))
    assert wrong == []
    assert len(RULES["verdicts"]) > 500
    assert {case[9] for case in RULES["verdicts"]} == {True, False}
