"""The global options, taken before or after the verb, and what every verb is given of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

DEFAULT_CONFIG = "/etc/lbctl/lbctl.yaml"
F = TypeVar("F", bound=Callable[..., Any])


@dataclass
class Globals:
    """`-c`, `--api`, `-o`; `config_given` tells a file that was asked for from one that only might be there. `config_before`: what a `-c` after
    the verb replaced; `replay` compares the two."""

    config: str = ""
    config_before: str = ""
    api: str = ""
    output: str = "table"

    @property
    def config_given(self) -> bool:
        return bool(self.config or os.environ.get("LBCTL_CONFIG"))

    @property
    def config_path(self) -> Path:
        """`-c`, then $LBCTL_CONFIG, then /etc/lbctl/lbctl.yaml."""
        return Path(self.config or os.environ.get("LBCTL_CONFIG") or DEFAULT_CONFIG)


def _keep(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def keep(context: click.Context, _parameter: click.Parameter, value: Any) -> None:
        options = context.find_root().ensure_object(Globals)
        if value and name == "config":
            options.config_before = options.config
        if value:
            setattr(options, name, value)
    return keep


def global_options(function: F) -> F:
    """Adds them; the later one wins, so `lbctl -o json status -o table` is a table."""
    for option in (
        click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), callback=_keep("output"), expose_value=False,
                     help="What to print; json is the API's own object."),
        click.option("--api", metavar="URL|unix:PATH", callback=_keep("api"), expose_value=False,
                     help="Where the controller is; its Unix socket by default. [$LBCTL_API]"),
        click.option("-c", "--config", type=click.Path(), callback=_keep("config"), expose_value=False,
                     help=f"The configuration; $LBCTL_CONFIG, then {DEFAULT_CONFIG}."),
    ):
        function = option(function)
    return function


def verb(function: Callable[..., Any]) -> click.Command:
    """A command that takes the global options too and is given `Globals` first."""
    name = function.__name__.rstrip("_").replace("_", "-")
    return click.command(name)(global_options(click.pass_obj(function)))
