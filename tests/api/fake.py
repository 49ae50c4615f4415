"""A controller made by hand: two services with fixed objects, a journal in a list. For the faces' own tests; the real one is tested with them too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lbctl.errors import ConfigError, Problem
from lbctl.model.commands import Code, Command, Reply
from lbctl.model.decision import Step
from lbctl.stores.base import Checked, Receipt

AT = 1_800_000_000.0
"""2027-01-15T08:00:00Z."""


def member(name: str, role: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "role": role, "health": "up", "promoted": role == "primary", "latched": False, "needs_resync": False,
            "verdict": "ok" if role == "primary" else "standby", "reason": "ok", "since": "2027-01-15T07:59:00Z", "detail": "",
            "monitors": {"status": {"verdict": "ok", "reason": "ok"}, "hastatus": {"verdict": "primary", "reason": "ok"}}, **more}


def service(name: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name, "kind": "failover", "monitor": "core", "run": None, "alerts": [], "promoted": True, "state": "normal",
        "primary": "core-a", "active": "core-a", "epoch": 7, "revision": 41, "resume_pending": False,
        "conditions": ["normal"], "automation": "on", "held": None, "locked_out_until": None, "approvals": [],
        "maintenance": {"on": False, "by": None, "reason": None, "until": None}, "blocked_by": ["active-down"],
        "members": [member("core-a", "primary"), member("core-b", "secondary")],
        "actuators": [{"id": f"authoritative:{name}.gtm.example.com", "wanted": 7, "applied": 7, "verified": 7, "in_sync": True, "error": None}],
        **more,
    }


class Bell:
    def __init__(self, owner: FakeController) -> None:
        self._event = asyncio.Event()
        self._owner = owner
        owner.bells.append(self)

    def ring(self) -> None:
        self._event.set()

    async def wait(self) -> None:
        await self._event.wait()
        self._event.clear()

    def close(self) -> None:
        self._owner.bells.remove(self)


class FakeController:
    def __init__(self) -> None:
        self.services = {"core": service("core"), "sentry": service("sentry", revision=3)}
        self.journal: list[Step] = []
        self.bells: list[Bell] = []
        self.commands: list[Command] = []
        self.replies: list[Reply] = []
        self.state: dict[str, Any] = {"live": True, "ready": True, "leader": True, "store_up": True, "loop_lag_s": 0.0, "why": ""}
        self.after: dict[str, dict[str, Any]] = {}
        self.deciding: asyncio.Event | None = None
        self.broken_at: int | None = None
        self.receipts: dict[str, Receipt] = {}
        self.meanwhile: list[Callable[[], None]] = []
        """What happens, one before each command, between its reader's look and it."""

    async def submit(self, command: Command) -> Reply:
        if self.meanwhile:
            self.meanwhile.pop(0)()
        found = self.services[command.service]
        if command.revision is not None and command.revision != found["revision"]:
            told = f"revision {command.revision} was seen, it is {found['revision']} now"
            self.write("command", told, service=command.service, by=command.by, revision=found["revision"], data={"code": int(Code.CONFLICT)})
            return Reply(Code.CONFLICT, told)
        if self.deciding is not None:
            await self.deciding.wait()
        self.commands.append(command)
        self.services |= self.after
        self.write(type(command).__name__.lower(), command.reason or "done", service=command.service, by=command.by)
        return self.replies.pop(0) if self.replies else Reply(Code.DONE, "done and verified")

    def write(self, kind: str, text: str, *, service: str = "core", by: str = "", revision: int = 41, data: Mapping[str, Any] | None = None) -> None:
        self.journal.append(Step(AT, service, kind, text, by, 7, revision, data or {}, len(self.journal) + 1))
        for bell in self.bells:
            bell.ring()

    @property
    def names(self) -> Sequence[str]:
        return list(self.services)

    def brief(self, name: str) -> Mapping[str, Any]:
        return {key: value for key, value in self.services[name].items() if key not in ("blocked_by", "gate")}

    def service(self, name: str) -> Mapping[str, Any]:
        return self.services[name]

    def explain(self, name: str, to: str | None = None) -> Mapping[str, Any]:
        found = self.services[name]
        rows = [{**candidate, "for_failover": [], "for_switchover": []} for candidate in found.get("gate", ())]
        return {"service": name, "to": to, "state": found["state"], "active": found["active"], "why": "core-a is active since the start",
                "candidates": rows, "if_active_failed": None, "resume": None,
                "hosts": [host for actuator in found["actuators"] for host in actuator.get("hosts", ())]}

    def looks(self, name: str, member: str) -> Mapping[str, Mapping[str, Sequence[Any]]]:
        cells: dict[str, list[Any]] = {"fastest_s": [None, 0.002], "slowest_s": [None, 0.004], "good": [None, 3], "failed": [None, 1],
                 "verdict": [None, "failed"], "reason": [None, "timeout"]}
        return {"status": cells}

    async def events(self, since: int = 0, service: str | None = None, *, limit: int = 1000, newest: bool = False) -> Sequence[Step]:
        found = [step for step in self.journal if step.seq > since and service in (None, step.service)]
        return found[-limit:] if newest else found[:limit]

    async def verify_journal(self, since: int = 0) -> Checked:
        """Ten lines at a time."""
        upto = min(since + 10, len(self.journal))
        seen = self.broken_at is not None and (self.broken_at <= upto or upto == len(self.journal))
        return Checked(upto, len(self.journal), self.broken_at if seen else None)

    async def receipt(self, key: str) -> Receipt | None:
        return self.receipts.get(key)

    async def keep_receipt(self, receipt: Receipt) -> None:
        self.receipts[receipt.key] = receipt

    def subscribe(self) -> Bell:
        return Bell(self)

    def health(self) -> Mapping[str, Any]:
        return self.state


class FakeAdministration:
    """A file that is good unless its text says `typo`."""

    def __init__(self) -> None:
        self.reloads: list[tuple[str, bool]] = []
        self.deliveries: list[dict[str, Any]] = [{"notifier": "email", "outcome": "delivered", "detail": "", "took_s": 0.05}]

    async def notify_test(self, by: str) -> Sequence[Mapping[str, Any]]:
        return self.deliveries

    def notices_shown(self, limit: int) -> Mapping[str, Any]:
        told = {"at": AT, "key": "k", "service": "core", "kind": "moved", "attempt": 1}
        return {"ways": ["email"], "waiting": 0, "deliveries": [{**told, **entry} for entry in self.deliveries][:limit]}

    def cluster(self) -> Mapping[str, Any]:
        me = {"name": "lb-1", "leader": True, "lease": "lock on /var/lib/lbctl/state.db", "store_up": True, "why": ""}
        return {"controllers": [me], "quorum": 1, "decides": {"core": "lb-1"}}

    async def readiness(self, name: str) -> Mapping[str, Any]:
        row = {"practice": "would-take-over", "text": "the standby would take over", "holds": "yes", "evidence": "x", "advice": "", "urgent": True}
        return {"service": name, "ready": True, "kept": 1, "of": 1, "practices": [row]}

    async def upgrade(self, name: str) -> Mapping[str, Any]:
        row = {"step": "1", "name": "disable-ha", "text": "Disable HA", "done": False, "missing": "HA is on", "evidence": None, "todo": "x"}
        return {"service": name, "open": False, "by": None, "next": None, "steps": [row]}

    async def upgrade_do(self, name: str, action: str, by: str, reason: str) -> Reply:
        if action == "next":
            return Reply(Code.REFUSED, "step 1 is not done", "upgrade-disable-ha", {"missing": "HA is still enabled"})
        return Reply(Code.DONE, f"{action} by {by}")

    async def plan(self, text: str, name: str) -> Mapping[str, Any]:
        if "typo" in text:
            raise ConfigError([Problem(f"{name}:3:5", "services.core", "unknown key", "did you mean 'members'?")])
        return {"changes": [], "moves": []}

    async def reload(self, by: str, *, allow_switch: bool = False) -> Reply:
        self.reloads.append((by, allow_switch))
        refused = Reply(Code.REFUSED, "core would move to core-b", "allow-switch", {"core": "core-b"})
        return Reply(Code.DONE, "nothing changed") if allow_switch else refused


class HandClock:
    """Stands still until a test moves it; sleeps are real and so never end in a test."""

    def __init__(self) -> None:
        self.at = AT

    def now(self) -> float:
        return self.at

    def wall_step(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
