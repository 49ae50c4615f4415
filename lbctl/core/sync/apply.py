"""The one durable step: everything received becomes the database, or nothing does (G-SY6).

One SQLite transaction replays the spool, then proves its result before the commit: the checksum of all frames must be the one that the source
computed while sending, and every bucket of every table must have the source's row count and stamp sum. The last statement notes where the copy
came from. The write-ahead log *is* the copy beside: readers go on seeing the last complete copy until the commit record is on disk, and a
kill, a power cut or a full disk before that leaves it as it was.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from lbctl.core.database import Origin, put_origin
from lbctl.core.sqlite import roomy, transaction
from lbctl.core.sync import manifest, rows, wire
from lbctl.core.sync.rows import BucketSum
from lbctl.core.tables import TABLES, Table
from lbctl.errors import LbctlError

CACHE_KIB = 192 * 1024
"""Memory that the transaction may take for pages, whatever the size of the database."""

LARGE = 20_000
"""Rows from which on rebuilding an index is worth it."""


class ApplyError(LbctlError):
    """What was received is not what was sent, or does not make the source's database. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class Received:
    """What a transfer brought: the spool, the source's checksum over its row frames, and of each table its sums and how many rows came."""

    spool: Path
    sha256: str
    sums: Mapping[str, Mapping[int, BucketSum]]
    rows: Mapping[str, int]

    def large(self) -> list[Table]:
        """Tables that are mostly new."""
        totals = {name: sum(known.rows for known in sums.values()) for name, sums in self.sums.items()}
        return [TABLES[name] for name, came in self.rows.items() if came > LARGE and came > totals[name] / 2]


@dataclass(frozen=True, slots=True)
class Hand:
    """What the one who waits holds of the thread: `stop` ends the work early, `progress` is told how many rows are written so far."""

    stop: threading.Event
    progress: Callable[[int], None]


def apply(connection: sqlite3.Connection, received: Received, origin: Origin, hand: Hand) -> None:
    """One transaction. Raises ApplyError, WireError, OSError or sqlite3.Error, and then nothing has happened."""
    with roomy(connection, CACHE_KIB):
        transaction(connection, lambda _: _become(connection, received, origin, hand))


def _become(connection: sqlite3.Connection, received: Received, origin: Origin, hand: Hand) -> None:
    with received.spool.open("rb") as file, _built_last(connection, received.large()):
        digest = _replay(connection, file, hand)
    if digest != received.sha256:
        raise ApplyError("the checksum of what was received is not the one that the source sent")
    for name, theirs in received.sums.items():
        _verify(connection, TABLES[name], theirs)
    put_origin(connection, origin)


@contextmanager
def _built_last(connection: sqlite3.Connection, tables: Sequence[Table]) -> Iterator[None]:
    """Their unique indexes are made anew from sorted rows at the end: a million random keys one by one would rewrite each page many times."""
    unique = [table for table in tables if table.unique]
    for table in unique:
        connection.execute(f"DROP INDEX IF EXISTS {table.name}_unique")
    yield
    try:
        for table in unique:
            connection.execute(table.unique_index)
    except sqlite3.IntegrityError as error:
        raise ApplyError(f"what was received repeats what may not be repeated: {error}") from error


def _replay(connection: sqlite3.Connection, file: BinaryIO, hand: Hand) -> str:
    digest, done = hashlib.sha256(), 0
    while (frame := wire.read_file(file)) is not None:
        if hand.stop.is_set():
            raise ApplyError("stopped before the new copy was complete")
        _replay_frame(connection, frame)
        if frame.kind == "rows":
            digest.update(frame.packed)
            done += int(frame.header["rows"])
            hand.progress(done)
    return digest.hexdigest()


def _replay_frame(connection: sqlite3.Connection, frame: wire.Frame) -> None:
    table, content = TABLES[frame.header["table"]], frame.json()
    if frame.kind == "drop-buckets":
        for bucket in wire.unpack_keys(content):
            rows.drop_keys(connection, table, manifest.keys_of_bucket(bucket))
    elif frame.kind == "drop-rows":
        rows.drop_keys(connection, table, wire.unpack_keys(content))
    else:
        _put(connection, table, content)


def _put(connection: sqlite3.Connection, table: Table, content: object) -> None:
    width = len(table.columns)
    if not isinstance(content, list) or not all(isinstance(row, list) and len(row) == width for row in content):
        raise ApplyError(f"rows that do not fit the table {table.name}")
    try:
        rows.put_rows(connection, table, content)
    except (sqlite3.ProgrammingError, sqlite3.InterfaceError, sqlite3.IntegrityError, OverflowError) as error:
        raise ApplyError(f"rows that do not fit the table {table.name}: {error}") from error


def _verify(connection: sqlite3.Connection, table: Table, theirs: Mapping[int, BucketSum]) -> None:
    difference = manifest.compare(rows.bucket_sums(connection, table), theirs)
    if not difference.nothing:
        unlike = len(difference.fetch) + len(difference.drop) + len(difference.differ)
        raise ApplyError(f"the table {table.name} would not be the source's: {unlike} parts differ; was it written here during the sync?")
