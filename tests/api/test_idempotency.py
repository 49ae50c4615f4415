"""The same key, the same answer, whatever the order of arrival; filed for a restart; bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from lbctl.api.idempotency import REMEMBERED, Kept, Memory
from lbctl.api.problems import Refusal
from lbctl.errors import StoreUnavailable
from lbctl.model.decision import Step
from lbctl.stores.base import Receipt
from tests.api.fake import AT, FakeController, HandClock


def kept(number: int, status: int = 200) -> Kept:
    return Kept(status, str(number).encode(), "application/json", (("ETag", '"1"'),))


def told(step: Step) -> Kept:
    return Kept(202, step.text.encode(), "application/json", ())


class Acting:
    """Counts how often it acts; `go` holds it up."""

    def __init__(self, status: int = 200) -> None:
        self.count, self.status, self.idents = 0, status, set[str]()
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self, ident: str) -> Kept:
        self.count += 1
        self.idents.add(ident)
        await self.go.wait()
        return kept(self.count, self.status)


Once = Callable[..., Awaitable[Kept]]


@pytest.fixture
def files() -> FakeController:
    return FakeController()


@pytest.fixture
def once(files: FakeController) -> Once:
    return once_of(Memory(files, HandClock()))


def once_of(memory: Memory) -> Once:
    return lambda key, act, request="r", by="otto": memory.once(by, key, request, act, told)


async def test_a_double_click_waits_for_the_first(once: Once) -> None:
    """H36: the second of two at once neither acts nor fails."""
    act = Acting()
    act.go.clear()
    both = [asyncio.create_task(once("k", act)) for _ in range(2)]
    await asyncio.sleep(0)
    act.go.set()
    first, second = await asyncio.gather(*both)
    assert first is second and act.count == 1


async def test_a_client_that_leaves_does_not_take_its_command_back(once: Once) -> None:
    """Its connection broke while it was decided: the retry hears how the first ended."""
    act = Acting()
    act.go.clear()
    first = asyncio.create_task(once("k", act))
    while not act.count:
        await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    act.go.set()
    assert await once("k", act) == kept(1) and act.count == 1


async def test_another_request_under_the_same_key_is_a_mistake_and_somebody_else_s_key_is_another(once: Once) -> None:
    act = Acting()
    await once("k", act)
    with pytest.raises(Refusal) as refusal:
        await once("k", act, request="other")
    assert refusal.value.status == 422
    assert (await once("k", act, request="other", by="anna")).body == b"2" and len(act.idents) == 2


async def test_a_new_process_answers_from_the_file(once: Once, files: FakeController) -> None:
    act = Acting()
    first = await once("k", act)
    after = once_of(Memory(files, HandClock()))
    assert await after("k", act) == first and act.count == 1
    with pytest.raises(Refusal):
        await after("k", act, request="other")


async def test_what_was_decided_and_not_told_is_told_from_the_journal(files: FakeController) -> None:
    """Killed between the two; and where even the line is gone, it is not done again either."""
    act = Acting()
    await once_of(Memory(FakeController(), HandClock()))("k", act)
    key, _, request = act.idents.pop().partition("/")
    line = Step(AT, "core", "command", "as decided", "otto", 7, 41, {}, 5)
    files.receipts[key] = Receipt(key, request, AT, step=line)
    assert (await once_of(Memory(files, HandClock()))("k", act)).body == b"as decided"
    files.receipts[key] = Receipt(key, request, AT)
    with pytest.raises(Refusal) as refusal:
        await once_of(Memory(files, HandClock()))("k", act)
    assert "no longer known" in refusal.value.detail and act.count == 1


async def test_a_fault_may_be_tried_again(once: Once, files: FakeController) -> None:
    act = Acting(status=503)
    await once("k", act)
    assert files.receipts == {}
    act.status = 200
    assert (await once("k", act)).body == b"2"


async def test_without_a_disk_it_still_acts_once_while_the_process_lives() -> None:
    """What cannot be saved is refused by the controller, not here."""
    class Full(FakeController):
        async def receipt(self, key: str) -> Receipt | None:
            raise StoreUnavailable("no disk")

        async def keep_receipt(self, receipt: Receipt) -> None:
            raise StoreUnavailable("no disk")

    act, full = Acting(), once_of(Memory(Full(), HandClock()))
    assert await full("k", act) == await full("k", act) == kept(1)


async def test_memory_is_bounded_and_the_file_answers_for_what_is_gone(once: Once, files: FakeController) -> None:
    act = Acting()
    for number in range(REMEMBERED + 10):
        await once(str(number), act)
    assert (await once("0", act)).body == b"1" and act.count == REMEMBERED + 10
    files.receipts.clear()
    assert (await once("1", act)).body != b"2"
