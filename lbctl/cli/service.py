"""One service in depth: who has the traffic and why, members with what their pages say, the gate, the ledger of every actuator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lbctl.cli.show import ATTENTION, BAD, GOOD, QUIET, STRONG, age, clean, columns, left, level, paint

Shown = Mapping[str, Any]

WAITING = frozenset({"active-down", "candidate-confirmed"})
"""Rules that are shut as long as all is well."""


def sheet(shown: Shown, now: float) -> Iterator[str]:
    """The lines of `lbctl status SERVICE`."""
    yield f"{paint(shown['name'], STRONG)} is {paint(shown['state'], level(shown))}: {clean(shown.get('reason', ''))}"
    others = [name for name in shown["conditions"] if name != shown["state"]]
    if others:
        yield f"  also {', '.join(others)}"
    yield f"  primary {shown['primary'] or '-'}, active {shown['active'] or '-'}, epoch {shown['epoch']}, revision {shown['revision']}"
    yield from (f"  {line}" for line in _people(shown, now))
    for alert in shown.get("alerts", ()):
        yield f"  {paint('! ' + alert['kind'], ATTENTION)}: {clean(alert['text'])}"
    yield ""
    yield from _members(shown, now)
    yield ""
    yield from _gate(shown)
    yield from _actuators(shown, now)
    yield from _resolvers(shown)


def _people(shown: Shown, now: float) -> Iterator[str]:
    """What people have said about it, and what waits for them."""
    span, held = shown["maintenance"], shown["held"]
    if span["until"]:
        when = f"until {left(span['until'], now)}" if span["on"] else f"planned from {span['since']} until {span['until']}"
        yield f"{paint('maintenance', ATTENTION)} {when}, by {span['by']}: {clean(span['reason'])}"
    if held:
        yield f"{paint('held', ATTENTION)} since {age(held.get('since'), now)} by {held['by']}: {clean(held['reason'])}"
    if shown["automation"] != "on":
        yield f"{paint('automation: observe', ATTENTION)}: decisions are recorded and nothing is moved"
    if shown["locked_out_until"]:
        yield f"{paint('locked out', ATTENTION)} until {left(shown['locked_out_until'], now)}: the next automatic move asks first"
    if shown["resume_pending"]:
        yield f"{paint('resume pending', ATTENTION)}: traffic goes back to {shown['primary']} only by `lbctl resume {shown['name']}`"
    for entry in shown["approvals"]:
        yield f"{paint('approval ' + entry['id'], ATTENTION)}: move to {entry['to']}? {clean(entry['reason'])}; expires {left(entry['expires'], now)}"
    if shown.get("run"):
        run = shown["run"]
        failed = f", failed: {clean(run['failed'])}" if run["failed"] else ""
        yield f"{paint('run open', ATTENTION)}: {run['kind']} at {run['step']}, by {run['by']}{failed}"
    if shown.get("roles_differ_from_file"):
        yield f"{paint('roles differ from the file', ATTENTION)}: make {shown['primary']} the primary in the configuration"


def _members(shown: Shown, now: float) -> list[str]:
    """A row a member; each page has a column, and the one that judges the member is what it SAYS."""
    pages = list(dict.fromkeys(page for member in shown["members"] for page in member["monitors"]))
    rows = [_member(shown, member, pages, now) for member in shown["members"]]
    return columns(rows, head=("  MEMBER", "ROLE", "HEALTH", "SAYS", "FOR", *(page.upper() for page in pages), "LOOKED", "NOTES"))


def _member(shown: Shown, member: Mapping[str, Any], pages: list[str], now: float) -> tuple[str, ...]:
    active = member["name"] in (shown.get("answering") or [shown["active"]])
    health = paint(member["health"], {"up": GOOD, "down": BAD}.get(member["health"], ATTENTION))
    looked = max((page.get("age_s") or 0.0 for page in member["monitors"].values()), default=0.0)
    return (("> " if active else "  ") + paint(member["name"], STRONG), member["role"], health, _says(member), age(member["since"], now),
            *(paint(_words(member["monitors"].get(page)), QUIET) for page in pages), f"{looked:.0f}s ago", ", ".join(_notes(member, active)))


def _words(entry: Mapping[str, Any] | None) -> str:
    """What one page says, in words: a verdict, with its reason where it is a bad one."""
    if entry is None or entry["verdict"] not in ("failed", "unknown"):
        return str(entry["verdict"]) if entry is not None else ""
    return f"{entry['verdict']} ({entry['reason']})" if entry["reason"] != entry["verdict"] else entry["verdict"]


def _says(entry: Mapping[str, Any]) -> str:
    return paint(_words(entry), BAD if entry["verdict"] in ("failed", "unknown") else "")


def _notes(member: Mapping[str, Any], active: bool) -> Iterator[str]:
    if active:
        yield "has the traffic" if member["promoted"] else paint("has the traffic, not promoted yet", ATTENTION)
    if member["latched"]:
        yield paint("latched", ATTENTION)
    if member["needs_resync"]:
        yield paint("needs re-sync", ATTENTION)
    if member.get("approval") == "manual":
        yield "only with approval"
    if member["detail"] and member["verdict"] in ("failed", "unknown"):
        yield paint(clean(member["detail"]), QUIET)


def _gate(shown: Shown) -> Iterator[str]:
    """For each other member: would traffic move to it now, and the rows that say no."""
    for candidate in shown.get("gate", ()):
        shut = [row for row in candidate["rules"] if not row["holds"]]
        if not shut:
            yield f"Gate to {candidate['member']}: {paint('open', BAD)}, every rule holds"
            continue
        if all(row["rule"] in WAITING for row in shut):
            yield f"{candidate['member']} is ready: traffic stays because of {shut[0]['rule']} alone ({clean(shut[0]['evidence'])})"
            continue
        yield f"Gate to {candidate['member']}: shut by {len(shut)} of {len(candidate['rules'])} rules"
        yield from columns([(row["rule"], clean(row["evidence"])) for row in shut], indent="  ")
    if shown.get("gate"):
        yield ""


def _actuators(shown: Shown, now: float) -> list[str]:
    rows = []
    for entry in shown["actuators"]:
        behind = entry.get("behind_since")
        told = paint("in sync", GOOD) if entry["in_sync"] else paint(f"behind{' for ' + age(behind, now) if behind else ''}", BAD)
        error = f": {clean(entry['error'])}" if entry["error"] else ""
        rows.append((entry["id"], str(entry["wanted"]), str(entry["applied"]), str(entry["verified"]), told + error))
    return columns(rows, head=("ACTUATOR", "WANTED", "APPLIED", "VERIFIED", ""))


def _resolvers(shown: Shown) -> Iterator[str]:
    """What caches told after the last move."""
    rows = [(entry["id"], one["resolver"], *_told(one)) for entry in shown["actuators"] for one in entry.get("resolvers", ())]
    if rows:
        yield ""
        yield from columns(rows, head=("ACTUATOR", "RESOLVER", "EPOCH", "TELLS THE NEW ANSWER"))


def _told(one: Mapping[str, Any]) -> tuple[str, str]:
    """The epoch it was asked about, and since when it tells the new answer."""
    if one["epoch"] is None:
        return "-", paint("no move since the start", QUIET)
    if one["seconds"] is not None:
        return str(one["epoch"]), paint(f"{one['seconds']:g} s after the decision", GOOD)
    instead = clean(one["error"] or ", ".join(one["shows"] or ()) or "nothing yet")
    return str(one["epoch"]), paint(f"{'late' if one['late'] else 'not yet'}: {instead}", BAD if one["late"] else ATTENTION)
