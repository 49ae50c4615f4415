"""`lbctl check [FILE]`: every mistake with its place, or the audit of a valid file."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from lbctl.cli.options import Globals, verb
from lbctl.cli.show import ATTENTION, BAD, GOOD, QUIET, STRONG, clean, emit, paint
from lbctl.config.report import Checked, checked, lines

COLOURS = {"green": GOOD, "red": BAD, "yellow": ATTENTION, "blue": QUIET, "bold": STRONG}


@verb
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--schema", is_flag=True, help="Print the JSON Schema of the configuration, for editors.")
def check(options: Globals, file: Path | None, schema: bool) -> None:
    """Validate the configuration, then audit it: timing of each fault, the promotion race, two layers, probe rate, best practices."""
    if schema:
        from lbctl.config.schema import schema as made

        click.echo(json.dumps(made(), indent=2, ensure_ascii=False))
        return
    result = checked(file or options.config_path)
    emit(options, result.object(), _painted(result))
    if result.code:
        sys.exit(int(result.code))


def _painted(result: Checked) -> Iterator[str]:
    return (paint(clean(text), COLOURS.get(colour, "")) for text, colour in lines(result))
