"""`lbctl history` and `lbctl events`: what was decided, why, by whom and how long each stage took; and every line as it is written."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from lbctl.cli.audit import pages
from lbctl.cli.client import Client
from lbctl.cli.complete import service_names
from lbctl.cli.failure import Failure
from lbctl.cli.options import Globals, verb
from lbctl.cli.show import ATTENTION, BAD, GOOD, QUIET, STRONG, clean, clock, columns, dumps, emit, folded, moment, paint
from lbctl.cli.terminal import room
from lbctl.clock import SystemClock

Event = Mapping[str, Any]

ROUTINE = frozenset({
    "look", "way-look", "synced", "sync-unknown", "applied", "read-back", "converged", "verified", "apply-failed", "saved", "started",
    "clock-stepped", "resolver-converged",
})
"""Kinds that `history` leaves out: they are the evidence, not the decision; stages are read from them."""

STAGES = {"applied": "written", "read-back": "seen from outside"}
_COLOURS = {"moved": BAD, "cancelled": BAD, "would-failover": ATTENTION, "uninitialised": BAD, "promoted": GOOD}
PAGE, PAGES = 1000, 20
EPOCH_SECONDS = 1e9
AGAIN_S = 1.0
BESIDE = 110
"""Columns from which the text of an event fits beside its number, time and kind."""


@verb
@click.argument("service", required=False, shell_complete=service_names)
@click.option("-n", "--last", type=click.IntRange(1, 1000), default=30, show_default=True, help="So many decisions.")
def history(options: Globals, service: str | None, last: int) -> None:
    """Decisions: cause, evidence, who, how long each stage took."""
    client = Client(options)
    if service:
        client.get("services", service)
    found = _back(client, service, last)
    decisions = [event for event in found if is_decision(event)][-last:]
    stages = timings(found)
    for event in decisions:
        if event["kind"] == "moved":
            event["stages"] = stages.get((event["service"], event["epoch"]), {})
    emit(options, {"events": decisions}, told(decisions) or ["nothing has been decided yet"])


def _back(client: Client, service: str | None, last: int) -> list[dict[str, Any]]:
    """The newest lines, and further back until they hold `last` decisions, at most `PAGES` pages."""
    found: list[dict[str, Any]] = client.get("events", service=service, newest="true", limit=PAGE)["events"]
    position = found[0]["seq"] - 1 if found else 0
    for _ in range(PAGES):
        if position <= 0 or sum(map(is_decision, found)) >= last:
            break
        start = max(position - PAGE, 0)
        older = client.get("events", service=service, since=start, limit=PAGE)["events"]
        found = [event for event in older if event["seq"] <= position] + found
        position = start
    return found


def is_decision(event: Event) -> bool:
    """What somebody decided or asked for; a command that only led to a move is told by the move."""
    if event["kind"] == "command":
        return int(event["data"].get("code", 0)) not in (0, 6)
    return event["kind"] not in ROUTINE


def timings(found: Iterable[Event]) -> dict[tuple[str, int], dict[str, float]]:
    """For each move (service, epoch): seconds until the actuators had taken it, until it was seen from outside everywhere, and until each resolver
    told it."""
    moved: dict[tuple[str, int], float] = {}
    stages: dict[tuple[str, int], dict[str, float]] = {}
    for event in found:
        key = (event["service"], event["epoch"])
        at = moment(event["at"]) or 0.0
        if event["kind"] == "moved":
            moved[key], stages[key] = at, {}
        elif key in moved and event["kind"] in STAGES:
            stages[key][STAGES[event["kind"]]] = round(max(at - moved[key], 0.0), 3)
        elif key in moved and event["kind"] == "resolver-converged":
            stages[key][f"told by {event['data']['resolver']}"] = event["data"]["seconds"]
    return stages


def told(events: Sequence[Event]) -> list[str]:
    """A line each, with what explains it indented below; the date once a day."""
    lines: list[str] = []
    day = ""
    for event in events:
        date, time = _when(event)
        if date != day:
            lines.append(paint(date, QUIET))
            day = date
        lines += folded(f"{paint(time, QUIET)}  {paint(event['service'], STRONG)}  {_text(event)}", len(time) + 4)
        for line in _below(event):
            lines += folded(f"{' ' * (len(time) + 4)}{line}", len(time) + 6)
    return lines


def _when(event: Event) -> tuple[str, str]:
    at = datetime.fromtimestamp(moment(event["at"]) or 0.0, UTC)
    return at.strftime("%Y-%m-%d"), at.strftime("%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def _text(event: Event) -> str:
    kind = event["kind"]
    # of a look, `page` is the name of the page; of everything else, whether it wakes somebody
    paged = event["data"].get("page") is True
    colour = QUIET if kind.endswith("-over") and kind != "failed-over" else _COLOURS.get(kind, ATTENTION if paged else "")
    text = paint(clean(event["text"]), colour)
    return text + (paint(f"  by {clean(event['by'])}", QUIET) if event["by"] and event["by"] != "lbctl" else "")


def _below(event: Event) -> Iterator[str]:
    """What stands under a decision: its evidence, unless the sentence has told it, and how long each stage took."""
    evidence = event["data"].get("evidence")
    if isinstance(evidence, Mapping) and event["kind"] == "moved":
        rules = evidence.get("rules")
        if rules:
            accepted = [clean(str(rule)) for rule in evidence.get("accepted") or ()]
            held = f"{len(rules) - len(accepted)} of {len(rules)} rules held, accepted all the same: {', '.join(accepted)}"
            yield paint(f"{held if accepted else f'all {len(rules)} rules held'}; -o json has what each rested on", QUIET)
    elif isinstance(evidence, Mapping):
        rows = [(paint(str(key), QUIET), clean(_plain(value))) for key, value in evidence.items() if key != "rules"]
        yield from columns(row for row in rows if row[1])
    stages = event.get("stages")
    if stages:
        yield f"epoch {event['epoch']}: " + ", ".join(f"{stage} after {seconds:g} s" for stage, seconds in stages.items())
    elif event["kind"] == "moved":
        yield f"epoch {event['epoch']}: not seen from outside yet"


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    # An instant is the only number of this size that evidence holds.
    return clock(value, seconds=True) if isinstance(value, float) and value >= EPOCH_SECONDS else str(value)


@verb
@click.argument("service", required=False, shell_complete=service_names)
@click.option("-f", "--follow", is_flag=True, help="Go on as lines are written, until Ctrl-C.")
@click.option("-n", "--last", type=click.IntRange(0, 1000), default=20, show_default=True, help="So many lines from before.")
@click.option("--since", type=click.IntRange(0), help="Everything after this number instead.")
def events(options: Globals, service: str | None, follow: bool, last: int, since: int | None) -> None:
    """The journal, line by line."""
    client = Client(options)
    if service:
        client.get("services", service)
    if since is not None and not follow and options.output == "table":
        for page in pages(client, service, since):  # told as it is read: a journal may have a million lines
            click.echo("\n".join(map(_line, page["events"])), nl=bool(page["events"]))
        return
    found = _from(client, service, since) if since is not None else _newest(client, service, last)
    position = found[-1]["seq"] if found else since
    if not follow:
        emit(options, {"events": found}, (_line(event) for event in found))
        return
    for event in found:
        _print(options, event)
    if position is None:
        newest = _newest(client, None, 1)
        position = newest[-1]["seq"] if newest else 0
    try:
        for line in followed(client, service, position):
            _print(options, line)
    except KeyboardInterrupt:
        pass


def followed(client: Client, service: str | None, position: int) -> Iterator[Event]:
    """Every line after `position`, for ever: also those that were written while the controller, or the way to it, was away."""
    clock_, told = SystemClock(), False
    while True:
        try:
            for seq, event in client.stream(("events", "stream"), position, service=service):
                position, told = seq, False
                yield event
        except Failure as failure:
            if failure.exit_code != 1:
                raise
            client.close()
            if not told:  # once an outage, on standard error: what reads the lines is not to read this
                click.echo(f"lbctl: {failure.message}; waiting for it, what is written meanwhile follows", err=True)
            told = True
            asyncio.run(clock_.sleep(AGAIN_S))


def _newest(client: Client, service: str | None, last: int) -> list[dict[str, Any]]:
    return list(client.get("events", service=service, newest="true", limit=last)["events"]) if last else []


def _from(client: Client, service: str | None, since: int) -> list[dict[str, Any]]:
    return [event for page in pages(client, service, since) for event in page["events"]]


def _line(event: Event) -> str:
    """One line; on a terminal that is too narrow for it, the text stands below what it is of."""
    date, time = _when(event)
    number, service = paint(f"{event['seq']:>6}", QUIET), paint(event["service"], STRONG)
    if room() >= BESIDE:
        return "\n".join(folded(f"{number}  {date} {time}  {service}  {event['kind']:<18}  {_text(event)}", 56))
    return "\n".join([f"{number}  {date} {time}  {service}  {event['kind']}", *folded(f"        {_text(event)}", 8)])


def _print(options: Globals, event: Event) -> None:
    """One object a line with `-o json`, so that a pipe can read along."""
    if options.output == "table":
        click.echo(_line(event))
    elif options.output == "json":
        click.echo(json.dumps(event))
    else:
        click.echo("---\n" + dumps(options, event))
