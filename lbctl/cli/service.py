"""One service in depth: who has the traffic and why, members with what their pages say, the gate, the ledger of every actuator."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from lbctl.api.times import short
from lbctl.cli import looks
from lbctl.cli.show import ATTENTION, BAD, GOOD, QUIET, STRONG, age, clean, clock, columns, day, left, level, moment, paint
from lbctl.cli.terminal import room, width

Shown = Mapping[str, Any]

WAITING = frozenset({"active-down", "candidate-confirmed"})
"""Rules that are shut as long as all is well."""


def sheet(shown: Shown, now: float, recent: Shown | None = None, lately: Sequence[Shown] = (), ways: Sequence[Shown] = ()) -> Iterator[str]:
    """The lines of `lbctl status SERVICE`. `recent`: what `…/looks` says; `lately`: the newest lines of the journal; `ways`: what helps now."""
    yield f"{paint(shown['name'], STRONG)} is {paint(shown['state'], level(shown))}: {spoken(shown.get('reason', ''))}"
    others = [name for name in shown["conditions"] if name != shown["state"]]
    if others:
        yield f"  also {', '.join(others)}"
    since = f" for {age(shown['moved_at'], now)}" if shown.get("moved_at") else ""
    yield f"  primary {shown['primary'] or '-'}, active {shown['active'] or '-'}{since}, epoch {shown['epoch']}, revision {shown['revision']}"
    yield from _happened(shown, lately)
    yield from (f"  {line}" for line in (*_unserved(shown), *_people(shown, now)))
    for alert in shown.get("alerts", ()):
        yield f"  {paint('! ' + alert['kind'], ATTENTION)}: {clean(alert['text'])}"
    yield ""
    if ways:
        yield from helps(ways)
        yield ""
    yield from _members(shown, now)
    yield ""
    if recent is not None:
        yield from looks.rows(recent, _expected(shown))
        yield ""
    yield from _gate(shown)
    yield from _actuators(shown, now)
    yield from _hosts(shown)
    yield from _resolvers(shown)


def helps(ways: Sequence[Shown]) -> Iterator[str]:
    """What to do, the most urgent first; a command stands on a line of its own, so that it can be copied whole."""
    yield paint("What to do", STRONG)
    for way in ways:
        yield f"  {spoken(way['text'])}"
        if way["command"]:
            yield f"      {paint(clean(way['command']), STRONG)}"


def spoken(text: object) -> str:
    """Evidence counts in seconds; nobody divides 28798 by 3600 at night."""
    return re.sub(r"\b(\d{3,})(?:\.\d+)? s\b", lambda found: short(float(found[1])), clean(text))


def _happened(shown: Shown, lately: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The move that brought traffic where it is, in its own words."""
    last = next((event for event in reversed(lately) if event["kind"] == "moved" and event["epoch"] == shown["epoch"]), None)
    if last is not None:
        who = f" (asked for by {clean(last['by'])})" if last["by"] not in ("", "lbctl") else " (by itself)"
        yield f"  {paint(clock(moment(last['at']) or 0.0, seconds=True), STRONG)} {spoken(last['text'])}{who}"


def _unserved(shown: Shown) -> Iterator[str]:
    """A Core that has the traffic and is no Primary yet answers the gate and serves nobody: that must not look like health."""
    active = next((member for member in shown["members"] if member["name"] == shown["active"]), None)
    if active is None or shown.get("kind") == "pool" or active["promoted"] or active["health"] != "up":
        return
    if "hastatus" in active["monitors"] and active["monitors"].get("status", {}).get("verdict") != "ok":
        name = active["name"]
        yield f"{paint('clients are not served yet', BAD)}: {name} is still a Standby; it serves once it is Primary"


def _expected(shown: Shown) -> frozenset[tuple[str, str]]:
    """Pages that fail by right: a standby's status page."""
    answering = shown.get("answering") or [shown["active"]]
    # an old primary that is back says Primary: the failures before that were an outage and no standby's
    standbys = (member for member in shown["members"] if member["name"] not in answering and member["verdict"] == "standby")
    return frozenset((member["name"], "status") for member in standbys if len(member["monitors"]) > 1)


def _people(shown: Shown, now: float) -> Iterator[str]:
    """What people have said about it, and what waits for them."""
    span, held = shown["maintenance"], shown["held"]
    if span["until"]:
        when = f"until {left(span['until'], now)}" if span["on"] else f"planned from {day(span['since'], now)} until {day(span['until'], now)}"
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
        yield f"  `lbctl approve {entry['id']}` or `lbctl deny {entry['id']}`"
    yield from _drain(shown, now)
    yield from _run(shown, now)
    if shown.get("roles_differ_from_file"):
        yield f"{paint('roles differ from the file', ATTENTION)}: make {shown['primary']} the primary in the configuration"


def _drain(shown: Shown, now: float) -> Iterator[str]:
    drain = shown.get("drain")
    if drain:
        waits = f"traffic moves to {drain['target']} at {left(drain['until'], now)}" if drain["until"] else "the TTL is being lowered"
        yield f"{paint('draining', ATTENTION)} for a {drain['verb']} by {drain['by']}: {waits}; `lbctl hold {shown['name']} --reason …` ends it"


def _run(shown: Shown, now: float) -> Iterator[str]:
    run = shown.get("run")
    if not run:
        return
    doing = f", now at {run['doing']}" if run.get("doing") else ""
    last = "" if run["step"] == "begin" else f"; {run['step']} was the last step to end"
    yield f"{paint('run open', ATTENTION)}: {run['kind']} by {run['by']} for {age(run.get('began'), now)}{doing}{last}"
    if run["failed"]:
        goes_on = f"`lbctl resume {shown['name']} --drive` goes on, `lbctl upgrade {shown['name']} abort --reason …` ends it"
        yield f"  {paint('it has stopped', BAD)}: {clean(run['failed'])}; {goes_on}"
    elif run["kind"] == "upgrade":
        yield f"  `lbctl upgrade {shown['name']} status` says what the next step waits for"


def _members(shown: Shown, now: float) -> list[str]:
    """A row a member; each page has a column, and the one that judges the member is what it SAYS."""
    pages = list(dict.fromkeys(page for member in shown["members"] for page in member["monitors"]))
    rows = [_member(shown, member, pages, now) for member in shown["members"]]
    head = ("  MEMBER", "ROLE", "HEALTH", "SAYS", "FOR", *(page.upper() for page in pages), "LOOKED", "NOTES")
    beside = columns(rows, head=head)
    if max(map(width, beside)) <= room():
        return beside
    # too narrow for notes at the side: each stands below its member, because they are what must not be missed
    kept = len(head) - 1
    if max(map(width, columns([row[:-1] for row in rows], head=head[:-1]))) > room():
        kept = len(head) - len(pages) - 2
    told = iter(columns([row[:kept] for row in rows], head=head[:kept]))
    return [next(told), *(line for row in rows for line in (next(told), *_below(row[kept:], pages)))]


def _below(cells: Sequence[str], pages: list[str]) -> Iterator[str]:
    """What has no room beside a member: its pages in a sentence, where they are among it, and its notes."""
    *looked, notes = cells
    if looked:
        yield "      " + ", ".join([*(f"{page} {cell}" for page, cell in zip(pages, looked, strict=False) if cell), f"looked {looked[-1]}"])
    if notes:
        yield f"      {notes}"


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
    unable = unready(one for entry in shown["actuators"] for one in entry.get("hosts", ()))
    for candidate in shown.get("gate", ()):
        shut = [row for row in candidate["rules"] if not row["holds"]]
        if not shut:
            yield f"Gate to {candidate['member']}: {paint('open', BAD)}, every rule holds"
            continue
        if all(row["rule"] in WAITING for row in shut):
            if why := unable.get(candidate["member"]):
                yield f"{candidate['member']} would get the traffic, {paint('but its address could not follow', BAD)}: {clean(why)}"
                continue
            yield f"{candidate['member']} is ready: traffic stays because of {shut[0]['rule']} alone ({spoken(shut[0]['evidence'])})"
            continue
        yield f"Gate to {candidate['member']}: shut by {len(shut)} of {len(candidate['rules'])} rules"
        yield from columns([(row["rule"], spoken(row["evidence"])) for row in shut], indent="  ")
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


def _hosts(shown: Shown) -> Iterator[str]:
    """Where a virtual address is, and who could have it next."""
    rows = [(entry["id"], one["host"], _holding(one)) for entry in shown["actuators"] for one in entry.get("hosts", ())]
    if rows:
        yield ""
        yield from columns(rows, head=("ACTUATOR", "HOST", ""))


def unready(hosts: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Hosts that could not take the address now, and why; where the members' own hosts hold it they are named like the members."""
    return {one["host"]: one["trouble"] for one in hosts if one["trouble"]}


def _holding(one: Mapping[str, Any]) -> str:
    if one["trouble"]:
        return paint(f"{'holds it' if one['holds'] else 'could not hold it'}: {clean(one['trouble'])}", BAD)
    return paint("holds it", GOOD) if one["holds"] else paint("could hold it" if one["ready"] else "not asked yet", QUIET)


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
