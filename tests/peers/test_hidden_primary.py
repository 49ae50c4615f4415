"""A hidden BIND that lbctl writes, and a Knot or NSD that answers the world: what counts is what the secondary tells (H50)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lbctl.model.commands import Code, Switchover
from lbctl.model.decision import Step
from lbctl.policy.drain import LOW_S
from tests.peers.caching import A, B, Cached, cached
from tests.peers.dns_servers import KEY, SECONDARIES, ZONE, Peer, bind_primary, free_place, notify
from tests.peers.unbound import ended

pytestmark = [pytest.mark.peer("unbound"), pytest.mark.peer("bind")]
FOLLOWERS = pytest.mark.parametrize("kind", [pytest.param(kind, marks=pytest.mark.peer(kind)) for kind in ("knot", "nsd")])


class Line:
    """Between the primary and its secondary. `up`: the secondary hears of changes; while it is not, it lags."""

    def __init__(self, secondary: Peer) -> None:
        self.secondary = secondary
        self.up = asyncio.Event()
        self.up.set()

    async def run(self) -> None:
        while await self.up.wait():
            await notify(KEY, ZONE, self.secondary.place)
            await asyncio.sleep(0.2)


@asynccontextmanager
async def hidden(folder: Path, kind: str, ttl_s: int) -> AsyncIterator[tuple[Cached, Line]]:
    """The pair of servers, lbctl, and a client whose cache asks the secondary."""
    place = free_place()
    async with bind_primary(folder / "bind", hidden=True) as primary:  # noqa: SIM117
        async with SECONDARIES[kind](folder / "second", ZONE, primary.place, place) as secondary:
            line = Line(secondary)
            telling = asyncio.create_task(line.run())
            try:
                async with cached(folder, ttl_s=ttl_s, primary=primary.place, secondary=place) as world:
                    yield world, line
            finally:
                await ended(telling)


async def ledger(world: Cached, *, verified: int) -> dict[str, object]:
    """The actuator, once it has this epoch applied at the primary and that one verified everywhere."""
    async with asyncio.timeout(60):
        while True:
            [actuator] = world.app.controller.service("sentry")["actuators"]
            if (actuator["applied"], actuator["verified"]) == (2, verified) and (actuator["error"] is None) is (verified == 2):
                return dict(actuator)
            await asyncio.sleep(0.05)


@FOLLOWERS
async def test_a_secondary_that_lags_keeps_the_move_partial_until_it_tells_it(tmp_path: Path, kind: str) -> None:
    async with hidden(tmp_path, kind, 1) as (world, line):
        behind = {"service": "sentry", "actuator": "rfc2136:core.example.com", "server": str(line.secondary.place)}
        assert await world.metric("lbctl_actuator_serial_lag", **behind) == 0
        line.up.clear()
        moving = asyncio.create_task(world.submit(Switchover(service="sentry", by="ann", to="b")))
        partial = await ledger(world, verified=1)
        assert str(line.secondary.place) in str(partial["error"]) and A in str(partial["error"])
        assert "partial" in world.app.controller.service("sentry")["conditions"]
        assert await world.metric("lbctl_actuator_serial_lag", **behind) >= 1
        assert world.told_by(world.resolver)["seconds"] is None, "nobody asks a resolver while it could be given the old answer anew"
        line.up.set()
        await ledger(world, verified=2)
        assert await world.metric("lbctl_actuator_serial_lag", **behind) == 0
        await world.until_told(B)
        await world.until_step("resolver-converged")
        assert (await moving).code in (Code.DONE, Code.ACCEPTED)


async def lagging(world: Cached) -> Step:
    """The line that says so, once it stands in the journal."""
    async with asyncio.timeout(60):
        while True:
            for step in await world.app.controller.events():
                if step.data.get("reason") == "lagging":
                    return step
            await asyncio.sleep(0.05)


@pytest.mark.peer("knot")
async def test_a_drain_waits_for_the_secondary_that_still_tells_the_long_ttl(tmp_path: Path) -> None:
    """H49, H50: the TTL counts as lowered when caches can no longer be given the long one; then the old one runs out, then traffic moves."""
    ttl_s = 7
    async with hidden(tmp_path, "knot", ttl_s) as (world, line):
        line.up.clear()
        assert (await world.submit(Switchover(service="sentry", by="ann", to="b", drain=True))).code is Code.ACCEPTED
        failed = await lagging(world)
        assert f"{line.secondary.place} still tells a TTL of {ttl_s} s" in failed.text
        line.up.set()
        await world.until_told(B)
        await world.until_step("drained")
        steps = {step.kind: step.at for step in await world.app.controller.events()}
        assert failed.at < steps["ttl-lowered"] and steps["ttl-lowered"] + ttl_s <= steps["moved"] + 0.01
        offset = world.app.clock.now() - world.now()
        assert world.last(A) + offset < steps["drained"], "the client was told of the old one until after it was called free"
        assert max(left for at, seen, left in world.told if seen == A and at + offset > steps["moved"]) <= LOW_S
