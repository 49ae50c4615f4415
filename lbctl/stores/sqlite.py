"""The memory of one host: a SQLite file in WAL mode with `synchronous=FULL`, in a thread of its own.

* State and journal lines go in one durable transaction, before any action (H25); about a millisecond, shared by all who save at once.
* Compare-and-save on the revision: who judged by an older state is told (`StaleRevision`) and nothing is written.
* Each service's row keeps the copy before it. A row whose checksum fails falls back to that copy and says so; with neither, the service is
  unreadable, which is never the same as new (H26).
* A torn file is moved aside, never deleted; a file of a newer version is refused. Both are told with every load.
* Where the disk is full or read-only, reading goes on and saving raises `StoreUnavailable`; each save tries the disk anew.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from lbctl.errors import StaleRevision, StoreUnavailable
from lbctl.model.decision import Step
from lbctl.model.state import Saved
from lbctl.stores import sqlite_journal as journal
from lbctl.stores import sqlite_receipts as receipts
from lbctl.stores.base import AS_IN_THE_CONTRACT, SLICE, Checked, JournalLimits, Loaded, Receipt
from lbctl.stores.encoding import checksum, decode, encode
from lbctl.stores.sqlite_file import open_database
from lbctl.stores.sqlite_thread import SqliteThread

# Pruning asks for sizes and ages: not at every save, which somebody waits for.
_PRUNE_EVERY = 200
"""Writes between two looks at the journal's bounds."""
_PAST_ALL = 2**62
"""More than any line's number."""


class SqliteStore:
    """See `stores.base.Store`. `problem` tells what was wrong with the file when it was opened, empty where nothing was."""

    def __init__(self, path: str | Path, limits: JournalLimits = AS_IN_THE_CONTRACT) -> None:
        self.path = Path(path)
        self.problem = ""
        self._limits = limits
        self._writes = 0
        self._thread = SqliteThread(self._connect)

    async def load(self, service: str) -> Loaded:
        try:
            return await self._thread.call(lambda connection: self._load(connection, service), writes=False)
        except StoreUnavailable as error:
            # A value and no exception: a start goes on without a memory and says why (SEMANTICS 6).
            return Loaded(None, 0, f"the state cannot be read: {error}")

    async def save(self, saved: Saved, *, expected: int, steps: Sequence[Step]) -> int:
        # In the caller's thread: the one thread of the store is everybody's.
        text = encode(saved)
        return await self._thread.call(lambda connection: self._save(connection, saved.service, text, expected, steps), writes=True)

    async def append(self, steps: Sequence[Step]) -> None:
        await self._thread.call(lambda connection: self._append(connection, steps), writes=True)

    async def steps(self, *, since: int = 0, service: str | None = None, limit: int = 1000, newest: bool = False) -> list[Step]:
        found: list[Step] = []
        after, before = since, _PAST_ALL
        # Slice by slice: a save waits behind one of them at most.
        while len(found) < limit:
            part = await self._part(after, before, service, min(SLICE, limit - len(found)), newest)
            found = [*part, *found] if newest else [*found, *part]
            if len(part) < SLICE:
                break
            after, before = (after, part[0].seq) if newest else (part[-1].seq, before)
        return found

    async def _part(self, after: int, before: int, service: str | None, limit: int, newest: bool) -> list[Step]:
        return await self._thread.call(lambda connection: journal.steps(connection, after, before, service, limit, newest), writes=False)

    async def head(self) -> int:
        """The number of the newest journal line."""
        return await self._thread.call(lambda connection: journal.head(connection)[0], writes=False)

    async def verify(self, since: int = 0, limit: int = SLICE) -> Checked:
        return await self._thread.call(lambda connection: journal.verify(connection, since, limit), writes=False)

    async def receipt(self, key: str) -> Receipt | None:
        return await self._thread.call(lambda connection: receipts.find(connection, key), writes=False)

    async def keep(self, receipt: Receipt) -> None:
        await self._thread.call(lambda connection: receipts.keep(connection, receipt), writes=True)

    async def close(self) -> None:
        await self._thread.close()

    def _connect(self) -> sqlite3.Connection:
        opened = open_database(self.path)
        self.problem = opened.problem or self.problem
        return opened.connection

    def _load(self, connection: sqlite3.Connection, service: str) -> Loaded:
        row = connection.execute("SELECT * FROM state WHERE service = ?", (service,)).fetchone()
        # The problem with it: in a file that was begun anew "absent" is not "new" (H26).
        if row is None:
            return Loaded(None, 0, self.problem)
        _, revision, text, digest, old_revision, old_text, old_digest = row
        if (saved := _readable(service, revision, text, digest)) is not None:
            return Loaded(saved, revision, self.problem)
        # One step back may miss a move; what is published is then newer, and the start says so (H27).
        if (saved := _readable(service, old_revision, old_text, old_digest)) is not None:
            return Loaded(saved, revision, f"the state of revision {revision} is torn; revision {old_revision} is used")
        # With its revision: the next save must replace this row, not pretend that there is none.
        return Loaded(None, revision, f"the state of revision {revision} is torn, and so is the copy before it")

    def _save(self, connection: sqlite3.Connection, service: str, text: str, expected: int, steps: Sequence[Step]) -> int:
        revision = expected + 1
        digest = checksum(service, revision, text)
        # IGNORE and not REPLACE: a row that somebody else wrote first must show as stale.
        if expected == 0:
            changed = connection.execute("INSERT OR IGNORE INTO state (service, revision, text, sum) VALUES (?, ?, ?, ?)",
                                         (service, revision, text, digest)).rowcount
        else:
            # The comparison is in the write itself: between a read and a write there would be room for somebody else.
            changed = connection.execute("UPDATE state SET old_revision = revision, old_text = text, old_sum = sum, revision = ?, text = ?, sum = ?"
                                         " WHERE service = ? AND revision = ?", (revision, text, digest, service, expected)).rowcount
        # Before the lines are added: a refused save leaves nothing, not even its story.
        if changed != 1:
            found = connection.execute("SELECT revision FROM state WHERE service = ?", (service,)).fetchone()
            raise StaleRevision(expected, found[0] if found else 0)
        self._append(connection, steps)
        return revision

    def _append(self, connection: sqlite3.Connection, steps: Sequence[Step]) -> None:
        receipts.file_decided(connection, journal.append(connection, steps))
        self._writes += 1
        if self._writes >= _PRUNE_EVERY:
            self._writes = 0 if journal.prune(connection, self._limits) < journal.PRUNE_BATCH - 1 else _PRUNE_EVERY


def _readable(service: str, revision: int | None, text: str | None, digest: str | None) -> Saved | None:
    if revision is None or text is None or checksum(service, revision, text) != digest:
        return None
    try:
        return decode(text)
    except ValueError:
        return None
