"""Reads what the world is told now, before anything is decided (SEMANTICS section 6).

Each actuator is asked at all its places, and what they show is put in terms of members: the policy's first event (`Started`), and what `adopt`
goes by. Places of one actuator that disagree are said to disagree; a place that is silent does not spoil what the others say. Where none can
be read it is asked again for a while: after a power cut the name servers may start later than we do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext

from lbctl.actuators.base import Actual, Actuator
from lbctl.clock import Clock
from lbctl.controller.supervisor import Supervisor
from lbctl.model.commands import Shown
from lbctl.model.settings import ServiceSettings

READ_S = 5.0
"""One reading of one actuator."""
_PAUSE_S = 1.0


async def published(
    settings: ServiceSettings, actuators: Sequence[Actuator], clock: Clock, supervisor: Supervisor, *,
    patience_s: float = 0.0, slots: AbstractAsyncContextManager[None] | None = None,
) -> tuple[Shown, ...]:
    """What every actuator shows. Asks again for at most `patience_s` while one of them cannot be read at all; `slots` bounds the readings at once."""
    until = clock.now() + patience_s
    while True:
        # Held for one reading, not for the patience: who waits for a dead server must not hold up the others.
        async with slots or nullcontext():
            shown = await asyncio.gather(*(_read(settings, actuator, supervisor) for actuator in actuators))
        # One silent actuator is waited for: what it shows may contradict what all the others do.
        if clock.now() >= until or not any(item.unread for item in shown):
            return tuple(shown)
        await clock.sleep(_PAUSE_S)


async def _read(settings: ServiceSettings, actuator: Actuator, supervisor: Supervisor) -> Shown:
    found: list[Actual] = []

    async def read() -> None:
        try:
            async with asyncio.timeout(READ_S):
                found.append(await actuator.read())
        except TimeoutError:
            return

    # A surprise in one actuator makes it unread, not the whole start impossible.
    fallen = await supervisor.attempt(f"read {actuator.id}", read())
    if not found:
        why = f"{type(fallen).__name__}: {fallen}" if fallen is not None else f"no answer within {READ_S:g} s"
        return Shown(actuator.id, unread=True, detail=why)
    return in_members(settings, actuator.id, actuator.view, found[0])


def in_members(settings: ServiceSettings, actuator: str, view: str, actual: Actual) -> Shown:
    """What one actuator's places show, as members of this service."""
    read = [place for place in actual.places if place.addresses is not None]
    if not read:
        return Shown(actuator, unread=True, detail="; ".join(f"{p.name}: {p.error}" for p in actual.places) or "no place to read")
    kinds = {place.addresses for place in read}
    # The highest: one place that has a newer epoch is enough to know that our memory is old (H27).
    epoch = max((place.epoch for place in read if place.epoch is not None), default=None)
    # No member at all, though each place shows one: half a write is something that a person must see (H40).
    if len(kinds) > 1:
        told = "; ".join(f"{p.name} shows {', '.join(sorted(p.addresses or ())) or 'nothing'}" for p in read)
        return Shown(actuator, epoch=epoch, detail=f"its places disagree: {told}")
    addresses = read[0].addresses or frozenset()
    if not addresses:
        return Shown(actuator, nothing=True, epoch=epoch)
    members = _members(settings, view, addresses)
    detail = "" if members else f"{', '.join(sorted(addresses))} belongs to no member"
    return Shown(actuator, members, epoch=epoch, detail=detail)


def _members(settings: ServiceSettings, view: str, addresses: frozenset[str]) -> tuple[str, ...]:
    """The members that these are the addresses of, all of them and no others; none where any address is a stranger's."""
    found, left = [], set(addresses)
    for member in settings.members:
        own = set(member.address.get(view) or member.address.get("") or ())
        # One of its addresses is enough: a family may be withheld (H22).
        if own & addresses:
            found.append(member.name)
            left -= own
    return () if left else tuple(found)
