# SPDX-License-Identifier: Apache-2.0
"""Peers that do wrong get a refusal with a name; the others notice nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from integration.system.raw_peer import RawPeer, as_id, encode, new_id
from rig import Process, Rig, sanitizer, until

HERE = Path(__file__).resolve().parent


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with Rig(tmp_path / "rig", aof="no") as rig:
        rig.start_broker()
        yield rig


def resident_mib(process: Process) -> float:
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmRSS")


def job(**changes: Any) -> dict[str, Any]:
    return {"id": as_id(new_id()), "queue": "q", "type": "t", "encoding": "Bytes", **changes}


def keys(rig: Rig, pattern: str) -> list[str]:
    return rig.redis_cli("--scan", "--pattern", pattern).split()


def test_whatever_comes_before_hello_is_told_to_greet_first(rig: Rig) -> None:
    with RawPeer(rig.producers) as peer:
        kind, refused = peer.ask("Submit", request=7, jobs=[job()])
        assert (kind, refused["code"], refused["request"]) == ("Refused", "HelloFirst", 7)
        peer.hello("Producer")
        kind, receipts = peer.ask("Submit", request=8, jobs=[job()])
        assert kind == "Receipts"
        assert receipts["heads"][0]["code"] == "Unspecified"


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ((b"",), "MalformedFrame"),
        ((b"not a flatbuffer at all",), "MalformedFrame"),
        ((b"\x10\0\0\0JW99" + bytes(40),), "UnsupportedVersion"),
        ((b"\xff\xff\xff\x7fJW01" + bytes(40),), "MalformedFrame"),
        ((bytes(2_000_000),), "TooLarge"),
        ((b"a", b"b", b"c"), "MalformedFrame"),
    ],
)
def test_frames_that_are_no_messages_are_refused_by_name(
    rig: Rig, frames: tuple[bytes, ...], code: str
) -> None:
    with RawPeer(rig.producers) as peer:
        peer.hello("Producer")
        peer.send_raw(*frames)
        kind, refused = peer.receive()
        assert (kind, refused["code"]) == ("Refused", code)
        kind, _ = peer.ask("Submit", request=1, jobs=[job()])
        assert kind == "Receipts", "the session goes on"


def test_wrong_version_and_wrong_door_are_refused(rig: Rig) -> None:
    with RawPeer(rig.producers) as peer:
        kind, refused = peer.ask("Hello", protocol=99, role="Producer")
        assert (kind, refused["code"]) == ("Refused", "UnsupportedVersion")
        kind, refused = peer.ask("Hello", protocol=1, role="Worker")
        assert (kind, refused["code"]) == ("Refused", "WrongRole")
    with RawPeer(rig.workers) as peer:
        peer.hello("Worker")
        kind, refused = peer.ask("Submit", request=3, jobs=[job()])
        assert (kind, refused["code"]) == ("Refused", "WrongRole")


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"queue": "no spaces please"}, "InvalidName", "queue"),
        ({"type": "x" * 129}, "InvalidName", "type"),
        ({"priority": 10}, "InvalidArgument", "priority"),
        (
            {"timeout_ms": 8 * 86_400_000 % 2**32, "delay_ms": 400 * 86_400_000},
            "InvalidArgument",
            None,
        ),
        ({"expires_at_ms": 1}, "InvalidArgument", "expires_at_ms"),
        ({"encoding": "Unspecified"}, "InvalidArgument", "encoding"),
        ({"payload_offset": 4_000_000_000, "payload_size": 4_000_000_000}, None, None),
        ({"retry": {"attempts": 1000}}, "InvalidArgument", None),
    ],
)
def test_a_bad_job_is_refused_alone_and_stores_nothing(
    rig: Rig, changes: dict[str, Any], code: str | None, field: str | None
) -> None:
    with RawPeer(rig.producers) as peer:
        peer.hello("Producer")
        good = job(queue="good")
        _kind, receipts = peer.ask("Submit", b"payload", request=1, jobs=[job(**changes), good])
        heads = list(receipts["heads"])
        refusals = list(receipts.get("refusals", []))
        while len(heads) < 2:
            _, more = peer.receive()
            heads += more["heads"]
            refusals += more.get("refusals", [])
        codes = {head["id"]["bytes"][0:16] == good["id"]["bytes"]: head["code"] for head in heads}
        assert codes[True] == "Unspecified"
        assert codes[False] not in ("Unspecified", None)
        if code:
            assert codes[False] == code
        if field:
            assert [refusal["field"] for refusal in refusals] == [field]
        assert len(keys(rig, "jw:{0}:job:*")) == 1


def test_worker_with_impossible_credit_is_refused_and_gets_nothing(rig: Rig) -> None:
    with RawPeer(rig.producers) as producer, RawPeer(rig.workers) as worker:
        producer.hello("Producer")
        producer.ask("Submit", request=1, jobs=[job()])
        worker.hello("Worker")
        for slots, credit in ((0, 10), (10, 5), (1, 60_000), (2_000, 4_000)):
            kind, refused = worker.ask(
                "Ready", queues=["q"], types=[{"name": "t"}], slots=slots, credit=credit
            )
            assert (kind, refused["code"]) == ("Refused", "CreditExceeded"), (slots, credit)
        kind, dispatch = worker.ask("Ready", queues=["q"], types=[{"name": "t"}], slots=1, credit=1)
        assert kind == "Dispatch"
        assert len(dispatch["heads"]) == 1


def test_result_of_a_lease_that_is_not_the_workers_is_refused_and_changes_nothing(rig: Rig) -> None:
    with (
        RawPeer(rig.producers) as producer,
        RawPeer(rig.workers) as worker,
        RawPeer(rig.workers) as thief,
    ):
        producer.hello("Producer")
        mine = job()
        producer.ask("Submit", request=1, jobs=[mine])
        worker.hello("Worker")
        _, dispatch = worker.ask("Ready", queues=["q"], types=[{"name": "t"}], slots=1, credit=1)
        head = dispatch["heads"][0]
        thief.hello("Worker")
        result = {**dict.fromkeys(("payload_offset", "payload_size", "run_us", "started_ms", "retry_delay_ms"), 0),
                  "job": mine["id"], "outcome": "Succeeded", "encoding": "Bytes"}  # fmt: skip
        for sequence, token in enumerate((head["token"], as_id(new_id())), 1):
            thief.send("Results", sequence=sequence, heads=[{"token": token, **result}])
            codes: list[str] = []
            through = 0
            while through < sequence:
                kind, ack = thief.receive()
                assert kind == "ResultAck"
                codes += [refused["code"] for refused in ack.get("refused", [])]
                through = max(through, ack.get("through", 0))
            assert codes == ["StaleLease"]
        kind, view = producer.ask("ResultRequest", request=2, ids=[mine["id"]])
        assert view["results"][0]["state"] == "Running"
        kind, ack = worker.ask("Results", sequence=1, heads=[{"token": head["token"], **result}])
        assert (kind, ack["through"]) == ("ResultAck", 1)


@pytest.mark.timeout(180)
def test_producer_that_never_reads_is_cut_off_and_the_others_are_served(rig: Rig) -> None:
    rig.start_host(f"{HERE.parents[1] / 'bench/noop_app.py'}")
    until("the workers", lambda: len(rig.worker_pids(rig.hosts[0])) == 2)
    assert rig.campaign("--jobs", "2000").finish()["code"] == 0
    assert rig.broker is not None
    before = resident_mib(rig.broker)
    with RawPeer(rig.producers, receive_buffer=4096) as mute:
        mute.hello("Producer")
        ids = [as_id(new_id()) for _ in range(1000)]

        question = encode("ResultRequest", request=1, ids=ids)
        for _ in range(3_000):
            mute.send_raw(question)
        served = rig.campaign("--jobs", "20000").finish()
        assert served["code"] == 0, served
        until("its session to be closed", lambda: "does not read" in rig.broker.tail(200))  # type: ignore[union-attr]
    grown = resident_mib(rig.broker) - before
    # AddressSanitizer keeps 256 MiB of freed memory back.
    # tsan keeps several words for each one; the bound itself is judged without a sanitizer.
    limit = {"": 200, "thread": 1200}.get(sanitizer(), 600)
    assert grown < limit, f"the broker grew by {grown:.0f} MiB"
