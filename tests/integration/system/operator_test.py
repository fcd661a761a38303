# SPDX-License-Identifier: Apache-2.0
"""What an operator does to queues and dead jobs, with a real broker, Redis and workers."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from integration.system.raw_peer import RawPeer
from jobwire import (
    DeadReason,
    JobFilter,
    JobSpec,
    JobState,
    Operator,
    Paused,
    SweepReport,
    UnknownQueue,
)
from rig import Rig, until

HERE = Path(__file__).resolve().parent


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with Rig(tmp_path / "rig") as rig:
        rig.start_broker()
        yield rig


@pytest.fixture
def operator(rig: Rig) -> Iterator[Operator]:
    with Operator(rig.producers, name="test/1") as operator:
        yield operator


def host(rig: Rig, queue: str = "frail") -> None:
    rig.start_host(f"{HERE / 'operator_app.py'}", queues=queue)


def fragile(switch: Path, queue: str = "frail") -> JobSpec:
    return JobSpec("fragile", str(switch), queue=queue)


def dead_jobs(rig: Rig, operator: Operator, switch: Path, count: int) -> list[UUID]:
    """So many jobs that were rejected while the switch was there."""
    switch.touch()
    ids = [operator.submit(fragile(switch)).id for _ in range(count)]
    until("all to be dead", lambda: operator.queue("frail").dead == count, 60)
    switch.unlink()
    return ids


def queued(operator: Operator, queue: str) -> int:
    """A queue that nobody has used yet is unknown."""
    return sum(view.queued for view in operator.queues() if view.name == queue)


def settled(rig: Rig, queue: str, state: str) -> int:
    return int(rig.redis_cli("ZCARD", f"jw:{{0}}:idx:{queue}:{state}"))


def test_a_paused_queue_hands_out_nothing_and_stays_so_over_a_restart(
    rig: Rig, operator: Operator, tmp_path: Path
) -> None:
    view = operator.pause("frail", by="ada", why="the disk is full")
    assert view.paused
    assert (view.by, view.why) == ("ada", "the disk is full")
    assert rig.redis_cli("HGET", "jw:{0}:queue:frail", "by") == "ada"
    host(rig)
    until("the worker to be there", lambda: operator.queue("frail").workers > 0, 60)
    waiting = [operator.submit(fragile(tmp_path / "none")) for _ in range(20)]
    rig.broker.kill()
    rig.start_broker()
    until("the worker to be back", lambda: operator.queue("frail").workers > 0, 60)
    view = operator.queue("frail")
    assert (view.paused, view.queued, view.running) == (True, 20, 0)
    view = operator.resume("frail", by="ada")
    assert not view.paused
    for receipt in waiting:
        assert operator.wait(receipt.id, timeout=60).succeeded


def test_a_queue_that_nobody_has_used_is_unknown_by_name(operator: Operator) -> None:
    for ask in (operator.queue, lambda name: operator.resume(name, by="ada")):
        with pytest.raises(UnknownQueue, match="no queue of that name was ever used"):
            ask("frail")
    assert operator.queues() == []
    operator.pause("frail", by="ada")
    assert operator.queue("frail").paused


def test_a_drained_queue_refuses_by_name_and_ends_what_it_has(
    rig: Rig, operator: Operator, tmp_path: Path
) -> None:
    receipt = operator.submit(fragile(tmp_path / "none"))
    operator.drain("frail", by="ada")
    with pytest.raises(Paused):
        operator.submit(fragile(tmp_path / "none"))
    host(rig)
    assert operator.wait(receipt.id, timeout=60).succeeded
    operator.resume("frail", by="ada")
    assert operator.wait(operator.submit(fragile(tmp_path / "none")).id, timeout=60).succeeded


def test_dead_jobs_are_listed_counted_and_replayed(
    rig: Rig, operator: Operator, tmp_path: Path
) -> None:
    host(rig)
    switch = tmp_path / "switch"
    ids = dead_jobs(rig, operator, switch, 12)
    which = JobFilter(queue="frail", reason=DeadReason.REJECTED, error="is in the way")
    page = operator.dead_page(which, limit=5)
    assert len(page.jobs) == 5
    assert page.next
    dead = operator.dead(which, full=True)
    assert {one.id for one in dead} == set(ids)
    assert all(len(one.attempt_list) == 1 for one in dead)
    assert not operator.dead(JobFilter(queue="frail", error="no such error"))
    trial = operator.replay(which, by="ada", dry_run=True)
    assert (trial.matched, trial.done) == (12, 0)
    assert operator.queue("frail").dead == 12
    report = operator.replay(which, by="ada", why="fixed")
    assert (report.matched, report.done, report.failed) == (12, 12, 0)
    for job in ids:
        assert operator.wait(job, timeout=60).succeeded
    id_text = str(ids[0])
    assert rig.redis_cli("HGET", f"jw:{{0}}:job:{id_text}", "generation") == "1"
    assert rig.redis_cli("HEXISTS", f"jw:{{0}}:job:{id_text}", "attempt:1") == "1"
    assert settled(rig, "frail", "dead") == 0


def test_dead_jobs_go_to_another_queue_and_remember_their_own(
    rig: Rig, operator: Operator, tmp_path: Path
) -> None:
    host(rig)
    switch = tmp_path / "switch"
    (job,) = dead_jobs(rig, operator, switch, 1)
    operator.replay(JobFilter(ids=(job,)), by="ada", to_queue="again")
    key = f"jw:{{0}}:job:{job}"
    assert rig.redis_cli("HGET", key, "queue") == "again"
    assert rig.redis_cli("HGET", key, "origin") == "frail"
    assert operator.queue("again").queued == 1
    host(rig, "again")
    assert operator.wait(job, timeout=60).succeeded


def test_dropped_jobs_are_gone_and_an_export_brings_them_back(
    rig: Rig, operator: Operator, tmp_path: Path
) -> None:
    host(rig)
    switch = tmp_path / "switch"
    ids = dead_jobs(rig, operator, switch, 7)
    file = io.StringIO()
    assert operator.export_dead(file, JobFilter(queue="frail")) == 7
    report = operator.drop(JobFilter(queue="frail"), by="ada")
    assert report.done == 7
    assert rig.redis_cli("EXISTS", f"jw:{{0}}:job:{ids[0]}") == "0"
    lines = file.getvalue().splitlines()
    imported = operator.import_dead(lines, by="ada")
    assert (imported.imported, imported.known, imported.refused) == (7, 0, {})
    again = operator.import_dead(lines, by="ada")
    assert (again.imported, again.known) == (0, 7)
    copy = io.StringIO()
    operator.export_dead(copy, JobFilter(queue="frail"))
    assert sorted(copy.getvalue().splitlines()) == sorted(lines), "nothing is lost on the way"
    operator.replay(JobFilter(queue="frail"), by="ada")
    for job in ids:
        assert operator.wait(job, timeout=60).succeeded


def test_a_purge_ends_what_waits_in_slices_and_reports(rig: Rig, operator: Operator) -> None:
    campaign = rig.campaign(
        "--queue", "full", "--type", "t", "--jobs", "10000", "--window", "20000", "--timeout", "120"
    )
    until("all to wait", lambda: queued(operator, "full") == 10_000, 60)
    trial = operator.purge("full", by="ada", dry_run=True)
    assert (trial.matched, trial.done) == (10_000, 0)
    reports: list[SweepReport] = []
    report = operator.purge("full", by="ada", on_report=reports.append)
    assert (report.matched, report.done, report.failed) == (10_000, 10_000, 0)
    assert reports, "a word when it begins"
    assert campaign.finish(120)["ends"] == {"Cancelled": 10_000}
    view = operator.queue("full")
    assert (view.queued, view.finished) == (0, 10_000)


def test_a_purge_goes_on_over_a_restart_of_the_broker(rig: Rig, operator: Operator) -> None:
    campaign = rig.campaign(
        "--queue", "full", "--type", "t", "--jobs", "3000", "--window", "20000", "--timeout", "120"
    )
    until("all to wait", lambda: queued(operator, "full") == 3_000, 60)
    done: list[int] = []

    def kill_once(report: SweepReport) -> None:
        if not done and report.done > 500:
            done.append(report.done)
            rig.broker.kill()
            rig.start_broker()

    operator.purge("full", by="ada", rate=1_000, on_report=kill_once, timeout=120)
    assert done, "it was under way"
    until("the queue to be empty", lambda: operator.queue("full").queued == 0, 60)
    assert campaign.finish(120)["ends"] == {"Cancelled": 3_000}
    until("the store to say so", lambda: settled(rig, "full", "cancelled") == 3_000)


def test_weights_and_states_are_shown(rig: Rig, operator: Operator) -> None:
    assert operator.set_weight("frail", 7, by="ada").weight == 7
    assert [view.name for view in operator.queues()] == ["frail"]
    rig.broker.kill()
    rig.start_broker()
    until("the broker to be back", lambda: operator.queue("frail").weight == 7, 60)


def test_a_producer_may_not(rig: Rig) -> None:
    with RawPeer(rig.producers) as peer:
        peer.hello("Producer")
        kind, refused = peer.ask("QueueCommand", request=3, action="Look")
        assert (kind, refused["code"], refused["request"]) == ("Refused", "WrongRole", 3)


def test_states_are_those_of_the_job(rig: Rig, operator: Operator, tmp_path: Path) -> None:
    receipt = operator.submit(fragile(tmp_path / "none"))
    operator.purge("frail", by="ada")
    assert operator.status(receipt.id).state == JobState.CANCELLED
