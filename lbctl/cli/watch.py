"""`status --watch`: the same words again and again, painted in place.

* A controller that is away leaves the last picture standing, under the moment that it is of: old figures are never shown as new ones, and what was
  known is not taken from whoever needs it now. It is asked again every second. One that takes the question and says nothing (stopped, or behind a
  path that swallows packets) refuses nothing for a long while: after `SILENT_S` the picture says that it is old, while the question still waits.
* All services: the serious first, so that a small window shows what matters, and a count of the rest.
* A terminal that obeys no cursor movements (`TERM=dumb`, a pipe) gets one picture after another; a dumb terminal only when something has changed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import click

from lbctl.cli.client import Client
from lbctl.cli.failure import Failure
from lbctl.cli.show import BAD, QUIET, clean, clock, paint
from lbctl.cli.terminal import fitted, laid, obeys
from lbctl.clock import SystemClock

REFRESH_S = 1.0
SILENT_S = 6.0
"""As on the page: how long an answer may take before what is shown counts as old."""
LINES = 24
"""Of a terminal that does not say how many it has (a serial console)."""
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"

Look = Callable[[], tuple[list[str], Any]]
"""Asks the controller: the lines to show, and what of them is worth a new picture (no ages)."""


@dataclass
class Picture:
    """What was shown last, and the controller's time of it."""

    client: Client
    look: Look
    lines: list[str] = field(default_factory=list)
    worth: Any = None
    at: float = 0.0
    problem: str = ""

    def renew(self) -> None:
        """Asks once. Raises `Failure` for anything but a controller that is away for a while."""
        try:
            self.lines, self.worth = self.look()
            self.at, self.problem = self.client.now, ""
        except Failure as failure:
            if failure.exit_code != 1:
                raise
            self.client.close()
            self.problem = clean(failure.message)

    def silent(self, seconds: float) -> None:
        """It was asked so long ago and says nothing."""
        self.problem = f"no answer for {seconds:.0f} s"

    @property
    def head(self) -> str:
        """Whether this is now."""
        if not self.problem:
            return paint(f"lbctl status, live at {clock(self.at, seconds=True)}; Ctrl-C ends it", QUIET)
        stale = f"stale since {clock(self.at, seconds=True)}, what is below is as of then: " if self.at else ""
        return paint(f"X {stale}{self.problem}", BAD)


def watch(client: Client, look: Look) -> None:
    """Until Ctrl-C."""
    picture, wall = Picture(client, look), SystemClock()
    paint_in_place = obeys()
    if paint_in_place:
        sys.stdout.write(_ENTER)
    told: Any = None
    try:
        while True:
            if paint_in_place:
                with _told_of_silence(picture, wall):
                    picture.renew()
                _paint([picture.head, *picture.lines])
            else:
                told = _append(picture, told)
            asyncio.run(wall.sleep(REFRESH_S))
    except KeyboardInterrupt:
        pass
    finally:
        if paint_in_place:
            sys.stdout.write(_LEAVE)
            sys.stdout.flush()


def _append(picture: Picture, told: Any) -> Any:
    """One picture below the other; what it told."""
    picture.renew()
    worth = (picture.worth, picture.problem)
    if not sys.stdout.isatty() or told != worth:
        click.echo("\n".join([*([picture.head] if picture.problem or sys.stdout.isatty() else []), *laid(picture.lines)]) + "\n")
    return worth


@contextmanager
def _told_of_silence(picture: Picture, wall: SystemClock) -> Iterator[None]:
    """Paints from the timer's signal: what waits for the answer is a read that nothing else interrupts, and that goes on afterwards (PEP 475)."""
    asked = wall.now()

    def tell(*_: object) -> None:
        picture.silent(wall.now() - asked)
        _paint([picture.head, *picture.lines])

    before = signal.signal(signal.SIGALRM, tell)
    signal.setitimer(signal.ITIMER_REAL, SILENT_S, REFRESH_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def _paint(lines: Sequence[str]) -> None:
    """Over what stands there, line by line, so that nothing flickers."""
    rows = os.get_terminal_size(sys.stdout.fileno()).lines or LINES
    sys.stdout.write("\x1b[H" + "".join(f"{line}\x1b[K\n" for line in fitted(laid(lines), max(rows - 1, 1))) + "\x1b[J")
    sys.stdout.flush()
