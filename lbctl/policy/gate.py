"""The gate: the table of safety rules that must all hold before traffic moves (SEMANTICS section 2).

A rule is a row: its name (the contract's word, a metric label and what `--accept` takes), when it holds, what was seen, and what opens it.
From these rows come the decision, `explain`, the metrics and the manual. A new rule is a new row and nothing else.

Three readings of the same table: an automatic move needs every row; an operator's `failover` and an approval need all but `WAIVED`, and take a
target that alone claims Primary for a Standby while the active is down; a `switchover` needs `active-up` in the place of `active-down`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lbctl.model.decision import RuleResult
from lbctl.model.looks import ProbeResult, Verdict
from lbctl.policy import doubt, resync
from lbctl.policy.case import HASTATUS, Case


@dataclass(frozen=True, slots=True)
class Rule:
    """One row. `holds` says yes or no, `seen` what it rests on, `opens` what would open it."""

    name: str
    holds: Callable[[Case, str], bool]
    seen: Callable[[Case, str], str]
    opens: str


def told(look: ProbeResult | None) -> str:
    """A look in a few words."""
    if look is None:
        return "no look yet"
    # In the words that the Core's page has, so that the evidence can be held beside a browser.
    if look.good:
        return {Verdict.OK: "OK", Verdict.STANDBY: "OK (Mode: Standby)", Verdict.PRIMARY: "OK (Mode: Primary)"}[look.verdict]
    return f"{look.reason}{f' ({look.detail})' if look.detail else ''}"


def aged(case: Case, name: str, page: str) -> str:
    """What is said behind a look that is too old to go by: without it a refusal shows as there what it says is missing. "" where it counts."""
    last = case.page(name, page).last
    return "" if last is None or case.fresh(name, page) else f", but that look is {case.now - last.ended:.1f} s old and counts no more"


def _page_seen(case: Case, name: str) -> str:
    if not name:
        return "no active member is known"
    page, sight = case.decisive(name), case.judged(name)
    text = f"{name} {page}: {told(sight.last)}, {sight.health}{aged(case, name, page)}"
    if sight.first_bad is not None:
        text += f", failing for {max(case.now - sight.first_bad, 0):.1f} s, {sight.bad_run} looks in a row"
        text += "" if sight.down_at is not None else f", outage not proven ({case.member(name).probe.min_outage_s:.0f} s needed)"
    return text


def _is_standby(case: Case, name: str) -> bool:
    # Two questions: what its last fresh look said, and that `rise` looks were good. One look of Standby is no standby.
    return case.standby(name) and case.up(name)


def _is_confirmed(case: Case, name: str) -> bool:
    """By a look started after the failure that completed `active-down`. As long as that has not come there is nothing to confirm."""
    # Confirmed *after* the proof: an older look may be of the moment before the same fault took both (H2).
    down_at = case.judged(case.active).down_at if case.active else None
    last = case.judged(name).last
    if down_at is None:
        return True
    return last is not None and last.good and last.started > down_at and case.fresh(name, case.decisive(name))


def _is_fresh_enough(case: Case, name: str) -> bool:
    # No source, no opinion: `check` says that the age of the copy is not watched.
    if case.member(name).freshness is None:
        return True
    sight = case.sight(name)
    # not asked yet is not unknown: in the first moments of a life a copy that is days old must not pass for one of which nobody can tell
    return (sight.sync_started is not None or bool(sight.sync_unknown)) and not stale(case, name)


def stale(case: Case, name: str) -> bool:
    """What its freshness source has told shuts the gate: too old, or unknown where that blocks. False as long as it has told nothing (H1)."""
    rule, sight = case.member(name).freshness, case.sight(name)
    if rule is None:
        return False
    if sight.sync_started is None:
        return bool(sight.sync_unknown) and rule.unknown_blocks
    return case.now - sight.sync_started > rule.max_staleness_s


def _sync_seen(case: Case, name: str) -> str:
    rule = case.member(name).freshness
    sight = case.sight(name)
    if rule is not None and sight.sync_started is None and not sight.sync_unknown:
        return f"the freshness source of {name} has not told yet"
    return resync.evidence(case, name) + (f", limit {rule.max_staleness_s:.0f} s" if rule else ", no freshness source is configured")


def _has_quorum(case: Case, name: str) -> bool:
    # We are one of the observers. While the active is up there is nothing to be agreed upon (a switchover, `explain`).
    return not case.active_down() or case.around.votes + 1 >= case.settings.quorum


def _maintenance_seen(case: Case, name: str) -> str:
    span = case.saved.maintenance
    return f"maintenance by {span.by} ({span.reason}), ends in {span.until - case.now:.0f} s" if span and case.in_maintenance() else "no maintenance"


def _hold_seen(case: Case, name: str) -> str:
    if case.run_open() and case.saved.run is not None:
        return f"a run of {case.saved.run.kind} is open at step {case.saved.run.step}"
    return f"held by {case.saved.hold.by}: {case.saved.hold.reason}" if case.saved.hold else "not held"


def _armed_seen(case: Case, name: str) -> str:
    if case.state.uninitialised:
        return f"uninitialised: {case.state.uninitialised}"
    return f"re-arming, {case.state.rounds} clean rounds of {case.settings.rearm_rounds}" if case.saved.rearming else "armed"


def _lockout_seen(case: Case, name: str) -> str:
    until = case.saved.lockout_until
    if until is None:
        return "no lockout"
    return (
        f"locked out after an automatic failover, {until - case.now:.0f} s left" if until > case.now else "lockout over, waiting for a steady active"
    )


def _site_open(case: Case, name: str) -> bool:
    return case.settings.site_cut == "move" or not (doubt.site_cut(case) or doubt.site_unsure(case))


def _site_seen(case: Case, name: str) -> str:
    if doubt.site_unsure(case):
        return f"no canary of {case.member(case.active).site} has answered since {case.active} began to fail: one is being looked at"
    return f"the canaries of {doubt.site_cut(case)} fail with it" if doubt.site_cut(case) else "its site is not cut off"


RULES: tuple[Rule, ...] = (
    Rule(
        "active-down",
        # The guide's first half of G-LB3. Alone it moves nothing.
        lambda case, name: case.active_down(),
        lambda case, name: _page_seen(case, case.active),
        "the active member fails for good: `fall` looks in a row and not one good look for `min_outage`",
    ),
    # The second half of G-LB3. A candidate that says Primary is the promotion race, and no row makes it a Standby (H7, H8).
    Rule("candidate-standby", _is_standby, _page_seen, "the candidate's hastatus page says `Mode: Standby` steadily"),
    # A fault that takes both sites is seen on the active first; the candidate must have answered since (H2).
    Rule("candidate-confirmed", _is_confirmed, _page_seen, "a look at the candidate that started after the active was proven down is good"),
    Rule(
        "not-latched",
        # Manual Resume (G-LB4): who lost the traffic may hold writes that nobody else has; time heals nothing here.
        lambda case, name: name not in case.saved.latched,
        lambda case, name: f"{name} lost the traffic before and was not taken back" if name in case.saved.latched else f"{name} is not latched",
        "an operator's resume, or `lbctl ack SERVICE --member MEMBER --reason …` once it is re-synced and reads Standby",
    ),
    Rule(
        "re-synced",
        # Apart from the latch: unlatching says that somebody looked at the member, not that its data are right again (H9).
        lambda case, name: name not in case.saved.needs_resync,
        resync.evidence,
        "a sync from the active after its last write, or an operator's word (--attest-synced --reason …)",
    ),
    Rule(
        "no-approval-needed",
        # The DR Core: taking it is a decision about the whole site, and people make it (G-SC2, H10).
        lambda case, name: not case.member(name).manual_approval,
        lambda case, name: f"{name} has approval: manual" if case.member(name).manual_approval else f"{name} may be taken automatically",
        "an operator's `lbctl approve ID`",
    ),
    # "Standby, OK" says nothing about data: a sync may have failed for days behind it (H1).
    Rule("fresh-enough", _is_fresh_enough, _sync_seen, "a newer sync of the candidate"),
    Rule(
        "follows-active",
        # Data that came from somebody else are another history, however fresh they are (G-SC2).
        lambda case, name: case.follows(name),
        lambda case, name: f"{name} syncs from {case.syncs_from(name) or 'nobody named'}, the active is {case.active or 'unknown'}",
        "the members between it and the active are down, or the candidate's syncs_from is the active",
    ),
    Rule(
        "not-locked-out",
        # None and not a comparison with now: past its end it goes on until the active has been steady (SEMANTICS 2, H6).
        lambda case, name: case.saved.lockout_until is None,
        _lockout_seen,
        "`lbctl ack SERVICE --reason …`, any operator's move, or the lockout's end with a steady active",
    ),
    # A half-upgraded pair looks exactly like a failure (G-UP, H33, H34).
    Rule("not-in-maintenance", lambda case, name: not case.in_maintenance(), _maintenance_seen, "`lbctl maintenance off SERVICE`, or its end"),
    # An open run counts as a hold: moving traffic while roles change on the Cores would meet them half-way (SEMANTICS 7).
    Rule(
        "not-held",
        lambda case, name: case.saved.hold is None and not case.run_open(),
        _hold_seen,
        "`lbctl release SERVICE`; where a run is open, its end",
    ),
    Rule(
        "automation-on",
        # Judged and recorded like everything else, and moved by nobody: the weeks beside an old load balancer (SEMANTICS 2).
        lambda case, name: not case.settings.observe,
        lambda case, name: "automation: observe" if case.settings.observe else "automation: on",
        "`automation: on` in the configuration",
    ),
    Rule(
        "armed",
        # Counts from before a maintenance or of another life must not move anything (H29, H33).
        lambda case, name: case.state.started and not case.saved.rearming and not case.state.uninitialised,
        _armed_seen,
        "clean rounds, or `lbctl ack SERVICE --reason …`; while it is uninitialised, `lbctl adopt SERVICE`",
    ),
    Rule(
        "not-blind",
        # A confirmed Standby excludes it; a row of its own, so that people read why nothing moves and force must name it (H3).
        lambda case, name: not doubt.blind(case),
        lambda case, name: f"{case.around.proofs} of {case.around.watched} other places answer",
        "an answer from any member or canary",
    ),
    Rule(
        "no-common-mode",
        # A certificate that has ended everywhere is not cured by a move, which would only cost a resync (H20).
        lambda case, name: doubt.common_mode(case) is None,
        lambda case, name: f"all members fail by {doubt.common_mode(case)}" if doubt.common_mode(case) else "no reason is shared by all members",
        "the common cause is mended, or one member answers",
    ),
    Rule(
        "no-stall",
        # After a pause of ours the next look is the first real one, and it is only one fast interval away (H24).
        lambda case, name: not doubt.stalled(case, name),
        lambda case, name: f"the newest look is void: {doubt.stalled(case, name)}" if doubt.stalled(case, name) else "all looks are real",
        "a real look",
    ),
    Rule(
        # One observer of several may have lost its own way to the active (H4).
        "quorum",
        _has_quorum,
        lambda case, name: f"{case.around.votes + int(case.active_down())} of {case.settings.quorum} observers see it down",
        "more observers that freshly see the active down",
    ),
    Rule(
        # The active may serve everybody inside its site: two sites would then take writes at once (SEMANTICS 4).
        "site-not-cut",
        _site_open,
        _site_seen,
        "a canary of the active's site answers, an approval, or `site_cut: move`",
    ),
    Rule(
        "not-dual-primary",
        # Two are taking writes already: whichever way traffic went, it would lose some (H8).
        lambda case, name: not doubt.dual_primary(case),
        lambda case, name: f"{' and '.join(doubt.dual_primary(case))} both say Primary" if doubt.dual_primary(case) else "no two say Primary",
        "one of them is set to secondary",
    ),
    Rule(
        "within-mass-move",
        # "held" is left by a release alone: a wave that has shrunk is still the event that people were called for (H53).
        lambda case, name: case.saved.mass != "held" and (case.around.mass == "open" or case.saved.mass == "released"),
        lambda case, name: "many services want to move at once" if case.around.mass != "open" else "no wave of moves",
        "`lbctl release SERVICE|--all`",
    ),
)
"""Every row of SEMANTICS section 2, in its order."""

NAMES = tuple(rule.name for rule in RULES)

WAIVED = frozenset(
    {
        "not-in-maintenance",
        "not-locked-out",
        "not-held",
        "automation-on",
        # The word of a person who has looked is worth the clean rounds; "not-blind" and the like stay, people see no better.
        "armed",
        "no-approval-needed",
        "not-latched",
        "site-not-cut",
        "within-mass-move",
    }
)
"""What an operator's word replaces (SEMANTICS section 3)."""

# None of `STOPS` is among them: what people have closed is not asked open again by a yes at night.
ASKABLE = frozenset({"no-approval-needed", "not-locked-out", "site-not-cut"})
"""Rows that only a human can open: a move that all others allow becomes a pending approval."""

STOPS = frozenset({"not-in-maintenance", "not-held", "automation-on", "armed", "within-mass-move"})
"""Rows that stop the deciding but not the seeing: what would have happened behind them is recorded."""

ROLE_ROWS = frozenset({"candidate-standby", "candidate-confirmed"})


def rows(case: Case, candidate: str) -> tuple[RuleResult, ...]:
    """Every row for an automatic move to this candidate."""
    return tuple(_result(rule, case, candidate, rule.holds(case, candidate)) for rule in RULES)


def _result(rule: Rule, case: Case, candidate: str, holds: bool) -> RuleResult:
    return RuleResult(rule.name, holds, rule.seen(case, candidate), rule.opens)


def failing(case: Case, candidate: str) -> frozenset[str]:
    """The names of the rows that do not hold: the hot path, without the words."""
    return frozenset(rule.name for rule in RULES if not rule.holds(case, candidate))


def operator_rows(case: Case, target: str) -> tuple[RuleResult, ...]:
    """The rows that an operator's failover or an approval must meet. Who alone claims Primary while the active is down counts as Standby."""
    # The answer to `stranded` needs no force: the guide's gate can never open again by itself there (SEMANTICS 2).
    promoted = case.active_down() and case.alone_primary(target)
    kept = (rule for rule in RULES if rule.name not in WAIVED)
    return tuple(_result(rule, case, target, rule.holds(case, target) or (promoted and rule.name in ROLE_ROWS)) for rule in kept)


def switchover_rows(case: Case, target: str) -> tuple[RuleResult, ...]:
    """As for an operator's failover, with `active-up` in the place of `active-down`, and a driven Core side (SEMANTICS section 3)."""
    # A planned move of an active that is down is a failover under a harmless name, without its rows.
    up = RuleResult("active-up", case.up(case.active) if case.active else False, _page_seen(case, case.active), "the active member is up")
    # No quorum either: observers are counted on whether the active is down, and here it must be up.
    return (up, *(row for row in operator_rows(case, target) if row.rule not in ("active-down", "quorum")))


def confirming_look_due(case: Case, candidate: str) -> bool:
    """The active is proven down and the candidate has not been looked at since: that look is started at once."""
    return case.active_down() and not _is_confirmed(case, candidate)


__all__ = ["ASKABLE", "HASTATUS", "NAMES", "RULES", "STOPS", "WAIVED", "failing", "operator_rows", "rows", "stale", "switchover_rows"]
