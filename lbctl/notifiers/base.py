"""What a notifier is: a way to tell people. Strictly after the decision and off its path (H52)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Notice:
    """What happened, why, on what evidence, what to do, how to undo it. `key` makes repeats recognisable; `kind` is a note's word."""

    key: str
    service: str
    kind: str
    severity: str
    at: float
    what: str
    why: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    do: str = ""
    undo: str = ""


class Notifier(Protocol):
    """One file a kind; listed in `notifiers.NOTIFIERS`."""

    id: str

    async def send(self, notice: Notice) -> None:
        """Delivers one notice or raises. The queue around it owns deadline, retries and the delivery log."""
        ...
