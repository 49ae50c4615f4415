"""What a store is: the memory that survives. One durable transaction holds the new state and its journal lines, before any action (H25)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from lbctl.model.decision import Step
from lbctl.model.state import Saved


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was found for a service. `saved` None: absent, or unreadable, which `problem` then tells (never silently: H26)."""

    saved: Saved | None
    revision: int
    problem: str = ""


@dataclass(frozen=True, slots=True)
class JournalLimits:
    """How long journal lines are kept (seconds, counted from the newest) and how large the whole may grow (contract section 3, `journal`)."""

    keep_s: float = 400 * 86400.0
    # The whole file, state included: it is the disk that must not fill up.
    size_max_bytes: int = 1 << 30


AS_IN_THE_CONTRACT = JournalLimits()
SLICE = 100
"""Lines that are read or checked in one go: the wait that a save may meet behind them, some milliseconds."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A part of the journal's chain that was followed: up to and with line `upto`, of `head` lines written so far.

    `broken_at` is the first line that does not fit; None where all of the part did.
    """

    upto: int
    head: int
    broken_at: int | None = None


# Retries come within seconds; a day covers the script that somebody starts again the next morning.
RECEIPT_KEEP_S = 86400.0
RECEIPTS_MAX = 2000
"""How long receipts are kept (counted from the newest), and how many of them."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What somebody was told under one key, so that whoever asks again with it, also after a restart, is told the same and nothing is done twice.

    `request` tells requests apart. `status` 0: it was decided (`step` is the journal's line), but the process ended before it was told.
    """

    key: str
    request: str
    at: float
    # 0 and not absent: that it was decided must be known even where nobody heard the answer (H36).
    status: int = 0
    body: bytes = b""
    media: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    step: Step | None = None


class Store(Protocol):
    """One file a kind; listed in `stores.STORES`."""

    problem: str
    """What was wrong with the memory as a whole when it was opened; empty where nothing was."""

    async def load(self, service: str) -> Loaded:
        """The last saved state. A torn one falls back to the copy before it, and says so."""
        ...

    async def save(self, saved: Saved, *, expected: int, steps: Sequence[Step]) -> int:
        """Writes state and journal lines in one transaction, durably, and returns the new revision.

        Raises `StaleRevision` where somebody saved first, `StoreUnavailable` where nothing could be written; then nothing was.
        """
        ...

    async def append(self, steps: Sequence[Step]) -> None:
        """Journal lines that change no state (a look's verdict, a note)."""
        ...

    async def steps(self, *, since: int = 0, service: str | None = None, limit: int = 1000, newest: bool = False) -> list[Step]:
        """Journal lines with `seq` above `since`, oldest first; with `newest`, the last `limit` of them (still oldest first).

        Saves go on meanwhile, however many are asked for.
        """
        ...

    async def head(self) -> int:
        """The number of the newest journal line; 0 where there is none."""
        ...

    async def verify(self, since: int = 0, limit: int = SLICE) -> Checked:
        """Follows the chain of hashes over at most `limit` lines after `since`, whose own hash is believed (`audit verify`: slice after slice, so
        that saves go on meanwhile). Lines that were dropped for their age are passed over. The whole is followed when `upto` reaches `head`."""
        ...

    async def receipt(self, key: str) -> Receipt | None:
        """What is kept under this key. A command that carries `key` has a receipt from the moment its decision is saved, in the same transaction."""
        ...

    async def keep(self, receipt: Receipt) -> None:
        """Files what was told, in place of what was filed when it was decided."""
        ...

    async def close(self) -> None:
        """Ends the store's thread; what was saved stays."""
        ...
