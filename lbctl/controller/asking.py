"""What a person asks for, on its way to the gate of a service and back to the person.

The gate judges by what is believed, and that may be an interval old. A command that goes by what somebody has just done elsewhere (a mode changed on
a Core, a sync, an answer published) is therefore preceded by looking there; and a command that is refused only for a moment of ours is judged once
more. A move is answered when a reader could see it, not when it was decided (H42).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from lbctl.actuators.base import Actuator
from lbctl.clock import Clock
from lbctl.controller.loop import ServiceLoop
from lbctl.controller.startup import published
from lbctl.controller.supervisor import Supervisor
from lbctl.controller.tools import Tools
from lbctl.model.commands import Ack, Adopt, Approve, Code, Command, Reply, Resume, SwapRoles
from lbctl.model.state import State
from lbctl.policy.seconds import goes_by_what_is_published

# Nothing that a person could wait for or mend: saying "no" for them would only teach people to type twice.
PASSING = frozenset({"no-stall", "candidate-confirmed"})
"""Rows that the next real look opens: what a person asks for is judged once more after it."""

LOOK_ANEW_MAX_S = 3.0
LOOK_ANEW_STEP_S = 0.02
RESTAMPED_MAX = 5
"""How often a save of ours may come between a question and its answer before it counts as a conflict."""


async def _no_sources(name: str) -> None:
    """Nobody tells how old copies are."""


class Asking:
    """`verify_s`: how long a move is waited for. `freshen(service)` reads now what is known of its copies, within seconds."""

    def __init__(self, clock: Clock, supervisor: Supervisor, tools: Tools, verify_s: float) -> None:
        self.freshen: Callable[[str], Awaitable[None]] = _no_sources
        self._clock = clock
        self._supervisor = supervisor
        self._tools = tools
        self._verify_s = verify_s

    async def submit(self, loop: ServiceLoop, actuators: Sequence[Actuator], command: Command) -> Reply:
        """Through the service's inbox and gate. A move is answered when it is seen everywhere, at the latest after `verify_s`."""
        current = _Picture.of(loop) if command.revision == loop.state.revision else None
        if isinstance(command, Adopt | Approve) and goes_by_what_is_published(loop.state.saved, command):
            # Read now and not remembered: what stands there may have changed since the start, and that is what is adopted.
            command = replace(command, shown=await published(loop.settings, actuators, self._clock, self._supervisor))
        if isinstance(command, Resume | SwapRoles) or (isinstance(command, Ack) and command.member):
            await self._ask_members(loop, command)
        reply = await _asked(loop, command, current)
        # Once and no loop: if a fresh look does not open the row, the row is right.
        if reply.code is Code.REFUSED and set(reply.evidence.get("rules", {"": ""})) <= PASSING:
            await self._look_anew(loop)
            reply = await _asked(loop, command, current)
        epoch = reply.evidence.get("epoch")
        if reply.code is Code.ACCEPTED and isinstance(epoch, int) and await self._seen(loop, epoch):
            return replace(reply, code=Code.DONE, message=f"{reply.message}; seen everywhere")
        return reply

    async def _ask_members(self, loop: ServiceLoop, command: Resume | SwapRoles | Ack) -> None:
        """Before a way back: what the members say now. Whoever has just changed a mode or synced types this next, and would else be refused
        for what was seen an interval ago, or be believed for it."""
        if loop.state.saved.needs_resync and not command.attest_synced:
            await self.freshen(command.service)
        await self._look_anew(loop)

    async def _look_anew(self, loop: ServiceLoop) -> None:
        """New looks at everybody, for as long as they may take: a person is not sent away for a stall of ours."""
        settings, asked = loop.settings, self._clock.now()
        pages = [(member.name, page) for member in settings.members for page in settings.monitor.pages]
        for member, page in pages:
            self._tools.eyes.look_now(settings.name, member, page)
        until = asked + min(max(member.probe.timeout_s for member in settings.members), LOOK_ANEW_MAX_S)
        while self._clock.now() < until and not all(_looked(loop.state, member, page, asked) for member, page in pages):
            await self._clock.sleep(LOOK_ANEW_STEP_S)

    async def _seen(self, loop: ServiceLoop, epoch: int) -> bool:
        try:
            async with asyncio.timeout(self._verify_s):
                return await loop.verified(epoch)
        except TimeoutError:
            return False


@dataclass(frozen=True, slots=True)
class _Picture:
    """What somebody who asks has before his eyes: nobody else has commanded since, and traffic has not moved."""

    commanded: int
    epoch: int

    @classmethod
    def of(cls, loop: ServiceLoop) -> _Picture:
        return cls(loop.commanded, loop.state.saved.epoch)


async def _asked(loop: ServiceLoop, command: Command, seen: _Picture | None) -> Reply:
    """Through the inbox. Who had the newest revision when he asked is not told that another has changed it where only looks have since, those
    that his own question caused among them: what they tell is for the gate to judge."""
    reply = await loop.ask(command)
    for _ in range(RESTAMPED_MAX):
        if reply.rule != "revision" or seen != _Picture.of(loop):
            break
        reply = await loop.ask(replace(command, revision=loop.state.revision))
    return reply


def _looked(state: State, member: str, page: str, since: float) -> bool:
    """A look that began since then has ended."""
    sight = state.members.get(member)
    last = sight.pages[page].last if sight is not None and page in sight.pages else None
    return last is not None and last.started >= since
