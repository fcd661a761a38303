# SPDX-License-Identifier: Apache-2.0
"""Exceptions become JobError buffers within a limit."""

from __future__ import annotations

from typing import Any

import pytest
from jobwire import Reject, Retry
from jobwire._failure import describe
from jobwire.wire import JobError


def described(error: BaseException, limit: int = 65536, retryable: bool = True) -> Any:
    buffer = describe(error, limit=limit, retryable=retryable)
    assert len(buffer) <= limit
    assert JobError.JobError.JobErrorBufferHasIdentifier(buffer, 0)
    return JobError.JobError.GetRootAs(buffer, 0)


def caught(action: Any) -> BaseException:
    try:
        action()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def functions(error: Any) -> list[str]:
    return [error.Frames(i).Function().decode() for i in range(error.FramesLength())]


class OddError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def outer() -> None:
    inner()


def inner() -> None:
    raise ValueError("würg")


def endless(depth: int = 0) -> None:
    endless(depth + 1)


def test_type_message_and_frames_are_those_of_the_exception() -> None:
    error = described(caught(outer))
    assert (error.Type(), error.Message()) == (b"builtins.ValueError", "würg".encode())
    assert functions(error) == ["caught", "outer", "inner"]
    last = error.Frames(2)
    assert last.File().decode() == __file__
    assert last.Source() == 'raise ValueError("würg")'.encode()
    assert last.Line() == inner.__code__.co_firstlineno + 1
    assert (error.Retryable(), error.Truncated()) == (True, False)


def test_own_exceptions_are_named_as_users_import_them() -> None:
    assert described(Reject("no"), retryable=False).Type() == b"jobwire.Reject"
    assert described(Retry(1)).Type() == b"jobwire.Retry"
    assert not described(Reject("no"), retryable=False).Retryable()


def test_qualified_name_holds_the_class_around() -> None:
    class Nested(Exception):  # noqa: N818
        pass

    assert described(Nested()).Type().decode().endswith(".<locals>.Nested")


def test_chain_tells_cause_from_context() -> None:
    def act() -> None:
        try:
            try:
                raise KeyError("first")
            except KeyError:
                raise TypeError("second")  # noqa: B904
        except TypeError as error:
            raise ValueError("third") from error

    error = described(caught(act))
    links = [error.Chain(i) for i in range(error.ChainLength())]
    assert [(link.Relation(), link.Type(), link.Message()) for link in links] == [
        (1, b"builtins.TypeError", b"second"),
        (2, b"builtins.KeyError", b"'first'"),
    ]
    assert all(link.FramesLength() == 1 for link in links)


def test_from_none_hides_the_context() -> None:
    def act() -> None:
        try:
            raise KeyError
        except KeyError:
            raise ValueError from None

    assert described(caught(act)).ChainLength() == 0


def test_chain_that_bites_its_tail_ends() -> None:
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    assert described(one).ChainLength() == 1


def test_notes_travel() -> None:
    error = ValueError("x")
    error.add_note("first")
    error.add_note("second")
    found = described(error)
    assert [found.Notes(i) for i in range(found.NotesLength())] == [b"first", b"second"]


def test_exception_whose_str_fails_is_described_all_the_same() -> None:
    assert described(OddError()).Message() == b"<OddError whose str() fails>"


def test_lone_surrogates_become_escapes() -> None:
    assert described(ValueError("a\udcffb")).Message() == b"a\\udcffb"


def test_endless_recursion_keeps_its_start_and_its_end() -> None:
    error = described(caught(endless))
    assert error.Truncated()
    assert functions(error)[:2] == ["caught", "endless"]
    assert 40 <= error.FramesLength() <= 100


@pytest.mark.parametrize("limit", [1024, 4096, 65536])
def test_huge_error_is_cut_to_the_limit_and_says_so(limit: int) -> None:
    error = caught(endless)
    message = ValueError("é" * 1_000_000)
    message.__cause__ = error
    for _ in range(100):
        message.add_note("n" * 10_000)
    found = described(message, limit=limit)
    assert found.Truncated()
    assert found.Type() == b"builtins.ValueError"
    assert found.Message().startswith("éé".encode())


def test_small_error_is_not_cut() -> None:
    assert not described(caught(outer), limit=4096).Truncated()
