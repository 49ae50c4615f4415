"""Audits when asked, and by itself every minute, so that metrics and page show a standby that is not ready before it is needed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from lbctl.clock import Clock
from lbctl.controller import Controller
from lbctl.controller.supervisor import Heart
from lbctl.drive import Hand
from lbctl.readiness.facts import Audit
from lbctl.readiness.gather import gather
from lbctl.readiness.practices import PRACTICES, audit_rows

Hands = Mapping[tuple[str, str], Hand]
EVERY_S = 60.0
TICK_S = 5.0


class Auditor:
    """`hands` maps (service, member) to the hand there; `notified` counts lbctl's own ways to tell people. `last`: rows by service, and when."""

    def __init__(self, controller: Controller, hands: Callable[[], Hands], notified: Callable[[], int], clock: Clock) -> None:
        self.last: dict[str, tuple[float, list[dict[str, Any]]]] = {}
        self._controller = controller
        self._hands = hands
        self._notified = notified
        self._clock = clock
        self._one = asyncio.Lock()

    def hands_of(self, name: str) -> dict[str, Hand]:
        """member → hand, of one service."""
        return {member: hand for (service, member), hand in self._hands().items() if service == name}

    async def audit(self, name: str) -> Audit:
        """What is known of a service and its Cores now. One service at a time, so that nobody can make us ask them in a storm. KeyError."""
        self._controller.case(name)
        async with self._one:
            cores = await gather(self.hands_of(name), self._clock)
        case = self._controller.case(name)
        unable = {host.name: host.trouble for _, _, host in self._controller.hosts(name) if host.trouble and host.name in case.settings.names}
        return Audit(case, cores, self._notified(), unable)

    async def rows(self, name: str) -> dict[str, Any]:
        """The object of `lbctl readiness`."""
        rows = audit_rows(await self.audit(name))
        self.last[name] = (self._clock.now(), rows)
        kept = sum(row["holds"] == "yes" for row in rows)
        ready = all(row["holds"] == "yes" for row in rows if row["practice"] in ("would-take-over", "modes-as-expected"))
        return {"service": name, "ready": ready, "kept": kept, "of": len(rows), "practices": rows}

    def kept(self) -> dict[str, dict[str, str]]:
        """Service → practice → yes, no or unknown, by the last audit; all unknown before the first. For metrics."""
        unseen = {practice.name: "unknown" for practice in PRACTICES}
        found = {service: dict(unseen) for service, _ in self._hands()}
        for service in found:
            found[service] |= {row["practice"]: row["holds"] for row in self.last.get(service, (0.0, []))[1]}
        return found

    async def run(self, heart: Heart) -> None:
        """For ever: every service that lbctl has a hand on, once a minute."""
        while True:
            heart.beat()
            now = self._clock.now()
            taken_up = {case.settings.name for case in self._controller.cases()}  # at the start the controller still reads its memory
            for name in sorted({service for service, _ in self._hands()} & taken_up):
                if now - self.last.get(name, (0.0, []))[0] >= EVERY_S:
                    await self.rows(name)
                    heart.beat()
            await self._clock.sleep(TICK_S)
