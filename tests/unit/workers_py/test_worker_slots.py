# SPDX-License-Identifier: Apache-2.0
"""Memory that agent and worker share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from jobwire._slots import (
    MAX_MESSAGE_BYTES,
    MAX_SLOTS,
    TORN,
    Order,
    Run,
    WorkerMemory,
    WorkerSlots,
    WorkerState,
)

TOKEN, JOB = b"t" * 16, b"j" * 16
RUN = (TOKEN, JOB, 5_000_000_000, 1_000_000_000, 250, 3)


@pytest.fixture
def memory() -> Iterator[WorkerMemory]:
    made = WorkerMemory()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def slots(memory: WorkerMemory) -> Iterator[WorkerSlots]:
    """The worker's side, with three slots."""
    made = WorkerSlots(memory.fd)
    made.open(3)
    try:
        yield made
    finally:
        made.close()


def test_untouched_memory_says_that_nothing_is_there(memory: WorkerMemory) -> None:
    assert (memory.state, memory.kinds, memory.slots) == (WorkerState.EMPTY, 0, 0)
    assert (memory.started, memory.failed, memory.greeted, memory.runs()) == (0, 0, 0, [])


def test_agent_reads_what_the_worker_runs(memory: WorkerMemory, slots: WorkerSlots) -> None:
    slot = list(slots)[1]
    slot.run(*RUN)
    seen = Run(1, TOKEN, JOB, 6000, 5_000_000_000, 250, 3)
    assert memory.runs() == [seen]
    assert seen.deadline_s == 5.25
    assert slot.deadline_ns() == 5_250_000_000
    assert [memory.run(0), memory.run(2)] == [None, None]
    slot.idle()
    assert memory.runs() == []


def test_last_slot_has_room(memory: WorkerMemory) -> None:
    worker = WorkerSlots(memory.fd)
    last = worker.open(MAX_SLOTS)[-1]
    last.run(*RUN)
    last.progress(TOKEN, 1.0, b"x" * MAX_MESSAGE_BYTES)
    assert [run.slot for run in memory.runs()] == [MAX_SLOTS - 1]
    worker.close()


def test_jobs_that_began_are_counted_over_all_slots(
    memory: WorkerMemory, slots: WorkerSlots
) -> None:
    first, second, _ = slots
    for slot in (first, first, second):
        slot.run(*RUN)
        slot.idle()
        slot.idle()
    first.run(*RUN)
    assert memory.started == 4


def test_half_written_slot_is_not_believed(memory: WorkerMemory, slots: WorkerSlots) -> None:
    slot = next(iter(slots))
    slot.run(*RUN)
    # As when the worker dies between the first and the last field.
    slot._view[:8] = (2**40).to_bytes(8, "little")
    assert memory.run(0) is TORN
    assert memory.runs() == []


def test_worker_reads_the_agents_orders_slot_by_slot(
    memory: WorkerMemory, slots: WorkerSlots
) -> None:
    first, second, _ = slots
    assert first.order() == (Order.NONE, bytes(16))
    memory.order(1, Order.CANCEL, TOKEN)
    second.run(*RUN)
    assert [first.order()[0], second.order()] == [Order.NONE, (Order.CANCEL, TOKEN)]
    assert not slots.draining
    memory.drain()
    assert slots.draining
    assert second.order() == (Order.CANCEL, TOKEN)


def test_worker_tells_how_far_it_is(memory: WorkerMemory, slots: WorkerSlots) -> None:
    slots.state(WorkerState.READY)
    slots.kinds(5)
    slots.count_failure()
    slots.greeted()
    slots.greeted()
    assert (memory.state, memory.kinds, memory.slots) == (WorkerState.READY, 5, 3)
    assert (memory.failed, memory.greeted) == (1, 2)


def test_latest_progress_wins_and_is_read_once(memory: WorkerMemory, slots: WorkerSlots) -> None:
    slot = list(slots)[2]
    assert memory.progress(2, 0) is None
    slot.progress(TOKEN, 0.25, b"a quarter")
    slot.progress(TOKEN, 0.5, "hälfte".encode())
    told = memory.progress(2, 0)
    assert told is not None
    assert told[1:] == (TOKEN, 0.5, "hälfte".encode())
    assert memory.progress(2, told.sequence) is None
    slot.progress(TOKEN, 0.75, b"")
    told = memory.progress(2, told.sequence)
    assert told is not None
    assert (told.value, told.message) == (0.75, b"")


def test_progress_does_not_touch_the_run_beside_it(
    memory: WorkerMemory, slots: WorkerSlots
) -> None:
    slot = next(iter(slots))
    slot.run(*RUN)
    memory.order(0, Order.STOP, TOKEN)
    before = memory.runs()
    slot.progress(TOKEN, 1.0, b"x" * (MAX_MESSAGE_BYTES + 1))
    told = memory.progress(0, 0)
    assert told is not None
    assert told.message == b"x" * MAX_MESSAGE_BYTES
    assert (memory.runs(), slot.order()) == (before, (Order.STOP, TOKEN))
