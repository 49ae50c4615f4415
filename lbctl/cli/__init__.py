"""The command line: one file a family of verbs, imported only when its verb is called, so that `lbctl status` stays fast.

A verb speaks HTTP to the controller over its Unix socket (or `--api`), prints what a person wants to read, and ends with the contract's exit
code; `-o json` prints the API's own object instead. No verb but `run` and the reference Core's knows anything of the controller's insides.
"""

from __future__ import annotations

import io
import os
import sys

INTERRUPTED = 130
"""As every shell says of a program that Ctrl-C ended."""


def main() -> None:
    """Entry point. A reader that closed the pipe (`| head`) is no error; output that nobody can take (a full disk) is one, told in a line."""
    if sys.stdout is None:  # `>&-`
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", closefd=False)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a reason in another alphabet than the terminal's must not end `history` in the middle
    code: object = 1
    try:
        try:
            code = _run()
        finally:
            sys.stdout.flush()  # here, where what goes wrong can still be told
    except BrokenPipeError:
        let_go()
        code = 0
    except OSError as error:
        let_go()
        print(f"lbctl: error: {error.filename or 'the output'}: {error.strerror or error}", file=sys.stderr)
    sys.exit(code if isinstance(code, int | None) else 1)


def _run() -> object:
    """The exit code. Not click's own way (`standalone_mode`), which takes Ctrl-C for an error."""
    import click  # both here, so that `import lbctl.cli.<verb>` in a test does not build the command line

    from lbctl.cli.root import cli

    try:
        return cli.main(prog_name="lbctl", standalone_mode=False)
    except click.exceptions.Abort:
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except SystemExit as end:
        return end.code


def let_go() -> None:
    """Nobody takes the output: what is still buffered goes nowhere, or the interpreter would stumble over it once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
