"""From the source into a file beside the database: the rows that differ, and the keys that must go.

Nothing here touches the Secondary's database but to read its sums. Work goes bucket group by bucket group, so memory is bounded by one group
whatever the size of the table; what has been found goes to the spool at once.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from lbctl.core.database import Database
from lbctl.core.sync import manifest, rows, wire
from lbctl.core.sync.source import Source
from lbctl.core.tables import Table

GROUP = 64
"""Buckets looked into, or fetched, with one request."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run is: the task's name, rows of it received so far, rows known to be needed so far, bytes of the whole run."""

    task: str
    rows: int
    of: int
    received_bytes: int


ProgressSink = Callable[[Progress], None]


class Spool:
    """The file that collects what the source sent, and what must be deleted, in order."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    async def put(self, packed: bytes) -> None:
        """Appends one frame. Raises OSError: the disk is full."""
        await asyncio.to_thread(self._file.write, packed)

    async def drop(self, kind: str, table: str, keys: Sequence[int]) -> None:
        """Notes deletions: `drop-buckets` or `drop-rows`."""
        if keys:
            await self.put(wire.pack({"kind": kind, "table": table}, wire.pack_keys(keys)))

    async def flush(self) -> None:
        await asyncio.to_thread(self._file.flush)


def spool_path(database: Database) -> Path:
    """Beside the database: one at a time, as there is one sync at a time."""
    return database.path.with_name(database.path.name + ".incoming")


@asynccontextmanager
async def spool(database: Database) -> AsyncIterator[Spool]:
    """A fresh spool, gone when the block ends however it ends."""
    path = spool_path(database)
    file = await asyncio.to_thread(path.open, "wb")
    try:
        yield Spool(file)
    finally:
        await asyncio.to_thread(_discard, file, path)


class Transfer:
    """One table's way into the spool."""

    def __init__(self, source: Source, database: Database, table: Table, target: Spool, sink: ProgressSink) -> None:
        self._source = source
        self._database = database
        self._table = table
        self._spool = target
        self._sink = sink
        self._wanted = 0
        self.rows = 0
        self.dropped = 0

    async def run(self) -> dict[int, rows.BucketSum]:
        """Fetches what differs. The source's sums, which the result must equal."""
        theirs = await self._source.buckets(self._table.name)
        mine = await self._database.file.read(lambda connection: rows.bucket_sums(connection, self._table))
        difference = manifest.compare(mine, theirs)
        self.dropped += sum(mine[bucket].rows for bucket in difference.drop)
        await self._spool.drop("drop-buckets", self._table.name, difference.drop)
        for group in _groups(difference.fetch):
            await self._fetch("bucket-rows", group, sum(theirs[bucket].rows for bucket in group))
        for group in _groups(difference.differ):
            await self._look_into(group)
        return theirs

    async def _look_into(self, buckets: Sequence[int]) -> None:
        """Buckets that both sides have, but not alike: down to the leaves, then to the rows."""
        stamps = await self._database.file.read(lambda connection: _stamps(connection, self._table, buckets))
        leaves = manifest.compare(manifest.leaf_sums(stamps.items()), await self._source.leaves(self._table.name, buckets))
        unlike = sorted((*leaves.fetch, *leaves.drop, *leaves.differ))
        theirs = await self._source.stamps(self._table.name, unlike)
        inside = set(unlike)
        mine = {key: stamp for key, stamp in stamps.items() if key >> manifest.LEAF_BITS in inside}
        difference = manifest.compare(mine, theirs)
        self.dropped += len(difference.drop)
        await self._spool.drop("drop-rows", self._table.name, difference.drop)
        keys = sorted((*difference.fetch, *difference.differ))
        if keys:
            await self._fetch("rows", keys, len(keys))

    async def _fetch(self, kind: str, keys: Sequence[int], expected: int) -> None:
        self._wanted += expected
        async for frame in self._source.rows(kind, self._table.name, keys):
            await self._spool.put(frame.packed)
            self.rows += int(frame.header["rows"])
            self._sink(Progress(self._table.name, self.rows, self._wanted, self._source.received_bytes))


def _groups(keys: Sequence[int]) -> Iterator[Sequence[int]]:
    return (keys[start : start + GROUP] for start in range(0, len(keys), GROUP))


def _stamps(connection: sqlite3.Connection, table: Table, buckets: Sequence[int]) -> dict[int, int]:
    return {key: stamp for bucket in buckets for key, stamp in rows.stamps_between(connection, table, manifest.keys_of_bucket(bucket))}


def _discard(file: BinaryIO, path: Path) -> None:
    try:
        file.close()  # a full disk may refuse the last buffered bytes; they are not wanted any more
    except OSError:
        pass
    finally:
        path.unlink(missing_ok=True)
