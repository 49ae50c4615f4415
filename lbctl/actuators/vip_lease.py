"""Who has the address until when: the controller's book of what it has lent, and the questions to the agents.

The one promise that everything else rests on: the address is lent to a host only when every other host is without it, proved by its own answer or
by the end of what it was lent last. Nothing here knows which host *should* have it.

What is lent is counted from a stamp of the borrower's and written down from a moment after it, so what the book says ends no earlier than what
the borrower thinks. At the start of a life nothing is known of an earlier one: every host may have been lent a whole lease a moment ago.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import structlog

from lbctl.clock import Clock
from lbctl.errors import ActuatorError, Superseded
from lbctl.net import EVENTS
from lbctl.net.said import Said, believed
from lbctl.net.talk import Peer

WAIT_MAX_S = 8.0
"""What one try waits for the end of a lease; longer leases are waited for in several."""
STAMP_S = 0.05
"""A stamp of the same turn is fresh enough to lend from: it costs the borrower that much of its lease."""
SILENT = frozenset({"timeout", "refused", "tls", "malformed"})
"""Why a host may have the address still: it did not say anything that could be believed."""
log = structlog.get_logger()


class Lender:
    """`address` and the agents by name. `decision` is what every question says; `answers` the last one of each agent, or why there is none."""

    def __init__(self, address: str, agents: Mapping[str, Peer], lease_s: float, clock: Clock, told: Callable[[str, str], None]) -> None:
        self.agents = dict(agents)
        self.decision: dict[str, Any] = {}
        self.answers: dict[str, Said | ActuatorError] = {}
        self.lent = dict.fromkeys(self.agents, clock.now() + lease_s)
        self._address, self._lease_s, self._clock, self._told = address, lease_s, clock, told
        self._heard_at = dict.fromkeys(self.agents, 0.0)
        self._told_to: dict[str, tuple[str, int]] = {}
        self.tallies: dict[str, dict[str, int]] = {}
        self._began = clock.now()
        self._jobs: set[asyncio.Task[Any]] = set()

    def close(self) -> None:
        """Asks no more."""
        for job in self._jobs:
            job.cancel()
        for agent in self.agents.values():
            agent.close()

    def overdue(self, name: str) -> ActuatorError | None:
        """Why this host said nothing the last time, where what it was lent is over as well: nothing keeps the address from another host."""
        said = self.answers.get(name)
        silent = isinstance(said, ActuatorError) and said.reason in SILENT and self.lent[name] <= self._clock.now()
        return said if silent and isinstance(said, ActuatorError) else None

    def silent_s(self, name: str) -> float | None:
        """For how long this host has said nothing that could be believed; 0: it has answered; None: it was not asked yet."""
        if name not in self.answers:
            return None
        return self._clock.now() - max(self._heard_at[name], self._began) if isinstance(self.answers[name], ActuatorError) else 0.0

    # --- what is done with it

    async def lend(self, name: str, *, vacated: bool = False, gone: Sequence[str] = (), fresh_s: float = STAMP_S) -> None:
        """Lends it to this host for one lease from now on, or on. `vacated`: every other host has proved that it is without it, `gone` are their
        MACs. A stamp that is no older than `fresh_s` saves a question. Raises as `ask` does."""
        known = self.answers.get(name)
        if not isinstance(known, Said) or self._clock.now() - self._heard_at[name] > fresh_s:
            known = await self.ask(name, {"op": "look"})
        # Written down before it is sent: an answer that is lost on its way does not make it less lent.
        self.lent[name] = max(self.lent[name], self._clock.now() + self._lease_s)
        await self.ask(name, {"op": "hold", "stamp": known.stamp, "vacated": vacated, "gone": list(gone)})

    async def claim(self) -> None:
        """Every agent that answers obeys this controller. One after the other, in an order that is the same for every controller: of two that
        begin at once, the first agent decides, and the other goes no further. Raises ActuatorError `owned`, naming who is obeyed instead."""
        for name in sorted(self.agents, key=lambda name: self.agents[name].name):
            known, age_s = self.answers.get(name), self._clock.now() - self._heard_at[name]
            if isinstance(known, Said) and known.obeys == self.decision["owner"] and age_s < self._lease_s / 2:
                continue
            if self.overdue(name):
                continue  # it would be silent once more, while nobody has the address
            try:
                await self.ask(name, {"op": "prepare"})
            except ActuatorError as error:
                if error.reason not in SILENT:
                    raise

    async def vacate(self, name: str) -> tuple[bool, list[str]]:
        """Every host but this one is without it, and this one knows of the decision. Whether all have proved it, and their MACs.
        Raises `Superseded` where a host knows a newer decision, ActuatorError where this one does not answer or another obeys somebody else."""
        loop = asyncio.get_running_loop()
        preparing = loop.create_task(self.ask(name, {"op": "prepare", "ahead": True}))
        leaving = [loop.create_task(self._without(other)) for other in self.agents if other != name]
        await _all_or_first_error([preparing, *leaving])
        macs = [task.result() for task in leaving]
        if not all(macs):
            # A host that is silent may have been promised by this one that it stays away; it gives no such promise any more.
            await self._wait(self._heard_at[name] + preparing.result().promised_s)
        return all(macs), [mac for mac in macs if mac]

    async def _without(self, name: str) -> str:
        """Waits until this host is without it. Its MAC where it has said so itself, "" where that is known from the end of its lease."""
        if self.overdue(name):
            self._later(self.ask(name, {"op": "release"}))  # it has been silent, and its time is over: told, and not waited for
            return ""
        try:
            answer = await self.ask(name, {"op": "release"})
        except Superseded:
            raise
        except ActuatorError as error:
            if error.reason not in SILENT:
                raise
            await self._wait(self.lent[name])
            return ""
        if answer.held:  # its kernel refuses
            await self._wait(self.lent[name])
            return ""
        self.lent[name] = 0.0
        return answer.mac

    async def _wait(self, until: float) -> None:
        left_s = until - self._clock.now()
        if left_s <= 0:
            return
        log.warning("waiting for the end of a lease", address=self._address, seconds=round(left_s, 1))
        await self._clock.sleep(min(left_s, WAIT_MAX_S))
        if left_s > WAIT_MAX_S:
            raise ActuatorError("leased", f"{self._address}: what the old host was lent ends in {left_s - WAIT_MAX_S:.0f} s")

    # --- questions

    async def look(self, *, rules: bool = False) -> dict[str, Said | ActuatorError]:
        """What every host says; those that say nothing with why."""
        question = {"op": "look", "address": self._address, **({"rules": True} if rules else {})}
        return await self.tell(self.agents, question)

    async def tell(self, names: Sequence[str] | Mapping[str, Any], question: Mapping[str, Any]) -> dict[str, Said | ActuatorError]:
        """The same question to several; a refusal is an answer here."""
        return dict(zip(names, await asyncio.gather(*(self._try(name, question) for name in names)), strict=True))

    async def ask(self, name: str, question: Mapping[str, Any]) -> Said:
        """Asks the agent of a host. Its refusals become errors: `Superseded` for a newer decision, else its own reason; or one of `SILENT`."""
        try:
            answer = await self._answer(name, {"address": self._address, **self.decision, **question})
        except ActuatorError as error:
            self.answers[name] = error
            raise
        self.answers[name], self._heard_at[name] = answer, self._clock.now()
        self._hear(name, answer)
        same = (answer.epoch, answer.members) == (self.decision.get("epoch"), self.decision.get("members"))
        if answer.error == "superseded" and not same:  # the same decision in another turn is our own, of an earlier life
            raise Superseded(f"{name}: {answer.text}", found_epoch=answer.found)
        if answer.error:
            raise ActuatorError(answer.error[:40], f"{name}: {answer.text[:300]}")
        return answer

    async def _answer(self, name: str, question: Mapping[str, Any]) -> Said:
        try:
            return believed(await self.agents[name].ask(question, self._patience_s(name)))
        except ValueError as error:
            raise ActuatorError("malformed", f"{name}: its answer makes no sense: {error}") from None

    async def _try(self, name: str, question: Mapping[str, Any]) -> Said | ActuatorError:
        try:
            return await self.ask(name, question)
        except ActuatorError as error:
            return error

    def _hear(self, name: str, answer: Said) -> None:
        """What has happened there since it was last told; nothing of the time before this life."""
        if not answer.boot:
            return  # it refuses us, and says nothing of itself
        self.tallies[name] = {event: answer.tally.get(event, 0) for event in EVENTS}
        told, number = self._told_to.get(name, (answer.boot, math.inf))
        number = number if told == answer.boot else 0
        for serial, kind, text in answer.happened:
            if serial > number and kind in EVENTS:
                self._told(kind, f"{name}: {text}"[:300])
        self._told_to[name] = answer.boot, max((serial for serial, _, _ in answer.happened), default=0)

    def _patience_s(self, name: str) -> float | None:
        """No longer than what the host is lent: the moment after, somebody else may have it, and waits."""
        left_s = self.lent[name] - self._clock.now()
        return left_s if left_s > 0 else None

    def _later(self, job: Coroutine[Any, Any, Said]) -> None:
        async def quietly() -> None:
            try:
                await job
            except ActuatorError as error:
                log.debug("a silent host stays silent", why=str(error))

        task = asyncio.get_running_loop().create_task(quietly())
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)


async def _all_or_first_error(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Waits for all; where one fails nothing of the others matters any more."""
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in tasks:
        if not task.cancelled():
            task.result()
