"""Carries out the runs that the policy opens: one step at a time, each begun and ended as an event, so that each is saved before the next.

The policy says what comes next (`policy.runs`), a `Hand` does it and reads it back, and the outcome goes through the same inbox as everything else.
Nothing here decides: a step that failed is told, and what follows from it (undo, wait, close) is the policy's.
"""

from __future__ import annotations

from collections.abc import Mapping

from lbctl.clock import Clock
from lbctl.controller import Controller
from lbctl.drive import Hand, HandError, Outcome
from lbctl.model.decision import Step
from lbctl.model.events import DriveStep, SyncSeen
from lbctl.model.state import Run
from lbctl.policy.runs import RunStep, may_go_on, roles_seen

PAGES_S = 90.0
"""How long both status pages may take to say what the Cores' command lines say already."""
LOOK_EVERY_S = 0.2
SAVED_S, SAVED_EVERY_S = 10.0, 0.01
"""How long a step waits to be remembered; what is not saved is not done."""

Hands = Mapping[tuple[str, str], Hand]
"""(service, member) → the hand on that Core."""


class Runner:
    """Listens to the controller and does what open runs want. `hands` may be exchanged by a reload."""

    def __init__(self, controller: Controller, hands: Hands, clock: Clock) -> None:
        self.hands = hands
        self._controller = controller
        self._clock = clock
        self._busy: set[str] = set()

    def heard(self, step: Step) -> None:
        """After anything was told of a service: is there something to do?"""
        name = step.service
        if name and name not in self._busy and any(service == name for service, _ in self.hands):
            self._busy.add(name)
            self._controller.supervisor.task(f"run {name}", self._work(name))

    async def _work(self, name: str) -> None:
        try:
            await self._clock.sleep(0)
            while (wanted := self._wanted(name)) is not None:
                run, step = wanted
                self._controller.post(name, DriveStep(run.id, step.name, None))
                if not await self._until(name, run.id, step.name):
                    return
                outcome = await self._do(name, run, step)
                self._controller.post(name, DriveStep(run.id, step.name, outcome.ok, outcome.detail))
                if not await self._until(name, run.id, ""):
                    return
        finally:
            self._busy.discard(name)

    async def _until(self, name: str, run: str, doing: str) -> bool:
        """Waits until it is saved that this step has begun, or ended. False: it was not, so nothing may be done."""
        until = self._clock.now() + SAVED_S
        while self._clock.now() < until:
            known = self._controller.case(name).saved.run
            if known is None or known.id != run:
                return doing == ""
            if known.doing == doing:
                return True
            await self._clock.sleep(SAVED_EVERY_S)
        return False

    def _wanted(self, name: str) -> tuple[Run, RunStep] | None:
        state = self._controller.case(name).state
        step = may_go_on(state)
        return None if step is None or state.saved.run is None else (state.saved.run, step)

    async def _do(self, name: str, run: Run, step: RunStep) -> Outcome:
        if not step.command:
            return await self._verify(name, run)
        member, other = (run.source, run.target) if step.on == "source" else (run.target, run.source)
        hand = self.hands.get((name, member))
        if hand is None:
            return Outcome(False, f"no drive: is configured for {member}")
        peer = self.hands.get((name, other))
        outcome = await hand.do(step.name, step.command, peer=peer.grip.peer if peer is not None else "")
        if outcome.ok and step.name == "last-sync":
            await self._tell_sync(name, hand, member, other)
        return outcome

    async def _tell_sync(self, name: str, hand: Hand, member: str, source: str) -> None:
        try:
            last = (await hand.status()).last_sync
        except HandError:
            return
        if last is not None and last["completed"] is not None:
            self._controller.post(name, SyncSeen(member, source, last["started"], last["completed"]))

    async def _verify(self, name: str, run: Run) -> Outcome:
        """By the pages that clients and monitors see, not by the command line alone."""
        until = self._clock.now() + PAGES_S
        while self._clock.now() < until:
            if roles_seen(self._controller.case(name)):
                return Outcome(True, f"{run.target} serves as Primary, {run.source} is Standby")
            await self._clock.sleep(LOOK_EVERY_S)
        return Outcome(False, f"the pages of {run.target} and {run.source} do not say so within {PAGES_S:g} s")
