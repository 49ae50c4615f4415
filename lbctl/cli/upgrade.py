"""`lbctl upgrade SERVICE plan|start|next|status|abort`: the guide's nine steps, each refused until the Cores say that it is done (G-UP)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from lbctl.cli.client import Client
from lbctl.cli.complete import service_names
from lbctl.cli.failure import USAGE, Failure
from lbctl.cli.options import Globals, verb
from lbctl.cli.show import ATTENTION, GOOD, QUIET, STRONG, clean, emit, paint

SHOWN, DONE = ("plan", "status"), ("start", "next", "abort")


@verb
@click.argument("service", shell_complete=service_names)
@click.argument("action", type=click.Choice([*SHOWN, *DONE]))
@click.option("--reason", help="Why; with `next`, your word for what cannot be read (steps 7 and 8).")
def upgrade(options: Globals, service: str, action: str, reason: str | None) -> None:
    """The guide's nine steps: plan, start, next, status, abort."""
    client = Client(options)
    if action in SHOWN:
        found = client.get("services", service, "upgrade")
        emit(options, found, told(found))
        return
    if action == "abort" and not reason:
        raise Failure(USAGE, "aborting an upgrade needs a --reason")
    reply = client.post(("services", service, "upgrade"), {"action": action, "reason": reason})
    emit(options, reply, [clean(reply["message"])])


def told(found: Mapping[str, Any]) -> Iterator[str]:
    """Each step with its mark, what it still misses, and what to do."""
    state = f"open, begun by {found['by']}" if found["open"] else "not open: `start` puts the service into maintenance first"
    yield f"Upgrade of {paint(found['service'], STRONG)}: {state}."
    for row in found["steps"]:
        due = row["step"] == found["next"]
        mark, colour = ("done", GOOD) if row["done"] else ("next", ATTENTION) if due else ("    ", QUIET)
        seen = f" ({clean(row['evidence'])})" if row["evidence"] else ""
        yield f"  {paint(mark, colour)} {row['step']}. {clean(row['text'])}{seen}"
        if row["missing"] and (due or not found["open"]):
            yield f"         missing: {clean(row['missing'])}"
        if due:
            yield f"         do: {clean(row['todo'])}"
