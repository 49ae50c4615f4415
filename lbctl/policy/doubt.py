"""Reasons not to believe what we see: blind, common mode, a cut site, two Primaries (SEMANTICS section 4).

A doubt never says that a member is well; it says that the failure we see may be ours, or everybody's, so that moving traffic would not help.
"""

from __future__ import annotations

from lbctl.model.looks import COMMON, SILENT, ProbeResult, Reason, Verdict
from lbctl.model.settings import MassMove
from lbctl.policy.case import Case


def blind(case: Case) -> bool:
    """Nothing answers anywhere, in any way: the controller itself is cut off (H3). A member that replies, even with a refusal, proves the path."""
    # All pages and not only those that judge: one status page that answers 503 proves the path as well as a good one.
    looks = [case.page(name, page) for name in case.settings.names for page in case.settings.monitor.pages]
    # A page that was never looked at may be the one that answers: not known is not blind.
    if any(sight.last is None for sight in looks) or case.around.proofs:
        return False
    # An UNKNOWN verdict is a reply, whatever its reason: two paths that disagree are two paths that exist.
    silent = all(sight.last is not None and sight.last.verdict is Verdict.FAILED and sight.last.reason in SILENT for sight in looks)
    # Old silence is no evidence of now: a stopped schedule makes members stale, not the world unreachable.
    return silent and all(case.fresh(name, page) for name in case.settings.names for page in case.settings.monitor.pages)


def common_mode(case: Case) -> Reason | None:
    """All members fail with the same reason of a common cause: an expired certificate, a resolver, a captive portal (H20)."""
    # Decisive pages alone: a Standby's status page fails every day for a reason of its own.
    looks = [case.look(name, case.decisive(name)) for name in case.settings.names]
    # A member that is well or was not freshly seen puts None in the set, and so excludes a common cause.
    reasons = {look.reason if look is not None and look.verdict is Verdict.FAILED else None for look in looks}
    shared = next(iter(reasons)) if len(reasons) == 1 else None
    # Timeouts and refusals are left out: shared by all they are `blind` or `all-down`, which have rules of their own.
    return shared if shared in COMMON else None


def dual_primary(case: Case) -> tuple[str, ...]:
    """The unlatched members, two at least, that all say Primary and are not rogue (H8); empty where there is no such thing."""
    # An old primary that came back as Primary must not freeze the pair: its latch and `needs_resync` protect (SEMANTICS 3).
    claim = tuple(name for name in case.claimants() if name not in case.saved.latched and not case.rogue(name))
    return claim if len(claim) > 1 else ()


def site_cut(case: Case) -> str:
    """The active's site, where its canaries fail together with it: it may be alive for its own clients. "" otherwise."""
    site = case.member(case.active).site if case.active else None
    # Only together with the active: canaries alone say nothing about a member that answers.
    return site if site and site in case.around.sites_cut and case.suspect() else ""


def site_unsure(case: Case) -> bool:
    """The active fails, and no canary of its site has answered a look that began since: whether the site is cut is not yet known.

    Canaries are looked at more seldom than the members of a quick service; a site must not be left before anybody has asked there.
    """
    first = case.judged(case.active).first_bad if case.active else None
    # None means that its site has no canaries: who configured none has not asked to wait for any.
    return first is not None and case.around.site_answered is not None and case.around.site_answered <= first and not site_cut(case)


MISTAKEN = "wrong server"
"""How the mark of a look begins that went to another member than the one it was meant for."""


def mistaken(case: Case, look: ProbeResult) -> str:
    """Why this look was none at its member: it shows the key of another one (H17). "" otherwise, and where members may share a key.

    Where a translation of addresses or a name leads to the standby, the active reads as the gate wants it: down, and another one in Standby.
    """
    # Without TLS there is no key to compare; plain HTTP cannot tell a swapped translation, and must not be void for that.
    if not look.key:
        return ""
    for name in case.settings.names:
        # One certificate for a whole pair is common: a shared key is suspicious only where the file says that keys differ.
        strict = case.member(name).own_key or case.member(look.member).own_key
        if name != look.member and strict and any(p.last is not None and p.last.key == look.key for p in case.sight(name).pages.values()):
            return f"{MISTAKEN}: it shows the certificate key of {name}"
    return ""


def stalled(case: Case, candidate: str) -> str:
    """Why the newest look at the active or the candidate counts for nothing (H24); "" for real looks."""
    # Only the two whose looks decide: a stall at a third member's page says nothing about this move.
    marks = [case.judged(name).voided for name in (case.active, candidate) if name]
    # Blindness has a row of its own, which names it better.
    return next((mark for mark in marks if mark not in ("", "blind")), "")


def stranded_by(case: Case) -> tuple[str, ...]:
    """Who says Primary while the active is down: the promotion race (H7). Strangers that do not follow the active are not counted, unless latched."""
    if not case.active_down():
        return ()
    # A latched one counts: roles returned by hand strand the traffic just as a promotion does (SEMANTICS 9, last rows but one).
    return tuple(name for name in case.others() if case.primary(name) and (case.follows(name) or name in case.saved.latched))


def freezes(case: Case) -> str:
    """The rule by which what is published must stay as it is, whatever its members' health; "" if it may change."""
    # People first: whoever stopped it wants to be named as the reason, also where a doubt holds besides.
    if case.in_maintenance():
        return "not-in-maintenance"
    # An open run holds until its end, whatever the clock says (SEMANTICS 7).
    if case.saved.hold is not None or case.run_open():
        return "not-held"
    if case.settings.observe:
        return "automation-on"
    if case.saved.rearming or case.state.uninitialised:
        return "armed"
    if blind(case):
        return "not-blind"
    return "" if common_mode(case) is None else "no-common-mode"


def mass_verdict(wanting: int, services: int, rule: MassMove) -> str:
    """What a wave of `wanting` services out of all means for each of them: "open", "hold" or "stagger" (H53)."""
    # Both: a share alone would call two services of three a wave, a number alone four of ten thousand.
    if wanting < rule.at_least or wanting < rule.share * services:
        return "open"
    return rule.then
