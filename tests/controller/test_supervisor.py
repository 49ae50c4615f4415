"""Nothing dies silently (H55): loops come back, hearts stop beating, the watchdog hears of it."""

from __future__ import annotations

import asyncio
import itertools

from lbctl.clock import LoopClock
from lbctl.controller.pulse import Pulse
from lbctl.controller.supervisor import Heart, Supervisor
from tests import virtual


def test_a_loop_that_falls_is_started_again_with_a_growing_pause() -> None:
    async def story() -> list[float]:
        clock = LoopClock()
        supervisor, at = Supervisor(clock), []

        async def falls(heart: Heart) -> None:
            at.append(asyncio.get_running_loop().time())
            raise ZeroDivisionError

        supervisor.spawn("falls", falls)
        await asyncio.sleep(60)
        assert supervisor.faults["falls"] == len(at)
        await supervisor.stop()
        return [round(later - earlier, 3) for earlier, later in itertools.pairwise(at)]

    pauses = virtual.run(story())
    assert pauses[:4] == [0.1, 0.2, 0.4, 0.8]
    assert max(pauses) == 5.0


def test_a_critical_loop_that_waits_for_ever_is_late_and_one_that_beats_is_not() -> None:
    async def story() -> list[str]:
        supervisor = Supervisor(LoopClock())

        async def hangs(heart: Heart) -> None:
            await asyncio.Event().wait()

        async def beats(heart: Heart) -> None:
            while True:
                heart.beat()
                await asyncio.sleep(1)

        supervisor.spawn("hangs", hangs, limit_s=10)
        supervisor.spawn("idles", hangs, limit_s=10, critical=False)
        supervisor.spawn("beats", beats, limit_s=10)
        assert supervisor.late() == []
        await asyncio.sleep(11)
        late = supervisor.late()
        await supervisor.stop()
        return late

    assert virtual.run(story()) == ["hangs"]


def test_a_loop_that_ends_is_not_missed() -> None:
    async def story() -> list[str]:
        supervisor = Supervisor(LoopClock())

        async def ends(heart: Heart) -> None:
            return

        supervisor.spawn("ends", ends, limit_s=1)
        await asyncio.sleep(100)
        return supervisor.late()

    assert virtual.run(story()) == []


def test_what_falls_is_told_with_its_name() -> None:
    async def story() -> list[tuple[str, str]]:
        told: list[tuple[str, str]] = []
        supervisor = Supervisor(LoopClock(), lambda name, error: told.append((name, type(error).__name__)))

        async def once() -> None:
            raise KeyError("x")

        def call(value: int) -> None:
            raise ValueError(value)

        await supervisor.task("once", once())
        assert isinstance(supervisor.guard("call", call, 3), ValueError)
        assert supervisor.guard("fine", lambda: None) is None
        return told

    assert virtual.run(story()) == [("once", "KeyError"), ("call", "ValueError")]


def test_stopping_ends_everything_even_what_never_began() -> None:
    async def story() -> int:
        supervisor = Supervisor(LoopClock())

        async def waits() -> None:
            await asyncio.Event().wait()

        for _ in range(3):
            supervisor.task("waits", waits())
        await supervisor.stop()
        return len(asyncio.all_tasks()) - 1

    assert virtual.run(story()) == 0


def test_a_step_of_the_wall_clock_is_told_once_and_slow_drift_is_not() -> None:
    """H30."""
    async def story() -> list[float]:
        clock, told = LoopClock(), []
        supervisor = Supervisor(clock)
        pulse = Pulse(clock, told.append)
        supervisor.spawn("pulse", pulse.run)
        await asyncio.sleep(2)
        clock.stepped += 3600.0
        await asyncio.sleep(2)
        for _ in range(20):
            clock.stepped += 0.5
            await asyncio.sleep(1)
        clock.stepped -= 3610.0
        await asyncio.sleep(2)
        await supervisor.stop()
        return told

    assert virtual.run(story()) == [3600.0, -3610.0]


def test_a_stall_is_seen_as_lag() -> None:
    """H24."""
    async def story() -> tuple[float, int]:
        clock = LoopClock()
        supervisor, pulse = Supervisor(clock), Pulse(clock, lambda seconds: None)
        supervisor.spawn("pulse", pulse.run)
        await asyncio.sleep(2)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, virtual.VirtualLoop)
        loop.stall(20)
        await asyncio.sleep(0.6)
        await supervisor.stop()
        return pulse.lag_s, pulse.stalls

    lag_s, stalls = virtual.run(story())
    assert lag_s > 15
    assert stalls == 1
