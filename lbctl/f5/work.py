"""One import at work: what it has made so far, and what it has said about the source."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lbctl.f5.leftovers import Leftover, remark
from lbctl.f5.objects import Objects
from lbctl.f5.syntax import Statement


@dataclass(slots=True)
class Work:
    """Filled by `convert` and `monitors`."""

    objects: Objects
    remarks: list[Leftover] = field(default_factory=list)
    services: dict[str, Any] = field(default_factory=dict)
    published: dict[str, str] = field(default_factory=dict)
    """Names that clients ask for -> the service that answers them."""
    merged: set[str] = field(default_factory=set)
    """Wide IPs of both families that are in one service."""
    said: set[Statement] = field(default_factory=set)
    """What a service was made of, or a remark tells of. By themselves, not by their lines: `one-line` has a whole object on one."""

    def take(self, *statements: Statement) -> None:
        """These are in a service now."""
        self.said.update(statements)

    def remark(self, statement: Statement, why: str, text: str = "") -> None:
        """A word about a statement; `text`: in the place of what was written there."""
        self.said.add(statement)
        self.remarks.append(remark(statement, why, text))
