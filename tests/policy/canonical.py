"""The canonical form of a state: two states of one form behave alike, so one of them stands for both.

Instants become the answers to the questions that the policy asks of them (is it over, is it newer than that); texts, counters, ids and the clock
go; what cannot be read any more before it is overwritten goes; and a pair is looked at with its primary in the first place. Each erasure has its
reason beside it, and `test_canonical.py` holds the whole against the policy: states of one form are given every event, and must answer alike.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from lbctl.model.settings import Role, ServiceSettings
from lbctl.model.state import MemberSight, Move, PageSight, Restore, Saved, State
from lbctl.policy import runs
from lbctl.policy.case import HASTATUS, STATUS


@dataclass(frozen=True, slots=True)
class Node:
    """A state with its instant."""

    state: State
    now: float


Form: TypeAlias = tuple[Any, ...]
Cargo: TypeAlias = tuple[int, int, int, bool]


class Canon:
    """The canonical forms of one service's states. Parts are numbered as they come, so that a form is a few small integers and quickly compared."""

    def __init__(self, settings: ServiceSettings, *, grasping: bool = True) -> None:
        """`grasping`: traffic may be given to a member that is down (`--force`, `adopt`)."""
        self.settings = settings
        self.grasping = grasping
        self.names = settings.names
        self.adopts = settings.on_self_promoted == "adopt"
        self.symmetric = _symmetric(settings)
        self._numbers: dict[Any, int] = {}

    def form(self, node: Node, *, cargo: bool = False) -> Form:
        """The whole state: memory, what this life believes, what it has seen of each member and of one relative to another. `cargo`: with it."""
        state, saved = node.state, node.state.saved
        order = self.order(saved)
        sights = [state.members.get(name) for name in order]
        parts = [self._number(self.memory(node, self.cargo(saved) if cargo else None)), self._number(self._life(node, order))]
        parts += [self._number(("m", self._sight(node, name, sight))) for name, sight in zip(order, sights, strict=True)]
        parts.append(self._number(("r", self._relations(node, order))))
        return tuple(parts)

    def _number(self, part: Any) -> int:
        return self._numbers.setdefault(part, len(self._numbers))

    def order(self, saved: Saved) -> tuple[str, ...]:
        """The members' places in a form. The two of a pair are alike but for their roles, so the primary's name does not matter."""
        if self.symmetric and saved.primary != self.names[0]:
            return self.names[::-1]
        return self.names

    def memory(self, node: Node, cargo: Cargo | None) -> Form:
        """The saved half: all that a restart can know."""
        saved = node.state.saved
        place = {name: at for at, name in enumerate(self.order(saved))}
        return (
            None if saved.active is None else place[saved.active],
            place[saved.primary],
            tuple(_place(place, self._source(saved, name)) for name in place),
            _mask(place, saved.latched),
            _mask(place, saved.needs_resync),
            # Over or running: time passes for all timers at once, so an end in sight and a steady active come with the same step.
            saved.lockout_until is not None,
            saved.maintenance is not None and node.now < saved.maintenance.until,
            saved.hold is not None,
            saved.rearming,
            cargo,
            self._incident(saved, place),
            # One is removed as it expires, in the same decision; a denied one stays as long as its incident.
            frozenset((place[a.to], bool(a.denied)) for a in saved.approvals),
            self._run(node, place),
            saved.mass,
            saved.drain is not None,
            saved.withheld,
        )

    def _source(self, saved: Saved, name: str) -> str | None:
        return saved.syncs_from.get(name, self.settings.member(name).syncs_from)

    def cargo(self, saved: Saved) -> Cargo | None:
        """What the cancelling of an open move would restore. Verb, trigger, by and reason are only told, and the instants of an earlier life are
        older than all of this one. It is carried: nothing but a restart, its being verified and an adoption look at it."""
        if saved.move is None:
            return None
        place, back = {name: at for at, name in enumerate(self.order(saved))}, saved.move.restore
        return (_place(place, back.active), _mask(place, back.latched), _mask(place, back.needs_resync), back.lockout_until is not None)

    def loaded(self, node: Node, cargo: Cargo) -> Node:
        """The state with an open move that would restore this."""
        order, saved = self.order(node.state.saved), node.state.saved
        named = [frozenset(name for at, name in enumerate(order) if mask >> at & 1) for mask in cargo[1:3]]
        back = Restore(order[cargo[0]], named[0], named[1], node.now + 50.0 if cargo[3] else None, node.now)
        move = Move("operator", "failover", back.active, saved.active or "", saved.epoch, node.now, "ann", "test", back)
        return Node(replace(node.state, saved=replace(saved, move=move)), node.now)

    @staticmethod
    def turned(cargo: Cargo) -> Cargo:
        """The same of a pair whose primary, and so the places, have changed on the way."""
        turned = (0, 2, 1, 3)
        return (1 - cargo[0], turned[cargo[1]], turned[cargo[2]], cargo[3])

    def _incident(self, saved: Saved, place: dict[str, int]) -> Any:
        """Who was active in it is asked by `adopt` alone. Else one is there to bind approvals, and opens at the latest with one."""
        return _mask(place, saved.incident.actives) if self.adopts and saved.incident is not None else None

    def _run(self, node: Node, place: dict[str, int]) -> Any:
        """How far a run on the Cores has come: before the move its steps differ in nothing that is decided."""
        run = node.state.saved.run
        if run is None:
            return None
        if run.kind not in runs.DRIVEN:
            return (run.kind, _place(place, run.target), runs.may_go_on(node.state) is not None)
        at = run.step if run.undoing else "after" if run.step == "move" else "before"
        return (at, _place(place, run.source), _place(place, run.target), runs.may_go_on(node.state) is not None)

    def _life(self, node: Node, order: tuple[str, ...]) -> Form:
        state, saved = node.state, node.state.saved
        counting = saved.rearming or bool(state.adopting)
        judged = self._judged(state)
        return (
            bool(state.uninitialised),
            # A member's place, or "*".
            order.index(state.adopting) if state.adopting in order else state.adopting,
            state.promoted if judged else None,
            # Only a lockout waits for a steady active, and every beginning of one begins this anew.
            state.up_since is not None if saved.lockout_until is not None else None,
            # Asked on the way back alone, which there is only where the active is not the primary; every move sets it anew.
            state.never_promoted if saved.active != saved.primary and not state.uninitialised else None,
            state.rounds if counting else None,
            frozenset((order.index(name), page) for name, _, page in (text.partition("/") for text in state.looked)) if counting else None,
            state.blind_since is not None,
            bool(state.unsaved),
        )

    @staticmethod
    def _judged(state: State) -> bool:
        """Whether it matters by which page the active is judged: an `adopt` or a restart, which alone end `uninitialised`, judge it anew."""
        return not state.uninitialised or state.saved.lockout_until is not None or bool(state.saved.approvals)

    def _sight(self, node: Node, name: str, sight: MemberSight | None) -> Any:
        if sight is None:
            return ()
        saved = node.state.saved
        return (
            tuple(_page(sight.pages.get(page)) for page in self.settings.monitor.pages),
            sight.unserving_since is not None,
            self._sync(node, sight) if name in saved.needs_resync else None,
            self._watched(node, name, sight) if self.adopts else None,
        )

    def _sync(self, node: Node, sight: MemberSight) -> tuple[bool, ...]:
        """What is known of its copy. Whoever comes to need a sync later comes so with a later instant than all known syncs and words (the move that
        took its traffic, its straying), so nothing is asked of those of others."""
        state, saved = node.state, node.state.saved
        active = state.members.get(saved.active or "")
        quiet = active.unserving_since if active else None
        moved = [t for t in (saved.moved_at, sight.returned_at) if t is not None]
        started = sight.sync_started if sight.sync_from == saved.active else None
        return (
            sight.standby_seen is not None and all(sight.standby_seen >= t for t in moved),
            started is not None and quiet is not None and started > max(quiet, sight.strayed or quiet, saved.moved_at or quiet),
            started is not None and bool(moved) and all(started > t for t in (*moved, sight.strayed or 0.0)),
        )

    def _watched(self, node: Node, name: str, sight: MemberSight) -> tuple[bool, ...]:
        """What `adopt` asks: seen as Standby lately, and Primary only since the outage began, this one or one of whoever is down by then."""
        state, saved = node.state, node.state.saved
        others = [x for x in self.order(saved) if x != name]
        pages = [_at(state, x, page) for x in others for page in (STATUS, HASTATUS) if page == HASTATUS or x == saved.active]
        began = [saved.incident.began if saved.incident is not None else None, *(page.first_bad if page else None for page in pages)]
        return (
            sight.standby_seen is not None and node.now - sight.standby_seen <= self.settings.seen_window_s,
            *(sight.primary_since is not None and since is not None and sight.primary_since > since for since in began),
        )

    def _relations(self, node: Node, order: tuple[str, ...]) -> Form:
        """For each member that is down and each other: was that one well at a look begun after the fall? That is `candidate-confirmed`, of the active
        now, and of others once they are the active: by force or adoption alone, for no other move takes a member that is down. Down by its status
        page is asked of a promoted active alone: who is promoted later has a good one by then."""
        state = node.state
        found = []
        for x in order:
            if x != state.saved.active and not self.grasping:
                continue
            pages = [HASTATUS, STATUS] if x == state.saved.active and state.promoted and self._judged(state) else [HASTATUS]
            for page in pages:
                fallen = _at(state, x, page)
                down_at = fallen.down_at if fallen is not None else None
                found.append(None if down_at is None else tuple(_after(_at(state, y, HASTATUS), down_at) for y in order if y != x))
        return tuple(found)


def _symmetric(settings: ServiceSettings) -> bool:
    """Two members that differ in name, role, address and direction of sync alone; all but the first are kept in memory and exchanged with it."""
    alike = {replace(m, name="", role=Role.PRIMARY, address={"": ()}, syncs_from=None).__repr__() for m in settings.members}
    return len(settings.members) == 2 and len(alike) == 1


def _place(place: dict[str, int], name: str | None) -> int:
    return place[name] if name else -1


def _mask(place: dict[str, int], names: Any) -> int:
    return sum(1 << place[name] for name in set(names))


def _at(state: State, name: str, page: str) -> PageSight | None:
    sight = state.members.get(name)
    return sight.pages.get(page) if sight is not None else None


def _after(sight: PageSight | None, fallen: float) -> bool:
    """Asked of good looks alone: a failing candidate is not confirmed, however new its failure."""
    return sight is not None and sight.last is not None and sight.last.good and sight.last.started > fallen


def _page(sight: PageSight | None) -> Any:
    """Counts are full at the first look (fall = rise = leak = 1), all looks are fresh: what is left is health, the last word, and doubts."""
    if sight is None or sight.last is None:
        return (sight is not None and sight.voided,)
    return (sight.health, sight.last.verdict, sight.last.reason, sight.down_at is not None, sight.voided)
