"""How things are printed: aligned columns, a mark and a word for every colour, ages instead of instants, and nothing that could steer a terminal.

Colour only on a terminal (and never with $NO_COLOR); every colour stands beside a word or a mark that says the same.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

import click

from lbctl.api.advice import failing
from lbctl.api.times import short
from lbctl.cli.options import Globals

GOOD, ATTENTION, BAD, QUIET, STRONG = "green", "yellow", "red", "quiet", "strong"
_CODES = {GOOD: "32", ATTENTION: "33", BAD: "31;1", QUIET: "2", STRONG: "1"}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")

MARKS = {GOOD: " ", ATTENTION: "!", BAD: "X"}
"""The mark in front of a line: what its colour says, without colour."""

LEVELS: Mapping[str, str] = {"normal": GOOD, "failed-over": ATTENTION, "re-arming": ATTENTION, "partial": ATTENTION}
"""A state that is not here is bad."""


def level(shown: Mapping[str, Any]) -> str:
    """How serious a service's state is; what people have switched off, and an active that begins to fail, is worth attention too."""
    found = LEVELS.get(shown["state"], BAD)
    # For seconds the state still says normal while the active fails: no plugin may call that OK.
    manual = failing(shown) or shown["maintenance"]["on"] or shown["held"] or shown["approvals"] or shown["locked_out_until"] or shown.get("alerts")
    return ATTENTION if found == GOOD and manual else found


def colourful() -> bool:
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def paint(text: str, colour: str) -> str:
    """Coloured on a terminal, itself elsewhere."""
    return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if colour in _CODES and text and colourful() else text


def clean(text: object) -> str:
    """Whatever came from a server, without characters that steer a terminal."""
    return _CONTROL.sub("?", str(text))


def width(text: str) -> int:
    return len(_ESCAPES.sub("", text))


def columns(rows: Iterable[Sequence[str]], *, head: Sequence[str] = (), indent: str = "") -> list[str]:
    """Aligned by the widest of each column; the last one is left as it is."""
    lines = [[paint(cell, QUIET) for cell in head]] if head else []
    lines += [list(row) for row in rows]
    if not lines:
        return []
    widths = [max(width(line[i]) for line in lines) for i in range(len(lines[0]) - 1)]
    padded = ([cell + " " * (w - width(cell)) for cell, w in zip(line, widths, strict=False)] for line in lines)
    return [indent + "  ".join([*cells, line[-1]]).rstrip() for cells, line in zip(padded, lines, strict=True)]


def cut(line: str, room: int) -> str:
    """At most `room` characters wide, colours closed."""
    if width(line) <= room:
        return line
    kept, used = [], 0
    for part in re.split(r"(\x1b\[[0-9;]*m)", line):
        if part.startswith("\x1b"):
            kept.append(part)
        else:
            kept.append(part[: max(room - 1 - used, 0)])
            used += len(part)
    return "".join(kept) + "…"


def folded(line: str, indent: int, stream: TextIO | None = None) -> list[str]:
    """Broken at words to the terminal's width, with the rest indented; whole where nobody looks (a pipe, a file)."""
    stream = stream or sys.stdout
    if not stream.isatty():
        return [line]
    room = os.get_terminal_size(stream.fileno()).columns
    if width(line) <= room or room < indent + 30:
        return [line]
    lines, now = [], ""
    for word in re.split(r"(?<=\S) ", line):
        if now and width(now) + 1 + width(word) > room:
            lines.append(now)
            now = " " * indent + word
        else:
            now = f"{now} {word}" if now else word
    return [*lines, now]


def moment(text: str | None) -> float | None:
    """UTC seconds of the API's time; None stays None."""
    return None if not text else datetime.fromisoformat(text).timestamp()


def age(text: str | None, now: float) -> str:
    """How long ago; empty where not known."""
    then = moment(text)
    return "" if then is None else short(now - then)


def left(text: str | None, now: float) -> str:
    """`14:30Z (1h20m left)`; `over` when it has passed."""
    then = moment(text)
    if then is None:
        return ""
    return f"{clock(then)} ({short(then - now) + ' left' if then > now else 'over'})"


def clock(at: float, *, seconds: bool = False) -> str:
    """UTC; the date only where the caller prints it."""
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%SZ" if seconds else "%H:%MZ")


def day(text: str, now: float) -> str:
    """UTC, with the date where it is not today's."""
    then = datetime.fromisoformat(text).astimezone(UTC)
    return then.strftime("%H:%MZ" if then.date() == datetime.fromtimestamp(now, UTC).date() else "%Y-%m-%d %H:%MZ")


def emit(options: Globals, found: Any, lines: Iterable[str]) -> None:
    """The object as JSON or YAML, or the lines."""
    if options.output == "table":
        for line in lines:
            click.echo(line)
    else:
        click.echo(dumps(options, found))


def dumps(options: Globals, found: Any) -> str:
    """As `-o` says."""
    if options.output == "json":
        return json.dumps(found, indent=2)
    import yaml

    # By way of JSON: both outputs are then the same object, and an enum is its value in either.
    return str(yaml.safe_dump(json.loads(json.dumps(found)), sort_keys=False, allow_unicode=False)).rstrip()


def emit_problem(options: Globals, problem: Mapping[str, Any]) -> None:
    """A problem document, as asked for."""
    click.echo(dumps(options, dict(problem)))
