# SPDX-License-Identifier: Apache-2.0
"""The operator's client in Python against a real broker and real workers."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from jobwire import (
    DeadReason,
    InvalidJob,
    JobFilter,
    JobSpec,
    JobState,
    NotPermitted,
    Operator,
    Paused,
    RetryPolicy,
)
from jobwire._wire_enums import Role
from rig import Rig, until

HERE = Path(__file__).resolve().parent
ONCE = RetryPolicy.never()


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with Rig(tmp_path_factory.mktemp("rig")) as rig:
        rig.start_broker()
        rig.start_host(f"{HERE / 'client_app.py'}", queues="default,ops,again")
        yield rig


@pytest.fixture
def operator(rig: Rig) -> Iterator[Operator]:
    with Operator(rig.producers, name="ann") as operator:
        yield operator


def die(operator: Operator, count: int, queue: str = "ops") -> list[JobSpec]:
    specs = [JobSpec("broken", f"job {i}", queue=queue, retry=ONCE) for i in range(count)]
    operator.submit_batch(specs)
    operator.wait_all([spec.id for spec in specs], timeout=60)
    return specs


def test_paused_queue_hands_nothing_out_until_it_is_resumed(operator: Operator) -> None:
    until_then = datetime.now(UTC) + timedelta(hours=1)
    view = operator.pause("ops", by="ann", why="the disk is full", until=until_then)
    assert (view.paused, view.by, view.why) == (True, "ann", "the disk is full")
    assert view.until is not None
    assert abs((view.until - until_then).total_seconds()) < 0.01
    spec = JobSpec("upper", "x", queue="ops")
    operator.submit(spec)
    assert operator.queue("ops").queued == 1
    assert operator.status(spec.id).state is JobState.QUEUED
    assert not operator.resume("ops", by="ann").paused
    assert operator.wait(spec.id, timeout=60).text == "X"


def test_drained_queue_takes_nothing(operator: Operator) -> None:
    operator.drain("closed", by="ann")
    with pytest.raises(Paused):
        operator.submit(JobSpec("upper", queue="closed"))
    operator.resume("closed", by="ann")
    operator.submit(JobSpec("upper", "x", queue="closed", delay="1h"))
    assert operator.queue("closed").scheduled == 1


def test_queues_are_listed_by_name_and_weighted(operator: Operator) -> None:
    operator.set_weight("heavy", 7, by="ann")
    views = operator.queues()
    names = [view.name for view in views]
    assert names == sorted(names)
    assert {view.name: view.weight for view in views}["heavy"] == 7
    with pytest.raises(InvalidJob):
        operator.set_weight("heavy", 0, by="ann")
    with pytest.raises(InvalidJob):
        operator.pause("heavy", by="")


def test_purge_cancels_what_waits(operator: Operator) -> None:
    specs = [JobSpec("upper", queue="waiting", delay="1h") for _ in range(50)]
    operator.submit_batch(specs)
    counted = operator.purge("waiting", by="ann", dry_run=True)
    assert (counted.matched, counted.done, counted.finished) == (50, 0, True)
    report = operator.purge("waiting", by="ann", limit=20)
    assert report.done == 20
    assert operator.purge("waiting", by="ann").done == 30
    assert {operator.status(spec.id).state for spec in specs} == {JobState.CANCELLED}


def test_dead_jobs_are_listed_replayed_and_dropped(operator: Operator) -> None:
    specs = die(operator, 7)
    which = JobFilter(queue="ops", error="job 3")
    (dead,) = operator.dead(which, full=True)
    assert (dead.id, dead.reason) == (specs[3].id, DeadReason.RAISED)
    assert dead.job.payload == b"job 3"
    assert dead.error_type == "builtins.ValueError"
    assert [error.message for error in dead.errors] == ["job 3 is broken"]
    assert len(operator.dead(JobFilter(queue="ops"), most=4)) == 4
    ids = tuple(spec.id for spec in specs[:2])
    assert operator.replay(JobFilter(ids=ids), by="ann", to_queue="again").done == 2
    for spec in specs[:2]:
        until(
            "it to die again",
            lambda spec=spec: [
                one.id for one in operator.dead(JobFilter(queue="again")) if one.id == spec.id
            ],
        )  # type: ignore[misc]
    assert {one.generation for one in operator.dead(JobFilter(queue="again"))} == {1}
    assert operator.drop(JobFilter(queue="ops"), by="ann").done == 5
    assert operator.dead(JobFilter(queue="ops")) == []


def test_export_and_import_bring_dead_jobs_back(operator: Operator) -> None:
    specs = die(operator, 3, queue="again")
    which = JobFilter(queue="again", ids=tuple(spec.id for spec in specs))
    out = io.StringIO()
    assert operator.export_dead(out, which) == 3
    known = operator.import_dead(out.getvalue().splitlines(), by="ann")
    assert (known.imported, known.known, dict(known.refused)) == (0, 3, {})


def test_producers_may_not_do_what_operators_do(rig: Rig, operator: Operator) -> None:
    class Pretender(Operator):
        _role = Role.Producer

    with Pretender(rig.producers) as pretender, pytest.raises(NotPermitted):
        pretender.pause("ops", by="eve")


def test_sweep_goes_on_over_a_restart(tmp_path: Path) -> None:
    with Rig(tmp_path / "rig") as rig:
        broker = rig.start_broker()
        with Operator(rig.producers) as operator:
            specs = [JobSpec("upper", queue="waiting", delay="1h") for _ in range(300)]
            operator.submit_batch(specs)
            restarted = []

            def restart_once(report: object) -> None:
                if not restarted:
                    restarted.append(report)
                    broker.kill()
                    rig.start_broker()

            report = operator.purge("waiting", by="ann", rate=100, on_report=restart_once)
            assert report.finished
            assert restarted
            assert {operator.status(spec.id).state for spec in specs} == {JobState.CANCELLED}
