"""`lbctl report`: what lbctl would have done where maintenance, a hold or `automation: observe` kept it from moving traffic (H34).

For the weeks beside an old load balancer, and for the morning after a maintenance: each move that was not made, what stopped it, and whether the
member that had failed was well again soon, so that the move would have been for a blip. Read from the journal; nothing is decided anew (`replay`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import click

from lbctl.api.times import short
from lbctl.cli.audit import pages
from lbctl.cli.client import Client
from lbctl.cli.complete import service_names
from lbctl.cli.failure import USAGE, Failure
from lbctl.cli.options import Globals, verb
from lbctl.cli.show import ATTENTION, QUIET, STRONG, clean, columns, emit, moment, paint

WOULD = "would-failover"
OVER = ("down-over", "all-down-over")
"""The active member is well again."""
BLIP_S = 60.0

Event = Mapping[str, Any]


@verb
@click.argument("service", required=False, shell_complete=service_names)
@click.option("--since", metavar="TIME", help="Only from then on: 2026-11-01, 2026-11-01T18:30Z.")
def report(options: Globals, service: str | None, since: str | None) -> None:
    """What lbctl would have done behind maintenance, a hold or `automation: observe`."""
    try:
        begin = moment(since) or 0.0
    except ValueError:
        raise Failure(USAGE, f"--since: {since!r} is not a time: write 2026-11-01 or 2026-11-01T18:30Z") from None
    client = Client(options)
    names = [client.get("services", service)["name"]] if service else [one["name"] for one in client.get("services", brief="true")["services"]]
    events = (event for page in pages(client, service, 0) for event in page["events"] if (moment(event["at"]) or 0.0) >= begin)
    found = unmade(events)
    emit(options, {"would": found}, [line for name in names for line in told(name, [one for one in found if one["service"] == name])])


def unmade(events: Iterable[Event]) -> list[dict[str, Any]]:
    """Each move that was not made; `well_again_s`: how long after it the active member was well, None while it is not."""
    found: list[dict[str, Any]] = []
    waiting: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        if event["kind"] == WOULD:
            rules = event["data"].get("evidence", {}).get("rules", [])
            one = {"service": event["service"], "at": event["at"], "to": event["data"].get("member"), "stopped_by": rules, "well_again_s": None}
            found.append(one)
            waiting.setdefault(event["service"], []).append(one)
        elif event["kind"] in OVER:
            for one in waiting.pop(event["service"], []):
                one["well_again_s"] = round((moment(event["at"]) or 0.0) - (moment(one["at"]) or 0.0), 3)
    return found


def told(name: str, moves: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A sentence, then a row for each."""
    if not moves:
        yield f"{paint(name, STRONG)}: nothing that lbctl would have done was stopped"
        return
    blips = sum(one["well_again_s"] is not None and one["well_again_s"] <= BLIP_S for one in moves)
    short_ones = f", {blips} of them for an outage that was over within {BLIP_S:.0f} s" if blips else ""
    yield f"{paint(name, STRONG)}: {paint(f'{len(moves)} move' + 's' * (len(moves) != 1), ATTENTION)} would have been made{short_ones}"
    yield from columns(([paint(one["at"][:19] + "Z", QUIET), f"to {clean(one['to'])}", f"stopped by {', '.join(map(clean, one['stopped_by']))}",
                         "not well again yet" if one["well_again_s"] is None else f"well again after {short(max(one['well_again_s'], 1))}"]
                        for one in moves), indent="  ")
