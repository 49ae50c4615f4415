"""Asks every Core that lbctl has a hand on what the practices need to know. Reads only; a Core that cannot be asked is told as that."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from lbctl.clock import Clock
from lbctl.drive import Hand, HandError
from lbctl.readiness.facts import CoreFacts

GATHER_S = 30.0


async def gather(hands: Mapping[str, Hand], clock: Clock) -> dict[str, CoreFacts]:
    """member → what its Core says. All at once; each within `GATHER_S`."""
    found = await asyncio.gather(*(_ask(member, hand, clock) for member, hand in hands.items()))
    return {facts.member: facts for facts in found}


async def _ask(member: str, hand: Hand, clock: Clock) -> CoreFacts:
    try:
        async with asyncio.timeout(GATHER_S):
            status = await hand.status()
            config = await hand.ask("failover config")
            resources = await hand.ask("resources")
            history = await hand.ask("failover sync history")
    except (HandError, TimeoutError) as error:
        return CoreFacts(member, clock.now(), str(error) or f"no answer within {GATHER_S:g} s")
    runs = [_ours(run, status.skew_s) for run in history.get("runs", []) if isinstance(run, dict)]
    return CoreFacts(
        member, clock.now(), "", status.version, status.mode, status.state, status.ha_enabled, status.skew_s,
        status.raw.get("next_sync"), {**config, "name": status.name}, resources, runs, status.raw.get("heartbeat") or {})


def _ours(run: Mapping[str, Any], skew: float) -> dict[str, Any]:
    return {key: value - skew if key in ("started", "completed") and value is not None else value for key, value in run.items() if key != "tasks"}
