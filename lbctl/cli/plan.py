"""`lbctl plan FILE` and `lbctl reload`: what a new configuration would change; and taking it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from lbctl.cli.client import Client
from lbctl.cli.failure import USAGE, Failure
from lbctl.cli.moves import finish
from lbctl.cli.options import Globals, verb
from lbctl.cli.show import ATTENTION, BAD, clean, emit, paint


@verb
@click.argument("file", type=click.Path(path_type=Path))
def plan(options: Globals, file: Path) -> None:
    """What a reload to FILE would change, and what would be published afterwards; changes nothing."""
    try:
        text = file.read_text()
    except OSError as error:
        raise Failure(USAGE, f"{file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Failure(USAGE, f"{file}: this is not a text in UTF-8") from None
    found = Client(options).post(("plan",), {"text": text, "name": str(file)})
    emit(options, found, told(found))


def told(found: Mapping[str, Any]) -> Iterator[str]:
    """One line a change, then what would be published."""
    changes, moves = found.get("changes") or [], found.get("moves") or []
    for change in moves:
        yield f"{paint('MOVES TRAFFIC', BAD)}  {clean(change)}"
    yield from (f"  {clean(change)}" for change in changes if change not in moves)
    if not changes:
        yield "nothing would change"
    if moves:
        yield "`lbctl reload` refuses this without --allow-switch"
    if found.get("needs_restart"):
        yield paint("some of it takes effect at the next start only", ATTENTION)
    if changes:
        yield "then published:"
        yield from (f"  {clean(entry)}" for entry in found.get("publishes") or [])


@verb
@click.option("--allow-switch", is_flag=True, help="Even where it moves traffic.")
def reload(options: Globals, allow_switch: bool) -> None:
    """Validate, plan, apply the configuration; refused where it would move traffic."""
    client = Client(options)
    finish(options, client, "", client.post(("reload",), {"allow_switch": allow_switch}), 0.0)
