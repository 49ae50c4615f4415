"""`lbctl import-f5 FILE`: a `bigip_gtm.conf` becomes an `lbctl.yaml`, with a word for every line that was not mapped."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from lbctl.cli.failure import CONFIG_INVALID, ERROR, Failure
from lbctl.cli.options import Globals, verb
from lbctl.cli.show import clean, emit


@verb
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--to", "target", type=click.Path(path_type=Path), help="Write it here, to a new file; standard output by default.")
def import_f5(options: Globals, file: Path, target: Path | None) -> None:
    """Make an lbctl.yaml of a bigip_gtm.conf. What was not mapped, and why, is listed on standard error."""
    from lbctl.errors import ConfigError
    from lbctl.f5.imported import import_file

    try:
        made = import_file(file)
    except ConfigError as error:
        raise Failure(CONFIG_INVALID, str(error)) from None
    if target is not None:
        try:
            with target.open("x", encoding="utf-8") as stream:
                stream.write(made.text)
        except OSError as error:
            raise Failure(ERROR, f"{target}: {error.strerror}") from None
    found = {"services": list(made.services), "configuration": made.text, "leftovers": [asdict(one) for one in made.leftovers]}
    emit(options, found, [f"{target}: {len(made.services)} services"] if target else made.text.splitlines())
    if options.output == "table":
        for one in made.leftovers:
            click.echo(clean(one), err=True)
