"""What every store promises, over the dictionary of stores (H25, H26)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from lbctl.errors import StaleRevision
from lbctl.model.decision import Step
from lbctl.model.state import Approval, Hold, Incident, Maintenance, Move, Restore, Run, Saved
from lbctl.stores import STORES, JournalLimits, Store, open_store
from lbctl.stores.base import RECEIPT_KEEP_S, RECEIPTS_MAX, SLICE, Receipt

RESTORE = Restore(active="a", latched=frozenset({"x"}), needs_resync=frozenset(), lockout_until=None, moved_at=3.5)
FULL = Saved(
    service="core", epoch=7, active="b", primary="a", file_primary="a", syncs_from={"b": "a", "a": None},
    latched=frozenset({"a", "c"}), needs_resync=frozenset({"a"}), moved_at=1.5, lockout_until=2.25,
    maintenance=Maintenance(by="u", reason="r", since=1.0, until=2.0), rearming=True, hold=Hold(by="u", reason="w", since=3.0), mass="hold",
    incident=Incident(id="i1", began=1.0, actives=("a",)),
    approvals=(Approval(id="p", to="b", asked=1.0, expires=2.0, incident="i1", rules=("r",), reason="why"),),
    move=Move(trigger="auto", verb="failover", source="a", target="b", epoch=7, at=1.0, by="", reason="down", restore=RESTORE),
    run=Run(id="r1", kind="resume", step="one", by="u", reason="r", began=1.0, notes={"k": "v"}), counter=12)


def step(text: str, service: str = "core", at: float = 1.0) -> Step:
    return Step(at=at, service=service, kind="test", text=text, data={"n": 1, "nested": {"a": [1, 2]}})


async def broken(store: Store) -> int | None:
    """The first line that does not fit, the whole journal followed slice after slice."""
    found = await store.verify(limit=7)
    while found.broken_at is None and found.upto < found.head:
        found = await store.verify(found.upto, limit=7)
    return found.broken_at


@pytest_asyncio.fixture(params=sorted(STORES))
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    opened = STORES[request.param](str(tmp_path / "state.db"), JournalLimits())
    yield opened
    await opened.close()


async def test_what_was_never_saved_is_absent_and_no_problem(store: Store) -> None:
    loaded = await store.load("core")
    assert (loaded.saved, loaded.revision, loaded.problem) == (None, 0, "")


async def test_every_field_comes_back_as_it_was_saved(store: Store) -> None:
    assert await store.save(FULL, expected=0, steps=[]) == 1
    assert await store.load("core") == type(await store.load("core"))(FULL, 1, "")


async def test_who_judged_by_an_older_state_is_told_and_writes_nothing(store: Store) -> None:
    await store.save(FULL, expected=0, steps=[])
    with pytest.raises(StaleRevision) as caught:
        await store.save(Saved(service="core"), expected=0, steps=[step("never")])
    assert (caught.value.expected, caught.value.found) == (0, 1)
    with pytest.raises(StaleRevision):
        await store.save(Saved(service="core"), expected=5, steps=[step("never")])
    assert (await store.load("core")).saved == FULL
    assert await store.steps() == []


async def test_of_many_that_save_at_once_by_one_revision_exactly_one_wins(store: Store) -> None:
    async def attempt(number: int) -> bool:
        try:
            await store.save(Saved(service="core", counter=number), expected=0, steps=[step(str(number))])
        except StaleRevision:
            return False
        return True

    won = await asyncio.gather(*(attempt(n) for n in range(20)))
    assert sum(won) == 1
    saved = (await store.load("core")).saved
    assert saved is not None
    assert [line.text for line in await store.steps()] == [str(saved.counter)]


async def test_journal_lines_are_numbered_filtered_and_limited(store: Store) -> None:
    await store.save(FULL, expected=0, steps=[step("1"), step("2", service="other")])
    await store.append([step("3"), step("4", service="other"), step("5")])
    lines = await store.steps()
    assert [(line.seq, line.text) for line in lines] == [(1, "1"), (2, "2"), (3, "3"), (4, "4"), (5, "5")]
    assert lines[0].data == {"n": 1, "nested": {"a": [1, 2]}}
    assert [line.text for line in await store.steps(service="other")] == ["2", "4"]
    assert [line.text for line in await store.steps(since=2, limit=2)] == ["3", "4"]
    assert [line.text for line in await store.steps(limit=2, newest=True)] == ["4", "5"]
    assert await store.head() == 5
    assert await broken(store) is None


async def test_many_services_do_not_disturb_one_another(store: Store) -> None:
    names = [f"s{n}" for n in range(300)]
    await asyncio.gather(*(store.save(Saved(service=name, counter=n), expected=0, steps=[step("x", name)]) for n, name in enumerate(names)))
    found = [(await store.load(name)).saved for name in names]
    assert [saved.counter for saved in found if saved] == list(range(300))
    assert await broken(store) is None


def test_a_plain_path_is_a_sqlite_file_and_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    assert type(open_store("memory:")).__name__ == "MemoryStore"
    with pytest.raises(KeyError):
        open_store("nokind:x")


async def test_a_command_s_line_is_filed_under_its_key_with_the_state_it_changed(store: Store) -> None:
    """H36: there is no moment between the decision and its receipt."""
    keyed = Step(at=5.0, service="core", kind="command", text="Failover: done", by="otto", data={"key": "k/r", "code": 0})
    with pytest.raises(StaleRevision):
        await store.save(FULL, expected=3, steps=[keyed])
    assert await store.receipt("k") is None
    await store.save(FULL, expected=0, steps=[step("before"), keyed])
    found = await store.receipt("k")
    assert found is not None and (found.request, found.at, found.status) == ("r", 5.0, 0)
    assert found.step is not None and (found.step.text, found.step.seq) == ("Failover: done", 2)


async def test_what_was_told_takes_the_place_of_what_was_decided_and_stays(store: Store) -> None:
    keyed = Step(at=5.0, service="core", kind="command", text="x", data={"key": "k/r"})
    told = Receipt("k", "r", 6.0, 202, b"{}", "application/json", (("ETag", '"41"'),))
    await store.save(FULL, expected=0, steps=[keyed])
    await store.keep(told)
    assert await store.receipt("k") == told
    await store.append([keyed])  # a line that was stored late
    assert await store.receipt("k") == told


async def test_receipts_are_bounded(store: Store) -> None:
    for number in range(RECEIPTS_MAX + 5):
        await store.keep(Receipt(str(number), "r", float(number), 200, b"{}", "application/json"))
    assert await store.receipt("4") is None and await store.receipt("5") is not None


async def test_receipts_of_an_older_day_go(tmp_path: Path) -> None:
    opened = open_store(str(tmp_path / "state.db"))
    await opened.keep(Receipt("old", "r", 0.0, 200))
    await opened.keep(Receipt("new", "r", RECEIPT_KEEP_S + 1, 200))
    assert await opened.receipt("old") is None and await opened.receipt("new") is not None
    await opened.close()


async def test_a_page_of_any_length_is_whole_and_in_order(store: Store) -> None:
    """It is read in slices."""
    for _ in range(5):
        await store.append([step(str(n), service="core" if n % 2 else "other") for n in range(SLICE)])
    numbers = list(range(1, 5 * SLICE + 1))
    assert [line.seq for line in await store.steps(limit=10_000)] == numbers
    assert [line.seq for line in await store.steps(limit=10_000, newest=True)] == numbers
    assert [line.seq for line in await store.steps(since=3, limit=SLICE + 2)] == numbers[3:SLICE + 5]
    assert [line.seq for line in await store.steps(limit=2 * SLICE + 1, newest=True)] == numbers[-2 * SLICE - 1:]
    assert [line.seq for line in await store.steps(service="core", limit=SLICE + 1, newest=True)] == numbers[1::2][-SLICE - 1:]


async def test_saves_go_on_while_a_long_journal_is_followed(store: Store) -> None:
    """A save waits behind a slice or two, never behind the whole; and what it writes is followed too."""
    for _ in range(25):
        await store.append([step("x") for _ in range(SLICE)])
    followed = [0]

    async def follow() -> None:
        found = await store.verify()
        while found.broken_at is None and found.upto < found.head:
            followed.append(found.upto)
            found = await store.verify(found.upto)
            await asyncio.sleep(0)
        assert found.broken_at is None

    following = asyncio.create_task(follow())
    waits = []
    for number in range(8):
        before = followed[-1]
        assert await store.save(Saved(service="core", counter=number), expected=number, steps=[step("meanwhile")]) == number + 1
        waits.append((followed[-1] - before) // SLICE)
    assert not following.done() or store.__class__.__name__ == "MemoryStore"
    await following
    assert max(waits) <= 3 and await store.head() == 25 * SLICE + 8
