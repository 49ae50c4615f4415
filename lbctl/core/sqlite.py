"""One SQLite file, one thread, whole transactions.

A connection that several tasks share lets one task's rollback undo another's insert, and a disk that hesitates would stop the event loop
(and with it the heartbeat). So each file has a thread of its own, and what is given to it is a whole piece of work: a function of the
connection that either commits as one or leaves no trace. `synchronous=FULL` with a write-ahead log: what `write` returned from is on disk.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")
Work = Callable[[sqlite3.Connection], Result]

BUSY_TIMEOUT_S = 30.0
CACHE_KIB = 16 * 1024
LOG_BYTES_KEPT = 64 * 1024 * 1024
"""What a write-ahead log that once was large is cut back to."""


class SqliteFile:
    """A database file behind its own thread. Raises `sqlite3.Error` from the work that met it (disk full, not a database, …)."""

    def __init__(self, path: Path, schema: str = "") -> None:
        """Opens or creates `path`; `schema` is a script that may run any number of times."""
        self.path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"sqlite-{path.name}")
        try:
            self._connection = self._thread.submit(_open, path, schema).result()
        except BaseException:
            self._thread.shutdown()
            raise

    async def read(self, work: Work[Result]) -> Result:
        """`work` on the connection, outside any transaction of ours."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, self._connection)

    async def write(self, work: Work[Result]) -> Result:
        """`work` as one durable transaction: all of it, or nothing."""
        return await self.read(lambda connection: transaction(connection, work))

    def close(self) -> None:
        """Waits for the work under way, then closes the file."""
        self._thread.submit(self._connection.close).result()
        self._thread.shutdown()


def transaction(connection: sqlite3.Connection, work: Work[Result]) -> Result:
    """Runs `work` between BEGIN IMMEDIATE and COMMIT; whatever it raises rolls back and goes on to the caller."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk may already have rolled back by itself
            connection.execute("ROLLBACK")
        raise
    return result


@contextmanager
def roomy(connection: sqlite3.Connection, cache_kib: int) -> Iterator[None]:
    """A larger page cache for one large piece of work, given back afterwards: random keys of an index otherwise go to the disk and come back."""
    connection.execute(f"PRAGMA cache_size=-{cache_kib}")
    try:
        yield
    finally:
        connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        connection.execute("PRAGMA shrink_memory")


def _open(path: Path, schema: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        connection.execute(f"PRAGMA journal_size_limit={LOG_BYTES_KEPT}")
        if schema:
            transaction(connection, lambda _: [connection.execute(statement) for statement in _statements(schema)])
    except BaseException:
        connection.close()
        raise
    return connection


def _statements(script: str) -> list[str]:
    """The statements of a script. `executescript` would commit on its own; a trigger's inner semicolons need `complete_statement`."""
    statements, pending = [], ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            statements.append(pending)
            pending = ""
    return statements
