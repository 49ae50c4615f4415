"""Every reachable state of one service, breadth first, over the product's own `decide`.

A state here is what can matter later: the policy's state with its instants turned into the questions that are asked of them (is it over, is it newer
than that). `key` makes that projection; two states with one key behave alike. From each state every action is tried: each member shows each of its
faces, time passes, the controller restarts on each thing that may be published, a sync is heard of, and every operator command is given. After each
step all invariants are checked, and the laws of `laws.py`, which look at several steps at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from lbctl.model import commands as ask
from lbctl.model.commands import Shown
from lbctl.model.decision import Decision
from lbctl.model.events import Around, Event, Started, SyncSeen, Tick, Verified
from lbctl.model.looks import SILENT, ProbeResult, Reason, Verdict
from lbctl.model.settings import ProbeSettings, ServiceSettings
from lbctl.model.state import PageSight, Saved, State
from lbctl.policy import begin, invariants
from lbctl.policy.arming import STEADY_S
from lbctl.policy.case import HASTATUS
from lbctl.policy.decide import decide
from tests.policy.stage import T0, chain, pair

QUICK = ProbeSettings(profile="model", interval_s=1.0, fast_interval_s=1.0, timeout_s=1.0, fall=1, rise=1, leak=1, min_outage_s=0.0)
TIMES = {"lockout_s": 100.0, "approval_expires_s": 100.0, "seen_window_s": 100.0, "rearm_rounds": 1, "promote_timeout_s": 100.0}
LONG = 1000.0
STEADY_AROUND = Around(proofs=1, watched=1)

FACES: dict[str, tuple[tuple[str, Verdict, Reason], ...]] = {
    "gone": (("status", Verdict.FAILED, Reason.TIMEOUT), ("hastatus", Verdict.FAILED, Reason.TIMEOUT)),
    "ok/primary": (("status", Verdict.OK, Reason.OK), ("hastatus", Verdict.PRIMARY, Reason.OK)),
    "503/standby": (("status", Verdict.FAILED, Reason.STATUS), ("hastatus", Verdict.STANDBY, Reason.OK)),
    "503/primary": (("status", Verdict.FAILED, Reason.STATUS), ("hastatus", Verdict.PRIMARY, Reason.OK)),
}


@dataclass(frozen=True, slots=True)
class Node:
    """A state with its instant."""

    state: State
    now: float


@dataclass(frozen=True, slots=True)
class Edge:
    """One event inside one action, for the laws."""

    settings: ServiceSettings
    action: str
    before: State
    after: State
    event: Event
    now: float
    reply: ask.Reply | None


class BrokenError(AssertionError):
    """An invariant or a law does not hold in a reachable state."""


Decide = Callable[[ServiceSettings, State, Event, float, Around], Decision]
Law = Callable[[Edge], Iterator[str]]


def settings_for(members: int, **more: Any) -> ServiceSettings:
    """Two members: a pair; three: a pair and a DR Core behind it."""
    make = pair if members == 2 else chain
    return make(QUICK, **{**TIMES, **more})


def first(settings: ServiceSettings) -> Node:
    """The primary is active and remembered, nothing has been seen."""
    saved = Saved("core", epoch=1, active="a", primary="a", file_primary="a")
    return Node(begin(settings, saved, 1), T0)


class Explorer:
    """The search itself."""

    def __init__(
        self,
        settings: ServiceSettings,
        laws: tuple[Law, ...],
        state_laws: tuple[Law, ...] = (),
        *,
        people: bool = True,
        around: Around = STEADY_AROUND,
        decides: Decide = decide,
        only: str = "",
    ) -> None:
        self.settings = settings
        self.laws = laws
        self.state_laws = state_laws
        self.people = people
        self.around = around
        self.decides = decides
        self.only = only
        self.edges = 0
        self._remembered: set[Any] = set()

    def run(self, *, limit: int | None = None) -> int:
        """Explores all of it, or the first `limit` states; returns how many were seen. Raises on the first broken invariant or law."""
        start = first(self.settings)
        start = self._hear(start, Started((Shown("x", ("a",), epoch=1),)), "start")
        queue, seen = [start], {key(self.settings, start)}
        while queue and (limit is None or len(seen) < limit):
            fresh = []
            for node in queue:
                for action, events in self._actions(node):
                    reached = self._act(node, action, events)
                    mark = key(self.settings, reached)
                    if mark not in seen:
                        seen.add(mark)
                        fresh.append(reached)
                        self._is_lawful(action, reached)
            queue = fresh
        return len(seen)

    def _act(self, node: Node, action: str, events: tuple[Any, ...]) -> Node:
        if action.startswith("restart"):
            state = begin(self.settings, node.state.saved, node.state.revision)
            node = Node(state, node.now + 1)
        for event in events:
            node = self._hear(node, event(node.now) if callable(event) else event, action)
        return node

    def _hear(self, node: Node, event: Event, action: str) -> Node:
        self.edges += 1
        now = node.now if not isinstance(event, ProbeResult) else event.ended
        if isinstance(event, Tick) and action == "time passes":
            now += LONG
        decision = self.decides(self.settings, node.state, event, now, self.around)
        self._judge(Edge(self.settings, action, node.state, decision.state, event, now, decision.reply), decision)
        return Node(decision.state, now)

    def _is_lawful(self, action: str, node: Node) -> None:
        edge = Edge(self.settings, action, node.state, node.state, Tick(), node.now, None)
        for law in self.state_laws:
            for broken in law(edge):
                raise BrokenError(f"{law.__name__}: {action}: {broken}")

    def _judge(self, edge: Edge, decision: Decision) -> None:
        """All invariants and laws; with `only`, that one alone, so that it is known to catch by itself."""
        if not self.only:
            invariants.check(edge.settings, edge.before, decision, edge.event, edge.now)
        elif self.only in invariants.INVARIANTS:
            change = invariants.Change(edge.settings, edge.before, decision, edge.event, edge.now)
            for broken in invariants.INVARIANTS[self.only](change):
                raise BrokenError(f"{self.only}: {edge.action}: {broken}")
        for law in self.laws:
            if self.only in ("", law.__name__):
                for broken in law(edge):
                    raise BrokenError(f"{law.__name__}: {edge.action}: {broken}")

    def _restarts(self, node: Node) -> Iterator[tuple[str, tuple[Any, ...]]]:
        """A new life sees only what is saved: tried once for each different memory."""
        memory = _memory(node)
        if memory in self._remembered:
            return
        self._remembered.add(memory)
        for shown in (*self.settings.names, "nothing", "strange"):
            yield f"restart {shown}", (Started((_shown(shown, self.settings, node.state),)),)

    def _actions(self, node: Node) -> Iterator[tuple[str, tuple[Any, ...]]]:
        for name in self.settings.names:
            for face, pages in FACES.items():
                yield f"{name} {face}", tuple(_looking(name, *page) for page in pages)
        yield "time passes", (Tick(), *_same_faces(node.state))
        if node.state.saved.move is not None or _behind(node.state):
            yield "verified", (Verified("x", node.state.saved.epoch),)
        yield from self._restarts(node)
        if node.state.saved.needs_resync:
            yield from (_synced(name, node.state) for name in sorted(node.state.saved.needs_resync))
        if self.people:
            yield from ((f"ask {text}", (command, Tick())) for text, command in commands(self.settings, node))


def _same_faces(state: State) -> Iterator[Callable[[float], ProbeResult]]:
    """Everybody as before, looked at again: no vote is stale (staleness has stories of its own)."""
    for name, sight in state.members.items():
        yield from (_looking(name, page, s.last.verdict, s.last.reason) for page, s in sight.pages.items() if s.last is not None)


def _behind(state: State) -> bool:
    return any(sight.verified != state.saved.epoch for sight in state.actuators.values())


def _looking(name: str, page: str, verdict: Verdict, reason: Reason) -> Callable[[float], ProbeResult]:
    return lambda now: ProbeResult(name, page, verdict, reason, now + 0.05, now + 0.1)


def _shown(what: str, settings: ServiceSettings, state: State) -> Shown:
    if what in settings.names:
        return Shown("x", (what,), epoch=None)
    return Shown("x", nothing=what == "nothing", detail=what)


def _synced(name: str, state: State) -> tuple[str, tuple[Any, ...]]:
    source = state.saved.active or ""
    return f"sync {name}", (lambda now: SyncSeen(name, source, now - 0.01, now),)


def commands(settings: ServiceSettings, node: Node) -> Iterator[tuple[str, ask.Command]]:
    """Every command with every argument that makes a difference."""
    who: dict[str, Any] = {"service": "core", "by": "ann", "reason": "test"}
    for name in settings.names:
        yield f"failover {name}", ask.Failover(to=name, **who)
        yield f"ack {name}", ask.Ack(member=name, **who)
    yield "force b", ask.Failover(to="b", force=True, accept=frozenset({"active-down", "re-synced", "candidate-standby"}), **who)
    yield "resume", ask.Resume(**who)
    yield "resume attested", ask.Resume(attest_synced=True, **who)
    yield "swap-roles", ask.SwapRoles(**who)
    yield "swap-roles attested", ask.SwapRoles(attest_synced=True, **who)
    yield "ack", ask.Ack(**who)
    yield "maintenance on", ask.MaintenanceOn(until=node.now + 500.0, **who)
    yield "maintenance off", ask.MaintenanceOff(**who)
    yield "hold", ask.SetHold(**who)
    yield "release", ask.Release(**who)
    yield "adopt", ask.Adopt(shown=(Shown("x", (node.state.saved.active or "a",)),), **who)
    yield "adopt b", ask.Adopt(member="b", shown=(Shown("x", ("b",)),), **who)
    for approval in node.state.saved.approvals:
        if not approval.denied:
            yield f"approve {approval.to}", ask.Approve(approval=approval.id, **who)
            yield f"deny {approval.to}", ask.Deny(approval=approval.id, **who)


def key(settings: ServiceSettings, node: Node) -> tuple[Any, ...]:
    """The projection: every instant becomes the answers that can still be asked of it."""
    state, saved, now = node.state, node.state.saved, node.now
    return (
        _memory(node),
        state.up_since is not None and now - state.up_since >= STEADY_S,
        bool(state.uninitialised),
        state.adopting,
        state.promoted,
        state.up_since is not None,
        state.never_promoted,
        state.rounds,
        state.looked if saved.rearming or state.adopting else None,
        state.blind_since is not None,
        _behind(state),
        tuple(_member(settings, node, name) for name in settings.names),
    )


def _memory(node: Node) -> tuple[Any, ...]:
    """The saved half."""
    saved, now = node.state.saved, node.now
    return (
        saved.active,
        saved.primary,
        tuple(sorted(saved.syncs_from.items())),
        saved.latched,
        saved.needs_resync,
        None if saved.lockout_until is None else now >= saved.lockout_until,
        saved.maintenance is not None and now < saved.maintenance.until,
        saved.rearming,
        saved.hold is not None,
        _move(saved),
        _incident(saved),
        frozenset((a.to, bool(a.denied), now >= a.expires) for a in saved.approvals),
    )


def _move(saved: Saved) -> Any:
    if saved.move is None:
        return None
    back = saved.move.restore
    return (saved.move.verb, back.active, back.latched, back.needs_resync, back.lockout_until is None)


def _incident(saved: Saved) -> Any:
    return None if saved.incident is None else frozenset(saved.incident.actives)


def _member(settings: ServiceSettings, node: Node, name: str) -> tuple[Any, ...]:
    """What can still be asked of one member: of its syncs only while it needs one, of its promotion only where `adopt` asks."""
    state, saved, now = node.state, node.state.saved, node.now
    sight = state.members.get(name)
    if sight is None:
        return ()
    active = state.members.get(saved.active or "")
    down_at = max((p.down_at for p in active.pages.values() if p.down_at is not None), default=None) if active else None
    judges = HASTATUS if name != saved.active and down_at is not None else ""
    pages = tuple(sorted((p, _page(s, down_at if p == judges else None)) for p, s in sight.pages.items()))
    adopts = settings.on_self_promoted == "adopt"
    return (
        pages,
        _sync(node, name) if name in saved.needs_resync else None,
        sight.unserving_since is not None if name == saved.active else None,
        adopts and sight.standby_seen is not None and now - sight.standby_seen <= settings.seen_window_s,
        adopts and sight.primary_since is not None and (saved.incident is None or sight.primary_since > saved.incident.began),
    )


def _sync(node: Node, name: str) -> tuple[bool, ...]:
    state, saved = node.state, node.state.saved
    sight, active = state.members[name], state.members.get(saved.active or "")
    quiet = active.unserving_since if active else None
    back = max((t for t in (sight.returned_at, saved.moved_at, sight.strayed) if t is not None), default=None)
    started = sight.sync_started if sight.sync_from == saved.active else None
    return (
        sight.standby_seen is not None and (sight.returned_at is None or sight.standby_seen >= sight.returned_at),
        started is not None and quiet is not None and started > max(quiet, sight.strayed or quiet),
        started is not None and back is not None and started > back,
    )


def _page(sight: PageSight, down_at: float | None) -> tuple[Any, ...]:
    last = sight.last
    if last is None:
        return ()
    return (
        sight.health,
        last.verdict,
        last.reason in SILENT,
        sight.down_at is not None,
        bool(sight.voided),
        down_at is None or last.started > down_at,
    )


__all__ = ["FACES", "Edge", "Explorer", "Law", "key", "replace", "settings_for"]
