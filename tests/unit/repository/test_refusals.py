# SPDX-License-Identifier: Apache-2.0
"""Every code of the protocol's table has a test that provokes it and shows that nothing changed.

Adding a code, or sending one that no part sent before, fails here until its test is named.
"""

from __future__ import annotations

import re

CORE = "tests/unit/broker/core/"
RUNTIME = "tests/contract/broker/refusals_test.cc"

# Code: the file and the test that provokes it.
PROVOKED = {
    "MalformedFrame": (RUNTIME, "EveryBadMessageIsAnsweredByItsCodeAndChangesNothing"),
    "UnsupportedVersion": (RUNTIME, "EveryBadMessageIsAnsweredByItsCodeAndChangesNothing"),
    "UnknownKind": (RUNTIME, "EveryBadMessageIsAnsweredByItsCodeAndChangesNothing"),
    "WrongRole": (RUNTIME, "EveryBadMessageIsAnsweredByItsCodeAndChangesNothing"),
    "TooLarge": (RUNTIME, "EveryBadMessageIsAnsweredByItsCodeAndChangesNothing"),
    "TooMany": (RUNTIME, "EveryBadMessageIsAnsweredByItsCodeAndChangesNothing"),
    "HelloFirst": (RUNTIME, "WhatAStrangerSaysIsAnsweredByHelloFirstAndChangesNothing"),
    "SlowReader": (RUNTIME, "WhoDoesNotReadIsClosedAsSlowReaderAndToldOnceItReads"),
    "QuotaExceeded": (RUNTIME, "OneSessionTooManyIsRefusedAsQuotaExceededAndChangesNothing"),
    "InvalidArgument": (
        CORE + "engine_intake_test.cc",
        "ValuesOutOfRangeAreRefusedAndChangeNothing",
    ),
    "InvalidName": (CORE + "engine_intake_test.cc", "BadNamesAreRefusedAndChangeNothing"),
    "DuplicateMismatch": (
        CORE + "engine_intake_test.cc",
        "KnownIdForAnotherQueueOrTypeIsRefusedAndChangesNothing",
    ),
    "QueueFull": (CORE + "engine_intake_test.cc", "QueueBoundOnJobsHoldsAndEndsMakeRoom"),
    "WindowFull": (
        CORE + "engine_intake_test.cc",
        "WindowOfJobsIsBoundedPerSessionAndOpensWithReceipts",
    ),
    "StoreUnavailable": (
        CORE + "engine_memory_test.cc",
        "WhileTheStoreIsAwayTheBufferFillsAndThenSubmitsAreRefusedByName",
    ),
    "QueuePaused": (CORE + "engine_control_test.cc", "DrainRefusesIntakeAndFinishesWhatIsThere"),
    "UnknownQueue": (
        CORE + "engine_control_test.cc",
        "EveryRefusalNamesItsReasonAndChangesNothing",
    ),
    "StoreFull": (CORE + "engine_store_test.cc", "FullStoreRefusesNewJobsByNameForAWhile"),
    "ShuttingDown": (
        CORE + "engine_intake_test.cc",
        "SubmitWhileStoppingIsRefusedAndKnownIdsStillGetReceipts",
    ),
    "UnknownJob": (
        CORE + "engine_cancel_test.cc",
        "CancelOfAnUnknownGoneOrFinishedJobIsRefusedAndChangesNothing",
    ),
    "AlreadyFinal": (
        CORE + "engine_cancel_test.cc",
        "CancelOfAnUnknownGoneOrFinishedJobIsRefusedAndChangesNothing",
    ),
    "GoneJob": (
        CORE + "engine_cancel_test.cc",
        "CancelOfAnUnknownGoneOrFinishedJobIsRefusedAndChangesNothing",
    ),
    "StaleLease": (CORE + "engine_attempts_test.cc", "LateResultIsRefusedNotedAndChangesNothing"),
    "UnknownWorker": (
        CORE + "engine_attempts_test.cc",
        "ResultsOfASessionThatIsNoWorkersAreRefusedAndChangeNothing",
    ),
    "NotPermitted": (RUNTIME, "ContractsOfAFolderAreChangedByNobodyWhichIsNotPermitted"),
    "CreditExceeded": (CORE + "engine_hosts_test.cc", "ReadyOutOfBoundsIsRefusedAndChangesNothing"),
}

# What shows that nothing changed: helpers that compare the whole state before and after, or the same by hand.
COMPARES = re.compile(r"refused\(|everything\(\), before|view\(\)|expect_refused\(")


def body_of(source: str, test: str) -> str:
    found = re.search(rf"^TEST(?:_F)?\(\w+, {test}\) \{{$(.*?)^\}}$", source, re.M | re.S)
    assert found, f"there is no test {test}"
    return found[1]


def sent_codes(tree) -> set[str]:
    """Codes that some part of the broker answers with."""
    return {
        code
        for path in tree.below("broker")
        if path.suffix in (".cc", ".h") and path.name not in ("names.cc", "code.h")
        for code in re.findall(r"Code::k(\w+)", tree.text(path))
    } - {"None"}


def faults(tree, provoked: dict[str, tuple[str, str]]) -> list[str]:
    table = re.findall(r"^\| (\w+) \| \d+ \| ", tree.text("schemas/PROTOCOL.md"), re.M)
    codes = set(table)
    assert len(codes) > 20, "the table of codes"
    found = [f"{code} is no code" for code in sorted(set(provoked) - codes)]
    found += [f"no test provokes {code}" for code in sorted(sent_codes(tree) - set(provoked))]
    bad_set = tree.text("tests/contract/golden/golden_set.cc")
    for code, (file, test) in provoked.items():
        text = body_of(tree.text(file), test)
        named = f"k{code}" in text or f'"{code}"' in text or f"Code::{code}" in text
        if not named and not ("bad_messages" in text and f'"{code}"' in bad_set):
            found.append(f"{test} does not provoke {code}")
        if not COMPARES.search(text):
            found.append(f"{test} does not show that nothing changed")
    return found


def test_every_code_that_is_sent_has_a_test_that_shows_that_nothing_changed(tree):
    assert faults(tree, PROVOKED) == []


def test_a_code_without_its_test_is_found(tree):
    fewer = {code: test for code, test in PROVOKED.items() if code != "QueueFull"}
    assert faults(tree, fewer) == ["no test provokes QueueFull"]


def test_a_test_that_provokes_something_else_is_found(tree):
    wrong = {**PROVOKED, "QueueFull": PROVOKED["InvalidName"]}
    assert faults(tree, wrong) == ["BadNamesAreRefusedAndChangeNothing does not provoke QueueFull"]
