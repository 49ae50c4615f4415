"""`lbctl explain`: why traffic is where it is, what would happen now, and the rule that blocks a move, as a colleague would tell it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import click

from lbctl.cli.client import Client
from lbctl.cli.complete import member_names, service_names
from lbctl.cli.options import Globals, verb
from lbctl.cli.service import WAITING, helps, spoken, unready
from lbctl.cli.show import ATTENTION, BAD, GOOD, STRONG, clean, emit, paint
from lbctl.cli.terminal import laid


@verb
@click.argument("service", shell_complete=service_names)
@click.option("--to", metavar="MEMBER", shell_complete=member_names, help="Only a move to this member.")
def explain(options: Globals, service: str, to: str | None) -> None:
    """Why traffic is where it is, and what blocks a move."""
    found = Client(options).get("services", service, "explain", to=to)
    emit(options, found, laid(told(found)))


def told(found: Mapping[str, Any]) -> Iterator[str]:
    """The lines: why, what if, each candidate with only what stops it, the way back."""
    yield f"{paint(found['service'], STRONG)} is {found['state']}: {clean(found['why'])}."
    if_failed = found.get("if_active_failed")
    # While it fails that is no question any more: the gate below, and what helps, tell what comes of it.
    if if_failed and not _fails(found):
        yield f"If {found['active'] or 'the active member'} failed now, {clean(if_failed['text'])}."
    yield from _hosts(found.get("hosts", ()))
    yield from _resolvers(found.get("resolvers", ()))
    if found.get("advice"):
        yield ""
        yield from helps(found["advice"])
    for candidate in found.get("candidates", ()):
        yield ""
        yield from _candidate(candidate, found["service"], unready(found.get("hosts", ())).get(candidate["member"], ""))
    resume = found.get("resume")
    if resume:
        yield ""
        yield from _resume(found["service"], resume)


def _fails(found: Mapping[str, Any]) -> bool:
    """The active is down, or fails and is not proven down yet."""
    return found["state"] in ("down", "all-down", "stranded") or bool(found["suspect"])


def _candidate(candidate: Mapping[str, Any], service: str, unable: str = "") -> Iterator[str]:
    shut = [row for row in candidate["rules"] if not row["holds"]]
    name = paint(candidate["member"], STRONG)
    if not shut:
        yield f"A move to {name} is {paint('open', ATTENTION)}: every rule holds."
    ready = bool(shut) and all(row["rule"] in WAITING for row in shut)
    if ready and unable:
        yield f"{name} would get the traffic if the active member failed, {paint('but its address could not follow', BAD)}: {clean(unable)}."
    elif ready:
        yield f"{name} is {paint('ready', GOOD)} and waits only for the active member to fail ({spoken(shut[0]['evidence'])})."
    elif shut:
        yield f"A move to {name} is blocked by {_count(len(shut))}:"
    for row in () if ready else shut:
        yield f"  {paint(row['rule'], ATTENTION)}: {spoken(row['evidence'])}"
        if row["opens"]:
            # the gate's hints are the same for every service; here they can be typed as they stand
            yield f"    opens with: {clean(row['opens']).replace('SERVICE', service).replace('MEMBER', candidate['member'])}"
    # after the rules: it is no rule, and decides how long they matter
    alone = candidate.get("promotes_itself")
    if alone and shut:
        yield f"  {clean(alone['text'])}."


def _hosts(told: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Where a virtual address is, and who could have it next."""
    for actuator, hosts in groupby(told, key=lambda one: str(one["actuator"])):
        listed = list(hosts)
        holding = [one["host"] for one in listed if one["holds"]]
        spare = [one["host"] for one in listed if one["ready"] and not one["holds"]]
        where = f"is on {clean(', '.join(holding))}" if holding else paint("is on no host", BAD)
        yield f"{clean(actuator)} {where}; " + (f"{clean(', '.join(spare))} could take it." if spare else "no other host could take it now.")
        yield from (f"  {clean(one['host'])}: {clean(one['trouble'])}" for one in listed if one["trouble"])


def _resolvers(told: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What clients behind caches were told of the last move."""
    for one in told:
        where = f"The resolver {one['resolver']}"
        if one["seconds"] is not None:
            yield f"{where} tells the new answer since {one['seconds']:g} s after the move."
        elif one["epoch"] is not None:
            instead = clean(one["error"] or ", ".join(one["shows"] or ()) or "nothing yet")
            late = f", {paint('longer than the TTL allows', ATTENTION)}" if one["late"] else ""
            yield f"{where} does not tell the new answer yet{late}: {instead}."


def _count(number: int) -> str:
    return "one rule" if number == 1 else f"{number} rules"


def _resume(service: str, resume: Mapping[str, Any]) -> Iterator[str]:
    if resume["open"]:
        yield f"The way back is {paint('open', GOOD)}: `lbctl resume {service}`."
        return
    yield f"`lbctl resume {service}` would be refused by {paint(resume['rule'], ATTENTION)}: {clean(resume['evidence'])}"
    if resume.get("opens"):
        yield f"    opens with: {clean(resume['opens'])}"
