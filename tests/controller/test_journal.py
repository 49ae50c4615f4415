"""Lines on their way to the store, to listeners and to streams (H26, H52)."""

from __future__ import annotations

import asyncio

import pytest

from lbctl.clock import LoopClock
from lbctl.controller import journal as module
from lbctl.controller.counts import Counts
from lbctl.controller.journal import Journal
from lbctl.controller.supervisor import Supervisor
from lbctl.errors import StoreUnavailable
from lbctl.model.decision import Step
from lbctl.stores.memory import Disk, MemoryStore
from tests import virtual


def steps(count: int, start: int = 0) -> list[Step]:
    return [Step(at=float(n), service="core", kind="k", text=str(start + n)) for n in range(count)]


def bench() -> tuple[Journal, Disk, Counts, Supervisor]:
    clock, counts, disk = LoopClock(), Counts(), Disk()
    supervisor = Supervisor(clock)
    return Journal(MemoryStore(disk=disk), clock, supervisor, counts), disk, counts, supervisor


def test_lines_of_one_moment_are_stored_in_one_write_in_order() -> None:
    async def story() -> tuple[int, list[str]]:
        journal, disk, _, _ = bench()
        writes = 0

        async def counted() -> None:
            nonlocal writes
            writes += 1

        disk.after = counted
        for n in range(50):
            journal.write(steps(2, 2 * n))
        await journal.flush()
        return writes, [line.text for line, _ in disk.journal]

    writes, texts = virtual.run(story())
    assert (writes, texts) == (1, [str(n) for n in range(100)])


def test_while_the_disk_is_full_listeners_are_told_and_lines_wait_in_bounds() -> None:
    async def story() -> None:
        journal, disk, counts, supervisor = bench()
        heard: list[Step] = []
        journal.listen(heard.append)
        fine = disk.before

        async def full() -> None:
            raise StoreUnavailable("full")

        disk.before = full
        for n in range(30):
            journal.write(steps(1000, 1000 * n))
        await asyncio.sleep(10)
        assert (len(heard), journal.store_problem) == (30_000, "full")
        disk.before = fine
        await asyncio.sleep(10)
        assert journal.store_problem == ""
        assert len(disk.journal) == module.BUFFER_MAX
        assert disk.journal[-1][0].text == "29999"
        assert counts.dropped["journal"] == 30_000 - module.BUFFER_MAX
        await supervisor.stop()

    virtual.run(story())


def test_a_listener_that_falls_disturbs_nobody() -> None:
    async def story() -> tuple[int, int]:
        journal, disk, _, supervisor = bench()
        heard: list[Step] = []

        def falls(step: Step) -> None:
            raise ZeroDivisionError

        journal.listen(falls)
        journal.listen(heard.append)
        journal.write(steps(3))
        await journal.flush()
        assert supervisor.faults["listener"] == 3
        return len(heard), len(disk.journal)

    assert virtual.run(story()) == (3, 3)


def test_a_bell_rings_when_lines_are_there_to_be_read_and_once_for_many() -> None:
    async def story() -> int:
        journal, disk, _, _ = bench()
        bell, rings = journal.bell(), 0

        async def follow() -> None:
            nonlocal rings
            while True:
                await bell.wait()
                rings += 1

        task = asyncio.create_task(follow())
        await asyncio.sleep(0)
        journal.write(steps(5))
        await journal.flush()
        assert len(disk.journal) == 5
        await asyncio.sleep(0)
        journal.stored(steps(1))
        await asyncio.sleep(0)
        bell.close()
        journal.stored(steps(1))
        await asyncio.sleep(1)
        task.cancel()
        return rings

    assert virtual.run(story()) == 2


@pytest.mark.parametrize("late", [False, True], ids=["asked before", "asked after"])
def test_a_ring_is_not_missed_by_who_waits_later(late: bool) -> None:
    async def story() -> None:
        journal, _, _, _ = bench()
        bell = journal.bell()
        if late:
            journal.ring()
            await bell.wait()
        else:
            waiting = asyncio.create_task(bell.wait())
            await asyncio.sleep(0)
            journal.ring()
            await waiting

    virtual.run(story())
