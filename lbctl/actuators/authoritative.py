"""The embedded DNS server as an actuator: writes into the process's own zone, reads like a client.

A write costs no network, stands in the copy on disk before it is served, and is never half done. The read-back asks over UDP every address that the
server listens on (loopback for a wildcard), or, where secondaries answer for the zone, those, and compares their serial too: what counts is what a
client would get (H40, H50).
"""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import dataclass

from lbctl.actuators.base import Actual, Place, capped, wanted
from lbctl.dns import readback
from lbctl.dns.resolver import Told, told
from lbctl.dns.server import Server
from lbctl.dns.settings import Endpoint
from lbctl.dns.zone import serials_behind
from lbctl.errors import ActuatorError
from lbctl.model.decision import Desired


@dataclass(frozen=True, slots=True)
class Settings:
    """`authoritative: {name: …, ttl: 30s, view: …, resolvers: […]}`. `view` picks which of a member's addresses are published."""

    name: str
    ttl_s: int = 30
    view: str = ""
    resolvers: tuple[Endpoint, ...] = ()


class Authoritative:
    """One name in the embedded server."""

    def __init__(self, settings: Settings, server: Server) -> None:
        try:
            server.register.declare(settings.name, settings.ttl_s)
        except ValueError as error:
            raise ActuatorError("not-configured", str(error), hint="see `authoritative.zones`", temporary=False) from None
        self.id = f"authoritative:{settings.name}" + (f"/{settings.view}" if settings.view else "")
        self.view = settings.view
        self.resolvers = settings.resolvers
        self.keep_s = float(settings.ttl_s)
        self._longest_s = 0
        self._settings = settings
        self._server = server

    async def apply(self, desired: Desired) -> None:
        """Disk first, then answer: what a client is told survives us (H25)."""
        addresses = wanted(desired, self.view)
        if not addresses:
            raise ActuatorError("empty", f"{self._settings.name}: an empty answer is never published", temporary=False)
        await self._server.register.remember(self._settings.name, addresses, desired.epoch)
        self._server.register.publish(self._settings.name, addresses, desired.epoch)
        self.cap_ttl(desired.ttl_cap_s)

    def cap_ttl(self, seconds: float | None) -> None:
        """Direct answers only: where secondaries answer too, it has no effect (SEMANTICS section 8)."""
        self._server.register.cap_ttl(self._settings.name, seconds)

    async def set_ttl(self, seconds: float | None) -> float:
        """In the zone itself, so that secondaries take it over: a lower one counts from when all of them tell it."""
        register, name = self._server.register, self._settings.name
        before = register.ttl(name)
        register.declare(name, capped(self._settings.ttl_s, seconds))
        if seconds is None:
            self._longest_s = 0
            return float(before)
        # kept over tries: what an earlier one has lowered already may be in caches with the longer TTL all the same
        self._longest_s = max(self._longest_s, before)
        if register.zone_of(name).settings.fed and (late := await readback.longer(self._places(), name, register.ttl(name), self._server.clock)):
            raise ActuatorError("lagging", late, hint="the secondaries must have transferred the zone before the TTL counts as lowered")
        return float(self._longest_s)

    async def read(self) -> Actual:
        return Actual(tuple(await asyncio.gather(*(self._look(place) for place in self._places()))))

    async def told_by(self, resolver: Endpoint) -> Told:
        return await told(resolver, self._settings.name)

    async def close(self) -> None:
        """Nothing of its own to let go."""

    def _places(self) -> tuple[Endpoint, ...]:
        zone = self._server.register.zone_of(self._settings.name).settings
        if zone.verify:
            return zone.verify
        if zone.fed:
            return tuple(Endpoint(address, 53) for addresses in zone.ns.values() for address in addresses)
        return tuple(Endpoint(_reachable(place.host), place.port) for place in self._server.endpoints)

    async def _look(self, place: Endpoint) -> Place:
        whole = self._server.register.zone_of(self._settings.name)
        zone = whole.settings
        signed_at = None if zone.dnssec == "off" else self._server.clock.now()
        shown = await readback.look(place, self._settings.name, zone=zone.name, signed_at=signed_at)
        behind = None
        if zone.fed and shown.serial is not None:
            self._server.register.seen(self._settings.name, shown.serial)
            # one that signs counts for itself, so its serial cannot be held against ours
            behind = serials_behind(shown.serial, whole.serial) if zone.dnssec == "off" else None
        if shown.error_reason == "servfail" and self._server.register.published(self._settings.name) is None:
            return Place(str(place), frozenset())  # the server's own way to say that nothing is published (SEMANTICS section 6)
        addresses = None if shown.error_reason else shown.addresses
        until = shown.signed_until
        return Place(str(place), addresses, shown.epoch, shown.error_reason, shown.error, shown.serial, behind, until)


def _reachable(host: str) -> str:
    address = ipaddress.ip_address(host)
    if not address.is_unspecified:
        return host
    return "127.0.0.1" if address.version == 4 else "::1"
