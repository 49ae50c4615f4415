"""The automatic part of a pair: when the active is down, who may take over, and who must be asked (SEMANTICS section 2).

G-LB3 in one sentence: traffic moves only when the active fails and a candidate says `Mode: Standby`, and every other row of the gate holds too.
Nothing here ever moves traffic back (G-LB4): a member that lost the traffic is latched, and only people unlatch.
"""

from __future__ import annotations

from dataclasses import replace

from lbctl.model.state import Approval, Incident
from lbctl.policy import doubt, gate, moves, runs
from lbctl.policy.case import Case
from lbctl.policy.turn import Turn


def judge(turn: Turn) -> None:
    """Level-based: judged at every event from what is believed now, so that nothing is lost when an event is."""
    _incident(turn)
    # The incident above opens with the first `fall`; a move waits for the whole proof.
    if not turn.case.active_down() or turn.state.uninitialised:
        return
    for name in turn.case.others():
        # Before anybody is considered, so that the looks at all candidates fly at once and not one after another.
        if gate.confirming_look_due(turn.case, name):
            _ask_for_look(turn, name)
    for name in _in_turn(turn.case):
        if _consider(turn, name):
            return


def _in_turn(case: Case) -> tuple[str, ...]:
    """The candidates in order of preference; nobody for whom a person must be asked keeps traffic from one who may be taken without."""
    others = tuple(case.others())
    if len(others) < 2:
        return others
    lacking = {name: gate.failing(case, name) for name in others}
    # First who lacks nothing: a member that promoted itself would else be proposed, and the one whose gate is open passed over (H7).
    return tuple(sorted(others, key=lambda name: (bool(lacking[name]), "no-approval-needed" in lacking[name])))


def _incident(turn: Turn) -> None:
    """Opens with the active's fall, closes when an active member serves steadily again; its approvals end with it."""
    case, incident = turn.case, turn.saved.incident
    if not case.active:
        return
    # At `fall` already, before the outage is proven: the flapping before the proof belongs to the same incident.
    if incident is None and case.down(case.active):
        first = case.judged(case.active).first_bad
        number = turn.number()
        turn.save(incident=Incident(f"{turn.settings.name}-i{number}", case.now if first is None else first, (case.active,)))
        return
    # Up alone is not serving: what a new active that never promotes leads to is still the same incident (H11).
    if incident is not None and case.state.promoted and case.up(case.active):
        # A second person's pending yes belongs to a command, not to this incident.
        ended = [a for a in turn.saved.approvals if a.command is None]
        for approval in ended:
            if not approval.denied:
                turn.note("approval-void", f"{approval.id} is void: {case.active} serves", member=approval.to)
        turn.save(incident=None, approvals=tuple(a for a in turn.saved.approvals if a not in ended), mass="")


def _ask_for_look(turn: Turn, name: str) -> None:
    down_at = turn.case.judged(turn.case.active).down_at
    # Once an outage: level-based judging would else ask at every event until the look is back (H23).
    if down_at is not None and turn.state.asked.get(name) != down_at:
        turn.set(asked={**turn.state.asked, name: down_at})
        turn.look(name)


def _consider(turn: Turn, name: str) -> bool:
    """One candidate, in its turn. True: something was decided, and nobody after it is considered."""
    failing = gate.failing(turn.case, name)
    if not failing:
        _move(turn, name, moves.AUTO, "failover")
        return True
    # Before the approvals: what the configuration trusts by itself is not asked for.
    if _may_adopt(turn.case, name, failing):
        _move(turn, name, moves.ADOPT, "adopt-promoted")
        return True
    if doubt.site_unsure(turn.case) and "site-not-cut" in failing:
        return False  # nobody is asked before the canaries were
    # Only where nothing else stands in the way: who would not move anyway is no part of a wave to be released.
    if failing == {"within-mass-move"}:
        return _caught_in_mass(turn)
    # Some row that no human may open by a yes: this candidate is out, the next may do.
    if failing - gate.ASKABLE - gate.STOPS - _promotion_rows(turn.case, name):
        return False
    # It is being counted who else wants to move: until that is known there is nothing to tell and nobody to ask.
    if "within-mass-move" in failing and turn.around.mass == "wait" and turn.saved.mass != "held":
        return True
    # A stop outweighs a question: nobody is asked for a yes to what somebody has just forbidden (H34).
    if failing & gate.STOPS:
        _would(turn, name, failing)
    else:
        _propose(turn, name, failing)
    return True


def _move(turn: Turn, name: str, trigger: str, verb: str) -> None:
    source = turn.case.active
    # Before the move: afterwards the same rows would speak of another active.
    seen = {row.rule: row.evidence for row in gate.rows(turn.case, name)}
    reason = f"{source} is down ({seen['active-down']}); {name} may take over ({seen['candidate-standby']})"
    moves.begin(turn, name, trigger=trigger, verb=verb, by="lbctl", reason=reason, rules=seen)
    # After the move, in the same decision: both are saved together, so a crash cannot leave traffic without its promotion.
    runs.promote(turn, name, "lbctl")


def _promotion_rows(case: Case, name: str) -> frozenset[str]:
    """The row that an `ask` may hand to a human: the candidate promoted itself first, and alone (H7)."""
    # An `adopt` that may not falls back to asking. `hold` is about the race, and a rogue raced nobody (SEMANTICS 4).
    asked = case.settings.on_self_promoted in ("ask", "adopt") or case.rogue(name)
    # Somebody else who claims Primary may be taking writes: then a human is alerted, not asked.
    return frozenset({"candidate-standby"}) if asked and case.alone_primary(name) else frozenset()


def _may_adopt(case: Case, name: str, failing: frozenset[str]) -> bool:
    """A promotion that lbctl has itself watched (SEMANTICS section 2, `adopt`): each line is one of its conditions."""
    # The gate's own rows cover quorum, latch, runs and approvals; what follows are the conditions that it does not know.
    if case.settings.on_self_promoted != "adopt" or failing != {"candidate-standby"}:
        return False
    sight, incident = case.sight(name), case.saved.incident
    return (
        case.alone_primary(name)
        and incident is not None
        # Who was active in this incident may say Primary since then: that is no promotion that answers this failure.
        and name not in incident.actives
        and sight.standby_seen is not None
        # What became Primary while nobody watched may have done so for any reason.
        and case.now - sight.standby_seen <= case.settings.seen_window_s
        and sight.primary_since is not None
        # A promotion before the failure is a cause of its own (a drill, a mistake), not an answer to it.
        and sight.primary_since > incident.began
        and not case.rogue(name)
        # Stricter than `follows-active`: through a member that is down, its data came from somewhere else.
        and case.syncs_from(name) in (None, case.active)
    )


def _caught_in_mass(turn: Turn) -> bool:
    """One of many that want to move at once: paged and held until released, or waiting for its turn (H53)."""
    # Saved: a restart in the middle of a wave must not forget that people were called and let it go.
    if turn.around.mass == "hold" and turn.saved.mass != "held":
        turn.save(mass="held")
    return True


def _would(turn: Turn, name: str, failing: frozenset[str]) -> None:
    """Told once an incident: what lbctl would have done, had nobody stopped it (H34)."""
    incident = turn.saved.incident
    # The "!" keeps `tell_edges` from taking the mark for an alert that has ended.
    key = f"!would:{incident.id if incident else ''}:{name}"
    if key not in turn.state.noted:
        turn.set(noted=frozenset(k for k in turn.state.noted if not k.startswith("!would:")) | {key})
        turn.note("would-failover", f"would have moved to {name}, stopped by {', '.join(sorted(failing))}", member=name, rules=sorted(failing))


def _propose(turn: Turn, name: str, failing: frozenset[str]) -> None:
    """A move that only a human may say yes to; bound to this incident (H10)."""
    incident = turn.saved.incident
    # A denied one counts too: a no holds until the incident ends.
    if incident is None or any(a.incident == incident.id and a.to == name for a in turn.saved.approvals):
        return
    until = turn.now + turn.settings.approval_expires_s
    reason = "; ".join(f"{row.rule}: {row.evidence}" for row in gate.rows(turn.case, name) if not row.holds)
    approval = Approval(f"{turn.settings.name}-{turn.number()}", name, turn.now, until, incident.id, tuple(sorted(failing)), reason)
    turn.save(approvals=(*turn.saved.approvals, approval))


def not_adopted(case: Case) -> tuple[str, str]:
    """(member, why) of a self-promotion that `adopt` did not take; empty texts where there is none."""
    if case.settings.on_self_promoted != "adopt":
        return "", ""
    for name in doubt.stranded_by(case):
        failing = gate.failing(case, name)
        # Not before the confirming look is in: until then `adopt` may still take it, and an alert would be early.
        if "candidate-confirmed" not in failing and not _may_adopt(case, name, failing):
            return name, ", ".join(sorted(failing - {"candidate-standby"})) or "its promotion was not watched in this incident"
    return "", ""


def release(turn: Turn) -> None:
    """An operator lets a held wave be judged anew."""
    # Released for this wave alone: it is emptied by the move, or by the end of the incident.
    if turn.saved.mass == "held":
        turn.save(mass="released")


def deny(turn: Turn, approval: Approval, by: str) -> None:
    """A human's no, kept until the incident ends, so that nobody is asked the same again."""
    rest = tuple(a if a.id != approval.id else replace(a, denied=by) for a in turn.saved.approvals)
    turn.save(approvals=rest)
