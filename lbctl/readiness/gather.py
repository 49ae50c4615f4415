"""Asks every Core that lbctl has a hand on what the practices need to know. Reads only; a Core that cannot be asked is told as that.

What a Core says of itself is its own to choose, so its kinds are checked here, once: one that answers nonsense is unknown, and hides nobody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from lbctl.clock import Clock
from lbctl.drive import CoreStatus, Hand, HandError
from lbctl.readiness.facts import CoreFacts

GATHER_S = 30.0
Kinds = Mapping[str, type | tuple[type, ...]]
NUMBER_MAX = 1e15
"""Beyond every instant, length and size that is meant."""
_NUMBER = (int, float)
CONFIG: Kinds = {
    "run_every": _NUMBER, "run_every_unit": str, "heartbeat_interval_s": _NUMBER, "heartbeat_failures": int, "recheck_interval_s": _NUMBER,
    "if_failure_detected": str, "email": str, "notify_failure": bool, "notify_sync_completion": bool,
}
RESOURCES: Kinds = {"cpus": int, "memory_mib": _NUMBER}
RUN: Kinds = {"result": str, "started": _NUMBER, "completed": _NUMBER, "reason": str}
HEARTBEAT: Kinds = {"running": bool, "failures": int, "last": str}
"""What is looked at, and what it must be where it is told."""


async def gather(hands: Mapping[str, Hand], clock: Clock) -> dict[str, CoreFacts]:
    """member → what its Core says. All at once; each within `GATHER_S`."""
    found = await asyncio.gather(*(_ask(member, hand, clock) for member, hand in hands.items()))
    return {facts.member: facts for facts in found}


async def _ask(member: str, hand: Hand, clock: Clock) -> CoreFacts:
    try:
        async with asyncio.timeout(GATHER_S):
            status = await hand.status()
            config, resources, history = [await hand.ask(what) for what in ("failover config", "resources", "failover sync history")]
        return CoreFacts(
            member, clock.now(), "", status.version, status.mode, status.state, status.ha_enabled, status.skew_s,
            _known(status.raw, {"next_sync": _NUMBER}).get("next_sync"), {**_known(config, CONFIG), "name": status.name},
            _known(resources, RESOURCES), [_ours(run, status) for run in history.get("runs", ())],
            _known(status.raw.get("heartbeat") or {}, HEARTBEAT))
    except (HandError, TimeoutError) as error:
        return CoreFacts(member, clock.now(), str(error) or f"no answer within {GATHER_S:g} s")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        return CoreFacts(member, clock.now(), f"{member}: what it says of itself cannot be read: {error}")


def _ours(run: Mapping[str, Any], status: CoreStatus) -> dict[str, Any]:
    """One sync with its instants on our clock."""
    told = _known(run, RUN)
    completed = told.get("completed")
    return {"result": told["result"], "started": told["started"] - status.skew_s, "completed": completed and completed - status.skew_s,
            "reason": told.get("reason")}


def _known(told: Mapping[str, Any], kinds: Kinds) -> dict[str, Any]:
    """These of what is told, without what is null. ValueError for one of another kind, and for a number that is none."""
    found = {key: value for key in kinds if (value := told.get(key)) is not None}
    for key, value in found.items():
        if not isinstance(value, kinds[key]) or (isinstance(value, _NUMBER) and not abs(value) < NUMBER_MAX):
            raise ValueError(f"{key} is {str(value)[:40]}")
    return found
