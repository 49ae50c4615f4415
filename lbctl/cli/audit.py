"""`lbctl audit verify`: has anybody changed the journal?"""

from __future__ import annotations

from typing import Any

import click

from lbctl.cli.client import Client
from lbctl.cli.failure import ERROR, OK
from lbctl.cli.options import Globals, global_options
from lbctl.cli.show import BAD, GOOD, emit, paint


@click.group("audit")
@global_options
def audit(**_: Any) -> None:
    """The journal as a record that can be trusted."""


@audit.command("verify")
@global_options
@click.pass_obj
def verify(options: Globals) -> None:
    """Follow the chain of hashes from the first line to the last."""
    found = Client(options).get("audit")
    if found["whole"]:
        told = f"{paint('whole', GOOD)}: every line carries the hash of the one before it"
    else:
        told = f"{paint('broken', BAD)} at line {found['broken_at']}: it, or the line before it, is not what was written"
    emit(options, found, [told])
    click.get_current_context().exit(OK if found["whole"] else ERROR)
