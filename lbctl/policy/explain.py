"""Why traffic is where it is, what would happen now, and the exact rule that blocks a move: read from the same rows that decide.

`wanted` is the level that the reconcilers follow; `fast_pages` the pace that the monitor follows. Both are questions to the state, not decisions.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lbctl.model.decision import Desired, RuleResult
from lbctl.model.looks import Health
from lbctl.model.settings import ServiceSettings
from lbctl.model.state import State
from lbctl.policy import doubt, drain, families, gate, health, pool, returns
from lbctl.policy.budget import spell
from lbctl.policy.case import Case
from lbctl.policy.conditions import conditions

TTL_FLOOR_S = 5.0


def desired(settings: ServiceSettings, state: State, now: float) -> Desired | None:
    """What should be published now; None while nobody knows, and what is published stays."""
    saved = state.saved
    # Silence instead of a guess: the reconcilers leave alone what stands there, and clients keep their answer (H25).
    if saved.active not in settings.names or saved.active is None or state.uninitialised or not state.started:
        return None
    members = tuple(n for n in saved.answering if n in settings.names) if settings.kind == "pool" else (saved.active,)
    # Never an empty answer (H41).
    if not members:
        return None
    # Only while the move is open: afterwards what stood before it is no expectation any more.
    before = saved.move.restore.active if saved.move is not None else ""
    previous = families.addresses(settings, (before,), saved.withheld) if before in settings.names else {}
    case = Case(settings, state, now)
    told = families.addresses(settings, members, saved.withheld)
    return Desired(saved.service, saved.epoch, members, told, previous, _ttl_cap(case), drain.low_ttl_s(case))


def _ttl_cap(case: Case) -> float | None:
    """While the active is suspect, caches should expire no later than the earliest possible move (SEMANTICS section 8)."""
    known = [name for name in case.answering if name in case.settings.names]
    suspects = [(name, page.first_bad) for name in known if (page := case.judged(name)).first_bad is not None]
    # Who is proven down and must stay would hold the TTL at the floor for as long as it is down.
    if case.settings.kind == "pool":
        suspects = [(name, first) for name, first in suspects if case.judged(name).down_at is None]
    left = [case.member(name).probe.min_outage_s - (case.now - first) for name, first in suspects if first is not None]
    # Never 0: resolvers that cache nothing would all come back at once, at the worst moment (SEMANTICS 8).
    return max(TTL_FLOOR_S, min(left)) if left else None


def fast_pages(settings: ServiceSettings, state: State) -> frozenset[tuple[str, str]]:
    """Pages whose health may change with the next looks; while the active is suspect, the candidates' too."""
    # Time 0: none of these questions asks how old a look is.
    case = Case(settings, state, 0.0)
    waiting = bool(state.uninitialised) or state.saved.rearming or case.suspect() or (case.active != "" and not state.promoted)
    return frozenset(
        (name, page)
        for name in settings.names
        for page in settings.monitor.pages
        if health.unsettled(case.page(name, page)) or (waiting and (page == case.decisive(name) or name == case.active))
    )


def upkeep(settings: ServiceSettings, state: State, now: float) -> bool:
    """Whether drift is corrected (else only reported): not in maintenance, not while observing, not while the active is unknown."""
    case = Case(settings, state, now)
    # Epochs that are decided already go on being written; this is only about what others have changed since (SEMANTICS 7).
    return not (case.in_maintenance() or settings.observe or state.uninitialised or not state.started)


def best_candidate(case: Case) -> tuple[str, frozenset[str]]:
    """The candidate that lacks the fewest rows, and those rows; the order of preference breaks ties."""
    found = [(len(rows), i, name, rows) for i, name in enumerate(case.others()) for rows in (gate.failing(case, name),)]
    # The index before the name: ties go to the file's order, not to the alphabet.
    return min(found)[2:] if found else ("", frozenset())


def blocked_by(case: Case) -> list[str]:
    """The rows that keep traffic where it is, in the gate's order."""
    if case.settings.kind == "pool":
        return [rule for rule in (pool.stuck(case),) if rule]
    _, rows = best_candidate(case)
    return [name for name in gate.NAMES if name in rows]


def _row(row: RuleResult) -> dict[str, Any]:
    return {"rule": row.rule, "holds": row.holds, "evidence": row.evidence, "opens": row.opens}


def reason_now(case: Case, state: str = "") -> str:
    """One sentence: why traffic is where it is. `state`: the first condition, where it is known already."""
    state = state or conditions(case)[0]
    active = ", ".join(case.answering) or "nobody"
    if case.state.uninitialised:
        return f"the active member is not known: {case.state.uninitialised}"
    if state == "normal":
        if all(case.up(name) for name in case.answering):
            return f"{active} has the traffic and serves"
        failing, unsure = [n for n in case.answering if case.down(n)], [n for n in case.answering if not case.up(n) and not case.down(n)]
        fails = [f"{', '.join(failing)} fails, which is not proven for good yet"] if failing else []
        return f"{active} has the traffic; " + " and ".join([*fails, *([f"{', '.join(unsure)} is not known to be well"] if unsure else [])])
    # While the active is well nothing is blocked: naming rows would read like a fault.
    rows = ", ".join(blocked_by(case)) if case.active_down() or case.settings.kind == "pool" else ""
    told = {
        "uninitialised": "lbctl has just started and reads what is published",
        "blind": "nothing answers anywhere, so the controller may be cut off",
        "common-mode": f"all members fail by {doubt.common_mode(case)}: a common cause, not dead members",
        "stranded": f"{' and '.join(doubt.stranded_by(case))} already says Primary, so the guide's gate cannot open",
        "dual-primary": f"{' and '.join(doubt.dual_primary(case))} both say Primary",
        "all-down": "no member answers",
        "down": f"{active} is down and nobody may take over",
        "re-arming": "maintenance has ended and clean rounds are being counted",
        "partial": "an actuator does not yet show what is wanted",
        "failed-over": f"it stands in for the primary {case.saved.primary}",
    }[state]
    return f"traffic stays on {active}: {told}" + (f" (blocked by {rows})" if rows else "")


def explain(case: Case, to: str | None = None) -> dict[str, Any]:
    """The object of `lbctl explain`: why, what if the active failed now, and every row for every candidate."""
    candidates = [to] if to else list(case.others())
    return {
        "service": case.settings.name,
        "state": conditions(case)[0],
        "active": case.saved.active,
        "why": reason_now(case),
        "blocked_by": blocked_by(case),
        "if_active_failed": what_if(case),
        "candidates": [
            {
                "member": name,
                "open": not gate.failing(case, name),
                "rules": [_row(row) for row in gate.rows(case, name)],
                "promotes_itself": promotion(case, name),
            }
            for name in candidates
        ],
        "resume": _resume(case),
    }


def promotion(case: Case, name: str) -> dict[str, Any] | None:
    """When this candidate becomes Primary by itself, from its own Fail Over Controls: then every block ends in `stranded` (SEMANTICS section 2)."""
    if not case.modes or name == case.active or name in case.saved.latched or case.primary(name):
        return None
    beat = case.member(name).heartbeat
    if beat is None:
        return {"known": False, "text": f"when {name} promotes itself is not known: `members[].heartbeat` says how its Fail Over Controls are set"}
    if not beat.promotes:
        return {"known": True, "text": f"{name} keeps in Standby: it never promotes itself"}
    spans = {"earliest_s": beat.earliest_s, "latest_s": beat.latest_s}
    first = case.judged(case.active).first_bad if case.active else None
    if first is None:
        text = f"{name} would promote itself {spell(beat.earliest_s)} to {spell(beat.latest_s)} after {case.active or 'the active member'} fails"
        return {"known": True, **spans, "text": text}
    left = [spell(max(first + seconds - case.now, 0.0)) for seconds in spans.values()]
    return {"known": True, **spans, "text": f"{name} promotes itself in {left[0]} to {left[1]}; whatever blocks a move then ends in `stranded`"}


def _resume(case: Case) -> dict[str, Any] | None:
    if not case.active or case.active == case.saved.primary:
        return None
    missing = returns.missing(case, drive=False, attested=False)
    # Whether `--drive` is worth a word at all: without a hand on both it is refused whatever the Cores say.
    driven = all(case.member(name).driven for name in (case.saved.primary, case.active) if name in case.settings.names)
    lack = {} if missing is None else {"rule": missing.rule, "evidence": missing.evidence, "opens": missing.opens}
    return {"open": missing is None, "driven": driven, **lack}


def what_if(case: Case) -> dict[str, Any]:
    """What would happen if the active failed now, for good: the same gate over a state in which it has."""
    if case.settings.kind == "failover" and (not case.active or case.state.uninitialised):
        return {"moves_to": None, "text": f"nobody is known to be active: `lbctl adopt {case.settings.name} --member MEMBER --reason …`"}
    if case.settings.kind == "pool":
        return {"moves_to": None, "text": "the answer follows the members' health"}
    failed = replace(case.on(_failed(case)), around=replace(case.around, site_answered=None))  # what the canaries would say then, nobody knows
    # The confirming look can only come after a failure: lacking it today says nothing about the candidate.
    lacking = {name: gate.failing(failed, name) - {"active-down", "candidate-confirmed"} for name in case.others()}
    for name, rows in lacking.items():
        if not rows:
            return {"moves_to": name, "text": f"traffic would move to {name}"}
    for name, rows in lacking.items():
        if not rows - gate.ASKABLE:
            return {"moves_to": name, "asks": sorted(rows), "text": f"an approval would be asked for {name} ({', '.join(sorted(rows))})"}
    name, rows = best_candidate(failed)
    left = sorted(rows - {"active-down", "candidate-confirmed"})
    return {"moves_to": None, "blocked_by": left, "text": f"traffic would stay: {name or 'nobody'} is stopped by {', '.join(left)}"}


def _failed(case: Case) -> State:
    """The state with the active's decisive page proven down."""
    sight, page = case.sight(case.active), case.decisive(case.active)
    down = replace(sight.pages.get(page, case.page(case.active, page)), health=Health.DOWN, first_bad=case.now, down_at=case.now)
    return replace(case.state, members={**case.state.members, case.active: replace(sight, pages={**sight.pages, page: down})})
