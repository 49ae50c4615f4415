"""The database of a Core: everything that a Secondary must have when it takes over, in one SQLite file.

The tables are `tables.TABLES`. Beside them stands one row that is never replicated: where this copy came from (`Origin`). It is written in
the transaction that applied the sync, so "what do I hold, and how old is it?" can never disagree with what is held (H1).

Readers of a sync use a `Snapshot`: a second connection that sees the database as it was when it was taken, however long the transfer lasts
and whatever the Core goes on writing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lbctl.core.sqlite import SqliteFile
from lbctl.core.tables import SCHEMA, TABLES, Table

ORIGIN = """
CREATE TABLE IF NOT EXISTS origin (
  one INTEGER PRIMARY KEY CHECK (one = 1), run TEXT NOT NULL, source TEXT NOT NULL, started REAL NOT NULL, applied REAL NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class Origin:
    """The sync that this copy is the result of. Times are UTC seconds; the copy shows the source as it was at or after `started`."""

    run: str
    source: str
    started: float
    applied: float


class Database:
    """The live database of one Core."""

    def __init__(self, path: Path) -> None:
        """Opens or creates the file. Raises sqlite3.Error."""
        self.file = SqliteFile(path, SCHEMA + ORIGIN)

    @property
    def path(self) -> Path:
        return self.file.path

    async def count(self, table: str) -> int:
        """Rows of one table; the device count of test-plan task 3 is `count("devices")`."""
        query = f"SELECT count(*) FROM {TABLES[table].name}"  # noqa: S608
        return await self.file.read(lambda connection: int(connection.execute(query).fetchone()[0]))

    async def insert(self, table: str, rows: Iterable[Mapping[str, object]]) -> None:
        """Adds rows, all or none. Raises sqlite3.IntegrityError for a duplicate."""
        await self.file.write(lambda connection: insert(connection, TABLES[table], rows))

    async def select(self, table: str, where: Mapping[str, object] | None = None, *, limit: int = 100) -> list[dict[str, object]]:
        """The newest rows with those values, at most `limit`, highest key first; the stamp is left out."""
        return await self.file.read(lambda connection: _select(connection, TABLES[table], where or {}, limit))

    async def update(self, table: str, key: int, values: Mapping[str, object]) -> None:
        """Changes one row; one that is not there is no error."""
        await self.file.write(lambda connection: _update(connection, TABLES[table], key, values))

    async def delete(self, table: str, key: int) -> None:
        """Removes one row; one that is not there is no error."""
        query = f"DELETE FROM {TABLES[table].name} WHERE id = ?"  # noqa: S608
        await self.file.write(lambda connection: connection.execute(query, (key,)))

    async def origin(self) -> Origin | None:
        """Where this copy came from; None on a Core that has never synced."""
        return await self.file.read(_origin)

    def snapshot(self) -> Snapshot:
        """A frozen view for one sync. Waits for the file: not for the event loop's thread. The caller closes it."""
        return Snapshot(self.path)

    def writer(self) -> SqliteFile:
        """A connection of its own for one large transaction, beside which the others go on reading. As `snapshot`."""
        return SqliteFile(self.path)

    def close(self) -> None:
        self.file.close()


class Snapshot:
    """The database as it is at `begin`, on a connection of its own, until closed."""

    def __init__(self, path: Path) -> None:
        self._file = SqliteFile(path)
        self.read = self._file.read

    async def begin(self) -> None:
        """Fixes the view: what is committed later is not seen."""
        await self.read(_fix)

    def close(self) -> None:
        self._file.close()


def insert(connection: sqlite3.Connection, table: Table, rows: Iterable[Mapping[str, object]]) -> None:
    """New rows, which get stamps of their own; all have the columns of the first."""
    names: Sequence[str] = ()
    statement = ""
    for row in rows:
        if not statement:
            names = [name for name in table.columns[:-1] if name in row]
            statement = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608
        connection.execute(statement, [row[name] for name in names])


def put_origin(connection: sqlite3.Connection, origin: Origin) -> None:
    """Says where the copy came from, in the transaction that makes it."""
    connection.execute("INSERT OR REPLACE INTO origin VALUES (1, ?, ?, ?, ?)", (origin.run, origin.source, origin.started, origin.applied))


def _fix(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM origin").fetchone()  # the view is taken by the first read, not by BEGIN


def _select(connection: sqlite3.Connection, table: Table, where: Mapping[str, object], limit: int) -> list[dict[str, object]]:
    names = table.columns[:-1]
    wanted = [name for name in names if name in where]
    condition = " AND ".join(f"{name} = ?" for name in wanted) or "1"
    query = f"SELECT {', '.join(names)} FROM {table.name} WHERE {condition} ORDER BY id DESC LIMIT ?"  # noqa: S608
    values = [where[name] for name in wanted]
    return [dict(zip(names, row, strict=True)) for row in connection.execute(query, (*values, limit))]


def _update(connection: sqlite3.Connection, table: Table, key: int, values: Mapping[str, object]) -> None:
    names = [name for name in table.columns[1:-1] if name in values]
    query = f"UPDATE {table.name} SET {', '.join(f'{name} = ?' for name in names)} WHERE id = ?"  # noqa: S608
    connection.execute(query, (*(values[name] for name in names), key))


def _origin(connection: sqlite3.Connection) -> Origin | None:
    row = connection.execute("SELECT run, source, started, applied FROM origin").fetchone()
    return Origin(*row) if row else None
