"""What state a service is in, in the contract's words, and what a human should know about (SEMANTICS section 5).

Conditions and alerts are levels: they hold or they do not, by what is believed now. `tell_edges` turns their coming and going into notes, once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lbctl.model.looks import Health, Reason
from lbctl.policy import doubt, failover, families, follow, gate, pool
from lbctl.policy.arming import HELD_LONG_S, WARN_BEFORE_S, unclean
from lbctl.policy.case import HASTATUS, Case
from lbctl.policy.turn import Turn


def _all_down(case: Case) -> bool:
    # Down and not merely unknown: a member that nobody has looked at yet may be well (H29).
    return case.active_down() and all(case.down(name) for name in case.others())


def _down(case: Case) -> bool:
    """The active is; of a pool, somebody who answers and may not leave."""
    if case.settings.kind == "pool":
        return bool(pool.stuck(case)) and any(pool.lost(case, name) for name in case.answering if name in case.settings.names)
    return case.active_down()


def _partial(case: Case) -> bool:
    ledgers = case.state.actuators.values()
    return case.state.started and any(item.verified < case.saved.epoch or item.drift for item in ledgers)


CONDITIONS: tuple[tuple[str, Callable[[Case], bool]], ...] = (
    ("uninitialised", lambda case: not case.state.started or bool(case.state.uninitialised)),
    ("blind", doubt.blind),
    ("common-mode", lambda case: doubt.common_mode(case) is not None),
    # While lbctl itself exchanges the roles both, or neither, say Primary for a moment: announced, and no alarm.
    ("stranded", lambda case: bool(doubt.stranded_by(case)) and not case.exchanging()),
    ("dual-primary", lambda case: bool(doubt.dual_primary(case)) and not case.exchanging()),
    ("all-down", _all_down),
    ("down", _down),
    # A maintenance that is on explains it already.
    ("re-arming", lambda case: case.saved.rearming and not case.in_maintenance()),
    ("partial", _partial),
    ("failed-over", lambda case: case.settings.kind == "failover" and bool(case.active) and case.active != case.saved.primary),
)
"""In the order in which `state` takes the first that holds. `down` is meant only where none of those before it explains it."""

STATES = (*(name for name, _ in CONDITIONS), "normal")
PAGED = frozenset({"uninitialised", "blind", "common-mode", "stranded", "dual-primary", "all-down", "down"})


def conditions(case: Case) -> tuple[str, ...]:
    """All that hold, most serious first; `normal` alone if none does."""
    held = [name for name, holds in CONDITIONS if holds(case)]
    # One name for one trouble: the others all say down, and more.
    if "down" in held and any(name in held for name in ("blind", "common-mode", "stranded", "dual-primary", "all-down")):
        held.remove("down")
    return tuple(held) or ("normal",)


def alerts(case: Case) -> Iterator[tuple[str, str, str]]:
    """(kind, member, sentence) of everything beside the conditions that somebody should know."""
    # Every alert is relative to an active: of a service that knows none, only `uninitialised` is told.
    if not case.active or case.state.uninitialised:
        return
    yield from _active_alerts(case)
    yield from _pool_alerts(case) if case.settings.kind == "pool" else _candidate_alerts(case)
    yield from _mode_alerts(case)
    yield from _family_alerts(case)
    yield from _path_alerts(case)
    yield from _identity_alerts(case)
    yield from _people_alerts(case)


def _active_alerts(case: Case) -> Iterator[tuple[str, str, str]]:
    promote_by = case.promote_by()
    if promote_by is not None and case.now >= promote_by:
        yield "TrafficOnUnpromoted", case.active, f"{case.active} has the traffic and has not become Primary"
    primary = case.saved.primary
    # Its own alert and not `dual-primary`: the state stays `failed-over`, nothing is frozen (SEMANTICS 3).
    if case.active != primary and primary in case.saved.latched and case.primary(primary) and not case.exchanging():
        yield "OldPrimaryReturned", primary, f"{primary} is back and still says Primary: clients with old answers may write there"
    # Forgotten here, the pair looks finished and has no failover (G-UP, step 9).
    if case.saved.run is not None and case.saved.run.kind == "upgrade" and case.saved.run.step == "8":
        yield "UpgradeUnfinished", case.active, "the upgrade lacks only its last step: `lbctl upgrade SERVICE next` re-enables failover"
    if case.saved.run is not None and case.saved.run.failed:
        yield "RunFailed", case.active, f"the {case.saved.run.kind} stopped at {case.saved.run.step}: {case.saved.run.failed}"


def eligible(case: Case, name: str) -> bool:
    """It could take over if the active failed now, an approval aside."""
    taken = name in case.saved.latched or name in case.saved.needs_resync
    # A copy that is too old says Standby like any other: nothing else would tell that the gate is shut to it (H1).
    return case.says_standby_up(name) and not taken and case.follows(name) and not gate.stale(case, name)


def _candidate_alerts(case: Case) -> Iterator[tuple[str, str, str]]:
    if why := follow.not_possible(case):
        yield "FollowNotPossible", "", why
    # Not at a start: the first looks would page everybody for something that nobody knows yet (H29).
    looked = all(case.judged(name).health is not Health.UNKNOWN for name in case.others())
    if looked and not any(eligible(case, name) for name in case.others()):
        yield "NoEligibleStandby", "", "no member could take over now"
    for name in case.others():
        if case.rogue(name):
            yield "Rogue", name, f"{name} says Primary though it follows {case.syncs_from(name)}"
        # A latched one is expected to be down; `NoEligibleStandby` and `failed-over` tell of it.
        if case.down(name) and name not in case.saved.latched:
            yield "StandbyDown", name, f"{name} does not answer as a standby"


def _pool_alerts(case: Case) -> Iterator[tuple[str, str, str]]:
    at = pool.site(case)
    if at and not any(case.member(name).site == at for name in case.answering if name in case.settings.names):
        yield "FollowNotPossible", "", f"{case.settings.follows} is at {at}, and no member there is up"
    short = pool.short(case)
    for name in case.settings.names:
        if name in short:
            yield "PoolShort", name, f"{name} is down and stays in the answer: fewer than the minimum share are up"
        elif case.down(name):
            yield "MemberDown", name, f"{name} is down{' and out of the answer' if name not in case.answering else ''}"


def _mode_alerts(case: Case) -> Iterator[tuple[str, str, str]]:
    for name in case.settings.names:
        look = case.look(name, HASTATUS) if case.modes else None
        if look is not None and look.reason is Reason.UNKNOWN_MODE:
            yield "UnknownMode", name, f"{name} says a mode that is none: {look.detail}"
    # The failed condition is the text: what is not adopted must say why, or nobody can trust the setting (H7).
    name, why = failover.not_adopted(case)
    if name:
        yield "SelfPromotedNotAdopted", name, f"{name} promoted itself and was not adopted: {why}"
    # A latched one in this constellation is a return by hand, and `resume` is open for it (SEMANTICS 3, i).
    swapped = [name for name in case.others() if case.primary(name) and case.serves(name) and name not in case.saved.latched]
    if swapped and case.standby(case.active) and not case.exchanging():
        yield "RolesSwappedOutside", swapped[0], f"{swapped[0]} says Primary and {case.active} Standby: roles were swapped on the servers"


def _family_alerts(case: Case) -> Iterator[tuple[str, str, str]]:
    """H22: what clients of one family do without, or would do without after a move."""
    for key in sorted(case.saved.withheld):
        name, _, family = key.partition("/")
        # What was withheld of a member that is gone, or is not looked at by family any more, is told no longer.
        if name in case.settings.names and families.looked_at(case.settings, name):
            yield "FamilyWithheld", name, f"{families.NAMES[family]} of {name} does not answer and is not published"


def _path_alerts(case: Case) -> Iterator[tuple[str, str, str]]:
    """H5: what we see is not what clients see."""
    for name in case.settings.names:
        apart = case.ways_apart(name)
        # Clients are cut off now: that pages. The other disagreements are about what might be.
        if apart == (True, False) and name in case.answering:
            yield "ClientPathDown", name, f"{name} answers directly and not by the path that its clients take: nothing moves for that alone"
        elif apart is not None:
            where = "directly and not by the clients' path" if apart[0] else "by the clients' path and not directly"
            yield "PathsDisagree", name, f"{name} answers {where}"


def _identity_alerts(case: Case) -> Iterator[tuple[str, str, str]]:
    """H17: a look that was answered by somebody else."""
    for name in case.settings.names:
        # Read from the marks: the looks themselves count for nothing and leave no verdict.
        marks = [page.voided for page in case.sight(name).pages.values() if page.voided.startswith(doubt.MISTAKEN)]
        if marks:
            yield "WrongServer", name, f"what answers for {name} is another member ({marks[0]}): its looks count for nothing"


def _judged(case: Case) -> bool:
    """Somebody who answers has been looked at often enough since counting began anew; a stall must not keep that from ever being said."""
    return any(case.judged(name).health is not Health.UNKNOWN or case.judged(name).voided for name in case.answering)


def _people_alerts(case: Case) -> Iterator[tuple[str, str, str]]:
    saved = case.saved
    for approval in saved.approvals:
        if not approval.denied:
            yield "ApprovalPending", approval.to, f"{approval.id}: may traffic move to {approval.to}? `lbctl approve {approval.id}`"
    span = saved.maintenance
    if span is not None and case.in_maintenance() and span.until - case.now <= WARN_BEFORE_S:
        yield "MaintenanceEnding", "", f"maintenance by {span.by} ends in 15 minutes or less"
    if saved.rearming and not case.in_maintenance() and _judged(case) and unclean(case):
        yield "NotArmed", "", f"not armed: {unclean(case)}"
    if saved.hold is not None and case.now - saved.hold.since >= HELD_LONG_S:
        yield "HeldLong", "", f"held by {saved.hold.by} for more than 8 hours: {saved.hold.reason}"
    if saved.mass == "held":
        yield "MassMoveHeld", "", "many services want to move at once: `lbctl release` once you know why"
    if case.state.unsaved:
        yield "NotSaved", "", f"decisions cannot be saved, so none is taken: {case.state.unsaved}"


UNTOLD = frozenset({"normal", "partial"})
"""Conditions without notes of their own: every move is partial for a moment, and what lasts is told by the actuator that fails."""

MUTED_IN_MAINTENANCE = frozenset({"dual-primary", "NoEligibleStandby", "StandbyDown", "Rogue", "RolesSwappedOutside", "OldPrimaryReturned"})
"""What a maintenance explains; never "the active is down" (SEMANTICS section 7)."""

PAGED_ALERTS = frozenset(
    {
        "TrafficOnUnpromoted",
        "SelfPromotedNotAdopted",
        "OldPrimaryReturned",
        "Rogue",
        "UnknownMode",
        "RolesSwappedOutside",
        "ApprovalPending",
        "NotArmed",
        "MassMoveHeld",
        "NotSaved",
        "RunFailed",
        "UpgradeUnfinished",
        "WrongServer",
        "ClientPathDown",
        "PoolShort",
    }
)


def tell_edges(turn: Turn, held: tuple[str, ...]) -> None:
    """Notes for what has begun and what is over, once each. `held`: the conditions of now."""
    case = turn.case
    quiet = MUTED_IN_MAINTENANCE if case.in_maintenance() else frozenset()
    # Muted only for as long as this life drives it; a run that fails ends `exchanging`, and all of it is told.
    if case.exchanging():
        quiet |= MUTED_IN_MAINTENANCE | {"down", "all-down"}  # the announced gap; what goes wrong in it is a failed run, and that pages
    holds = {f"{kind}:{member}": (kind, member, text) for kind, member, text in alerts(case)}
    holds |= {f"{name}:": (name, "", f"{case.settings.name} is {name}") for name in held if name not in UNTOLD}
    present = {key: told for key, told in holds.items() if told[0] not in quiet}
    # Marks of `_would` and of holds: told once as well, but with no "over" of their own.
    kept = {key for key in turn.state.noted if key.startswith("!")}
    known = turn.state.noted - kept
    # Sorted, so that the same decision writes the same journal.
    for key in sorted(present.keys() - known):
        kind, member, text = present[key]
        # A first start counts its rounds and needs nobody; it pages only where it will wait for `adopt`.
        first_days = kind == "uninitialised" and bool(case.state.adopting)
        turn.note(kind, text, member=member, page=kind in PAGED_ALERTS or (kind in PAGED and not first_days))
    # What is muted is not over.
    muted = frozenset(known & holds.keys() - present.keys())
    for key in sorted(known - present.keys() - muted):
        kind, _, member = key.partition(":")
        turn.note(f"{kind}-over", f"no longer {kind}{f': {member}' if member else ''}", member=member)
    if present.keys() | muted != known:
        turn.set(noted=frozenset(present) | muted | kept)
