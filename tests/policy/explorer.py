"""Every reachable state of one service, breadth first, over the product's own `decide`.

From each state every action of `acts` is tried: members show their faces, time passes, the controller restarts, syncs and steps on the Cores are
heard of, every command is given. After each decision all invariants and laws are asked. States of one canonical form (`canonical`) count as one.

Held, in maintenance, under an upgrade. In every state a person may stop all automatic moves and let them go again, and neither changes anything
else; so whatever is reachable at all is reachable stopped, and the other way round. The search therefore keeps states that are not stopped, and
does again under each stop the actions in which something happened by itself: those are all that can end elsewhere (`STOPS`). That a stop changes
nothing else is checked by `test_canonical.py`, and with `apart=True` the search keeps the stops apart and must find the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from lbctl.model import commands as ask
from lbctl.model.commands import Shown
from lbctl.model.decision import Decision
from lbctl.model.events import Around, Event, Started, Tick, Verified
from lbctl.model.looks import ProbeResult
from lbctl.model.settings import ProbeSettings, ServiceSettings
from lbctl.model.state import Hold, Maintenance, Run, Saved, State
from lbctl.policy import begin, invariants
from lbctl.policy.decide import decide
from tests.policy import acts
from tests.policy.acts import FACES, LONG, PEOPLE, STEP, Action
from tests.policy.canonical import Canon, Cargo, Form, Node
from tests.policy.stage import T0, chain, pair

QUICK = ProbeSettings(profile="model", interval_s=1.0, fast_interval_s=1.0, timeout_s=1.0, fall=1, rise=1, leak=1, min_outage_s=0.0)
TIMES = {"lockout_s": 100.0, "approval_expires_s": 100.0, "seen_window_s": 100.0, "rearm_rounds": 1, "promote_timeout_s": 100.0}
STEADY_AROUND = Around(proofs=1, watched=1)


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


def held(node: Node) -> State:
    return replace(node.state, saved=replace(node.state.saved, hold=Hold("ann", "test", node.now)))


def maintained(node: Node) -> State:
    return replace(node.state, saved=replace(node.state.saved, maintenance=Maintenance("ann", "test", node.now, node.now + 2 * LONG)))


def upgrading(node: Node) -> State:
    run = node.state.saved.run or Run("core-r0", "upgrade", "begin", "ann", "test", node.now)
    return replace(node.state, saved=replace(node.state.saved, run=run))


def rearming(node: Node) -> State:
    saved = replace(node.state.saved, rearming=True)
    return replace(node.state, saved=saved, **({} if node.state.adopting else {"rounds": 0, "looked": frozenset()}))


def let_go(state: State) -> State:
    """The same state, and nothing stops it."""
    saved = state.saved
    upgrade = saved.run is not None and saved.run.kind == "upgrade"
    if saved.hold is None and saved.maintenance is None and not saved.rearming and not upgrade:
        return state
    saved = replace(saved, hold=None, maintenance=None, rearming=False, run=None if upgrade else saved.run)
    return replace(state, saved=saved, **({} if state.adopting else {"rounds": 0, "looked": frozenset()}))


STOPS: dict[str, Callable[[Node], State]] = {"hold": held, "maintenance": maintained, "re-arming": rearming, "upgrade": upgrading}


def settings_for(members: int, *, driven: bool = False, **more: Any) -> ServiceSettings:
    """Two members: a pair; three: a pair and a DR Core behind it."""
    made = (pair if members == 2 else chain)(QUICK, **{**TIMES, **more})
    return replace(made, members=tuple(replace(m, driven=driven) for m in made.members))


def first(settings: ServiceSettings) -> Node:
    """The primary is active and remembered, nothing has been seen."""
    saved = Saved("core", epoch=1, active="a", primary="a", file_primary="a")
    return Node(begin(settings, saved, 1), T0)


@dataclass(slots=True)
class Place:
    """One canonical form: a state of it, the open moves that it is reached with (None: with none), and where it leads with these still open."""

    node: Node
    tried: bool = False
    carried: set[Cargo | None] = field(default_factory=lambda: {None})
    passed: set[Cargo | None] = field(default_factory=set)
    onward: set[tuple[int, bool]] = field(default_factory=set)


class Explorer:
    """The search itself. `places` are the forms found, `decisions` how often the policy was asked."""

    def __init__(
        self,
        settings: ServiceSettings,
        laws: tuple[Law, ...],
        state_laws: tuple[Law, ...] = (),
        *,
        people: frozenset[str] = PEOPLE,
        apart: bool = False,
        around: Around = STEADY_AROUND,
        faces: dict[str, Any] | None = None,
        decides: Decide = decide,
        only: str = "",
    ) -> None:
        self.settings = settings
        self.canon = Canon(settings, grasping=not people.isdisjoint({"force", "adopt"}))
        self.laws = laws
        self.state_laws = state_laws
        self.people = people
        self.apart = apart
        self.around = around
        self.faces = faces or FACES
        self.decides = decides
        self.only = only
        self.decisions = 0
        self.places: list[Place] = []
        self.met: Callable[[Node, Node], None] = lambda known, again: None
        self._numbers: dict[Form, int] = {}
        self._queue: deque[int] = deque()
        self._remembered: set[Form] = set()
        self.by_itself: list[tuple[Node, Event]] = []
        self._faced: tuple[Node | None, dict[Any, tuple[Node, list[tuple[Node, Event]]]]] = (None, {})

    def start(self) -> Node:
        """The primary is active, remembered and published; nothing has been seen."""
        return self._hear(first(self.settings), Started((Shown("x", ("a",), epoch=1),)), "start")

    def run(self, *, limit: int | None = None) -> int:
        """Explores all of it, or about the first `limit` forms; returns how many states were found. Raises on the first broken invariant or law."""
        self._reach("start", self.start())
        while self._queue and (limit is None or len(self.places) < limit):
            here = self.places[self._queue.popleft()]
            if not here.tried:
                here.tried = True
                for name, reached in self.successors(here.node):
                    self._reach(name, reached, here)
            for cargo in sorted(here.carried - here.passed, key=repr):
                self._pass_on(here, cargo)
        return sum(len(place.carried) for place in self.places)

    @property
    def ended(self) -> bool:
        """Nothing is left to be tried."""
        return bool(self.places) and not self._queue

    @property
    def waiting(self) -> int:
        """How many places have more to give, as far as is known."""
        return len(self._queue)

    def _reach(self, action: str, reached: Node, source: Place | None = None) -> None:
        """One more way to a state, perhaps the first; an open move goes with it, a new one or the one of the place before."""
        state = reached.state if self.apart else let_go(reached.state)
        cargo = None if self.apart else self.canon.cargo(state.saved)
        if cargo is not None:
            state = replace(state, saved=replace(state.saved, move=None))
        node = Node(state, reached.now)
        form = self.canon.form(node, cargo=self.apart)
        at = self._numbers.setdefault(form, len(self.places))
        if at == len(self.places):
            self.places.append(Place(node))
            self._queue.append(at)
            self.is_lawful(action, reached)
        else:
            self.met(self.places[at].node, node)
        self._load(at, cargo)
        if source is not None and cargo is None and not action.startswith("adopt"):
            source.onward.add((at, self.canon.order(source.node.state.saved) != self.canon.order(state.saved)))

    def _load(self, at: int, cargo: Cargo | None) -> None:
        if cargo not in self.places[at].carried:
            self.places[at].carried.add(cargo)
            self._queue.append(at)

    def _pass_on(self, here: Place, cargo: Cargo | None) -> None:
        """An open move is carried to wherever this place leads; and a new life may begin with it, which sees only what is saved."""
        here.passed.add(cargo)
        if cargo is not None:
            for at, turned in here.onward:
                self._load(at, self.canon.turned(cargo) if turned else cargo)
        node = here.node if cargo is None else self.canon.loaded(here.node, cargo)
        memory = self.canon.memory(node, self.canon.cargo(node.state.saved))
        if memory not in self._remembered:
            self._remembered.add(memory)
            for name, reached in self._restarted(node):
                self._reach(name, reached)
            self._hear(node, Verified("x", node.state.saved.epoch), "verified")

    def successors(self, node: Node) -> Iterator[tuple[str, Node]]:
        """Every action but a restart, and where it leads; those that change nothing are left out."""
        order = self.canon.order(node.state.saved)
        for action in self.actions(node, order):
            yield from self._tried(node, action)

    def actions(self, node: Node, order: tuple[str, ...]) -> Iterator[Action]:
        yield from acts.looks(node, order, self.faces)
        yield from acts.outside(node, order)
        yield from acts.commands(node, order, self.people)
        yield from acts.stops_apart(node, self.people) if self.apart else acts.stops(node, self.people)

    def _tried(self, node: Node, action: Action) -> Iterator[tuple[str, Node]]:
        self.by_itself = []
        reached = self.act(node, action)
        if reached is not node:
            yield action[0], reached
        if self.by_itself and "stop" in self.people and not self.apart:
            for stop, stopped in STOPS.items():  # each must hold the very event back
                for before, event in tuple(self.by_itself) if stop != "hold" else ():
                    if stop != "upgrade" or before.state.saved.run is None:
                        self._hear(Node(stopped(before), before.now), event, f"{action[0]} under {stop}")
            yield f"{action[0]} under hold", self.act(Node(held(node), node.now), action)

    def act(self, node: Node, action: Action) -> Node:
        """All events of one action. A command that changed nothing is followed by nothing; every other by the `Tick` that it asks for."""
        name, events = action
        reached = node
        for happening in events:
            event = happening(reached.now + STEP) if callable(happening) else happening
            after = self._looked_at(node, event, name) if reached is node and isinstance(event, ProbeResult) else self._hear(reached, event, name)
            if isinstance(event, ask.Command) and unchanged(reached.state, after.state):
                continue
            reached = after
        if reached is not node and isinstance(event, ask.Command):
            reached = self._hear(reached, Tick(), name)
        return reached

    def _looked_at(self, node: Node, look: ProbeResult, action: str) -> Node:
        """The first look of a face; faces that begin alike share it."""
        if self._faced[0] is not node:
            self._faced = (node, {})
        known, face = self._faced[1], (look.member, look.page, look.verdict, look.reason)
        if face not in known:
            before = len(self.by_itself)
            known[face] = (self._hear(node, look, action), self.by_itself[before:])
        else:
            self.by_itself += known[face][1]
        return known[face][0]

    def _restarted(self, node: Node) -> Iterator[tuple[str, Node]]:
        for name, saved, event in acts.restarts(node, self.canon.order(node.state.saved)):
            life = Node(begin(self.settings, saved, node.state.revision), node.now + 1)
            yield name, self._hear(life, event, name)

    def _hear(self, node: Node, event: Event, action: str) -> Node:
        self.decisions += 1
        now = event.ended if isinstance(event, ProbeResult) else node.now + STEP
        if action.startswith("time passes") and isinstance(event, Tick):
            now += LONG
        decision = self.decides(self.settings, node.state, event, now, self.around)
        after = decision.state
        self._judge(Edge(self.settings, action, node.state, after, event, now, decision.reply), decision)
        if after.saved is not node.state.saved and not isinstance(event, ask.Command | Started):
            old, new = node.state.saved, after.saved
            if new.active != old.active or len(new.approvals) > len(old.approvals):
                self.by_itself.append((node, event))
        return Node(after, now)

    def is_lawful(self, action: str, node: Node) -> None:
        """The laws of states, asked of each as it is first reached."""
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


TOLD = frozenset({"reason", "wake_at", "noted"})
BELIEVED = tuple(field for field in State.__dataclass_fields__ if field not in TOLD)


def unchanged(before: State, after: State) -> bool:
    """Nothing but what is told is different."""
    return all(getattr(before, field) is getattr(after, field) for field in BELIEVED)
