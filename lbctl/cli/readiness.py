"""`lbctl readiness`: would the standby take over right now, and every best practice of the guide with its evidence (G-BP)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from lbctl.cli.client import Client
from lbctl.cli.complete import service_names
from lbctl.cli.options import Globals, verb
from lbctl.cli.show import ATTENTION, BAD, GOOD, QUIET, STRONG, clean, emit, paint

_WORDS = {"yes": ("ok  ", GOOD), "unknown": ("?   ", QUIET)}


@verb
@click.argument("service", shell_complete=service_names)
def readiness(options: Globals, service: str) -> None:
    """Would the standby take over now, and every best practice."""
    found = Client(options).get("services", service, "readiness")
    emit(options, found, told(found))


def told(found: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong first, then what nobody can tell, then what is well."""
    verdict = paint("would take over", GOOD) if found["ready"] else paint("would not take over", BAD)
    yield f"{paint(found['service'], STRONG)}: the standby {verdict}; {found['kept']} of {found['of']} practices are kept."
    order = {"no": 0, "unknown": 1, "yes": 2}
    for row in sorted(found["practices"], key=lambda row: (order[row["holds"]], not row["urgent"])):
        word, colour = _WORDS.get(row["holds"], ("NO  ", BAD if row["urgent"] else ATTENTION))
        yield f"  {paint(word, colour)}{clean(row['text'])}: {clean(row['evidence'])}"
        if row["holds"] == "no":
            yield f"      do: {clean(row['advice'])}"
