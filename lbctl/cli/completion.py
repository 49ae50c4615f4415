"""`--install-completion`: writes the shell's own completion file; it asks lbctl itself, so it knows verbs, options and services."""

from __future__ import annotations

import os
from pathlib import Path

import click
from click.shell_completion import get_completion_class

_PLACES = {"bash": "bash-completion/completions/lbctl", "zsh": "zsh/site-functions/_lbctl", "fish": "fish/vendor_completions.d/lbctl.fish"}


def script(command: click.Command, shell: str) -> str:
    """The completion script for this shell; `UsageError` for a shell that is not known."""
    found = get_completion_class(shell)
    if found is None or shell not in _PLACES:
        raise click.UsageError(f"completion is known for {', '.join(_PLACES)}; $SHELL says {shell or 'nothing'}")
    return found(command, {}, "lbctl", "_LBCTL_COMPLETE").source()


def install(command: click.Command) -> str:
    """Writes it below ~/.local/share and says what to do next."""
    shell = Path(os.environ.get("SHELL", "")).name
    text = script(command, shell)
    base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    path = base / _PLACES[shell]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    more = f" (with `fpath+=({path.parent})` before compinit)" if shell == "zsh" else ""
    return f"written to {path}; a new {shell} completes lbctl{more}"
