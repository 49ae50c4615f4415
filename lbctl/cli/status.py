"""`lbctl status`: one line a service, or everything about one; live with --watch; for Nagios with --exit-code."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from lbctl.api.advice import failing
from lbctl.cli.client import Client
from lbctl.cli.complete import service_names
from lbctl.cli.failure import Failure
from lbctl.cli.options import Globals, verb
from lbctl.cli.service import sheet
from lbctl.cli.show import ATTENTION, BAD, GOOD, MARKS, QUIET, STRONG, age, columns, day, emit, left, level, moment, paint
from lbctl.cli.terminal import laid

NAGIOS = {GOOD: (0, "OK"), ATTENTION: (1, "WARNING"), BAD: (2, "CRITICAL")}
LATELY, DECISIONS = 200, 6
"""Journal lines in which the last move is looked for, and decisions below a sheet that is watched."""
MEMBERS_MAX = 20
DAY_S = 86400.0

Shown = Mapping[str, Any]


@verb
@click.argument("service", required=False, shell_complete=service_names)
@click.option("-w", "--watch", is_flag=True, help="Stay and repaint, until Ctrl-C.")
@click.option("--exit-code", is_flag=True, help="End with 0 OK, 1 warning, 2 critical, 3 unknown, as monitoring plugins do.")
def status(options: Globals, service: str | None, watch: bool, exit_code: bool) -> None:
    """One line a service; with a name: members, gate, actuators."""
    try:
        client = Client(options)
        if watch:
            _watch(client, service)
            return
        found = _ask(client, service, whole=options.output != "table")
    except Failure as failure:
        if not exit_code:
            raise
        click.echo(f"UNKNOWN: {failure.message}")
        sys.exit(3)
    services = [found] if service else found["services"]
    table = options.output == "table"
    recent = _looks(client, found) if service and table else None
    lately = _events(client, found["name"]) if service and table and _moved_lately(found, client.now) else ()
    if exit_code and table:
        click.echo(verdict(services))
    ways = _advice(client, found) if service and table else ()
    emit(options, found, laid(lines(services, client.now, one=service is not None, looks=recent, lately=lately, ways=ways)))
    if exit_code:
        sys.exit(max((NAGIOS[level(shown)][0] for shown in services), default=3))


def _ask(client: Client, service: str | None, *, whole: bool = False) -> Any:
    return client.get("services", service) if service else client.get("services", brief=None if whole else "true")


def _looks(client: Client, shown: Shown) -> Any:
    """What recent looks have shown; nothing for a pool that is too large to be read in rows."""
    return client.get("services", shown["name"], "looks") if len(shown["members"]) <= MEMBERS_MAX else None


def _events(client: Client, service: str) -> Sequence[Shown]:
    """The newest lines of its journal."""
    found: Sequence[Shown] = client.get("events", service=service, newest="true", limit=LATELY)["events"]
    return found


def _advice(client: Client, shown: Shown) -> Sequence[Shown]:
    """What helps now, in the controller's words: the same as on the page."""
    found: Sequence[Shown] = client.get("services", shown["name"], "explain")["advice"]
    return found


def _moved_lately(shown: Shown, now: float) -> bool:
    """The last move is news: its line in the journal is worth a question."""
    at = moment(shown.get("moved_at"))
    return at is not None and (shown["state"] != "normal" or now - at < DAY_S)


def lines(services: Sequence[Shown], now: float, *, one: bool, looks: Any = None, lately: Sequence[Shown] = (),
          ways: Sequence[Shown] = ()) -> list[str]:
    """The table, or one service's sheet. `lately`: the newest lines of its journal; `ways`: what helps now."""
    if one:
        return list(sheet(services[0], now, looks, lately, ways))
    if not services:
        return ["no services are configured"]
    return columns([line(shown, now) for shown in services], head=("", "SERVICE", "STATE", "TRAFFIC TO", "MEMBERS", "ATTENTION"))


def line(shown: Shown, now: float) -> tuple[str, ...]:
    """One service in one line, the serious first to be seen."""
    seriousness = level(shown)
    traffic = ", ".join(shown.get("answering") or [shown["active"] or "nobody"])
    members = ", ".join(says(member) for member in shown["members"])
    return (paint(MARKS[seriousness], seriousness), paint(shown["name"], STRONG), paint(shown["state"], seriousness), traffic, members,
            "; ".join(attention(shown, now)))


def says(member: Mapping[str, Any]) -> str:
    """A member in two words: its name and what its page says, or why it fails."""
    failed = member["verdict"] in ("failed", "unknown")
    word = member["reason"] if failed else member["verdict"]
    return f"{member['name']} {paint(word, BAD if failed else QUIET)}"


def attention(shown: Shown, now: float) -> Iterator[str]:
    """What is not as it should be for ever."""
    suspect = failing(shown)
    if suspect:
        yield f"{suspect['name']} fails for {age(suspect['since'], now)}, not proven down yet"
    span, held = shown["maintenance"], shown["held"]
    if span["on"]:
        yield f"maintenance until {left(span['until'], now)} by {span['by']}"
    elif span["until"]:
        yield f"maintenance from {day(span['since'], now)} by {span['by']}"
    if held:
        yield f"held by {held['by']}"
    if shown["automation"] != "on":
        yield f"automation: {shown['automation']}"
    if shown["locked_out_until"]:
        yield f"locked out until {left(shown['locked_out_until'], now)}"
    if shown["resume_pending"]:
        yield "resume pending"
    if shown["approvals"]:
        yield "waiting for approval: " + ", ".join(str(entry["id"]) for entry in shown["approvals"])
    if any(not actuator["in_sync"] for actuator in shown["actuators"]):
        yield "not published everywhere"
    yield from (entry["kind"] for entry in shown.get("alerts", ()) if entry["kind"] != "ApprovalPending")


def verdict(services: Sequence[Shown]) -> str:
    """One line for a monitoring plugin: the worst first."""
    if not services:
        return "UNKNOWN: no services"
    ranked = sorted(services, key=lambda shown: -NAGIOS[level(shown)][0])
    word = NAGIOS[level(ranked[0])][1]
    noted = [shown for shown in ranked if level(shown) != GOOD] or ranked
    told = ", ".join(f"{shown['name']} {shown['state']}, traffic to {shown['active'] or 'nobody'}{', which fails' if failing(shown) else ''}"
                     for shown in noted[:5])
    return f"{word}: {told}" + (f" and {len(noted) - 5} more" if len(noted) > 5 else "")


def _watch(client: Client, service: str | None) -> None:
    """Only here, so that a plain `status` does not pay for it."""
    from lbctl.cli.watch import watch  # and the event loop with it

    def look() -> tuple[list[str], Any]:
        if service:
            return _one(client, service)
        services = _ask(client, None)["services"]
        return [summary(services), *lines(sorted(services, key=_seriousness), client.now, one=False)], [_worth(shown) for shown in services]

    watch(client, look)


def _one(client: Client, service: str) -> tuple[list[str], Any]:
    """The sheet, and below it what was decided of late."""
    from lbctl.cli.journal import is_decision, timings, told

    shown = client.get("services", service)
    recent = _events(client, service)
    stages = timings(recent)
    decided = [{**event, "stages": stages.get((service, event["epoch"]), {})} for event in recent if is_decision(event)][-DECISIONS:]
    sheet_ = lines([shown], client.now, one=True, looks=_looks(client, shown), lately=recent, ways=_advice(client, shown))
    return [*sheet_, "", *told(decided)], _worth(shown)


def _seriousness(shown: Shown) -> int:
    return -NAGIOS[level(shown)][0]


def _worth(shown: Shown) -> Any:
    """What a new picture on a dumb terminal is worth."""
    pages = [(member["name"], member["verdict"], member["reason"], member["health"]) for member in shown["members"]]
    return shown["name"], shown["revision"], shown["state"], pages, [actuator["in_sync"] for actuator in shown["actuators"]]


def summary(services: Sequence[Shown]) -> str:
    """How many need somebody: `1 needs you, 2 to look at, 297 well`."""
    counts = {seriousness: sum(level(shown) == seriousness for shown in services) for seriousness in NAGIOS}
    words = {BAD: "need you" if counts[BAD] != 1 else "needs you", ATTENTION: "to look at", GOOD: "well"}
    return ", ".join(paint(f"{counts[kind]} {words[kind]}", kind) for kind in (BAD, ATTENTION, GOOD) if counts[kind])
