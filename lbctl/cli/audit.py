"""`lbctl audit verify` (has anybody changed the journal?) and `lbctl audit export` (all of it, for keeping elsewhere or for `replay --journal`).

A journal may have a million lines: both go through it a page at a time, tell how far they are where somebody watches, and hold up nothing.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import click

from lbctl.cli.client import Client
from lbctl.cli.complete import service_names
from lbctl.cli.failure import ERROR, OK, Failure
from lbctl.cli.options import Globals, global_options
from lbctl.cli.show import BAD, GOOD, emit, paint
from lbctl.cli.terminal import Progress

PART = 20_000
"""Lines that are followed in one request: seconds, also on a slow machine."""
PAGE = 1000


@click.group("audit")
@global_options
def audit(**_: Any) -> None:
    """The journal as a record that can be trusted."""


@audit.command("verify")
@global_options
@click.pass_obj
def verify(options: Globals) -> None:
    """Follow the chain of hashes from the first line to the last."""
    client, progress = Client(options), Progress("following")
    found = client.get("audit", limit=PART)
    while found["next"] is not None:
        progress.at(found["checked"], found["lines"])
        found = client.get("audit", limit=PART, since=found["next"])
    progress.over()
    if found["whole"]:
        told = f"{paint('whole', GOOD)}: every line up to {found['checked']} carries the hash of the one before it"
    else:
        told = f"{paint('broken', BAD)} at line {found['broken_at']}: it, or the line before it, is not what was written"
    emit(options, found, [told])
    click.get_current_context().exit(OK if found["whole"] else ERROR)


@audit.command("export")
@global_options
@click.argument("service", required=False, shell_complete=service_names)
@click.option("--since", type=click.IntRange(0), default=0, help="Only lines after this number.")
@click.option("--to", "file", type=click.Path(path_type=Path, dir_okay=False), help="Into this file instead of standard output.")
@click.pass_obj
def export(options: Globals, service: str | None, since: int, file: Path | None) -> None:
    """The journal, one JSON object a line, oldest first."""
    client = Client(options)
    if service:
        client.get("services", service)
    if file is None:
        _write(client, service, since, sys.stdout)
        return
    try:
        with file.open("x", encoding="ascii") as opened:
            count = _write(client, service, since, opened)
    except FileExistsError:
        raise Failure(ERROR, f"{file} is there already and is left alone: name another file") from None
    except OSError as error:
        raise Failure(ERROR, f"{file}: {error.strerror}") from None
    emit(options, {"lines": count, "file": str(file)}, [f"{count} lines written to {file}"])


def _write(client: Client, service: str | None, since: int, out: IO[str]) -> int:
    """How many lines."""
    count, progress = 0, Progress("exporting")
    for page in pages(client, service, since):
        out.writelines(json.dumps(event) + "\n" for event in page["events"])
        count += len(page["events"])
        if page["next"] is not None and out is not sys.stdout:
            progress.at(page["next"], page["head"])
    progress.over()
    return count


def pages(client: Client, service: str | None, since: int) -> Iterator[dict[str, Any]]:
    """The journal from there on, a page at a time; `head` is the last line there was when it began."""
    newest = client.get("events", limit=1, newest="true")["events"]
    head, position = newest[0]["seq"] if newest else 0, since
    while position is not None:
        page = client.get("events", service=service, since=position, limit=PAGE)
        position = page["next"]
        yield {**page, "head": head}
