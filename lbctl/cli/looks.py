"""Recent looks as a row of marks: one a cell of `GET /services/{name}/looks`, as high as the slowest look in it took; `x` where one failed.

A standby's status page fails by right: that is drawn with another mark, so that no colour has to say it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lbctl.cli.show import BAD, QUIET, columns, paint
from lbctl.cli.terminal import WIDE, marks, room

FAILED, EXPECTED, NONE = "x", ":", " "
MEMBERS_MAX = 8
_FIGURES = 42
"""Columns for the words behind the marks."""


def rows(found: Mapping[str, Any], quiet: frozenset[tuple[str, str]] = frozenset()) -> Iterator[str]:
    """A line for each page of each member, under a head that says what a mark is. `quiet`: pages whose failures are expected."""
    told = [(member, page, row) for member, pages in list(found["members"].items())[:MEMBERS_MAX] for page, row in pages.items()]
    told = [(member, page, row) for member, page, row in told if any(row["good"]) or any(row["failed"])]
    if not told:
        return
    cells = len(told[0][2]["good"])
    label = max(len(f"{member} {page}") for member, page, _ in told) + 2
    together = _together(cells, room() - label - _FIGURES)
    yield f"Looks of the last {cells * found['cell_s'] / 60:.0f} min, a mark for {together * found['cell_s']:.0f} s, {FAILED}: some failed"
    yield from columns([
        (f"  {member} {page}", _spark(row, together, (member, page) in quiet),
         f"{figures(row, why=False)} as expected" if (member, page) in quiet and any(row["failed"]) else figures(row, why=together == 1))
        for member, page, row in told])
    left = len(found["members"]) - MEMBERS_MAX
    if left > 0:
        yield f"  … and {left} more members"


def _together(cells: int, space: int) -> int:
    """How many cells share a mark, so that all of them fit."""
    return 1 if space >= WIDE / 2 else max(1, -(-cells // max(space, 10)))


def _spark(row: Mapping[str, Sequence[Any]], together: int, quiet: bool) -> str:
    heights, failure = marks(), paint(EXPECTED, QUIET) if quiet else paint(FAILED, BAD)
    most = max((took for took in row["slowest_s"] if took), default=0.0)
    drawn = []
    for start in range(0, len(row["good"]), together):
        cell = slice(start, start + together)
        slow = max((took for took in row["slowest_s"][cell] if took), default=None)
        failed = any(row["failed"][cell])
        drawn.append(failure if failed else NONE if slow is None else heights[_height(slow, most, len(heights))])
    return "".join(drawn)


def _height(took: float, most: float, levels: int) -> int:
    """From the bottom; what takes less than 5 ms is low, however even all of them are."""
    return min(int(took / max(most, 0.005) * levels), levels - 1)


def figures(row: Mapping[str, Sequence[Any]], *, why: bool = True) -> str:
    """`2 ms to 41 ms, 3 of 240 failed (timeout)`; `why` not: without the reason, which a narrow terminal has no room for."""
    fast, slow = [took for took in row["fastest_s"] if took], [took for took in row["slowest_s"] if took]
    good, failed = sum(filter(None, row["good"])), sum(filter(None, row["failed"]))
    took = f"{millis(min(fast))} to {millis(max(slow))}" if fast else ""
    reasons = ", ".join(dict.fromkeys(reason for reason, count in zip(row["reason"], row["failed"], strict=True) if count))
    bad = f"{failed} of {good + failed} failed{f' ({reasons})' if why else ''}" if failed else ""
    return ", ".join(part for part in (took, bad) if part)


def millis(seconds: float) -> str:
    """`0.8 ms`, `41 ms`, `1.2 s`."""
    if seconds >= 1:
        return f"{seconds:.1f} s"
    return f"{seconds * 1000:.1f} ms" if seconds < 0.01 else f"{seconds * 1000:.0f} ms"
