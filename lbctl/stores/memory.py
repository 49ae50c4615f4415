"""A store that forgets with its process: for trials and for the simulation, where `Disk` outlives the controller as a real disk would.

It keeps the promises of `stores.base` by the same rules (compare-and-save, all or nothing, numbered lines). `Disk.before` and `Disk.after`
are called around each write: a test raises there, waits there, or never returns, and so plays a full disk, a slow one, or a crash on
either side of the commit.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from lbctl.errors import StaleRevision
from lbctl.model.decision import Step
from lbctl.model.state import Saved
from lbctl.stores.base import AS_IN_THE_CONTRACT, RECEIPTS_MAX, SLICE, Checked, JournalLimits, Loaded, Receipt
from lbctl.stores.encoding import GENESIS, chain, data_text


async def _nothing() -> None:
    """The disk as it should be."""


@dataclass(slots=True)
class Disk:
    """What stays. `torn` names services whose state cannot be read."""

    states: dict[str, tuple[int, Saved]] = field(default_factory=dict)
    journal: list[tuple[Step, str]] = field(default_factory=list)
    torn: set[str] = field(default_factory=set)
    receipts: dict[str, Receipt] = field(default_factory=dict)
    before: Callable[[], Awaitable[None]] = _nothing
    after: Callable[[], Awaitable[None]] = _nothing
    journal_max: int = 100_000


class MemoryStore:
    """See `stores.base.Store`."""

    def __init__(self, path: object = "", limits: JournalLimits = AS_IN_THE_CONTRACT, *, disk: Disk | None = None) -> None:
        self.disk = disk or Disk()
        self.problem = ""

    async def load(self, service: str) -> Loaded:
        revision, saved = self.disk.states.get(service, (0, None))
        if service in self.disk.torn:
            # With its revision: a save over it must still be compared with what is there.
            return Loaded(None, revision, "torn")
        return Loaded(saved, revision)

    async def save(self, saved: Saved, *, expected: int, steps: Sequence[Step]) -> int:
        await self.disk.before()
        found = self.disk.states.get(saved.service, (0, None))[0]
        if found != expected:
            raise StaleRevision(expected, found)
        self.disk.states[saved.service] = (expected + 1, saved)
        # A whole new state has replaced the torn one.
        self.disk.torn.discard(saved.service)
        self._write(steps)
        # After the change: a crash here leaves it on the disk, and nobody was told.
        await self.disk.after()
        return expected + 1

    async def append(self, steps: Sequence[Step]) -> None:
        await self.disk.before()
        self._write(steps)
        await self.disk.after()

    def _write(self, steps: Sequence[Step]) -> None:
        for step in steps:
            seq, previous = (self.disk.journal[-1][0].seq, self.disk.journal[-1][1]) if self.disk.journal else (0, GENESIS)
            line = replace(step, seq=seq + 1)
            self.disk.journal.append((line, chain(previous, line, data_text(line.data))))
            key, _, request = str(line.data.get("key", "")).partition("/")
            if key:
                # What was told already is not undone by a line that is stored late.
                self.disk.receipts.setdefault(key, Receipt(key, request, line.at, step=line))
        # Whole lines from the far end: what is left is still one chain.
        del self.disk.journal[:-self.disk.journal_max]

    async def steps(self, *, since: int = 0, service: str | None = None, limit: int = 1000, newest: bool = False) -> list[Step]:
        found = [step for step, _ in self.disk.journal if step.seq > since and service in (None, step.service)]
        return found[-limit:] if newest else found[:limit]

    async def head(self) -> int:
        return self.disk.journal[-1][0].seq if self.disk.journal else 0

    async def verify(self, since: int = 0, limit: int = SLICE) -> Checked:
        newest = await self.head()
        part = [(line, digest) for line, digest in self.disk.journal if line.seq >= since][: limit + 1]
        for (_, previous), (line, digest) in pairwise(part):
            if chain(previous, line, data_text(line.data)) != digest:
                return Checked(line.seq - 1, newest, broken_at=line.seq)
        return Checked(part[-1][0].seq if part else newest, newest)

    async def receipt(self, key: str) -> Receipt | None:
        return self.disk.receipts.get(key)

    async def keep(self, receipt: Receipt) -> None:
        await self.disk.before()
        # Out and in again: the order of the dictionary is their age.
        self.disk.receipts.pop(receipt.key, None)
        self.disk.receipts[receipt.key] = receipt
        while len(self.disk.receipts) > RECEIPTS_MAX:
            del self.disk.receipts[next(iter(self.disk.receipts))]
        await self.disk.after()

    async def close(self) -> None:
        """Nothing is held."""
