"""Resolvers are asked after a move until they tell the new answer (H49): a real unbound in front of BIND and of the embedded server."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from lbctl.dns.settings import Endpoint
from lbctl.model.commands import Code, Failover, Switchover
from lbctl.resolvers import MARGIN_S
from tests.peers.caching import A, B, Cached, cached
from tests.peers.dns_servers import bind_primary

pytestmark = pytest.mark.peer("unbound")


async def late(world: Cached, resolver: Endpoint) -> None:
    async with asyncio.timeout(60):
        while not world.told_by(resolver)["late"]:
            await asyncio.sleep(0.05)


def followed(world: Cached) -> bool:
    """The zone shows the move: what every place of the ledger tells."""
    service = world.app.controller.service("sentry")
    return bool(service["actuators"][0]["in_sync"]) and service["state"] == "failed-over"


@pytest.mark.peer("bind")
async def test_seconds_until_a_resolver_tells_a_move_by_itself(tmp_path: Path) -> None:
    """Behind BIND nothing shrinks the TTL: the cache goes on until it is over, which is measured and never waited for."""
    ttl_s = 3
    async with bind_primary(tmp_path / "bind") as primary, cached(tmp_path, ttl_s=ttl_s, primary=primary.place) as world:
        pairs = {"service": "sentry", "resolver": str(world.resolver)}
        assert world.told_by(world.resolver)["epoch"] is None
        assert await world.metric("lbctl_resolver_convergence_seconds_count", **pairs) == 0
        await world.until_left(ttl_s)
        world.stop("a")
        async with asyncio.timeout(60):
            while not followed(world):
                await asyncio.sleep(0.02)
        await world.until_step("resolver-converged")
        moved, told = await world.step("moved"), await world.step("resolver-converged")
        assert (await world.step("verified")).at < told.at, "a cache is no place of the ledger"
        assert told.epoch == moved.epoch and told.data["resolver"] == str(world.resolver)
        assert told.at - moved.at == pytest.approx(told.data["seconds"], abs=0.01)
        offset = world.app.clock.now() - world.now()
        assert world.last(A) + offset - 0.5 < told.at, "it was said to tell the new answer while a client was told the old one"
        seen = world.told_by(world.resolver)
        assert (seen["epoch"], seen["seconds"], seen["late"], seen["shows"]) == (moved.epoch, told.data["seconds"], False, [B])
        assert await world.metric("lbctl_resolver_convergence_seconds_sum", **pairs) == told.data["seconds"]
        assert await world.metric("lbctl_convergence_seconds_count", service="sentry") >= 1
        [why] = world.app.controller.explain("sentry")["resolvers"]
        assert why == {"actuator": "rfc2136:core.example.com", **seen}


async def test_a_resolver_that_clamps_ttls_is_told_of_and_decides_nothing(tmp_path: Path) -> None:
    """H49: the TTL's budget is over and clients behind it are still sent to the old member."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hole:
        hole.bind(("127.0.0.1", 0))
        silent = Endpoint(*hole.getsockname())
        async with cached(tmp_path, ttl_s=1, options="cache-min-ttl: 300", more=(silent,)) as world:
            reply = await world.submit(Switchover(service="sentry", by="ann", to="b"))
            assert reply.code is Code.DONE, "neither an old answer nor silence holds up a move"
            await asyncio.gather(late(world, world.resolver), late(world, silent))
            steps = {step.data["resolver"]: step for step in await world.app.controller.events() if step.kind == "resolver-late"}
            assert f"still tells {A}" in steps[str(world.resolver)].text and "cannot be asked (timeout" in steps[str(silent)].text
            assert steps[str(world.resolver)].at - (await world.step("moved")).at > MARGIN_S
            assert world.app.controller.service("sentry")["actuators"][0]["in_sync"]
            assert await world.metric("lbctl_resolver_late", service="sentry", resolver=str(world.resolver)) == 1
            await world.submit(Failover(service="sentry", by="ann", to="a", reason="back", force=True, accept=frozenset({"active-down"})))
            await world.until_step("resolver-late-over")
            await world.until_step("resolver-converged")  # it never knew of the move, so the way back is what it tells
            assert await world.metric("lbctl_resolver_late", service="sentry", resolver=str(world.resolver)) == 0
