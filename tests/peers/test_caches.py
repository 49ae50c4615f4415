"""A client behind a real caching resolver while traffic moves (H49, SEMANTICS section 8). Order is judged, not speed."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from lbctl.model.commands import Code, Switchover
from lbctl.policy.drain import LOW_S
from tests.peers.caching import A, B, cached

pytestmark = pytest.mark.peer("unbound")
TTL_S = 7


async def test_a_drained_switchover_sends_nobody_to_a_member_that_may_be_stopped(tmp_path: Path) -> None:
    """Zero seconds of clients at a member that does not serve: the old one is called free only when the cache has let go of it, and by then the
    TTL that the cache was given had been lowered; afterwards it is the configured one again."""
    async with cached(tmp_path, ttl_s=TTL_S) as world:
        reply = await world.submit(Switchover(service="sentry", by="ann", to="b", drain=True))
        assert reply.code is Code.ACCEPTED and "TTL is lowered" in reply.message
        await world.until_told(B)
        await world.until_step("drained")
        steps = {step.kind: step.at for step in await world.app.controller.events()}
        assert steps["ttl-lowered"] + TTL_S <= steps["moved"] + 0.01 and steps["verified"] < steps["drained"]
        offset = world.app.clock.now() - world.now()
        assert world.last(A) + offset < steps["drained"], "the client was told of the old one until after it was called free"
        assert max(left for at, seen, left in world.told if seen == A and at + offset > steps["ttl-lowered"] + TTL_S) <= LOW_S
        assert max(left for _, seen, left in world.told if seen == B) > LOW_S
        assert all(seen in (A, B) for _, seen, _ in world.told if seen != "silence")


async def test_an_unplanned_failover_finds_short_answers_in_the_cache(tmp_path: Path) -> None:
    """While the active is suspect, what is handed out expires no later than the earliest move: a cache that asks in that time follows sooner."""
    ttl_s = 8
    async with cached(tmp_path, ttl_s=ttl_s, min_outage="9s") as world:
        await world.until_left(ttl_s // 2)
        world.stop("a")
        stopped = world.now()
        await world.until_told(B)
        during = [left for at, seen, left in world.told if seen == A and at > stopped]
        refilled = [now for before, now in pairwise(during) if now > before]
        assert refilled and max(refilled) < ttl_s
