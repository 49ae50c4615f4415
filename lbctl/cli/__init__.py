"""The command line: one file a family of verbs, imported only when its verb is called, so that `lbctl status` stays fast.

A verb speaks HTTP to the controller over its Unix socket (or `--api`), prints what a person wants to read, and ends with the contract's exit
code; `-o json` prints the API's own object instead. No verb but `run` and the reference Core's knows anything of the controller's insides.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Entry point. A reader that closed the pipe (`| head`) is no error; Ctrl-C says so by 130."""
    from lbctl.cli.root import cli  # here, so that `import lbctl.cli.<verb>` in a test does not build the command line

    try:
        cli.main(prog_name="lbctl", standalone_mode=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
