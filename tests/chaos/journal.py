"""The journal as the judges read it: every line, and the turns in which the active or the epoch became another one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

TURNS = frozenset({"moved", "cancelled", "adopted", "roles-swapped"})
"""Every kind of line that may come with a new epoch."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line; `at` in UTC seconds."""

    seq: int
    at: float
    kind: str
    text: str
    by: str
    epoch: int
    revision: int
    data: dict[str, Any]

    @property
    def evidence(self) -> dict[str, Any]:
        return dict(self.data.get("evidence", {}))

    @property
    def member(self) -> str:
        return str(self.data.get("member", ""))

    @property
    def trigger(self) -> str:
        return str(self.evidence.get("trigger", ""))

    @property
    def verb(self) -> str:
        return self.text.partition(":")[0]

    def __str__(self) -> str:
        return f"line {self.seq} ({self.kind}, epoch {self.epoch}): {self.text[:200]}"


def lines(events: Sequence[dict[str, Any]]) -> list[Line]:
    """As the API gives them, oldest first."""
    return [Line(one["seq"], datetime.fromisoformat(one["at"]).timestamp(), one["kind"], one["text"], one["by"], one["epoch"], one["revision"],
                 one["data"]) for one in events]


def turns(journal: Sequence[Line]) -> list[Line]:
    """Those with which the active or the epoch changed."""
    return [line for line in journal if line.kind in TURNS]


def latched_over_time(journal: Sequence[Line]) -> list[tuple[Line, frozenset[str]]]:
    """Each line that was saved with other latches, and which they were."""
    return [(line, frozenset(line.data["saved"]["latched"])) for line in journal if "latched" in line.data.get("saved", {})]
