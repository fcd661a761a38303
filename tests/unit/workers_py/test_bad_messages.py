# SPDX-License-Identifier: Apache-2.0
"""What a broker should never send is refused with a code of PROTOCOL.md, by every role's decoder."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from golden import GOLDEN, golden
from jobwire import _wire_operator, _wire_producer, _wire_worker
from jobwire._agent_session import AgentSession
from jobwire._errors import ProtocolError
from jobwire._operator_session import OperatorSession
from jobwire._producer_session import ProducerSession, Settings
from jobwire._session import Session
from jobwire._wire_enums import Code
from jobwire._worker_session import Offer, WorkerSession

DECODERS: dict[str, Callable[[Sequence[bytes]], Any]] = {
    "worker": _wire_worker.decode,
    "producer": _wire_producer.decode,
    "operator": _wire_operator.decode,
}
BAD: dict[str, str] = {
    one["name"]: one["code"] for one in json.loads((GOLDEN / "golden.json").read_text())["bad"]
}

# What is wrong with these only a broker can see, for only a broker reads their kinds; the rest is wrong for everyone.
FOR_THE_BROKER = {
    "agent_without_host",
    "contract_command_action_unspecified",
    "contract_command_by_a_producer",
    "contract_command_by_nobody",
    "contract_outside_the_blob",
    "dead_import_by_a_producer",
    "dead_import_by_nobody",
    "dead_query_after_nowhere",
    "dead_query_by_a_producer",
    "error_that_is_none",
    "error_too_large",
    "hello_protocol_2",
    "hello_role_unknown",
    "hello_role_unspecified",
    "queue_command_action_unknown",
    "queue_command_action_unspecified",
    "queue_command_by_a_producer",
    "queue_command_by_an_agent",
    "ready_by_a_producer",
    "ready_with_an_empty_name",
    "result_of_a_crash",
    "result_of_unknown_encoding",
    "result_offset_wraps",
    "result_outside_the_blob",
    "result_without_outcome",
    "submit_before_hello",
    "submit_by_a_worker",
    "sweep_action_unspecified",
    "sweep_by_a_producer",
    "sweep_reason_unknown",
    "sweep_too_many_ids",
    "too_many_ids",
    "too_many_jobs",
    "truncated",
    "worker_at_the_producers_door",
    "worker_down_by_a_worker",
    "worker_down_end_unspecified",
}


def bad(name: str) -> list[bytes]:
    # A megabyte of zeros is not kept; it is an envelope by its identifier and by nothing else.
    if name == "oversized_envelope":
        return [golden("welcome")[0][:8] + bytes(1_048_569)]
    return golden(f"bad/{name}")


@pytest.mark.parametrize("role", DECODERS)
@pytest.mark.parametrize("name", BAD)
def test_every_bad_message_is_refused_with_its_code(name: str, role: str) -> None:
    if name == "sent_by_the_broker_only" and role != "worker":
        assert DECODERS[role](bad(name)) == _wire_producer.Receipts([], {})
        return
    with pytest.raises(ProtocolError) as refused:
        DECODERS[role](bad(name))
    code = "UnknownKind" if name in FOR_THE_BROKER else BAD[name]
    assert refused.value.code == getattr(Code, code)
    assert str(refused.value)


def test_each_message_named_as_the_brokers_alone_is_in_the_bad_set() -> None:
    assert set(BAD) >= FOR_THE_BROKER


@pytest.mark.parametrize("role", DECODERS)
def test_truncated_messages_are_read_or_refused_but_never_crash(role: str) -> None:
    codes = set()
    for path in sorted(GOLDEN.glob("*.bin")):
        envelope = path.read_bytes()
        for cut in range(len(envelope)):
            try:
                DECODERS[role]([envelope[:cut]])
            except ProtocolError as error:
                codes.add(error.code)
    assert codes == {Code.MalformedFrame, Code.UnknownKind}


def sessions() -> list[Session]:
    log = logging.getLogger("test")
    return [
        WorkerSession(b"hello", Offer((), (), 1, 1), 1, log),
        AgentSession(b"hello", log),
        ProducerSession(b"hello", Settings(), log),
        OperatorSession(b"hello", Settings(), log),
    ]


@pytest.mark.parametrize("session", sessions(), ids=lambda session: type(session).__name__)
def test_a_bad_message_leaves_a_session_as_it_was(
    session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    session.connected(1.0)
    session.receive(golden("welcome"), 2.0)
    assert session.open
    session.outbox.clear()
    welcome, limits = session.welcome, session.limits
    names = [name for name in BAD if name != "sent_by_the_broker_only"]
    for name in names:
        session.receive(bad(name), 3.0)
    assert session.open
    assert not session.outbox
    assert (session.welcome, session.limits, session.fatal) == (welcome, limits, None)
    assert len(caplog.records) == len(names)
    assert {record.levelname for record in caplog.records} == {"ERROR"}
