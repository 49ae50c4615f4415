"""`lbctl approvals`, `approve`, `deny`: moves that wait for a human. The gate is judged again before a yes is executed (H10)."""

from __future__ import annotations

import difflib
from typing import Any

import click

from lbctl.cli.client import Client
from lbctl.cli.complete import approval_ids
from lbctl.cli.failure import USAGE, Failure
from lbctl.cli.moves import finish, reason_optional, wait_option
from lbctl.cli.options import Globals, verb
from lbctl.cli.show import STRONG, clean, columns, emit, left, paint

id_argument = click.argument("ident", metavar="ID", shell_complete=approval_ids)


@verb
def approvals(options: Globals) -> None:
    """Moves that wait for somebody's yes."""
    client = Client(options)
    found = client.get("approvals")
    rows = [(paint(entry["id"], STRONG), entry["service"], entry["to"], left(entry["expires"], client.now), ", ".join(entry["rules"]),
             clean(entry["reason"]) + (f" (one yes, by {entry['first_yes']})" if entry.get("first_yes") else "")) for entry in found["approvals"]]
    emit(options, found, columns(rows, head=("ID", "SERVICE", "MOVE TO", "EXPIRES", "ASKS ABOUT", "WHY")) if rows else ["nothing waits for approval"])


@verb
@id_argument
@reason_optional
@wait_option
def approve(options: Globals, ident: str, reason: str | None, wait_s: float | None) -> None:
    """Yes; the move happens if the gate still allows it."""
    client = Client(options)
    service = _service(client, ident)
    finish(options, client, service, client.post(("approvals", ident, "approve"), {"reason": reason}), wait_s)


@verb
@id_argument
@reason_optional
def deny(options: Globals, ident: str, reason: str | None) -> None:
    """No; traffic stays."""
    client = Client(options)
    service = _service(client, ident)
    finish(options, client, service, client.post(("approvals", ident, "deny"), {"reason": reason}), 0.0)


def _service(client: Client, ident: str) -> str:
    waiting: list[dict[str, Any]] = client.get("approvals")["approvals"]
    for entry in waiting:
        if entry["id"] == ident:
            return str(entry["service"])
    near = difflib.get_close_matches(ident, [entry["id"] for entry in waiting], 1)
    hint = f"; did you mean {near[0]!r}?" if near else "; `lbctl approvals` lists what waits"
    raise Failure(USAGE, f"{ident!r} waits for nobody: answered, expired, or its incident is over{hint}")
