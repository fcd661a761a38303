# SPDX-License-Identifier: Apache-2.0
"""The Python client against a real broker and real workers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from jobwire import (
    AlreadyFinal,
    AsyncClient,
    Client,
    Closed,
    DeadReason,
    Dropped,
    Durability,
    Full,
    JobSpec,
    JobState,
    NoAnswer,
    NotFinished,
    RetryPolicy,
    Unavailable,
    UnknownJob,
)
from rig import Rig, free_port, until

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with Rig(tmp_path_factory.mktemp("rig")) as rig:
        rig.start_broker()
        rig.start_host(f"{HERE / 'client_app.py'}")
        yield rig


@pytest.fixture
def client(rig: Rig) -> Iterator[Client]:
    with Client(rig.producers, name="test/1") as client:
        yield client


def test_call_gives_the_result_and_its_history(client: Client) -> None:
    result = client.call(JobSpec("upper", "grün"), timeout=60)
    assert result.succeeded
    assert result.text == "GRÜN"
    status = client.status(result.id)
    assert (status.state, status.attempts, status.reason) == (JobState.SUCCEEDED, 1, None)
    assert status.created is not None
    assert status.finished is not None
    assert status.created <= status.finished
    assert client.result(result.id).payload == result.payload


def test_receipt_names_the_durability_and_knows_duplicates(client: Client) -> None:
    spec = JobSpec("upper", "a", delay="1h")
    first, second = client.submit(spec), client.submit(spec)
    assert (first.id, first.duplicate, first.durability) == (spec.id, False, Durability.FSYNCED)
    assert (second.id, second.duplicate) == (spec.id, True)
    assert client.cancel(spec.id) is JobState.CANCELLED


def test_python_error_arrives_as_structure(client: Client) -> None:
    result = client.call(JobSpec("broken", "x", retry=RetryPolicy.never()), timeout=60)
    assert (result.state, result.status.reason) == (JobState.DEAD, DeadReason.RAISED)
    error = result.error
    assert error is not None
    assert (error.type, error.message) == ("builtins.ValueError", "x is broken")
    assert error.frames[-1].function == "broken"
    assert error.frames[-1].source == "raise error from behind"
    assert [link.type for link in error.chain] == ["builtins.KeyError"]
    assert error.notes == ("look at the tape",)


def test_waiting_job_is_cancelled_and_asked_for(client: Client) -> None:
    receipt = client.submit(JobSpec("upper", "a", delay="1h"))
    with pytest.raises(NotFinished, match="scheduled"):
        client.result(receipt.id)
    with pytest.raises(NoAnswer):
        client.wait(receipt.id, timeout=0.05)
    assert client.cancel(receipt.id, "no need") is JobState.CANCELLED
    assert client.wait(receipt.id, timeout=60).state is JobState.CANCELLED
    with pytest.raises(AlreadyFinal):
        client.cancel(receipt.id)


def test_running_job_is_cancelled(client: Client) -> None:
    receipt = client.submit(JobSpec("hang"))
    until("the job to run", lambda: client.status(receipt.id).state is JobState.RUNNING)
    assert client.cancel(receipt.id, timeout=60) is JobState.CANCELLED
    assert client.result(receipt.id).state is JobState.CANCELLED


def test_type_that_nobody_serves_is_told_with_names_that_are_near_and_logged_once(
    rig: Rig, client: Client
) -> None:
    assert client.call(JobSpec("upper", "a"), timeout=60).text == "A", "the workers are here"
    typo = [client.submit(JobSpec("uper", "a")).id for _ in range(3)]
    why = "no worker of queue default has type uper; there is upper (version 1.4)"
    assert client.status(typo[0]).obstacle == why
    assert rig.broker is not None
    log = rig.broker.log
    until("a line in the broker's log", lambda: why in log.read_text(), 60)
    for job in typo:
        client.cancel(job)
    assert log.read_text().count(why) == 1
    assert f"job {typo[0]} waits: {why}" in log.read_text()


def test_job_that_nobody_submitted_is_unknown(client: Client) -> None:
    nobody = JobSpec("upper").id
    for ask in (client.status, client.result):
        with pytest.raises(UnknownJob):
            ask(nobody)
    with pytest.raises(UnknownJob):
        client.wait(nobody, timeout=60)


def test_batch_is_receipted_one_by_one_and_awaited_together(client: Client) -> None:
    specs = [JobSpec("upper", f"n{i}", watch=i % 2 == 0) for i in range(3000)]
    receipts = client.submit_batch(specs)
    assert [one.id for one in receipts] == [spec.id for spec in specs]  # type: ignore[union-attr]
    results = client.wait_all([spec.id for spec in specs], timeout=90)
    assert [one.text for one in results] == [f"N{i}" for i in range(3000)]  # type: ignore[union-attr]
    assert client.stats().messages <= 3000 / 100


def test_posted_jobs_are_there_after_flush(client: Client) -> None:
    ids = [client.post(JobSpec("upper", "p")) for _ in range(500)]
    client.flush(timeout=60)
    assert client.stats().pending == 0
    results = client.wait_all(ids, timeout=60)
    assert {one.text for one in results} == {"P"}  # type: ignore[union-attr]


def test_asyncio_client_has_the_same_verbs(rig: Rig) -> None:
    async def many() -> list[str]:
        async with AsyncClient(rig.producers) as client:
            calls = (client.call(JobSpec("upper", f"a{i}"), timeout=60) for i in range(50))
            results = await asyncio.gather(*calls)
            receipt = await client.submit(JobSpec("upper", delay="1h"))
            waiting = asyncio.ensure_future(client.wait(receipt.id, timeout=60))
            await asyncio.sleep(0)
            waiting.cancel()
            assert await client.cancel(receipt.id) is JobState.CANCELLED
            return [result.text for result in results]

    assert asyncio.run(many()) == [f"A{i}" for i in range(50)]


def test_client_that_finds_no_broker_says_so_and_keeps_what_it_posted() -> None:
    client = Client(f"tcp://127.0.0.1:{free_port()}", submit_timeout=0.1)
    with pytest.raises(Unavailable):
        client.submit(JobSpec("upper"))
    kept = client.post(JobSpec("upper"))
    with pytest.raises(NoAnswer):
        client.flush(timeout=0.05)
    report = client.close(timeout=0.05)
    assert report.unreceipted == (kept,)
    assert not report.clean
    with pytest.raises(Closed):
        client.submit(JobSpec("upper"))


def test_full_client_does_what_overflow_says() -> None:
    nobody = f"tcp://127.0.0.1:{free_port()}"
    lost: list[tuple[object, Exception]] = []
    for overflow in ("drop_oldest", "fail", "block"):
        client = Client(
            nobody,
            submit_timeout=0.1,
            backlog_jobs=3,
            overflow=overflow,  # type: ignore[arg-type]
            on_lost=lambda id_, error: lost.append((id_, error)),
        )
        ids = [client.post(JobSpec("upper")) for _ in range(3)]
        if overflow == "drop_oldest":
            client.post(JobSpec("upper"))
            until("the oldest job to be dropped", lambda: lost)
            assert lost[0][0] == ids[0]
            assert isinstance(lost[0][1], Dropped)
            assert client.close(timeout=0.01).dropped == 1
        else:
            with pytest.raises(Full):
                client.post(JobSpec("upper"))
            assert client.close(timeout=0.01).unreceipted == tuple(ids)


def test_blocked_post_goes_on_when_there_is_room(rig: Rig) -> None:
    with Client(rig.producers, backlog_jobs=4, submit_timeout=60) as client:
        ids = [client.post(JobSpec("upper", f"b{i}")) for i in range(100)]
        results = client.wait_all(ids, timeout=60)
        assert [one.text for one in results] == [f"B{i}" for i in range(100)]  # type: ignore[union-attr]


def test_client_in_a_forked_child_refuses_instead_of_waiting_for_ever(rig: Rig) -> None:
    with Client(rig.producers) as client:
        client.status(client.submit(JobSpec("upper", delay="1h")).id)
        pid = os.fork()
        if pid == 0:
            try:
                client.submit(JobSpec("upper"))
            except Closed:
                os._exit(7)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7


def test_jobs_posted_across_a_kill_of_the_broker_all_run_once(tmp_path: Path) -> None:
    lost: list[object] = []
    with Rig(tmp_path / "rig") as rig:
        broker = rig.start_broker()
        rig.start_host(f"{HERE / 'client_app.py'}")
        with Client(rig.producers, on_lost=lambda *what: lost.append(what)) as client:
            before = client.call(JobSpec("upper", "before"), timeout=60)
            ids = []
            for i in range(4000):
                ids.append(client.post(JobSpec("upper", f"k{i}")))
                if i == 2000:
                    broker.kill()
            rig.start_broker()
            client.flush(timeout=60)
            results = client.wait_all(ids, timeout=90)
            assert [one.text for one in results] == [f"K{i}" for i in range(4000)]  # type: ignore[union-attr]
            assert client.result(before.id).text == "BEFORE"
            assert client.stats().brokers == 2
            assert client.close(timeout=60).clean
        assert lost == []
        assert rig.ended("default", "succeeded") == 4001


def test_wait_goes_on_over_a_restart(tmp_path: Path) -> None:
    with Rig(tmp_path / "rig") as rig:
        broker = rig.start_broker()
        with Client(rig.producers) as client:
            receipt = client.submit(JobSpec("upper", "x", watch=True))
            broker.stop()
            rig.start_broker()
            rig.start_host(f"{HERE / 'client_app.py'}")
            assert client.wait(receipt.id, timeout=90).text == "X"


def test_id_of_another_version_is_not_known(client: Client) -> None:
    with pytest.raises(UnknownJob):
        client.status(uuid4())
