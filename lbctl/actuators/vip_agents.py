"""A virtual address that stands on the active member's own host, held there by its agent (`lbctl agent`).

The address is *lent*: renewed each third of a lease while this controller lives and says so. A move tells every agent of the new decision first;
whoever is then without the address frees the way at once. One that does not answer is waited for: until the lease that it was last given must be
over, and until the promises that it may have from its peers are (`agent.keeper`). Only then is the address lent to the next, whose own conflict
probe looks once more. So no two hosts ever hold it, whatever is cut, killed or stopped (H43, H46, H47).

An agent refuses an older epoch than it knows; the refusal is `Superseded` here, and nothing more is lent by this controller under that epoch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog

from lbctl.actuators.base import Actual, Place, wanted
from lbctl.actuators.vip import Settings, identity
from lbctl.clock import Clock
from lbctl.errors import ActuatorError, Superseded
from lbctl.model.decision import Desired
from lbctl.net.talk import Files, Peer

ASK_S = 1.0
WAIT_MAX_S = 8.0
"""What one `apply` waits for the end of a lease; longer leases are waited for in several."""
RETRY_S = 0.2
log = structlog.get_logger()


class VipAgents:
    """One address, several hosts. `lent` tells until when each agent may think that it holds the address (steady seconds of this host)."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        if settings.cert_file is None or settings.key_file is None or settings.ca_file is None:
            raise ActuatorError("not-configured", f"{identity(settings)}: agents need cert_file, key_file and ca_file", temporary=False)
        try:
            context = Files(settings.cert_file, settings.key_file, settings.ca_file).context(server=False)
        except OSError as error:
            raise ActuatorError("tls", f"{identity(settings)}: a certificate cannot be used: {error}", temporary=False) from error
        self.id, self.view = identity(settings), settings.view
        self._settings, self._clock = settings, clock
        self._address = settings.address.split("/")[0]
        limit_s = min(ASK_S, settings.lease_s / 4)
        self._agents = {member: Peer(host, port, context, limit_s) for member, (host, port) in settings.agents.items()}
        self._lent = dict.fromkeys(self._agents, clock.now() + settings.lease_s)
        self._holder = ""
        self._vacated = False
        self._decision: dict[str, Any] = {}
        self._task: asyncio.Task[None] | None = None

    async def apply(self, desired: Desired) -> None:
        addresses = wanted(desired, self.view)
        if len(desired.members) != 1 or not addresses:
            raise ActuatorError("empty", f"{self.id}: it stands on the host of one active member", temporary=False)
        [member] = desired.members
        if member not in self._agents:
            raise ActuatorError("not-configured", f"{self.id}: no agent is configured for {member}", temporary=False)
        self._decision = {"address": self._address, "epoch": desired.epoch, "members": [member], "addresses": sorted(addresses)}
        self._holder = ""
        await self._lend(member, await self._vacate(member))
        self._lend_on(member)

    async def read(self) -> Actual:
        looks = await asyncio.gather(*(self._look(member) for member in self._agents))
        found = dict(zip(self._agents, looks, strict=True))
        held = {member: answer for member, answer in found.items() if isinstance(answer, dict) and answer.get("held")}
        if len(held) == 1 and not self._decision:
            self._take_up(*held.popitem())
            return await self.read()
        if held:
            return Actual(tuple(_place(member, answer) for member, answer in held.items()))
        silent = {member: answer for member, answer in found.items() if isinstance(answer, ActuatorError)}
        if silent:
            member, error = next(iter(silent.items()))
            return Actual((Place(member, None, None, error.reason, str(error)),))
        epochs = [answer["epoch"] for answer in looks if isinstance(answer, dict) and answer.get("epoch") is not None]
        return Actual((Place(self._address, frozenset(), max(epochs, default=None)),))

    async def close(self) -> None:
        """Lends no more. The holder keeps it while all of its peers agree, or until the lease ends."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        for agent in self._agents.values():
            agent.close()

    def _take_up(self, member: str, answer: Mapping[str, Any]) -> None:
        """What an earlier life of this controller lent is lent on, or it would end with its lease."""
        self._decision = {"address": self._address, **{key: answer.get(key) for key in ("epoch", "members", "addresses")}}
        if answer.get("members") == [member]:
            self._lend_on(member)

    def _lend_on(self, member: str) -> None:
        self._holder = member
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._renew(), name=f"lend {self.id}")

    async def _vacate(self, member: str) -> float | None:
        """Every other host is without the address, proved or by the end of its lease. Raises `Superseded` where one knows a newer decision.
        The new host's stamp, where it is still fresh."""
        others = [name for name in self._agents if name != member]
        answers = await asyncio.gather(self._ask(member, {"op": "prepare"}), *(self._ask(name, {"op": "release"}) for name in others),
                                       return_exceptions=True)
        for answer in answers:
            if isinstance(answer, Superseded) or (isinstance(answer, BaseException) and not isinstance(answer, ActuatorError)):
                raise answer
        if isinstance(answers[0], BaseException):
            raise answers[0]
        now = self._clock.now()
        for name, answer in zip(others, answers[1:], strict=True):
            if isinstance(answer, dict) and not answer.get("held"):
                self._lent[name] = 0.0
        free_at = max([self._lent[name] for name in others], default=0.0)
        self._vacated = free_at == 0.0
        if not self._vacated:
            free_at = max(free_at, now + float(answers[0].get("promised_s", 0.0)))
        if free_at > now:
            log.warning("waiting for the end of a lease", address=self._address, seconds=round(free_at - now, 1))
            await self._clock.sleep(min(free_at - now, WAIT_MAX_S))
        if free_at > now + WAIT_MAX_S:
            raise ActuatorError("leased", f"{self._address}: the old host's lease ends in {free_at - self._clock.now():.0f} s")
        return None if free_at > now else answers[0]["stamp"]

    async def _lend(self, member: str, stamp: float | None = None) -> None:
        """One renewal: a fresh stamp, and a lease from it."""
        stamp = stamp or (await self._ask(member, {"op": "look"}))["stamp"]
        self._lent[member] = self._clock.now() + self._settings.lease_s
        await self._ask(member, {"op": "hold", "stamp": stamp, "lease_s": self._settings.lease_s, "vacated": self._vacated})

    async def _renew(self) -> None:
        """Until another decision is applied, which takes it up again at its own holder."""
        pause = self._settings.lease_s / 3
        while True:
            await self._clock.sleep(pause)
            pause = self._settings.lease_s / 3
            if not self._holder:
                continue
            try:
                await self._lend(self._holder)
            except Superseded as error:
                log.error("the address is lent no more", address=self._address, why=str(error))
                self._holder = ""
            except ActuatorError as error:
                log.warning("the address could not be lent on", address=self._address, why=str(error))
                pause = RETRY_S

    async def _look(self, member: str) -> dict[str, Any] | ActuatorError:
        try:
            return await self._ask(member, {"op": "look", "address": self._address})
        except ActuatorError as error:
            return error

    async def _ask(self, member: str, question: Mapping[str, Any]) -> dict[str, Any]:
        """Asks the agent of a member; its refusals become errors."""
        answer = await self._agents[member].ask({**self._decision, **question})
        if answer.get("error") == "superseded":
            raise Superseded(f"{member}: {answer.get('text')}", found_epoch=answer.get("found"))
        if answer.get("error"):
            raise ActuatorError(str(answer["error"])[:40], f"{member}: {str(answer.get('text'))[:300]}")
        return answer


def _place(member: str, answer: Mapping[str, Any]) -> Place:
    return Place(member, frozenset(str(one) for one in answer.get("addresses", ())), answer.get("epoch"))
