"""What the terminal can do, and words laid out for it: how wide it is, whether it obeys cursor movements, whether it has block marks; and how far
something long is.

A pipe or a file is infinitely wide: what reads it wants a line to be a line. On a terminal nothing is cut off that somebody must read at night:
lines are broken at words, and what does not fit into the window is counted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

import click

from lbctl.cli.show import folded, width

WIDE = 1_000_000
"""Columns where nobody looks."""
_BLOCKS, _PLAIN = "▁▂▃▄▅▆▇█", "_.-~=+*#"


def room() -> int:
    """Columns of the terminal; `WIDE` where there is none."""
    return os.get_terminal_size(sys.stdout.fileno()).columns or WIDE if sys.stdout.isatty() else WIDE


def obeys() -> bool:
    """It is a terminal that can be painted in place."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "")


def marks() -> str:
    """Eight heights: blocks where they can be shown, else letters of the first day."""
    able = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8" and os.environ.get("TERM") not in ("dumb", "linux")
    return _BLOCKS if able or not sys.stdout.isatty() else _PLAIN


def laid(lines: Iterable[str]) -> list[str]:
    """Broken at words to the terminal's width; what is carried over is indented below its line."""
    return [part for line in lines for part in folded(line, _indent(line) + 4)]


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def fitted(lines: list[str], rows: int) -> list[str]:
    """At most so many lines; the last one counts what is left out."""
    if len(lines) <= rows:
        return lines
    return [*lines[: max(rows - 1, 0)], f"… {len(lines) - rows + 1} more lines do not fit"]


__all__ = ["WIDE", "fitted", "laid", "marks", "obeys", "room", "width"]


class Progress:
    """A line on standard error that rewrites itself; nothing where nobody watches."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._watched = sys.stderr.isatty()

    def at(self, line: int, of: int) -> None:
        """So far. The first telling is the second page: what is quick needs none."""
        if self._watched:
            click.echo(f"\r{self._what} line {line} of {of} ({100 * line // max(of, 1)} %)\x1b[K", nl=False, err=True)

    def over(self) -> None:
        if self._watched:
            click.echo("\r\x1b[K", nl=False, err=True)
