"""`lbctl readiness`: would the standby take over right now, and every best practice of the guide with its evidence (G-BP)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from lbctl.cli.client import Client
from lbctl.cli.complete import service_names
from lbctl.cli.options import Globals, verb
from lbctl.cli.show import ATTENTION, BAD, GOOD, QUIET, STRONG, clean, emit, paint
from lbctl.cli.terminal import laid


@verb
@click.argument("service", shell_complete=service_names)
def readiness(options: Globals, service: str) -> None:
    """Would the standby take over now, and every best practice."""
    found = Client(options).get("services", service, "readiness")
    emit(options, found, laid(told(found)))


def told(found: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong first, then what nobody can tell, then what is well."""
    verdict = paint("would take over", GOOD) if found["ready"] else paint("would not take over", BAD)
    yield f"{paint(found['service'], STRONG)}: the standby {verdict}; {found['kept']} of {found['of']} practices are kept."
    kinds: dict[str, list[Mapping[str, Any]]] = {"no": [], "unknown": [], "yes": []}
    for row in sorted(found["practices"], key=lambda row: not row["urgent"]):
        kinds[row["holds"]].append(row)
    for row in kinds["no"]:
        yield f"  {paint('NO', BAD if row['urgent'] else ATTENTION)}  {_row(row)}"
        yield f"      do: {clean(row['advice']).replace('SERVICE', found['service'])}"
    yield from _unknown(kinds["unknown"])
    yield from (f"  {paint('ok', GOOD)}  {_row(row)}" for row in kinds["yes"])


def _row(row: Mapping[str, Any]) -> str:
    return f"{clean(row['text'])}: {clean(row['evidence'])}"


def _unknown(rows: list[Mapping[str, Any]]) -> Iterator[str]:
    """By what is missing: one cause that hides a dozen practices is told once, and does not bury what is wrong."""
    whys: dict[str, list[str]] = {}
    for row in rows:
        whys.setdefault(clean(row["evidence"]), []).append(clean(row["text"]))
    for why, texts in whys.items():
        if len(texts) == 1:
            yield f"  {paint('?', QUIET)}   {texts[0]}: {why}"
        else:
            yield f"  {paint('?', QUIET)}   {len(texts)} are not known ({why}): {'; '.join(texts)}"
