# SPDX-License-Identifier: Apache-2.0
"""An operator's messages are the golden ones, and its session sends again what a lost connection may have swallowed."""

from __future__ import annotations

import json
import logging
import re
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from golden import SCHEMAS, body_json, golden
from jobwire import (
    Closed,
    DeadJob,
    DeadPage,
    DeadReason,
    Full,
    HeldContract,
    JobFilter,
    JobSpec,
    NoAnswer,
    NotPermitted,
    QueueView,
    Receipt,
    SweepReport,
    _wire_operator,
)
from jobwire._dead_json import dump, load
from jobwire._messages import Limits, Refused, Welcome
from jobwire._operator_session import OperatorSession, SweepOrder
from jobwire._producer_session import Settings
from jobwire._wire_enums import Code, ContractAction, QueueAction, SweepAction
from jobwire._wire_operator import ContractReply, DeadReply, QueueReply, SweepTold
from jobwire._wire_producer import Receipts

PROTOCOL = (SCHEMAS / "PROTOCOL.md").read_text()
WELCOME = Welcome(bytes(16), 1, 3, Limits(), "x")


def moment(milliseconds: int) -> datetime | None:
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None


# ------------------------------------------------------------------ the wire


def test_golden_queue_reply_is_read(tmp_path: Path) -> None:
    frames = golden("queue_reply")
    told = body_json(frames[0], tmp_path)
    reply = _wire_operator.decode(frames)
    assert isinstance(reply, QueueReply)
    assert (reply.request, reply.next) == (told["request"], told.get("next", ""))
    assert len(reply.queues) == len(told["queues"]) > 0
    for view, want in zip(reply.queues, told["queues"], strict=True):
        for name in ("name", "by", "why"):
            assert getattr(view, name) == want.get(name, "")
        for name in QueueView.__slots__:
            if name in want and name not in ("name", "by", "why"):
                assert getattr(view, name) == want[name], name
        assert (view.since, view.until) == (moment(want["since_ms"]), moment(want["until_ms"]))


def test_golden_refusals_are_read(tmp_path: Path) -> None:
    for name, kind in (
        ("queue_reply_refused", QueueReply),
        ("sweep_report_refused", SweepTold),
        ("dead_page_refused", DeadReply),
        ("contract_reply_refused", ContractReply),
    ):
        frames = golden(name)
        told = body_json(frames[0], tmp_path)
        message = _wire_operator.decode(frames)
        assert isinstance(message, kind)
        assert message.code != Code.Unspecified
        assert message.message == told["message"]
        assert message.retry_after_ms == told["retry_after_ms"]


def test_golden_contract_reply_is_read() -> None:
    message = _wire_operator.decode(golden("contract_reply"))
    assert isinstance(message, ContractReply)
    assert (message.request, message.code, message.next) == (58, 0, "")
    methods = (("Shop.answer", 99), ("Shop.ask", 100))
    assert message.contracts == (HeldContract("shop", 4, methods),)


def test_contract_commands_are_the_golden_ones(tmp_path: Path) -> None:
    envelope, blob = golden("contract_put")
    put = _wire_operator.encode_contract_command(
        57, ContractAction.Put, name="shop", schema=blob, by="ada", why="größer"
    )
    assert body_json(put.envelope, tmp_path) == body_json(envelope, tmp_path)
    assert put.blob == blob
    (envelope,) = golden("contract_list")
    listed = _wire_operator.encode_contract_command(58, ContractAction.List, after="mail")
    assert body_json(listed.envelope, tmp_path) == body_json(envelope, tmp_path)


def test_golden_sweep_report_is_read(tmp_path: Path) -> None:
    frames = golden("sweep_report")
    told = body_json(frames[0], tmp_path)
    message = _wire_operator.decode(frames)
    assert isinstance(message, SweepTold)
    report = message.report
    assert (report.matched, report.done, report.failed, report.finished) == tuple(
        told[name] for name in ("matched", "done", "failed", "finished")
    )
    assert message.before_ms == told["before_ms"]


def test_golden_dead_page_is_read_and_survives_an_export(tmp_path: Path) -> None:
    frames = golden("dead_page")
    told = body_json(frames[0], tmp_path)
    message = _wire_operator.decode(frames)
    assert isinstance(message, DeadReply)
    assert len(message.page.jobs) == len(told["jobs"]) > 0
    assert message.page.next == told.get("next", "")
    for dead, want in zip(message.page.jobs, told["jobs"], strict=True):
        assert list(dead.id.bytes) == want["job"]["id"]["bytes"]
        assert (dead.queue, dead.type) == (want["job"]["queue"], want["job"]["type"])
        assert dead.error_message == want.get("error_message", "")
        assert len(dead.attempt_list) == len(want.get("attempt_list", []))
        for name in ("created_ms", "died_ms", "attempts", "raised", "generation", "payload_bytes"):
            assert getattr(dead, name) == want[name]
        assert dump(load(dump(dead))) == dump(dead)


def test_export_is_the_one_of_the_protocols_description() -> None:
    page = _wire_operator.decode(golden("dead_page"))
    assert isinstance(page, DeadReply)
    (text,) = re.findall(r"^### Dead jobs as NDJSON$.*?^```\n(.*?)^```$", PROTOCOL, re.M | re.S)
    keys = set(re.findall(r'"(\w+)":', text))
    written: set[str] = set()
    for dead in page.page.jobs:
        line = json.loads(dump(dead))
        written |= {*line, *line["job"], *line["job"].get("retry", ())}
        for one in line.get("attempt_list", ()):
            written |= set(one)
        assert line["job"]["id"] == str(dead.id)
        assert line["reason"] in ("Raised", "TimedOut", "Crashed", "Rejected")
    assert written <= keys
    assert {"jobwire", "job", "reason", "encoding", "died_ms"} <= written


def test_orders_are_what_the_golden_ones_say(tmp_path: Path) -> None:
    def same(name: str, encoded: bytes) -> None:
        assert body_json(encoded, tmp_path) == body_json(golden(name)[0], tmp_path)

    pause = body_json(golden("queue_pause")[0], tmp_path)
    same(
        "queue_pause",
        _wire_operator.encode_queue_command(
            pause["request"],
            QueueAction.Pause,
            queue=pause["queue"],
            by=pause["by"],
            why=pause["why"],
            until_ms=pause["until_ms"],
        ).envelope,
    )
    for name, action in (("sweep_purge", SweepAction.Purge), ("sweep_replay", SweepAction.Replay)):
        sweep = body_json(golden(name)[0], tmp_path)
        which = sweep["filter"]
        same(
            name,
            _wire_operator.encode_sweep(
                sweep["request"],
                action,
                JobFilter(
                    which.get("queue", ""),
                    which.get("type", ""),
                    DeadReason[_NAMES[which["reason"]]] if which["reason"] in _NAMES else None,
                    which.get("error", ""),
                    None,
                    tuple(UUID(bytes=bytes(one["bytes"])) for one in which.get("ids", [])),
                ),
                which["before_ms"],
                by=sweep["by"],
                why=sweep.get("why", ""),
                dry_run=sweep["dry_run"],
                rate_per_s=sweep["rate_per_s"],
                limit=sweep["limit"],
                to_queue=sweep.get("to_queue", ""),
            ).envelope,
        )


_NAMES = {"Raised": "RAISED", "TimedOut": "TIMED_OUT", "Crashed": "CRASHED", "Rejected": "REJECTED"}


def test_import_sends_what_a_page_told(tmp_path: Path) -> None:
    page = _wire_operator.decode(golden("dead_page"))
    assert isinstance(page, DeadReply)
    sent = _wire_operator.encode_dead_import(7, page.page.jobs, "ann")
    body = body_json(sent.envelope, tmp_path)
    assert (body["request"], body["by"]) == (7, "ann")
    as_page = tmp_path / "again"
    as_page.mkdir()
    for dead, told in zip(page.page.jobs, body["jobs"], strict=True):
        at, size = told["job"]["payload_offset"], told["job"]["payload_size"]
        assert sent.blob[at : at + size] == dead.job.payload
        for one, attempt in zip(dead.attempt_list, told["attempt_list"], strict=True):
            at, size = attempt["error_offset"], attempt["error_size"]
            assert sent.blob[at : at + size] == one.error
            assert (attempt["number"], attempt["outcome"]) == (one.number, attempt["outcome"])
        assert told["error_type"] == dead.error_type


JOB = {"id": str(UUID(int=1)), "queue": "q", "type": "t", "encoding": "Json"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ([], "is not 1"),
        ({"jobwire": 2, "job": JOB, "reason": "Raised"}, "is not 1"),
        ({"jobwire": 1, "reason": "Raised"}, "'job'"),
        ({"jobwire": 1, "job": {**JOB, "id": "x"}, "reason": "Raised"}, "badly formed"),
        ({"jobwire": 1, "job": {**JOB, "encoding": "Xml"}, "reason": "Raised"}, "'Xml'"),
        ({"jobwire": 1, "job": JOB, "reason": "Unspecified"}, "'Unspecified'"),
        ({"jobwire": 1, "job": JOB, "reason": "Raised", "payload": "?"}, "base64"),
        ({"jobwire": 1, "job": JOB, "reason": "Raised", "attempt_list": 5}, "not iterable"),
    ],
)
def test_line_that_is_no_dead_job_is_refused(line: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load(json.dumps(line))


def test_line_with_the_least_that_it_needs_is_read() -> None:
    dead = load(json.dumps({"jobwire": 1, "job": JOB, "reason": "Raised", "more": 1}))
    assert (dead.job.priority, dead.job.payload, dead.reason) == (4, b"", DeadReason.RAISED)


# ------------------------------------------------------------------ the session


class Peer:
    def __init__(self) -> None:
        self.session = OperatorSession(b"hello", Settings(), logging.getLogger("test"))
        self.session._read = lambda frames: frames[0]  # type: ignore[method-assign]
        self.now = 100.0

    def connect(self) -> None:
        self.session.connected(self.now)
        self.session.outbox.clear()
        self.say(WELCOME)

    def say(self, message: Any) -> None:
        self.session.receive([message], self.now)  # type: ignore[list-item]

    def sent(self, folder: Path) -> list[Any]:
        messages = [body_json(frames[0], folder) for frames in self.session.outbox]
        self.session.outbox.clear()
        return messages

    def sweep(self, **fields: Any) -> tuple[SweepOrder, list[SweepReport]]:
        told: list[SweepReport] = []
        usual = {"action": SweepAction.Replay, "which": JobFilter("q"), "by": "ann", "why": "",
                 "dry_run": False, "rate_per_s": 0, "limit": 0, "to_queue": ""}  # fmt: skip
        order = SweepOrder(**{**usual, **fields}, future=Future(), on_report=told.append)
        self.session.sweep(order, 110.0)
        return order, told

    def report(self, request: int, done: int, finished: bool, before_ms: int = 5000) -> None:
        report = SweepReport(done, done, 0, finished, moment(before_ms))
        self.say(SweepTold(request, 0, "", 0, report, before_ms))


def test_sweep_goes_on_in_the_next_session_with_the_time_it_began_with(tmp_path: Path) -> None:
    peer = Peer()
    peer.connect()
    order, told = peer.sweep(limit=10)
    (sent,) = peer.sent(tmp_path)
    assert (sent["filter"]["before_ms"], sent["limit"]) == (0, 10)
    peer.report(sent["request"], 4, False)
    assert [one.done for one in told] == [4]
    peer.session.disconnected()
    peer.connect()
    (again,) = peer.sent(tmp_path)
    assert again["request"] == sent["request"]
    assert (again["filter"]["before_ms"], again["limit"]) == (5000, 6)
    peer.report(sent["request"], 6, True)
    report = order.future.result(0)
    assert (report.done, report.finished) == (10, True)


def test_sweep_that_is_refused_or_late_is_told(tmp_path: Path) -> None:
    peer = Peer()
    peer.connect()
    refused, _ = peer.sweep()
    (sent,) = peer.sent(tmp_path)
    peer.say(
        SweepTold(
            sent["request"], Code.QuotaExceeded, "16 run", 500, SweepReport(0, 0, 0, False, None), 0
        )
    )
    error = refused.future.exception()
    assert isinstance(error, Full)
    assert error.retry_after == 0.5
    late, _ = peer.sweep()
    peer.session.tick(110.0)
    assert isinstance(late.future.exception(), NoAnswer)
    role, _ = peer.sweep()
    (*_, sent) = peer.sent(tmp_path)
    peer.say(Refused(Code.WrongRole, "", sent["request"], 0))
    assert isinstance(role.future.exception(), NotPermitted)


def test_questions_are_answered_and_asked_again(tmp_path: Path) -> None:
    peer = Peer()
    reply: Future[QueueReply] = Future()
    peer.session.command(reply, 110.0, QueueAction.Look, queue="q")
    page: Future[DeadPage] = Future()
    peer.session.dead_page(JobFilter(), "", 10, True, page, 110.0)
    contracts: Future[ContractReply] = Future()
    peer.session.contract(contracts, 110.0, ContractAction.Put, name="shop", schema=b"BFBS")
    peer.connect()
    first, second, third = peer.sent(tmp_path)
    assert (third["action"], third["name"], third["schema_size"]) == ("Put", "shop", 4)
    held = HeldContract("shop", 4, ())
    peer.say(ContractReply(third["request"], 0, "", 0, (held,), ""))
    assert contracts.result(0).contracts == (held,)
    assert (first["action"], first["queue"]) == ("Look", "q")
    assert (second["limit"], second["full"]) == (10, True)
    peer.say(QueueReply(first["request"], 0, "", 0, (), ""))
    assert reply.result(0).queues == ()
    peer.say(DeadReply(second["request"], Code.StoreUnavailable, "away", 100, DeadPage((), "")))
    assert page.exception() is not None


def test_import_is_receipted_job_by_job_and_sent_again_until_then(tmp_path: Path) -> None:
    peer = Peer()
    peer.connect()
    jobs = [
        DeadJob(JobSpec("t"), "", DeadReason.RAISED, "E", "m", 1, 2, 4, 4, 0, 0, 0, 0)
        for _ in range(2)
    ]
    futures: list[Future[Receipt]] = [Future(), Future()]
    peer.session.import_dead(jobs, "ann", futures, 110.0)
    peer.sent(tmp_path)
    first, second = (dead.id.bytes for dead in jobs)
    peer.say(Receipts([(first, first, 0, 0, True, 5)], {}))
    assert futures[0].result(0).duplicate
    peer.session.disconnected()
    peer.connect()
    (again,) = peer.sent(tmp_path)
    assert len(again["jobs"]) == 2
    peer.say(Receipts([(second, second, 0, Code.InvalidArgument, False, 0)], {0: "died_ms: ahead"}))
    assert "died_ms: ahead" in str(futures[1].exception())
    order, _ = peer.sweep()
    peer.session.end()
    assert isinstance(order.future.exception(), Closed)
    (late,) = [Future[Receipt]()]
    peer.session.import_dead(jobs[:1], "ann", [late], 110.0)
    assert isinstance(late.exception(), Closed)
