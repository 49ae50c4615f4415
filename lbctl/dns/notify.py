"""Telling secondaries that a zone has changed (RFC 1996), at once and again until they say that they heard.

One task for each secondary of each zone, and only while there is something to tell. A newer change takes the place of an older one. After
the last try it stays quiet: the secondary asks by itself within the SOA's refresh.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter

from lbctl.clock import Clock
from lbctl.dns import tsig, wire
from lbctl.dns.client import Unanswered, send_udp
from lbctl.dns.settings import Endpoint
from lbctl.dns.zone import Zone

OPCODE = 4 << 11
PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
WAIT_S = 2.0


class Notifier:
    """`unheard`: secondaries that did not answer the last time, with the serial they were to be told; `failures`: tries without an answer since the
    start, by zone and secondary."""

    def __init__(self, clock: Clock) -> None:
        self.unheard: dict[Endpoint, int] = {}
        self.failures: Counter[tuple[str, Endpoint]] = Counter()
        self._clock = clock
        self._tasks: dict[tuple[bytes, Endpoint], asyncio.Task[None]] = {}

    def changed(self, zone: Zone) -> None:
        """The zone has a new serial. Needs a running loop where the zone has secondaries to tell."""
        for secondary in zone.settings.also_notify if zone.complete else ():
            key = zone.origin, secondary
            running = self._tasks.pop(key, None)
            if running is not None:
                running.cancel()
            self._tasks[key] = asyncio.get_running_loop().create_task(self._tell(zone, secondary), name=f"notify {secondary}")

    async def close(self) -> None:
        """Ends all telling."""
        tasks, self._tasks = list(self._tasks.values()), {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _tell(self, zone: Zone, secondary: Endpoint) -> None:
        for pause in PAUSES_S:
            if await self._heard(zone, secondary):
                self.unheard.pop(secondary, None)
                return
            self.unheard[secondary] = zone.serial
            self.failures[zone.settings.name, secondary] += 1
            await self._clock.sleep(pause)

    async def _heard(self, zone: Zone, secondary: Endpoint) -> bool:
        packet = message(zone)
        if zone.settings.tsig is not None:
            packet, _ = tsig.sign(packet, zone.settings.tsig, self._clock.now())
        try:
            async with asyncio.timeout(WAIT_S):
                reply = await send_udp(secondary, packet)
            return wire.parse_reply(reply).rcode == wire.NOERROR
        except (TimeoutError, OSError, Unanswered, wire.Malformed):
            return False


def message(zone: Zone) -> bytes:
    """The NOTIFY: the zone's SOA as question, and its present value."""
    [rdata] = zone.soa.rdatas
    header = wire.HEADER.pack(secrets.randbelow(65536), OPCODE | wire.AA, 1, 1, 0, 0)
    return header + zone.origin + wire.TYPE_CLASS.pack(wire.SOA, wire.IN) + wire.record(wire.pointer(12), wire.SOA, zone.soa.ttl, rdata)
