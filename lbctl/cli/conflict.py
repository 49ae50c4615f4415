"""A command that goes with the revision that was seen, and what becomes of it where another was there by then (H36).

lbctl saves by itself as well: an incident that opens, a maintenance that ends. Whoever typed alone is not told of a conflict for that; his command is
sent once more, as if he had typed a moment later, and the gate judges it by what is known now. It is a conflict where a person has commanded in
between, or where traffic has moved: then what he meant to change is no longer there. Who it was stands in the journal, which names people only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lbctl.cli.client import Client
from lbctl.cli.failure import ACCEPTED, CONFLICT, OK, Failure

LINES = 50
"""How far back the journal is looked through; where that does not reach, it counts as a conflict."""


def send(client: Client, seen: Mapping[str, Any], verb_name: str, body: Mapping[str, Any]) -> Any:
    """The answer to one command to the service `seen`. A `Failure` with code 4 says what came in between."""
    try:
        return client.post(("services", seen["name"], verb_name), body, revision=seen["revision"])
    except Failure as failure:
        if failure.exit_code != CONFLICT:
            raise
        # The service first: a command of somebody else's after this answer is one that the second try conflicts with.
        now = client.get("services", seen["name"])
        between = _between(client, seen, now)
        if between or now["revision"] == seen["revision"]:
            raise Failure(CONFLICT, failure.message + (f"; {between}" if between else ""), failure.problem) from None
        return client.post(("services", seen["name"], verb_name), body, revision=now["revision"])


def _between(client: Client, seen: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What people or a move have changed since; empty where only lbctl's own bookkeeping has."""
    lines = client.get("events", service=seen["name"], newest="true", limit=LINES)["events"]
    # What was refused is in the journal too, the first try of this very command among it, and has changed nothing.
    people = [line for line in lines if line["by"] and line["revision"] > seen["revision"] and line["data"].get("code", OK) in (OK, ACCEPTED)]
    if people:
        told = [line for line in people if line["kind"] != "command"] or people  # what came of it, before how it was answered
        return f"{told[-1]['by']}: {told[-1]['text']}"
    if (now["epoch"], now["active"]) != (seen["epoch"], seen["active"]):
        return f"traffic has moved: it is on {now['active']} now, epoch {now['epoch']}"
    # `LINES` lines of what was saved since, and none of them by a person: those before are not known.
    return "too much has happened since to tell by whom" if len(lines) == LINES and lines[0]["revision"] > seen["revision"] else ""
