"""`follows`: a service stands where another one stands (G-FS), so that a Sentry is beside the Core that its devices belong to.

The rule. When the followed service is active at another site, and a member of ours there is up, traffic moves to it by itself: a move with the verb
`follow`, trigger `auto`, through the same gate as a failover with one row less, `active-down`. So it waits for people (maintenance, hold, observe,
re-arming), for doubts and waves, takes nobody who is latched, latches whom it leaves, and begins a lockout. The way back is a person's, as always:
after the other service's `resume` this one wants its own. What a person moved stays there until the other service moves again. What cannot follow
stays, and `FollowNotPossible` says what stands in the way.

A Core never follows by itself: it moves only when it fails (G-LB3), so for a monitor with modes there is only the alert. When a service that follows
fails over for a reason of its own, members at the followed site come first (`Case.others`). Pools have their own half of this in `pool`.
"""

from __future__ import annotations

from lbctl.policy import gate, moves
from lbctl.policy.case import Case
from lbctl.policy.turn import Turn


def astray(case: Case) -> str:
    """The site where the followed service is, while our active member serves at another; "" otherwise."""
    # An active that is down is `failover`'s: following is for one that serves in the wrong place.
    if case.settings.kind != "failover" or not case.settings.follows or not case.active or case.active_down():
        return ""
    at = case.around.followed_site
    # Not known where the other service is (a restart, its own doubt): then nobody is astray.
    return at if at and case.active in case.settings.names and case.member(case.active).site != at else ""


def judge(turn: Turn) -> None:
    """Moves to the followed service's site, where the gate is open for a member there."""
    case = turn.case
    at = astray(case)
    # The other service has moved on: what a person said was about the place where it stood.
    if case.saved.unfollowed and case.around.followed_site not in ("", case.saved.unfollowed):
        turn.save(unfollowed="")
    # A Core is never moved while it serves, for whatever reason (G-LB3).
    if not at or at == turn.saved.unfollowed or case.modes or turn.state.uninitialised:
        return
    for name in _near(case, at):
        if not obstacles(case, name):
            reason = f"{case.settings.follows} is active at {at}, and {name} is up there"
            moves.begin(turn, name, trigger=moves.AUTO, verb="follow", by="lbctl", reason=reason)
            return


def _near(case: Case, at: str) -> tuple[str, ...]:
    return tuple(name for name in case.others() if case.member(name).site == at)


def obstacles(case: Case, name: str) -> frozenset[str]:
    """The rows of the gate that do not hold for following to this member."""
    # The one row less. Latch and lockout stand, so that two services cannot send each other to and fro.
    return gate.failing(case, name) - {"active-down"}


def not_possible(case: Case) -> str:
    """Why it cannot follow, in a sentence; "" where it need not, or is only waiting for its turn in a wave."""
    at = astray(case)
    if not at:
        return ""
    near = _near(case, at)
    said = f"{case.settings.follows} is active at {at} and {case.active} is not there"
    if not near:
        return f"{said}: no member stands there"
    if at == case.saved.unfollowed:
        return f"{said}: a person moved it"
    if case.modes:
        return f"{said}: a Core moves only when it fails, or by `lbctl switchover {case.settings.name} --to {near[0]} --drive`"
    failing = {name: obstacles(case, name) for name in near}
    # Waiting for its turn is no obstacle: an alert for a second in every wave would be noise.
    if case.around.mass == "wait" and any(rows <= {"within-mass-move"} for rows in failing.values()):
        return ""
    return f"{said}: " + "; ".join(f"{name} is stopped by {', '.join(sorted(rows))}" for name, rows in failing.items())
