"""`lbctl check [FILE]`: every mistake with its place, or the audit of a valid file."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import click

DEFAULT = "/etc/lbctl/lbctl.yaml"


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), help="Form of the answer.")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of the configuration, for editors.")
@click.pass_context
def check(context: click.Context, file: Path | None, output: str | None, schema: bool) -> None:
    """Validate the configuration, then audit it: timing, the promotion race, two layers, probe rate, best practices. Exit 7: not valid."""
    if schema:
        from lbctl.config.schema import schema as made

        click.echo(json.dumps(made(), indent=2, ensure_ascii=False))
        return
    from lbctl.config.report import checked, lines

    result = checked(file or _default(context))
    form = output or _given(context, "output") or "table"
    if form == "json":
        click.echo(json.dumps(result.object(), indent=2, ensure_ascii=False))
    elif form == "yaml":
        import yaml

        click.echo(yaml.safe_dump(json.loads(json.dumps(result.object())), sort_keys=False, allow_unicode=True), nl=False)
    else:
        for text, colour in lines(result):
            click.echo(click.style(text, fg=colour if colour != "bold" else None, bold=colour == "bold") if colour else text)
    sys.exit(int(result.code))


def _given(context: click.Context, name: str) -> str | None:
    """A global option that stood before the verb."""
    value = context.find_root().params.get(name)
    return str(value) if value is not None else None


def _default(context: click.Context) -> Path:
    return Path(_given(context, "config") or os.environ.get("LBCTL_CONFIG") or DEFAULT)
