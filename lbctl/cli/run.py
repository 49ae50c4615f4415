"""`lbctl run`: the controller, in the foreground, until it is told to end."""

from __future__ import annotations

import click

from lbctl.app import main
from lbctl.cli.failure import CONFIG_INVALID, USAGE, Failure
from lbctl.cli.options import Globals, verb
from lbctl.errors import ConfigError


@verb
def run(options: Globals) -> None:
    """The controller, in the foreground. SIGHUP reloads, SIGTERM ends it; neither moves traffic."""
    if not options.config_path.is_file():
        raise Failure(USAGE, f"there is no configuration {options.config_path}; name one with -c")
    try:
        code = main(options.config_path)
    except ConfigError as error:
        raise Failure(CONFIG_INVALID, str(error)) from None
    except OSError as error:
        raise Failure(1, str(error)) from None
    click.get_current_context().exit(code)
