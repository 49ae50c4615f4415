"""What the shell completes: asked of the controller itself, quietly nothing where it does not answer."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import click

from lbctl.cli.client import Client
from lbctl.cli.failure import Failure
from lbctl.cli.options import Globals


def _services(context: click.Context) -> list[Any]:
    options = context.find_root().obj
    try:
        with closing(Client(options if isinstance(options, Globals) else Globals())) as client:
            return list(client.get("services", brief="true")["services"])
    except Failure:
        return []


def service_names(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    return [shown["name"] for shown in _services(context) if shown["name"].startswith(incomplete)]


def member_names(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    chosen = context.params.get("service")
    names = {member["name"] for shown in _services(context) if chosen in (None, shown["name"]) for member in shown["members"]}
    return sorted(name for name in names if name.startswith(incomplete))


def approval_ids(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    return [entry["id"] for shown in _services(context) for entry in shown["approvals"] if str(entry["id"]).startswith(incomplete)]
