"""The ways back: resume, swap-roles, unlatching, and what each is missing (SEMANTICS section 3).

`resume` is the guide's Manual Resume (G-LB4) and is accepted in three situations and no other: (i) the roles were returned by hand and the primary
is re-synced; (ii) lbctl drives the Cores through the return; (iii) the active was never promoted, so nothing was written on its side.
What is missing is answered by name, never guessed around.
"""

from __future__ import annotations

from dataclasses import replace

from lbctl.model.commands import Code, Command
from lbctl.model.decision import RuleResult
from lbctl.model.state import Run
from lbctl.policy import doubt, drain, resync
from lbctl.policy.case import STATUS, Case
from lbctl.policy.gate import aged, told
from lbctl.policy.seen import put
from lbctl.policy.turn import Turn


def _lack(rule: str, evidence: str, opens: str) -> RuleResult:
    return RuleResult(rule, False, evidence, opens)


def _pages(case: Case, name: str) -> str:
    return ", ".join(f"{name} {page}: {told(case.page(name, page).last)}{aged(case, name, page)}" for page in case.settings.monitor.pages)


def missing(case: Case, *, drive: bool, attested: bool) -> RuleResult | None:
    """The first fact that a resume lacks; None where it may go."""
    primary, active = case.saved.primary, case.active
    if primary == active:
        return _lack("already-primary", f"{primary} is the primary and has the traffic", "nothing to do")
    if case.run_open():
        return _lack("not-held", "a run is open on the Cores", "finish or abort it")
    # Before the three ways: with two that take writes, moving traffic chooses whose writes are lost (H8).
    if doubt.dual_primary(case):
        return _lack("not-dual-primary", f"{' and '.join(doubt.dual_primary(case))} say Primary", "one of them is set to secondary")
    if not case.modes:
        # Without modes there is nothing to be promoted and no copy to be behind: being up is all that there is to ask.
        return None if case.says_standby_up(primary) else _lack("primary-serving", _pages(case, primary), f"{primary} answers")
    if never_promoted(case) or by_hand(case, attested):
        return None
    # What is missing is told for the way that was asked for, also where another one is nearer.
    return _drive_missing(case) if drive else _by_hand_missing(case)


def never_promoted(case: Case) -> bool:
    """Way (iii): the active stayed a Standby that served nobody, watched without a gap, and the primary serves as Primary."""
    # The memory of every look and the look of now: the last one may have changed since the last decision.
    return case.state.never_promoted and _primary_serving(case) and case.standby(case.active) and _not_serving(case, case.active)


def _primary_serving(case: Case) -> bool:
    return case.serves(case.saved.primary) and case.primary(case.saved.primary)


def _not_serving(case: Case, name: str) -> bool:
    look = case.look(name, STATUS)
    return look is not None and not look.good


def by_hand(case: Case, attested: bool) -> bool:
    """Way (i): the primary serves as Primary, the active says Standby, and the primary is re-synced."""
    return _primary_serving(case) and case.standby(case.active) and _synced(case, attested)


def _synced(case: Case, attested: bool) -> bool:
    # The flag and not the sync itself: what voids a proof later sets the flag again.
    return attested or case.saved.primary not in case.saved.needs_resync


def _by_hand_missing(case: Case) -> RuleResult:
    primary, active = case.saved.primary, case.active
    if not _primary_serving(case):
        driven = case.member(primary).driven and case.member(active).driven
        or_driven = f", or `lbctl resume {case.settings.name} --drive`" if driven else ""
        opens = f"`failover mode primary` on {primary} once it is synced{or_driven}"
        return _lack("primary-serving", _pages(case, primary), f"{primary} says status OK and Mode: Primary ({opens})")
    if not case.standby(active):
        return _lack("active-standby", _pages(case, active), f"`failover mode secondary` on {active}, after {primary} is synced from it")
    opens = f"a sync of {primary} from {active} after its last write, or --attest-synced --reason …"
    return _lack("re-synced", resync.evidence(case, primary), opens)


def _drive_missing(case: Case) -> RuleResult | None:
    """Way (ii): the primary says Standby, the active says Primary, and lbctl has a hand on both."""
    primary, active = case.saved.primary, case.active
    # A latched primary is not in `dual_primary`, and demoting the active would leave the writes of two sides.
    if case.primary(primary) and case.primary(active):
        return _lack("not-dual-primary", f"{primary} and {active} both say Primary", f"`failover mode secondary` on {primary}")
    # The drive syncs from the active: from one that was never promoted it would overwrite the newer copy with an older.
    if not case.standby(primary) or not case.primary(active):
        evidence = f"{_pages(case, primary)}; {_pages(case, active)}"
        return _lack("primary-serving", evidence, f"{primary} says Standby and {active} says Primary")
    # Both or none: a return that lbctl could only half do ends with two Standbys.
    bare = [name for name in (primary, active) if not case.member(name).driven]
    return _lack("drive-configured", f"no drive: for {' and '.join(bare)}", "a `drive:` entry for each of the two") if bare else None


def undrivable(turn: Turn, kind: str, source: str, target: str, wanted: bool) -> bool:
    """Refuses where lbctl has no hand on both Cores, or was not told to use it."""
    bare = [name for name in (source, target) if not turn.case.member(name).driven]
    if not wanted or bare:
        what = f"no drive: is configured for {' and '.join(bare)}" if bare else "roles of Cores change only on the Cores"
        turn.refuse("drive-configured", f"{kind} refused by drive-configured: {what}; opened by --drive with a `drive:` entry for each", bare=bare)
    return not wanted or bool(bare)


def drive(turn: Turn, kind: str, source: str, target: str, wanted: bool, command: Command) -> None:
    """Opens a run on the Cores: the controller's hand takes it step by step, each saved; traffic moves at its step `move`."""
    if undrivable(turn, kind, source, target, wanted):
        return
    run = Run(f"{turn.settings.name}-r{turn.number()}", kind, "begin", command.by, command.reason, turn.now, source, target)
    turn.save(run=run)
    # Of this life alone: a restart leaves the run open and waits to be asked again (SEMANTICS 6).
    turn.set(driving=run.id)
    turn.note("run-opened", f"{kind}: driving {source} and {target}", by=command.by, member=target, run=run.id)
    told = drain.gap(turn.case, drained=turn.saved.drain is not None)
    turn.answer(Code.ACCEPTED, f"{kind} is under way on the Cores{told}", run=run.id)


def swap_missing(case: Case, *, attested: bool) -> RuleResult | None:
    """What `swap-roles` lacks: the ex-primary reads Standby and is re-synced, or is down."""
    old = case.saved.primary
    if old == case.active:
        return _lack("already-primary", f"{old} is the primary and has the traffic", "nothing to do")
    if case.run_open():
        return _lack("not-held", "a run is open on the Cores", "finish or abort it")
    # A dead ex-primary need not prove anything: `swap` keeps it latched, so nothing goes there by itself.
    if case.down(old):
        return None
    # As a Primary it would go on taking writes beside the one that is now primary by everybody's word (G-LB5).
    if not case.standby(old):
        return _lack("candidate-standby", _pages(case, old), f"`failover mode secondary` on {old}, or it is down")
    # Cleared by the swap itself: the flag's own proof can never come while the active serves.
    if attested or not case.modes or old not in case.saved.needs_resync or resync.proven_for_swap(case, old):
        return None
    return _lack("re-synced", resync.evidence(case, old), f"a sync of {old} from {case.active} after its return, or --attest-synced --reason …")


def swap(turn: Turn, by: str, reason: str) -> None:
    """Primary and active exchange roles: roles, expectations and whom each syncs from, in one epoch; traffic does not move (G-LB5, H38)."""
    saved, old, new = turn.saved, turn.saved.primary, turn.case.active
    # Down, it could prove nothing: it stays latched until it is back, re-synced and acknowledged (SEMANTICS 3).
    stays = turn.case.down(old)
    keep = frozenset({old}) if stays else frozenset()
    turn.save(
        primary=new,
        epoch=saved.epoch + 1,
        # Without this the new secondary would still be expected to feed its own source, and never follow the active.
        syncs_from={**saved.syncs_from, old: new, new: None},
        latched=(saved.latched - {old}) | keep,
        needs_resync=(saved.needs_resync - {old}) | (keep if turn.case.modes else frozenset()),
        # Nobody is asked to move onto a member that the swap has just left latched.
        approvals=tuple(a for a in saved.approvals if a.to not in keep),
    )
    turn.note("roles-swapped", f"{new} is the primary of {saved.service}, {old} its secondary: {reason}", by=by, member=new, latched=stays)


def unlatch_missing(case: Case, member: str, *, attested: bool) -> RuleResult | None:
    """What `ack --member` lacks. The primary's latch is the Manual Resume itself and has its own ways back."""
    # Unlatched by `ack` it would be a candidate like any other, and traffic could go back without a resume (G-LB4).
    if member == case.saved.primary:
        return _lack("not-latched", f"{member} is the primary", f"`lbctl resume {case.settings.name}` or `lbctl swap-roles {case.settings.name}`")
    # Nothing to clear is no refusal: `ack` is also how a lockout is ended.
    if member not in case.saved.latched | case.saved.needs_resync:
        return None
    # Steadily: from the next turn on it may be chosen by itself.
    if not case.says_standby_up(member):
        return _lack("candidate-standby", _pages(case, member), f"{member} reads Standby steadily")
    # Measured as for a swap: the active goes on serving, so the stricter proof could never be had.
    if attested or member not in case.saved.needs_resync or resync.proven_for_swap(case, member):
        return None
    return _lack("re-synced", resync.evidence(case, member), f"a sync of {member} from {case.active}, or --attest-synced --reason …")


def watch_resync(turn: Turn) -> None:
    """`needs_resync` follows what is proven: cleared by a sync that suffices, set again when the member acts as Primary beside a serving active."""
    case = turn.case
    # Without modes nothing is ever marked: there is no copy that could be behind.
    if not case.modes or not case.active:
        return
    for name in case.saved.latched | case.saved.needs_resync:
        if resync.voided(case, name):
            # Remembered as an instant: every sync before it is void, also one that a source reports only later.
            turn.set(members=put(turn.state.members, name, replace(case.sight(name), strayed=turn.now)))
    case = turn.case
    clean = frozenset(name for name in case.saved.needs_resync if resync.proven(case, name))
    # Cleared once is not cleared for ever: an attested member that takes writes again is behind again (H9).
    dirty = frozenset(name for name in case.saved.latched - case.saved.needs_resync if resync.voided(case, name))
    if not clean and not dirty:
        return
    turn.save(needs_resync=(case.saved.needs_resync - clean) | dirty)
    for name in clean:
        turn.note("re-synced", f"{name} is re-synced: {resync.evidence(case, name)}", member=name)
    for name in dirty:
        turn.note("resync-voided", f"{name} acts as Primary while {case.active} serves: it needs a new sync", member=name)
