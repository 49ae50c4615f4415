"""What every service's loop is given: the shared instruments, none of which knows a service from another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from lbctl.clock import Clock
from lbctl.controller.around import Surroundings
from lbctl.controller.counts import Counts
from lbctl.controller.journal import Journal
from lbctl.controller.supervisor import Supervisor
from lbctl.model.settings import ServiceSettings
from lbctl.stores.base import Store


class Eyes(Protocol):
    """Who looks at members on schedule (`controller.monitor`), as a service's loop commands it."""

    def look_now(self, service: str, member: str, page: str) -> None:
        """Starts a look that begins now, whatever the schedule says."""
        ...

    def pace(self, service: str, fast: frozenset[tuple[str, str]]) -> None:
        """Those pages (member, page) are looked at by `fast_interval`, all others of the service by `interval`."""
        ...


class ClosedEyes:
    """Before the monitor stands: whatever is asked for comes with its first round."""

    def look_now(self, service: str, member: str, page: str) -> None: ...

    def pace(self, service: str, fast: frozenset[tuple[str, str]]) -> None: ...


@dataclass(slots=True)
class Tools:
    """`moved` is called when a service's active member is another than before, and once at its start."""

    clock: Clock
    store: Store
    journal: Journal
    around: Surroundings
    supervisor: Supervisor
    counts: Counts
    eyes: Eyes
    moved: Callable[[ServiceSettings, str | None], None]
