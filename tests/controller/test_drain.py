"""A planned move with `--drain` in a whole controller, on virtual time: what is written, in which order (H49)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from lbctl.actuators.base import Cached
from lbctl.errors import ActuatorError
from lbctl.model.commands import Code, SetHold, Switchover
from lbctl.model.decision import Desired
from lbctl.model.looks import Verdict
from lbctl.model.settings import MonitorSettings, ServiceSettings
from tests import virtual
from tests.controller.world import FakeActuator, World, pair

TTL_S = 30.0


@dataclass
class CachedActuator(FakeActuator):
    """Writes down TTLs beside answers; `stubborn` refuses so often to lower it."""

    done: list[object] = field(default_factory=list)
    stubborn: int = 0

    async def set_ttl(self, seconds: float | None) -> float:
        if seconds is not None and self.stubborn:
            self.stubborn -= 1
            raise ActuatorError("timeout", "no answer")
        self.done.append(seconds)
        return TTL_S

    async def apply(self, desired: Desired) -> None:
        await super().apply(desired)
        self.done.append(self.shown)


def sentry() -> ServiceSettings:
    return replace(pair(), monitor=MonitorSettings("tcp", ("tcp",), modes=False), ttl_s=TTL_S)


def world() -> tuple[World, CachedActuator]:
    cached = CachedActuator(shown=frozenset({"192.0.2.1"}))
    assert isinstance(cached, Cached)
    up = {("core", name): {"tcp": Verdict.OK} for name in ("a", "b")}
    return World([sentry()], says=up, actuators={"dns:core": cached}), cached  # type: ignore[arg-type]


SWITCH = Switchover(service="core", by="ann", to="b", drain=True)


def test_the_ttl_goes_down_before_and_up_after_and_the_move_comes_when_caches_are_empty() -> None:
    async def story() -> None:
        made, cached = world()
        cached.stubborn = 2
        controller = await made.start()
        await made.rounds(40)
        cached.done.clear()
        asked = made.clock.now()
        assert (await controller.submit(SWITCH)).code is Code.ACCEPTED
        await made.rounds(60)
        assert cached.done == [5.0] and made.seen()["active"] == "a", "refused twice, lowered at the third time"
        await made.rounds(60)
        assert cached.done == [5.0, frozenset({"192.0.2.2"}), None] and made.seen()["active"] == "b"
        moved = next(step.at for step in made.told if step.kind == "moved" and step.at > asked)
        lowered = next(step.at for step in made.told if step.kind == "ttl-lowered")
        assert TTL_S <= moved - lowered < TTL_S + 1 and controller.counts.convergence["core"]
        await controller.stop()

    virtual.run(story())


def test_a_drain_that_is_held_gives_the_ttl_back_and_moves_nothing() -> None:
    async def story() -> None:
        made, cached = world()
        controller = await made.start()
        await made.rounds(40)
        cached.done.clear()
        await controller.submit(SWITCH)
        await made.rounds(3)
        await controller.submit(SetHold(service="core", by="ann", reason="no"))
        await made.rounds(120)
        assert cached.done == [5.0, None] and made.seen()["active"] == "a"
        await controller.stop()

    virtual.run(story())


def test_a_restart_in_between_moves_nothing_and_writes_the_configured_ttl() -> None:
    """An operator's move is never completed by a restart (SEMANTICS section 6)."""

    async def story() -> None:
        made, cached = world()
        controller = await made.start()
        await made.rounds(40)
        await controller.submit(SWITCH)
        await made.rounds(3)
        await controller.stop()
        cached.done.clear()
        controller = await made.start()
        await made.rounds(120)
        assert cached.done == [frozenset({"192.0.2.1"})] and made.seen()["active"] == "a" and made.seen()["drain"] is None
        await controller.stop()

    virtual.run(story())
