"""`lbctl version`."""

from __future__ import annotations

import platform

from lbctl import __version__
from lbctl.cli.options import Globals, verb
from lbctl.cli.show import emit


@verb
def version(options: Globals) -> None:
    """Which lbctl this is, on which Python."""
    found = {"lbctl": __version__, "python": platform.python_version()}
    emit(options, found, [f"lbctl {__version__} (Python {found['python']})"])
