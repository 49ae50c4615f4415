"""What lbctl believes of one service: what is saved, and what is only seen.

`Saved` survives everything: it is written durably before any action. `Sight` is what the looks of this life have shown; a restart begins
it anew, because nothing may move before real looks (H29). Both are frozen; a decision makes new ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lbctl.model.looks import Health, ProbeResult


@dataclass(frozen=True, slots=True)
class Maintenance:
    """Automatic moves off, measuring on, with an end. All times steady seconds."""

    by: str
    reason: str
    since: float
    # Steady seconds like everything here: a wall clock that is set back must not prolong it (H30).
    until: float


@dataclass(frozen=True, slots=True)
class Hold:
    """Automatic moves stopped by a person until released."""

    by: str
    reason: str
    since: float


@dataclass(frozen=True, slots=True)
class Incident:
    """From the active's going down until an active member serves again. `actives` were active in it; `began` is the first failed look's start."""

    id: str
    began: float
    # All of them: `adopt` must not return to who lost the traffic in the same incident.
    actives: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Approval:
    """One proposed move, bound to its incident; `rules` are what only a human may say yes to.

    `denied` names who said no: it stays so until the incident ends. `first_yes` is the first of two, where a second person is wanted; `command` is
    then what the first one asked for, and such an approval belongs to no incident.
    """

    id: str
    to: str
    asked: float
    expires: float
    incident: str
    # For people to read: at the yes, the rows of an operator's move are judged again, whatever was asked (H10).
    rules: tuple[str, ...]
    reason: str
    first_yes: str = ""
    denied: str = ""
    command: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Restore:
    """What a move had set, so that its cancellation can put it back."""

    active: str
    # Both sets whole: what a move added cannot be told from what was there before it.
    latched: frozenset[str]
    needs_resync: frozenset[str]
    lockout_until: float | None
    moved_at: float | None


@dataclass(frozen=True, slots=True)
class Move:
    """A saved move that is not yet seen from outside everywhere. `trigger` is auto, operator or adopt (the metric's words). `ttl_s`: how long
    caches may hold the answer before it."""

    trigger: str
    verb: str
    source: str
    target: str
    epoch: int
    at: float
    by: str
    reason: str
    # Kept with the move until it is seen from outside: a restart may find that nobody ever saw it (SEMANTICS 6).
    restore: Restore
    ttl_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Drain:
    """A planned move that waits until caches have let go of the old TTL. `until`: when they have; None while the TTL is being lowered.

    `moving`: its time has come, and what it asked for is under way.
    """

    verb: str
    target: str
    by: str
    reason: str
    drive: bool
    attested: bool
    began: float
    until: float | None = None
    moving: bool = False


@dataclass(frozen=True, slots=True)
class Farewell:
    """The member that a planned move has left, and until when caches may still send clients to it."""

    member: str
    until: float


@dataclass(frozen=True, slots=True)
class Run:
    """Something in several steps on the Cores: a driven way back or switchover, a promotion, an upgrade. Saved after every step.

    `step` is the last one that ended ("begin" before the first), `doing` the one under way, `failed` why it stopped there; `undoing`: a step before
    the move failed and the active is being given its role back.
    """

    id: str
    kind: str
    step: str
    by: str
    reason: str
    began: float
    source: str = ""
    target: str = ""
    # Says that a hand may be on a Core right now: a second one must not begin.
    doing: str = ""
    failed: str = ""
    undoing: bool = False
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Saved:
    """The durable half. `active` None: not yet known (uninitialised). `file_primary` is what the file said when its roles were last taken.

    `withheld`: families that are not published though their member has an address there ("core-a/6"), because that path is dead (H22).
    `answering`: the members that a pool answers with; a failover service answers with its active alone. `unfollowed`: the site of the followed
    service at which a person moved this one elsewhere; it is not followed there.
    """

    service: str
    epoch: int = 0
    # Of all this the one thing that clients feel: lost, it is read from what is published and never guessed (H25).
    active: str | None = None
    primary: str = ""
    # Beside `primary`: only so can a changed file be told from roles that were swapped by command (H38).
    file_primary: str = ""
    syncs_from: Mapping[str, str | None] = field(default_factory=dict)
    # Saved, because no restart, reload or upgrade may give traffic back by itself (G-LB4).
    latched: frozenset[str] = frozenset()
    # Apart from the latch: it is about data, and no unlatching makes them right.
    needs_resync: frozenset[str] = frozenset()
    moved_at: float | None = None
    # Saved, or a restart would give a flapping pair one more move (H6).
    lockout_until: float | None = None
    maintenance: Maintenance | None = None
    # Saved, or a restart in the middle would arm a pair that nobody has seen clean (H33).
    rearming: bool = False
    hold: Hold | None = None
    mass: str = ""
    incident: Incident | None = None
    approvals: tuple[Approval, ...] = ()
    move: Move | None = None
    run: Run | None = None
    drain: Drain | None = None
    farewell: Farewell | None = None
    answering: tuple[str, ...] = ()
    withheld: frozenset[str] = frozenset()
    # Saved, or a restart would undo what a person moved.
    unfollowed: str = ""
    counter: int = 0


@dataclass(frozen=True, slots=True)
class PageSight:
    """One page of one member over time.

    `first_bad` is the start of the first failed look since the last good one, `last_bad` the start of the last *counted* one: looks started
    less than `timeout` apart count as one. `down_at` is the end of the look that completed the outage (`fall` or leak, and `min_outage`).
    `voided` is why the newest look counts for nothing; a real look clears it. `ways` is the same for "4", "6", "direct" or "client" alone,
    where the member is looked at over several (H5, H22).
    """

    # Unknown is not down: nothing may follow from looks that were never made (H29).
    health: Health = Health.UNKNOWN
    good_run: int = 0
    bad_run: int = 0
    # Slow flapping gathers here; `bad_run` alone never would (H6).
    leak: int = 0
    first_bad: float | None = None
    last_bad: float | None = None
    down_at: float | None = None
    last: ProbeResult | None = None
    since: float | None = None
    # Beside `last`, not in it: a void look must not take the place of the real one before it.
    voided: str = ""
    ways: tuple[tuple[str, PageSight], ...] = ()

    def way(self, way: str) -> PageSight | None:
        """The history over one address family or path; None where it was never looked at by itself."""
        return next((sight for name, sight in self.ways if name == way), None)


@dataclass(frozen=True, slots=True)
class MemberSight:
    """What the looks of this life have shown of one member. Times are steady seconds.

    `returned_at`: the first good look after it was away; `standby_seen`: last time it said Standby; `primary_since`: the first look of its
    present run of Primary; `strayed`: last time it said Primary beside a serving active, which voids every sync before;
    `unserving_since`: since when every look at its status page failed, so that nobody writes there;
    `sync_*`: its last known good sync, `sync_unknown` why none is known.
    """

    pages: Mapping[str, PageSight] = field(default_factory=dict)
    returned_at: float | None = None
    # An instant and no flag: `adopt` trusts only what was seen lately (H7).
    standby_seen: float | None = None
    primary_since: float | None = None
    # An instant too: a sync from before it is void even if a source tells of it later (H9).
    strayed: float | None = None
    unserving_since: float | None = None
    sync_from: str = ""
    sync_started: float | None = None
    sync_completed: float | None = None
    sync_unknown: str = ""


@dataclass(frozen=True, slots=True)
class ActuatorSight:
    """The ledger of one actuator: what it took and what was read back. `since`: since when it is behind."""

    applied: int = 0
    # Applied is the server's word, verified is what it answers; only this one ends a move (H40).
    verified: int = 0
    error: str = ""
    error_reason: str = ""
    drift: str = ""
    since: float | None = None


@dataclass(frozen=True, slots=True)
class State:
    """All that is believed of one service.

    `uninitialised` says why the active is not known; `adopting` is the member whose clean rounds are being counted ("*": whoever shows itself).
    `promoted`: the active has shown Primary and a good status page since the move and in this life; `up_since`: promoted and up since then.
    `never_promoted`: since the move the active was read Standby with a failing status page at every look, without a gap in watching.
    `rounds` / `looked`: clean rounds so far, and whom this round has seen. `judged_from`: looks started before this count for nothing.
    `asked`: the outage (`down_at`) for which a confirming look was asked of a member. `versions`: software versions where known.
    `noted`: what was already told, so that it is told once.
    `began`: when this life began; the time an active has to become Primary counts from the later of that and the move.
    `drained`: until when caches may hold what each actuator gave before its TTL was lowered.
    `torn`: what was wrong with the memory that this life began with, where an older copy of it could be used (H26).
    `driving`: the open run that somebody asked for in this life; after a restart a run waits until it is asked for again.
    """

    saved: Saved
    revision: int = 0
    members: Mapping[str, MemberSight] = field(default_factory=dict)
    actuators: Mapping[str, ActuatorSight] = field(default_factory=dict)
    started: bool = False
    began: float | None = None
    uninitialised: str = ""
    adopting: str = ""
    shown: Mapping[str, str] = field(default_factory=dict)
    # Of this life: after a restart the pages must say it again before the status page may judge.
    promoted: bool = False
    up_since: float | None = None
    never_promoted: bool = False
    rounds: int = 0
    looked: frozenset[str] = frozenset()
    # A border in time and no flag: looks that are under way now end on the wrong side of it.
    judged_from: float = 0.0
    blind_since: float | None = None
    # By outage and not by time: a second fall wants a second look.
    asked: Mapping[str, float] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    # Of this life too: after a restart what still holds is told once more, and somebody may need it.
    noted: frozenset[str] = frozenset()
    reason: str = ""
    # Of this life: nobody may find out after a crash that a half-done run went on by itself.
    driving: str = ""
    drained: Mapping[str, float] = field(default_factory=dict)
    wake_at: float | None = None
    unsaved: str = ""
    torn: str = ""
