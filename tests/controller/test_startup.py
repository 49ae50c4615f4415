"""What is published, put in terms of members; who may act; what waits and wakes (SEMANTICS section 6, H22, H25)."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from lbctl.actuators.base import Actual, Place
from lbctl.clock import LoopClock
from lbctl.controller.inbox import LIMIT, Inbox
from lbctl.controller.lease import FileLease
from lbctl.controller.startup import in_members, published
from lbctl.controller.supervisor import Supervisor
from lbctl.controller.wake import Alarm
from lbctl.errors import LeaseLost
from lbctl.model.commands import Ack, Shown
from lbctl.model.events import Applied, Tick
from lbctl.model.looks import ProbeResult, Reason, Verdict
from lbctl.model.settings import MemberSettings, Role, ServiceSettings
from tests import virtual
from tests.controller.world import A, B, FakeActuator, pair

BOTH = ServiceSettings("core", (
    MemberSettings("a", Role.PRIMARY, {"": (A, "2001:db8::1"), "inside": ("10.0.0.1",)}),
    MemberSettings("b", Role.SECONDARY, {"": (B, "2001:db8::2"), "inside": ("10.0.0.2",)}),
))


def place(*addresses: str, epoch: int | None = None) -> Place:
    return Place("ns", frozenset(addresses), epoch)


SILENT = Place("ns9", None, error_reason="timeout", error="silent")


@pytest.mark.parametrize(("places", "shown"), [
    pytest.param([place(A, "2001:db8::1", epoch=4)], Shown("x", ("a",), epoch=4), id="one member"),
    pytest.param([place(A)], Shown("x", ("a",)), id="one family of a member is that member"),
    pytest.param([place(A), place(A)], Shown("x", ("a",)), id="two places agree"),
    pytest.param([place(A), SILENT], Shown("x", ("a",)), id="a silent place spoils nothing"),
    pytest.param([place(A, B)], Shown("x", ("a", "b")), id="two members at once"),
    pytest.param([place()], Shown("x", nothing=True), id="nothing"),
    pytest.param([SILENT], Shown("x", unread=True, detail="ns9: silent"), id="unread"),
    pytest.param([], Shown("x", unread=True, detail="no place to read"), id="no place"),
    pytest.param([place("10.9.9.9")], Shown("x", detail="10.9.9.9 belongs to no member"), id="a stranger"),
    pytest.param([place(A, "10.9.9.9")], Shown("x", detail=f"10.9.9.9, {A} belongs to no member"), id="a stranger beside a member"),
    pytest.param([place(A, epoch=3), place(B, epoch=4)],
                 Shown("x", epoch=4, detail=f"its places disagree: ns shows {A}; ns shows {B}"), id="places disagree"),
])
def test_what_places_show_is_put_in_terms_of_members(places: list[Place], shown: Shown) -> None:
    assert in_members(BOTH, "x", "", Actual(tuple(places))) == shown


def test_a_view_is_read_with_that_views_addresses() -> None:
    assert in_members(BOTH, "x", "inside", Actual((place("10.0.0.2"),))).members == ("b",)


def test_an_actuator_that_cannot_be_read_is_asked_again_for_a_while() -> None:
    async def story() -> tuple[tuple[Shown, ...], float]:
        actuator = FakeActuator(shown=frozenset({A}), silent={0})
        asyncio.get_running_loop().call_later(4.5, actuator.silent.clear)
        clock = LoopClock()
        shown = await published(pair(), [actuator], clock, Supervisor(clock), patience_s=30)
        return shown, asyncio.get_running_loop().time()

    shown, took = virtual.run(story())
    assert (shown[0].members, took) == (("a",), 5.0)


class Stuck(FakeActuator):
    """Never answers, or has a mistake in it."""

    async def read(self) -> Actual:
        if self.hang:
            await asyncio.Event().wait()
        raise ZeroDivisionError


@pytest.mark.parametrize("hang", [True, False], ids=["hangs", "falls"])
def test_an_actuator_that_hangs_or_falls_is_unread_and_does_not_stop_the_start(hang: bool) -> None:
    async def story() -> tuple[Shown, ...]:
        clock = LoopClock()
        return await published(pair(), [Stuck(hang=hang), FakeActuator("y", shown=frozenset({B}))], clock, Supervisor(clock), patience_s=3)

    first, second = virtual.run(story())
    assert first.unread
    assert second.members == ("b",)


def test_one_state_file_has_one_controller(tmp_path: Path) -> None:
    first, second = FileLease(tmp_path / "state.db"), FileLease(tmp_path / "state.db")
    first.acquire()
    with pytest.raises(LeaseLost, match="another lbctl"):
        second.acquire()
    assert (first.held, second.held) == (True, False)
    first.release()
    second.acquire()
    second.release()


_HOLDER = "import sys, time; from pathlib import Path; from lbctl.controller.lease import FileLease; FileLease(Path(sys.argv[1])).acquire(); "


def test_the_lock_ends_with_its_process_however_that_ended(tmp_path: Path) -> None:
    state = tmp_path / "state.db"
    code = _HOLDER.replace("FileLease(Path(sys.argv[1])).acquire()", "lease = FileLease(Path(sys.argv[1])); lease.acquire()")
    with subprocess.Popen([sys.executable, "-c", code + "print('held', flush=True); time.sleep(600)", str(state)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        holder.stdout.readline()
        with pytest.raises(LeaseLost, match=str(holder.pid)):
            FileLease(state).acquire()
        holder.kill()
    lease = FileLease(state)
    lease.acquire()
    lease.release()


def test_where_no_lock_can_be_written_it_acts_alone_and_cannot_save_anyway(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    lease = FileLease(tmp_path / "file" / "state.db")
    lease.acquire()
    assert lease.held


def test_a_full_inbox_lets_go_of_ticks_first_then_of_the_oldest_look() -> None:
    inbox = Inbox()
    look = ProbeResult("a", "status", Verdict.OK, Reason.OK, 1.0, 2.0)
    inbox.put(Tick())
    for _ in range(LIMIT - 1):
        inbox.put(look)
    inbox.put(Applied("x", 1))
    assert not any(isinstance(event, Tick) for event, _ in [inbox.pop()])
    for _ in range(3):
        inbox.put(Ack(service="core", by="x"))
    inbox.put(Tick())
    left = [event for event, _ in inbox.clear()]
    assert sum(isinstance(event, (Ack, Applied)) for event in left) == 4
    assert len(left) == LIMIT
    assert inbox.dropped == 4


@pytest.mark.parametrize(("settings", "rings"), [
    ([10.0], [10.0]), ([10.0, 20.0], [20.0]), ([10.0, 5.0], [5.0]), ([10.0, None], []), ([None], []), ([-5.0], [1.0]),
], ids=["once", "later", "earlier", "taken back", "never", "in the past"])
def test_an_alarm_rings_at_the_instant_that_was_set_last(settings: list[float | None], rings: list[float]) -> None:
    async def story() -> list[float]:
        clock, loop, rung = LoopClock(0.0), asyncio.get_running_loop(), []
        alarm = Alarm(clock, lambda: rung.append(round(loop.time(), 3)))
        for at in settings:
            alarm.set(at, clock.now())
        await asyncio.sleep(100)
        return rung

    assert virtual.run(story()) == rings
