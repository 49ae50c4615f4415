"""Laws of the whole, beside the invariants of one decision: what SEMANTICS promises about actions, told without the policy's own words."""

from __future__ import annotations

from collections.abc import Iterator

from lbctl.model import commands as ask
from lbctl.model.commands import Code
from lbctl.model.events import Started
from lbctl.model.looks import ProbeResult, Verdict
from lbctl.model.state import State
from lbctl.policy import desired
from lbctl.policy.case import Case
from lbctl.policy.conditions import STATES, conditions
from lbctl.policy.explain import blocked_by
from tests.policy.explorer import Edge


def _last(state: State, name: str, page: str) -> Verdict | None:
    sight = state.members.get(name)
    look = sight.pages[page].last if sight is not None and page in sight.pages else None
    return look.verdict if look is not None else None


def restart_moves_nothing(edge: Edge) -> Iterator[str]:
    """H25, SEMANTICS 6: what is wanted after a restart is what is published, or is not known at all."""
    if not isinstance(edge.event, Started):
        return
    wanted = desired(edge.settings, edge.after, edge.now)
    shown = edge.event.shown[0]
    if wanted is not None and not shown.nothing and wanted.members != shown.members:
        yield f"{shown.members} is published and the restart wants {wanted.members}"


def swap_moves_nothing(edge: Edge) -> Iterator[str]:
    """G-LB5: roles follow, traffic does not."""
    if isinstance(edge.event, ask.SwapRoles) and edge.after.saved.active != edge.before.saved.active:
        yield "swap-roles moved traffic"


def only_movers_move(edge: Edge) -> Iterator[str]:
    """A command that is not a move leaves the active alone; adopt names what is published."""
    movers = (ask.Failover, ask.Switchover, ask.Resume, ask.Approve, ask.Adopt)
    if isinstance(edge.event, ask.Command) and not isinstance(edge.event, movers) and edge.after.saved.active != edge.before.saved.active:
        yield "traffic moved by a command that moves none"


def resume_in_three_situations(edge: Edge) -> Iterator[str]:
    """SEMANTICS 3: (i) roles returned by hand and re-synced, (iii) never promoted; (ii) is driven."""
    if not isinstance(edge.event, ask.Resume) or edge.reply is None or edge.reply.code is not Code.ACCEPTED:
        return
    before, saved = edge.before, edge.before.saved
    primary, active = saved.primary, saved.active or ""
    serving = _last(before, primary, "status") is Verdict.OK and _last(before, primary, "hastatus") is Verdict.PRIMARY
    standby = _last(before, active, "hastatus") is Verdict.STANDBY
    synced = edge.event.attest_synced or primary not in saved.needs_resync
    idle = standby and before.never_promoted and _last(before, active, "status") is Verdict.FAILED
    if not (serving and standby and (synced or idle)):
        yield "a resume was accepted outside its situations"


def roles_follow_only_people(edge: Edge) -> Iterator[str]:
    """Roles change by swap-roles and by nothing else (reloads are not part of this search)."""
    if edge.after.saved.primary != edge.before.saved.primary and not isinstance(edge.event, ask.SwapRoles):
        yield "roles changed without a swap"


def every_state_has_a_name_and_a_reason(edge: Edge) -> Iterator[str]:
    """A reason for every decision, for "stay" too. Asked once for each state, when it is first reached."""
    case = Case(edge.settings, edge.after, edge.now)
    held = conditions(case)
    if not held or any(name not in STATES for name in held) or not edge.after.reason:
        yield f"a state without a name or a reason: {held}"
    known = edge.after.saved.active is not None and not edge.after.uninitialised
    if case.active_down() and known and not blocked_by(case):
        yield "the active is down, nobody moved, and no rule says why"


def approvals_belong_to_incidents(edge: Edge) -> Iterator[str]:
    """H10: bound to the incident, never for a member that lost the traffic."""
    saved = edge.after.saved
    for approval in saved.approvals:
        if saved.incident is None or approval.incident != saved.incident.id:
            yield f"{approval.id} belongs to no incident"
        if approval.to in saved.latched:
            yield f"{approval.id} proposes {approval.to}, which lost the traffic"


def observing_is_not_doing(edge: Edge) -> Iterator[str]:
    """automation: observe decides and records and moves nothing."""
    moved = edge.before.saved.active not in (None, edge.after.saved.active)
    if edge.settings.observe and isinstance(edge.event, ProbeResult) and moved and not edge.before.adopting:
        yield "observing moved traffic"


LAWS = (
    restart_moves_nothing,
    swap_moves_nothing,
    only_movers_move,
    resume_in_three_situations,
    roles_follow_only_people,
    approvals_belong_to_incidents,
    observing_is_not_doing,
)

STATE_LAWS = (every_state_has_a_name_and_a_reason,)
"""What must hold of every state, however it was reached."""
