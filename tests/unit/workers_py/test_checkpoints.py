# SPDX-License-Identifier: Apache-2.0
"""What an attempt saves for the next one: values to bytes and back, and what a worker's session does with it."""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jobwire import CheckpointError, Ctx, ResultError
from jobwire._heads import CHECKPOINT_HEAD, DISPATCH_HEAD
from jobwire._messages import Ack, CheckpointAck, Dispatch, Extra, Limits, Welcome
from jobwire._saves import Save, Saves
from jobwire._wire_enums import Body, Code, Encoding
from jobwire._wire_tables import elements, field_at
from jobwire._wire_worker import OfferedType, decode, encode_checkpoints
from jobwire._worker_session import Offer, WorkerSession

GOLDEN = Path(__file__).resolve().parents[3] / "schemas" / "golden"
HEAD = (b"t" * 16, b"j" * 16, 0, 0, 1000, 0, 1, Encoding.Json, 4, 0)
OTHER = (b"u" * 16, *HEAD[1:])
LIMIT = 65536


@dataclass
class Place:
    page: int
    seen: list[str]


def ctx(saved: tuple[int, bytes] = (0, b""), saves: list[tuple[int, bytes]] | None = None) -> Any:
    taken = saves if saves is not None else []
    return Ctx(
        job=HEAD[1],
        token=HEAD[0],
        type="t",
        attempt=2,
        deadline_ns=0,
        headers={},
        deps=None,
        cancelled=lambda: False,
        tell=lambda value, message: None,
        saved=saved,
        save=lambda encoding, data, wait_s: taken.append((encoding, data)),
    )


@pytest.mark.parametrize("state", [b"\x00raw", "text", {"page": 3}, [1, 2.5, None], b"", 0, None])
def test_state_comes_back_as_it_was_saved(state: Any) -> None:
    saves: list[tuple[int, bytes]] = []
    ctx(saves=saves).checkpoint(state)
    assert ctx(saves[0]).resume() == state


def test_state_comes_back_as_the_kind_that_is_asked_for() -> None:
    saves: list[tuple[int, bytes]] = []
    ctx(saves=saves).checkpoint(Place(3, ["a"]))
    ctx(saves=saves).checkpoint(np.arange(5))
    assert ctx(saves[0]).resume(Place) == Place(3, ["a"])
    assert np.array_equal(ctx(saves[1]).resume(np.ndarray), np.arange(5))


def test_first_attempt_gets_the_default() -> None:
    assert ctx().resume() is None
    assert ctx().resume(int, 7) == 7


def test_state_that_another_version_saved_counts_as_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        assert ctx((Encoding.Json, b'{"page": "three"}')).resume(Place) is None
    assert "left aside" in caplog.text


def test_what_cannot_travel_is_not_saved() -> None:
    with pytest.raises(ResultError, match="checkpoint's object cannot travel"):
        ctx().checkpoint(object())


# ------------------------------------------------------------------ until it is stored


def test_one_that_is_too_large_leaves_the_one_before() -> None:
    saves = Saves()
    saves.save(HEAD[0], Encoding.Bytes, bytes(LIMIT), LIMIT)
    with pytest.raises(CheckpointError, match="the limit is 65536") as refused:
        saves.save(HEAD[0], Encoding.Bytes, bytes(LIMIT + 1), LIMIT)
    assert refused.value.code == Code.TooLarge
    assert [(one.number, len(one.data)) for one in saves.take()] == [(1, LIMIT)]


def test_the_latest_travels_and_at_most_every_ten_milliseconds() -> None:
    now = [100.0]
    saves = Saves(lambda: now[0])
    for data in (b"1", b"2", b"3"):
        saves.save(HEAD[0], Encoding.Bytes, data, LIMIT)
    assert saves.take() == [Save(HEAD[0], 3, Encoding.Bytes, b"3")]
    assert saves.due() is None
    saves.save(HEAD[0], Encoding.Bytes, b"4", LIMIT)
    assert saves.take() == []
    assert saves.due() == pytest.approx(100.01)
    now[0] = 100.01
    assert saves.take() == [Save(HEAD[0], 4, Encoding.Bytes, b"4")]


def waiting(saves: Saves, number: int, timeout_s: float = 60) -> tuple[threading.Thread, list[Any]]:
    ended: list[Any] = []

    def wait() -> None:
        try:
            ended.append(saves.wait(HEAD[0], number, timeout_s))
        except CheckpointError as error:
            ended.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread, ended


def test_waiting_ends_when_that_one_or_a_later_one_is_stored() -> None:
    saves = Saves()
    saves.save(HEAD[0], Encoding.Bytes, b"1", LIMIT)
    number = saves.save(HEAD[0], Encoding.Bytes, b"2", LIMIT)
    thread, ended = waiting(saves, number)
    saves.settle(HEAD[0], 1, 0)
    thread.join(0.05)
    assert thread.is_alive()
    saves.settle(HEAD[0], 3, 0)
    thread.join(60)
    assert ended == [None]


@pytest.mark.parametrize("code", [Code.StaleLease, Code.QuotaExceeded, Code.StoreFull])
def test_waiting_ends_with_a_refusal(code: int) -> None:
    saves = Saves()
    number = saves.save(HEAD[0], Encoding.Bytes, b"1", LIMIT)
    thread, ended = waiting(saves, number)
    assert saves.settle(HEAD[0], number, code), "the first refusal is logged"
    assert not saves.settle(HEAD[0], number, code)
    thread.join(60)
    assert ended[0].code == code
    assert saves.take_all() == [], "it is not said again"


def test_waiting_ends_with_the_attempt_and_in_time() -> None:
    saves = Saves()
    number = saves.save(HEAD[0], Encoding.Bytes, b"1", LIMIT)
    with pytest.raises(CheckpointError, match="not said") as unknown:
        saves.wait(HEAD[0], number, 0.01)
    assert unknown.value.code == 0
    thread, ended = waiting(saves, number)
    assert saves.end(HEAD[0]) == Save(HEAD[0], number, Encoding.Bytes, b"1")
    thread.join(60)
    assert ended[0].code == Code.StaleLease


# ------------------------------------------------------------------ the session


def opened() -> WorkerSession:
    offer = Offer(("q",), (OfferedType("t"),), 1, 8)
    session = WorkerSession(b"hello", offer, 5, logging.getLogger("test"))
    session._read = lambda frames: frames[0]  # type: ignore[method-assign]
    greet(session)
    return session


def greet(session: WorkerSession) -> None:
    session.connected(0.0)
    session.outbox.clear()
    session.receive([Welcome(bytes(16), 1, 3, Limits(), "x")], 0.0)  # type: ignore[list-item]


def sent(session: WorkerSession) -> list[Any]:
    """Bodies by kind; of checkpoints, number and bytes by token."""
    found: list[Any] = []
    while session.outbox:
        envelope, *rest = session.outbox.popleft()
        kind, body = _body(envelope)
        if kind != Body.Checkpoints:
            found.append(kind)
            continue
        blob = b"".join(rest)
        heads = CHECKPOINT_HEAD.iter_unpack(elements(envelope, body, 0, CHECKPOINT_HEAD.size))
        found.append(
            {token: (number, blob[at : at + size]) for token, number, at, size, _ in heads}
        )
    return found


def _body(envelope: bytes) -> tuple[int, int]:
    message = int.from_bytes(envelope[:4], "little")
    at = field_at(envelope, message, 1)
    kind = envelope[field_at(envelope, message, 0)]
    return kind, at + int.from_bytes(envelope[at : at + 4], "little")


def save(session: WorkerSession, token: bytes, data: bytes) -> None:
    session.saves.save(token, Encoding.Bytes, data, LIMIT)


def test_checkpoints_travel_before_the_results_of_the_same_flush() -> None:
    session = opened()
    sent(session)
    save(session, HEAD[0], b"one")
    save(session, HEAD[0], b"two")
    save(session, OTHER[0], b"other")
    session.finish(HEAD, 1, 1, 2, 4, b"error")
    session.flush()
    assert sent(session) == [{HEAD[0]: (2, b"two"), OTHER[0]: (1, b"other")}, Body.Results]
    session.flush()
    assert sent(session) == []


def test_what_was_not_acknowledged_is_said_again_in_the_next_session() -> None:
    session = opened()
    save(session, HEAD[0], b"one")
    save(session, OTHER[0], b"other")
    session.flush()
    ack = CheckpointAck([(OTHER[0], 1, 0)])
    session.receive([ack], 0.0)  # type: ignore[list-item]
    session.disconnected()
    save(session, HEAD[0], b"two")
    session.flush()
    greet(session)
    assert sent(session) == [Body.Ready, {HEAD[0]: (2, b"two")}]
    session.finish(HEAD, 1, 1, 1, 1, b"")
    session.flush()
    assert sent(session) == [Body.Results]
    session.receive([Ack(1, [])], 0.0)  # type: ignore[list-item]
    greet(session)
    assert sent(session) == [Body.Ready]


def test_many_travel_in_several_messages() -> None:
    session = opened()
    sent(session)
    for number in range(130):
        save(session, bytes([number]) * 16, b"x" * LIMIT)
    session.flush()
    assert [len(one) for one in sent(session)] == [64, 64, 2]


# ------------------------------------------------------------------ the wire


def golden(name: str) -> list[bytes]:
    blob = GOLDEN / f"{name}.blob.bin"
    return [(GOLDEN / f"{name}.bin").read_bytes(), *([blob.read_bytes()] if blob.exists() else [])]


def test_golden_messages_of_checkpoints_are_read_and_written() -> None:
    dispatch = decode(golden("dispatch_checkpoint"))
    assert isinstance(dispatch, Dispatch)
    assert dispatch.extras == [Extra({}, (Encoding.Json, b"[37]"))]
    assert dispatch.heads[0][-1] == 1
    assert len(dispatch.heads) * DISPATCH_HEAD.size == 52
    ack = decode(golden("checkpoint_ack"))
    first, second = bytes(range(40, 56)), bytes(range(80, 96))
    assert ack == CheckpointAck([(first, 7, 0), (second, 1, Code.StaleLease)])

    theirs = golden("checkpoints")
    ours = encode_checkpoints([(first, 7, Encoding.Json, b"[37]")])
    heads = [
        list(CHECKPOINT_HEAD.iter_unpack(elements(one, _body(one)[1], 0, CHECKPOINT_HEAD.size)))
        for one in (theirs[0], ours[0])
    ]
    assert heads[0] == [(first, 7, 1, 4, Encoding.Json)]
    assert heads[1] == [(first, 7, 0, 4, Encoding.Json)]
    assert (json.loads(theirs[1][1:]), ours[1]) == ([37], b"[37]")
