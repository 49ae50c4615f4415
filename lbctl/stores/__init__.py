"""Ways to remember: one file a kind, listed in `STORES`.

`controller.state` names the place: a plain path is a SQLite file, `kind:rest` names another kind.
"""

from __future__ import annotations

from collections.abc import Callable

from lbctl.stores.base import AS_IN_THE_CONTRACT, JournalLimits, Store
from lbctl.stores.memory import MemoryStore
from lbctl.stores.sqlite import SqliteStore

STORES: dict[str, Callable[[str, JournalLimits], Store]] = {
    "sqlite": SqliteStore,
    "memory": MemoryStore,
}


def open_store(where: str, limits: JournalLimits = AS_IN_THE_CONTRACT) -> Store:
    """The store that `where` names; KeyError for a kind that is not listed."""
    kind, colon, rest = where.partition(":")
    # A path may hold a colon; a kind never holds a slash.
    if not colon or "/" in kind:
        return STORES["sqlite"](where, limits)
    return STORES[kind](rest, limits)


__all__ = ["AS_IN_THE_CONTRACT", "STORES", "JournalLimits", "Store", "open_store"]
