"""Walks the nine steps: `plan`, `start`, `next`, `status`, `abort` (G-UP).

The run itself is the policy's: it stands in the saved state, holds the service, extends its maintenance and survives a restart. Here the Cores are
read, a step's own command is said where lbctl has a hand on the Core, and a step counts as done only by what is read afterwards.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from lbctl.clock import Clock
from lbctl.controller import Controller
from lbctl.drive import Hand, HandError
from lbctl.model.commands import Abort, Code, MaintenanceOff, Reply, UpgradeStart, UpgradeStep
from lbctl.model.state import Run
from lbctl.readiness.facts import Audit
from lbctl.upgrade.steps import STEPS, UpgradeRow, Walk, step_after

AuditOf = Callable[[str], Awaitable[Audit]]


class Upgrades:
    """The upgrade runs of all services. `audit_of` reads the Cores of a service anew."""

    def __init__(self, controller: Controller, audit_of: AuditOf, hands: Callable[[str], Mapping[str, Hand]], clock: Clock) -> None:
        self._controller = controller
        self._audit_of = audit_of
        self._hands = hands
        self._clock = clock

    async def shown(self, name: str) -> dict[str, Any]:
        """Every step with what it still misses; `open` tells whether a run is under way and which step is next. KeyError for no service."""
        audit = await self._audit_of(name)
        run = audit.case.saved.run
        ours = run if run is not None and run.kind == "upgrade" else None
        walk = Walk(ours or Run("", "upgrade", "begin", "", "", self._clock.now()), audit)
        at = step_after(walk.run.step).number if walk.run.step != STEPS[-1].number else ""
        return {
            "service": name, "open": ours is not None, "by": ours.by if ours else None, "next": at if ours else None,
            "steps": [self._row(row, walk, done=ours is not None and int(row.number) < int(at or "10")) for row in STEPS],
        }

    def _row(self, row: UpgradeRow, walk: Walk, *, done: bool) -> dict[str, Any]:
        missing = "" if done else row.missing(walk)
        return {"step": row.number, "name": row.name, "text": row.text, "done": done, "missing": missing or None,
                "evidence": walk.run.notes.get(row.number), "todo": "" if done else row.todo}

    async def start(self, name: str, by: str, reason: str) -> Reply:
        """Opens the run: maintenance first. Refused where a Core cannot be asked: what lbctl cannot see it cannot walk."""
        audit = await self._audit_of(name)
        silent = audit.silence()
        if silent:
            return Reply(Code.REFUSED, f"upgrade refused by drive-configured: {silent}; opened by a `drive:` for each Core", rule="drive-configured")
        reply = await self._controller.submit(UpgradeStart(service=name, by=by, reason=reason))
        if reply.code is Code.DONE:
            versions = {f"version.{core.member}": core.version for core in audit.known()}
            await self._controller.submit(UpgradeStep(service=name, by=by, step="begin", evidence="", notes=versions))
        return reply

    async def next(self, name: str, by: str, attest: str = "") -> Reply:
        """Ends the step that is due, if it is done; else refuses (3) by what is missing. `attest`: a person's word for step 7 or 8."""
        run = self._controller.case(name).saved.run
        if run is None or run.kind != "upgrade":
            return Reply(Code.REFUSED, f"no upgrade of {name} is open: `lbctl upgrade {name} start`", rule="run-open")
        row = step_after(run.step)
        missing, seen = await self._look(name, run, row)
        if missing and row.command:
            await self._say(name, row.command)
            missing, seen = await self._look(name, run, row)
        if missing and not (attest and row.number in ("7", "8")):
            text = f"step {row.number} ({row.text}) is not done: {missing}; {row.todo}"
            return Reply(Code.REFUSED, text, rule=f"upgrade-{row.name}", evidence={"step": row.number, "missing": missing})
        return await self._end(name, by, row, f"said by {by}: {attest}" if missing else seen)

    async def _end(self, name: str, by: str, row: UpgradeRow, evidence: str) -> Reply:
        last = row is STEPS[-1]
        notes = {f"{row.number}.at": str(self._clock.now())}
        command = UpgradeStep(service=name, by=by, step=row.number, evidence=evidence, last=last, notes=notes)
        reply = await self._controller.submit(command)
        if reply.code is not Code.DONE:
            return reply
        if last:
            await self._controller.submit(MaintenanceOff(service=name, by=by, reason="the upgrade is finished"))
            return replace(reply, message=f"the upgrade of {name} is finished; re-arming")
        after = step_after(row.number)
        return replace(reply, message=f"step {row.number} is done ({evidence}). Next, step {after.number}: {after.text}: {after.todo}")

    async def _look(self, name: str, run: Run, row: UpgradeRow) -> tuple[str, str]:
        walk = Walk(run, await self._audit_of(name))
        missing = row.missing(walk)
        return missing, "" if missing else row.seen(walk)

    async def _say(self, name: str, command: str) -> None:
        """The step's own command on every standby; whether it helped is read afterwards. A Core without it is left to a person."""
        case = self._controller.case(name)
        for member in case.others():
            hand = self._hands(name).get(member)
            if hand is not None:
                try:
                    await hand.say(f"enable; {command}")
                except HandError:
                    continue

    async def abort(self, name: str, by: str, reason: str) -> Reply:
        """Ends the run where it stands. Maintenance stays on until it ends by itself or is switched off."""
        return await self._controller.submit(Abort(service=name, by=by, reason=reason))
