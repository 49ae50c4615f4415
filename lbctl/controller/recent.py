"""What the looks of the last `SPAN_S` seconds have shown, for each member and page of one service: latency and verdicts from before somebody looked.

The journal has every change and no figures; Prometheus has the figures and perhaps is not there at night. This ring is for the person who opens the
page a quarter of an hour after it began, so it is coarse and small: `SPAN_S` are cut into `CELLS` cells, and one page costs `CELLS * _WIDTH` bytes
(360), whatever its interval. It is not remembered over a restart, and no decision rests on it.

A cell is six bytes: which turn of the ring it belongs to, the fastest and slowest good look, how many were good and bad (up to 255 are counted),
and the verdict with its reason. A cell whose turn is not the present one is empty: nothing has to be cleared as time goes by. (The turn wraps after
256 of them, three and a half days; by then every cell of a watched page has been written many times.)
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from lbctl.model.looks import ProbeResult, Reason, Verdict

CELL_S = 20.0
CELLS = 60
SPAN_S = CELL_S * CELLS
_WIDTH = 6
_SHORTEST_S = 50e-6
_STEPS = 12
"""Steps an octave: a duration is kept in one byte, from 50 µs to 117 s, within 3 %."""
_SECONDS = (None, *(round(_SHORTEST_S * 2 ** (step / _STEPS), 6) for step in range(255)))
_VERDICTS, _REASONS = tuple(map(str, Verdict)), tuple(map(str, Reason))
_SAID = {(verdict, reason): v * 16 + r for v, verdict in enumerate(_VERDICTS) for r, reason in enumerate(_REASONS)}
assert len(_REASONS) <= 16, "a reason has four bits"


class Recent:
    """The ring of one service. `pages`: the monitor's, in order. `saw` is called for every look and costs a few microseconds."""

    __slots__ = ("_members", "_pages")

    def __init__(self, pages: Iterable[str]) -> None:
        self._pages = tuple(pages)
        self._members: dict[str, bytearray] = {}

    def follow(self, pages: Iterable[str], members: Iterable[str]) -> None:
        """New settings: who is gone is forgotten, and all where the pages are others."""
        if tuple(pages) != self._pages:
            self._pages, self._members = tuple(pages), {}
        kept = set(members)
        for name in [name for name in self._members if name not in kept]:
            del self._members[name]

    def saw(self, look: ProbeResult) -> None:
        """Keeps one look. A void one says nothing of the member, so its cell stays as it is: a gap in the picture is a gap in the watching."""
        if look.void or look.page not in self._pages:
            return
        turn, cell = divmod(int(look.ended // CELL_S), CELLS)
        ring = self._members.get(look.member)
        # Made at the first look: a service that is only configured costs nothing.
        if ring is None:
            ring = self._members[look.member] = bytearray(len(self._pages) * CELLS * _WIDTH)
        at = (self._pages.index(look.page) * CELLS + cell) * _WIDTH
        # 0 is "never written": turns are 1 to 255 and round again
        if ring[at] != turn % 255 + 1:
            ring[at : at + _WIDTH] = bytes((turn % 255 + 1, 0, 0, 0, 0, 0))
        # Only good looks are timed: how long a timeout takes is known.
        if look.good:
            took = _packed(look.ended - look.started)
            ring[at + 1] = min(ring[at + 1] or took, took)
            ring[at + 2] = max(ring[at + 2], took)
            ring[at + 3] = min(ring[at + 3] + 1, 255)
        else:
            ring[at + 4] = min(ring[at + 4] + 1, 255)
        if not (look.good and ring[at + 4]):  # the worst of a cell is what it tells
            ring[at + 5] = _SAID[look.verdict, look.reason]

    def shown(self, member: str, now: float) -> dict[str, dict[str, list[Any]]]:
        """Each page's columns, oldest cell first, the last one still filling; None where there was no look. Durations in seconds."""
        ring = self._members.get(member, b"")
        # Cells by the clock and not by the reader: everybody sees the same columns.
        newest = int(now // CELL_S)
        cells = range(newest - CELLS + 1, newest + 1)
        return {page: _columns([_cell(ring, row, number) for number in cells]) for row, page in enumerate(self._pages)}


def until(now: float) -> float:
    """When the newest cell ends (clock seconds)."""
    return (now // CELL_S + 1) * CELL_S


def _cell(ring: bytes | bytearray, row: int, number: int) -> bytes:
    turn, cell = divmod(number, CELLS)
    at = (row * CELLS + cell) * _WIDTH
    found = bytes(ring[at : at + _WIDTH])
    return found if found and found[0] == turn % 255 + 1 else b""


def _columns(cells: list[bytes]) -> dict[str, list[Any]]:
    return {
        "fastest_s": [_SECONDS[cell[1]] if cell else None for cell in cells],
        "slowest_s": [_SECONDS[cell[2]] if cell else None for cell in cells],
        "good": [cell[3] if cell else None for cell in cells],
        "failed": [cell[4] if cell else None for cell in cells],
        "verdict": [_VERDICTS[cell[5] >> 4] if cell else None for cell in cells],
        "reason": [_REASONS[cell[5] & 15] if cell else None for cell in cells],
    }


def _packed(seconds: float) -> int:
    """A duration as 1 to 255; 0 is none."""
    steps = round(_STEPS * math.log2(max(seconds, _SHORTEST_S) / _SHORTEST_S))
    return min(1 + steps, 255)
