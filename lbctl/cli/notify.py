"""`lbctl notify test`: does a notice reach people?"""

from __future__ import annotations

from typing import Any

import click

from lbctl.cli.client import Client
from lbctl.cli.failure import ERROR, OK
from lbctl.cli.options import Globals, global_options
from lbctl.cli.show import BAD, GOOD, clean, columns, emit, paint


@click.group("notify")
@global_options
def notify(**_: Any) -> None:
    """The ways to tell people."""


@notify.command("test")
@global_options
@click.pass_obj
def test(options: Globals) -> None:
    """A test notice through every configured way; 0 only if all took it."""
    found = Client(options).post(("notify", "test"), {})
    rows = [(entry["notifier"], paint(entry["outcome"], GOOD if entry["outcome"] == "delivered" else BAD), f"{entry['took_s']:.2f} s",
             clean(entry["detail"])) for entry in found["deliveries"]]
    lines = columns(rows, head=("WAY", "OUTCOME", "TOOK", "")) if rows else ["no way to tell people is configured: `notify:` in the configuration"]
    emit(options, found, lines)
    click.get_current_context().exit(OK if rows and found["delivered"] else ERROR)
