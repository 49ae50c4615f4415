"""The SQL of a sync: sums and stamps of a table, whole rows out of one database and into another.

Reads go over the stamp index in key order, so that no query sorts and none holds more than it hands on.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from lbctl.core.sync import manifest, wire
from lbctl.core.tables import Table

Row = tuple[object, ...]

FRAME_BYTES = 512 * 1024
"""Rows are gathered into frames of about this size, before compression."""

_BATCH = 64


@dataclass(frozen=True, slots=True)
class BucketSum:
    """What a bucket is known by: rows and the sum of their stamps."""

    rows: int
    stamps: int


def bucket_sums(connection: sqlite3.Connection, table: Table) -> dict[int, BucketSum]:
    """Every bucket that has rows. One range of the stamp index after another: no sorting, no memory."""
    sums = {}
    lowest = f"SELECT id FROM {table.name} WHERE id >= ? ORDER BY id LIMIT 1"  # noqa: S608
    measure = f"SELECT count(*), sum(stamp) FROM {table.name} INDEXED BY {table.name}_stamps WHERE id BETWEEN ? AND ?"  # noqa: S608
    start = -(1 << 63)
    while (found := connection.execute(lowest, (start,)).fetchone()) is not None:
        bucket = found[0] >> manifest.BUCKET_BITS
        keys = manifest.keys_of_bucket(bucket)
        count, stamps = connection.execute(measure, (keys[0], keys[-1])).fetchone()
        sums[bucket] = BucketSum(count, stamps)
        start = keys[-1] + 1
    return sums


def stamps_between(connection: sqlite3.Connection, table: Table, keys: range) -> Iterator[tuple[int, int]]:
    """(key, stamp) of the rows in a range of keys."""
    query = f"SELECT id, stamp FROM {table.name} INDEXED BY {table.name}_stamps WHERE id BETWEEN ? AND ? ORDER BY id"  # noqa: S608
    return _each(connection, query, keys)


def rows_between(connection: sqlite3.Connection, table: Table, keys: range) -> Iterator[Row]:
    """Whole rows in a range of keys, in the order of `Table.columns`."""
    query = f"SELECT {', '.join(table.columns)} FROM {table.name} WHERE id BETWEEN ? AND ? ORDER BY id"  # noqa: S608
    return _each(connection, query, keys)


def _each(connection: sqlite3.Connection, query: str, keys: range) -> Iterator[Any]:
    for row in connection.execute(query, (keys[0], keys[-1])):  # noqa: UP028 - `yield from` would close a cursor of a file that may be closed by then
        yield row


def row_at(connection: sqlite3.Connection, table: Table, key: int) -> Row | None:
    """One whole row."""
    return next(rows_between(connection, table, range(key, key + 1)), None)


def put_rows(connection: sqlite3.Connection, table: Table, rows: Iterable[Sequence[object]]) -> None:
    """Writes copied rows with their stamps over whatever has their key. Never fires the triggers, which would renew the stamps."""
    places = ", ".join("?" * len(table.columns))
    query = f"INSERT OR REPLACE INTO {table.name} ({', '.join(table.columns)}) VALUES ({places})"  # noqa: S608
    connection.executemany(query, rows)


def drop_keys(connection: sqlite3.Connection, table: Table, keys: range | Sequence[int]) -> None:
    """Deletes rows by key."""
    if isinstance(keys, range):
        connection.execute(f"DELETE FROM {table.name} WHERE id BETWEEN ? AND ?", (keys[0], keys[-1]))  # noqa: S608
    else:
        connection.executemany(f"DELETE FROM {table.name} WHERE id = ?", ((key,) for key in keys))  # noqa: S608


def row_frames(table: Table, rows: Iterator[Row]) -> Generator[bytes, None, None]:
    """Rows as packed frames of bounded size. A single row may have `wire.BODY_BYTES_MAX` compressed bytes."""
    pieces: list[str] = []
    size = count = 0
    for piece, held in _encoded(rows):
        if pieces and size + len(piece) > FRAME_BYTES:
            yield _frame(table, pieces, count)
            pieces, size, count = [], 0, 0
        pieces.append(piece)
        size, count = size + len(piece), count + held
    if pieces:
        yield _frame(table, pieces, count)


def _encoded(rows: Iterator[Row]) -> Iterator[tuple[str, int]]:
    """JSON of some rows, without the brackets, and how many: a batch at once where rows are small, one by one where they are large."""
    while batch := list(islice(rows, _BATCH)):
        text = _json(batch)
        if len(text) <= FRAME_BYTES:
            yield text, len(batch)
        else:
            yield from ((_json([row]), 1) for row in batch)


def _json(rows: list[Row]) -> str:
    return json.dumps(rows, separators=(",", ":"), ensure_ascii=False)[1:-1]


def _frame(table: Table, pieces: list[str], count: int) -> bytes:
    return wire.pack({"kind": "rows", "table": table.name, "rows": count}, f"[{','.join(pieces)}]".encode())
