"""From a journal line to a notice: what, why, on what evidence, what to do, how to undo.

A note says *what happened* in its own words; what can be *done* about it depends on its kind alone and stands here, one row a kind, with the
commands to type. A kind without a row becomes a notice only if its note asks for somebody to be woken: forgetting a row can never silence a page.
The runbooks under `deploy/runbooks/` say the same at length.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lbctl.model.decision import Note, Step
from lbctl.notifiers.base import RANK, Notice, Severity

EVIDENCE_MAX = 60


@dataclass(frozen=True, slots=True)
class Words:
    """What one kind is worth and what helps; `{service}` and `{member}` are filled in. `runbook` is the alert's name, where there is one.

    `level`: it holds until its `KIND-over` is told.
    """

    severity: Severity
    means: str
    do: str
    undo: str = ""
    runbook: str = ""
    level: bool = True


PAGE, TICKET, INFO = Severity.PAGE, Severity.TICKET, Severity.INFO
LOOK = "lbctl explain {service}"


def _edge(severity: Severity, means: str, do: str, undo: str = "", runbook: str = "") -> Words:
    return Words(severity, means, do, undo, runbook, level=False)


WORDS: dict[str, Words] = {
    # conditions of a service (SEMANTICS section 5)
    "down": Words(PAGE, "The active member fails and no move is allowed; the rule that blocks it is in the evidence and in `explain`.",
                  "lbctl explain {service}; repair the active member, or lbctl failover {service} --to MEMBER --reason …", runbook="ActiveDown"),
    "all-down": Words(PAGE, "No member answers as it should; the published answer is kept.",
                      "lbctl status {service}; repair any member, what is published follows", runbook="AllDown"),
    "stranded": Words(PAGE, "The active member is down and the other side already says Mode: Primary, so the guide's gate stays shut.",
                      "make sure that nobody else writes, then lbctl failover {service} --to MEMBER --reason …, or lbctl approvals",
                      "lbctl resume {service}", "SelfPromotedNotAdopted"),
    "dual-primary": Words(PAGE, "Two members say Mode: Primary; nothing automatic happens until one of them is made Secondary.",
                          "find out which one takes the writes (lbctl status {service}); on the other: failover mode secondary",
                          runbook="DualPrimary"),
    "blind": Words(PAGE, "Nothing answers, other services and canaries included: it is this lbctl that is cut off. No looks count.",
                   "check this host's network and DNS; nothing moves meanwhile", runbook="Blind"),
    "common-mode": Words(PAGE, "All members fail in the same way at once (TLS, DNS, redirect, malformed): a common cause, not dead members.",
                         "lbctl probe {service}/MEMBER; repair the certificate, the resolver or what stands in between", runbook="CommonModeFailure"),
    "uninitialised": Words(PAGE, "lbctl does not know who is active and will not guess.",
                           "lbctl explain {service}; lbctl adopt {service} [--member MEMBER --reason …]", runbook="Uninitialised"),
    "partial": Words(TICKET, "Not every place shows what was decided; lbctl goes on trying.",
                     "lbctl status {service}: the ledger names the place and its error", runbook="PartialUpdate"),
    "failed-over": Words(INFO, "The active member is not the primary.", "lbctl explain {service}", "lbctl resume {service}", "FailedOverLong"),
    "re-arming": Words(INFO, "Maintenance has ended; automatic moves begin again after clean rounds.",
                       "nothing; to arm at once: lbctl ack {service} --reason …", runbook="NotArmed"),
    # alerts beside the conditions
    "TrafficOnUnpromoted": Words(PAGE, "The new active member has not become Primary within promote_timeout: clients reach a Standby.",
                                 "promote {member} (failover mode primary), or lbctl resume {service} if the primary serves",
                                 "lbctl resume {service}", "TrafficOnUnpromoted"),
    "SelfPromotedNotAdopted": Words(PAGE, "With `on_self_promoted: adopt` it would have been taken, but a condition failed.",
                                    "make sure that nobody else writes, then lbctl failover {service} --to {member} --reason …",
                                    "lbctl resume {service}", "SelfPromotedNotAdopted"),
    "OldPrimaryReturned": Words(PAGE, "The old primary is back and still says Primary; clients with old answers may write there. Traffic stays.",
                                "lbctl explain {service}: if the active member serves as Primary, on {member}: failover client-connection "
                                "disable, failover mode secondary, then sync from the active member; "
                                "if it was never promoted, lbctl resume {service}, no sync",
                                "lbctl resume {service} --drive once it is synced", "OldPrimaryReturned"),
    "NoEligibleStandby": Words(TICKET, "Nobody could take over now.",
                               "lbctl readiness {service}; after a failover: lbctl resume {service} --drive or lbctl swap-roles {service} --reason …",
                               runbook="NoEligibleStandby"),
    "Rogue": Words(PAGE, "{member} says Primary although it follows somebody else; it is never chosen by itself.",
                   "find out who promoted {member}; if nobody should use it: failover mode secondary there", runbook="RogueMember"),
    "StandbyDown": Words(TICKET, "A standby does not answer as one; it could not take over.", "lbctl probe {service}/{member}",
                         runbook="StandbyDown"),
    "MemberDown": Words(TICKET, "A member of the pool is down; the others answer.", "lbctl probe {service}/{member}", runbook="MemberDown"),
    "PoolShort": Words(PAGE, "Too few members are up, so one that is down stays in the answer and gets clients.",
                       "lbctl status {service}; repair {member} first", runbook="PoolShort"),
    "FollowNotPossible": Words(TICKET, "The service that this one follows is at another site, and nobody there can serve this one.",
                               "lbctl explain {service}; repair its members at the other site", runbook="FollowNotPossible"),
    "UpgradeUnfinished": Words(PAGE, "All but the last step of the upgrade is done; automatic moves stay off until it is taken.",
                               "lbctl upgrade {service} next", runbook="UpgradeUnfinished"),
    "UnknownMode": Words(PAGE, "The page says a mode that is neither Primary nor Standby; it counts for nothing.",
                         "lbctl probe {service}/{member} shows the text; check the Core's version and language", runbook="UnknownMode"),
    "RolesSwappedOutside": Words(PAGE, "Roles were swapped on the servers and lbctl was not told.",
                                 "lbctl swap-roles {service} --reason …, or swap them back on the servers", "lbctl swap-roles {service} --reason …",
                                 "RolesSwappedOutside"),
    "ApprovalPending": Words(PAGE, "A move waits for a human's yes and expires unanswered.", "lbctl approvals; lbctl approve ID or lbctl deny ID",
                             "lbctl resume {service}", "ApprovalPending"),
    "NotArmed": Words(PAGE, "Maintenance is over but the rounds are not clean: automatic moves stay off.",
                      "lbctl explain {service}; repair what is named, or lbctl ack {service} --reason …", runbook="NotArmed"),
    "MassMoveHeld": Words(PAGE, "Many services want to move at once: one event, not many, so lbctl holds them.",
                          "find the common cause; then lbctl release {service}, or lbctl release --all", runbook="MassMoveHeld"),
    "NotSaved": Words(PAGE, "Decisions cannot be saved, so none is taken; what is published stays.",
                      "check the disk or the store of the controller; lbctl status", runbook="StoreDown"),
    "RunFailed": Words(PAGE, "A run on the Cores stopped half-way; what it had changed is in the evidence.",
                       "lbctl explain {service}; repair, then run the same command again: it goes on where it stopped", runbook="RunFailed"),
    "WrongServer": Words(PAGE, "Looks at a member are answered by another one: names or addresses are mixed up; they count for nothing.",
                         "lbctl probe {service}/{member}; compare certificate and address; repair the name, the NAT or members[].connect",
                         runbook="WrongServer"),
    "ClientPathDown": Words(PAGE, "Clients do not reach the active member by their own path, though it is well. Nothing moves for that alone.",
                            "lbctl probe {service}/{member}; repair the gateway or proxy, or lbctl failover {service} --to MEMBER --reason …",
                            "lbctl resume {service}", "ClientPathDown"),
    "PathsDisagree": Words(TICKET, "Directly and by the clients' path the member looks different; such looks are no news of it.",
                           "lbctl probe {service}/{member}; repair the path that is dead", runbook="PathsDisagree"),
    "FamilyWithheld": Words(TICKET, "A member answers over one of IPv4 and IPv6 only; the dead one is not published.",
                            "lbctl probe {service}/{member}; repair that path, it is published again by itself", runbook="FamilyWithheld"),
    "MaintenanceEnding": Words(TICKET, "Automatic moves will begin again.", "lbctl maintenance extend {service} --for 1h --reason …, or be done",
                               runbook="MaintenanceEnding"),
    "HeldLong": Words(TICKET, "Nothing automatic has been allowed here for more than eight hours.", "lbctl release {service}", runbook="HeldLong"),
    # what has just happened
    "moved": _edge(INFO, "The gate's rows held; they are in the journal.", "lbctl status {service}; lbctl history {service}",
                   "lbctl resume {service} (lbctl explain {service} says what is missing for it)", "Failover"),
    "memory-torn": _edge(PAGE, "The newest state could not be read; the one before it is used. A latch or hold of the last decision may be missing.",
                         "lbctl history {service}; lbctl status {service}; set again what is missing (lbctl hold {service} --reason …)",
                         runbook="StoreDown"),
    "cancelled": _edge(PAGE, "A move was saved but never published before a restart; it was taken back.", LOOK, runbook="Failover"),
    "family-withheld": _edge(INFO, "Clients of one address family are not sent to a path that is dead; the other family serves.",
                             "lbctl probe {service}/{member}"),
    "family-back": _edge(INFO, "Both address families are published again.", "nothing"),
    "pool-changed": _edge(INFO, "The answer follows the health of the members.", "lbctl status {service}"),
    "roles-swapped": _edge(INFO, "Primary and active exchanged roles; traffic did not move.", "change the roles in the file too: lbctl check",
                           "lbctl swap-roles {service} --reason …"),
    "apply-failed": Words(TICKET, "What was decided is not published there yet; lbctl goes on trying.", "lbctl status {service}: the ledger names it",
                          runbook="ActuatorErrors"),
    "resolver-late": Words(TICKET, "A cache keeps the old answer longer than its TTL allows: clients behind it are still sent to the old member.",
                           "dig @RESOLVER NAME there; flush the name, and see whether it clamps TTLs or serves stale answers",
                           runbook="ResolverLate"),
    "address-duplicated": _edge(PAGE, "Another machine claims the virtual address: some clients reach it instead. It is answered each time.",
                                "find the machine by its MAC (the switch knows its port) and take the address from it; lbctl explain {service}",
                                runbook="VipDuplicated"),
    "address-removed": _edge(TICKET, "Somebody removed the virtual address on its host; it was put back at once.",
                             "find out who: a network manager that does not know the address?", runbook="VipRemoved"),
    "address-moved": _edge(INFO, "The host that held the virtual address is gone or refuses; another holds it. Open connections were cut.",
                           "lbctl explain {service}; repair the old host"),
    "host-unready": _edge(TICKET, "One host fewer could hold the virtual address.", "lbctl explain {service}; look at `lbctl agent` there",
                          runbook="VipHostDown"),
    "host-ready": _edge(INFO, "The virtual address has a spare host again.", "nothing"),
    "maintenance-on": _edge(INFO, "Nothing automatic happens until it ends.", "nothing", "lbctl maintenance off {service}"),
    "held": _edge(INFO, "Nothing automatic happens until somebody releases it.", "nothing", "lbctl release {service}"),
    "drift": _edge(PAGE, "Somebody else wrote there; lbctl corrects it, except in maintenance.", "find out who wrote; lbctl status {service}",
                   runbook="PartialUpdate"),
    "second-person": _edge(TICKET, "The configuration asks for two people here.", "lbctl approvals; lbctl approve ID or lbctl deny ID",
                           runbook="ApprovalPending"),
    "maintenance-ended": _edge(INFO, "Automatic moves begin again after clean rounds.", "lbctl status {service}"),
    "approval-expired": _edge(TICKET, "Nobody answered in time; the move was not made.", "lbctl explain {service}", runbook="ApprovalPending"),
    "would-failover": _edge(INFO, "Only the named rules stopped a move.", LOOK, runbook="WouldFailover"),
}


def from_note(note: Note, *, service: str, at: float, epoch: int = 0, revision: int = 0) -> Notice | None:
    """The notice of something that has just happened; None where nobody needs to be told."""
    base = note.kind.removesuffix("-over")
    over = base != note.kind and base in WORDS and WORDS[base].level
    words = WORDS.get(base if over else note.kind)
    if words is None and not note.page:
        return None
    key = f"{service}/{base if over else note.kind}/{note.member}" + ("" if words and words.level else f"/{epoch}/{_mark(note)}")
    names = {"service": service or "SERVICE", "member": note.member or "MEMBER"}
    told = words or Words(PAGE, "Its rules ask for somebody to look.", LOOK)
    return Notice(
        key=f"{key}/over" if over else key, ends=key if over else "", service=service, kind=note.kind, at=at, what=note.text,
        severity=_severity(note, words, over=over), why=_why(note, told, over=over).format_map(names),
        evidence=_evidence(note, epoch=epoch, revision=revision),
        do="" if over else told.do.format_map(names), undo="" if over else told.undo.format_map(names), runbook=told.runbook,
    )


def from_step(step: Step) -> Notice | None:
    """The same from a line of the journal, whose `data` carries the note's member, evidence and page."""
    data = step.data
    evidence = data.get("evidence")
    note = Note(
        kind=step.kind, text=step.text, member=str(data.get("member", "")), by=step.by, page=data.get("page") is True,
        evidence=evidence if isinstance(evidence, Mapping) else {k: v for k, v in data.items() if k not in ("member", "page")},
    )
    return from_note(note, service=step.service, at=step.at, epoch=step.epoch, revision=step.revision)


def _severity(note: Note, words: Words | None, *, over: bool) -> Severity:
    """The note decides about waking somebody; the end of a trouble never wakes, but reaches whoever was told of its beginning by ticket or page."""
    if over:
        return TICKET if words and words.severity is not INFO else INFO
    if note.page:
        return PAGE
    return min(words.severity if words else INFO, TICKET, key=lambda severity: RANK[severity])


def _why(note: Note, words: Words, *, over: bool) -> str:
    """The cause in words: what the note's evidence calls so, else what the kind means."""
    if over:
        return "What was reported no longer holds."
    said = next((str(note.evidence[name]) for name in ("why", "reason", "cause") if note.evidence.get(name)), "")
    return " ".join(part for part in (said.replace("{", "{{").replace("}", "}}"), words.means) if part)


def _evidence(note: Note, *, epoch: int, revision: int) -> dict[str, Any]:
    found = dict(list(note.evidence.items())[:EVIDENCE_MAX])
    for name, value in (("member", note.member), ("by", note.by), ("epoch", epoch), ("revision", revision)):
        if value:
            found.setdefault(name, value)
    return found


def _mark(note: Note) -> str:
    """Tells two happenings of one kind and epoch apart only where they say something else."""
    return str(note.evidence.get("approval") or note.evidence.get("run") or note.text)[:120]
