"""What was carried out last outlives the process, and nothing older takes its place (H41, H43)."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path, PosixPath

import pytest

from lbctl.errors import Superseded
from lbctl.model.decision import Desired
from lbctl.net.fence import Fence


def desired(epoch: int, member: str = "a") -> Desired:
    return Desired("core", epoch, (member,), {"": ("192.0.2.10",)})


async def carried_out(fence: Fence, epoch: int, turn: int = 0) -> None:
    fence.advance("here", desired(epoch), frozenset({"192.0.2.10"}), turn)
    await fence.save()


@pytest.mark.parametrize(("epoch", "turn", "member"), [(4, 9, "a"), (5, 1, "a"), (5, 2, "b")], ids=["epoch", "turn", "other"])
async def test_an_older_decision_or_another_of_its_number_is_refused_after_a_restart_too(tmp_path: Path, epoch: int, turn: int, member: str) -> None:
    await carried_out(Fence(tmp_path / "mark"), 5, 2)
    with pytest.raises(Superseded):
        Fence(tmp_path / "mark").check("here", desired(epoch, member), turn)


@pytest.mark.parametrize(("epoch", "turn"), [(5, 2), (5, 3), (6, 0)])
async def test_the_same_decision_and_a_newer_one_are_carried_out(tmp_path: Path, epoch: int, turn: int) -> None:
    await carried_out(Fence(tmp_path / "mark"), 5, 2)
    Fence(tmp_path / "mark").check("here", desired(epoch), turn)


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"epoch": "x", "members": [], "addresses": []}'])
def test_a_mark_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "mark").write_text(text)
    assert Fence(tmp_path / "mark").mark is None


async def test_a_disk_that_takes_nothing_costs_the_memory_and_not_the_move(tmp_path: Path) -> None:
    fence = Fence(tmp_path / "missing" / "mark")
    await carried_out(fence, 1)
    assert fence.epoch == 1


class SlowOnce(PosixPath):
    """A file on a disk whose first write waits."""

    began, may_go_on = threading.Event(), threading.Event()

    def with_name(self, name: str) -> PosixPath:
        if not self.began.is_set():
            self.began.set()
            self.may_go_on.wait(30)
        return PosixPath(super().with_name(name))


async def test_a_write_that_was_given_up_does_not_end_after_that_of_a_newer_mark(tmp_path: Path) -> None:
    """A thread cannot be taken back: who stops waiting for it leaves it in its place in the order."""
    file = SlowOnce(tmp_path / "mark")
    fence = Fence(file)
    first = asyncio.create_task(carried_out(fence, 1))
    assert await asyncio.to_thread(file.began.wait, 30)
    first.cancel()
    await asyncio.wait([first])
    second = asyncio.create_task(carried_out(fence, 2))
    await asyncio.wait([second], timeout=0.3)
    file.may_go_on.set()
    await second
    await asyncio.get_running_loop().shutdown_default_executor()
    assert Fence(tmp_path / "mark").epoch == 2
