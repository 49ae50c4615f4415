"""The database file: opened, upgraded, or moved aside.

* A file that is no database, or whose state table does not pass SQLite's own check, is moved aside with its log files under a new name and
  a new one begun: evidence is kept, nothing is deleted, and the caller is told (H26).
* A file of a newer version is refused and left alone: guessing at it could lose a latch. An older one is upgraded in one transaction.
* Where nothing can be written (read-only, full), it is opened for reading: what is known is still known, saving fails, and so nothing moves.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from lbctl.errors import StoreUnavailable
from lbctl.stores.sqlite_receipts import TABLE as RECEIPTS

VERSION = 1
"""Of the tables below, kept in `PRAGMA user_version`."""

UPGRADES: dict[int, str] = {
    0: """
    CREATE TABLE state (
        service TEXT PRIMARY KEY, revision INTEGER NOT NULL, text TEXT NOT NULL, sum TEXT NOT NULL,
        old_revision INTEGER, old_text TEXT, old_sum TEXT) WITHOUT ROWID;
    CREATE TABLE journal (
        seq INTEGER PRIMARY KEY, at REAL NOT NULL, service TEXT NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL, by TEXT NOT NULL,
        epoch INTEGER NOT NULL, revision INTEGER NOT NULL, data TEXT NOT NULL, hash TEXT NOT NULL);
    CREATE INDEX journal_service ON journal (service, seq);
    CREATE TABLE mark (name TEXT PRIMARY KEY, seq INTEGER NOT NULL, hash TEXT NOT NULL) WITHOUT ROWID;
    """,
}
"""From each version, what leads to the next. `mark` keeps the two ends of the journal's chain: `tail` before the oldest line, `head` the newest."""

# For a person with `sqlite3` on the same file; another lbctl is kept out by the lock.
_BUSY_S = 2.0


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection, and what had to be done for it (empty: nothing)."""

    connection: sqlite3.Connection
    problem: str = ""


def open_database(path: Path) -> Opened:
    """Opens, checks and upgrades. Raises `StoreUnavailable` where there is nothing to read and nothing can be written, or for a newer version."""
    # Before it is opened for writing: opening alone would already change the evidence.
    if path.exists() and _broken(path):
        problem = f"{path.name} was torn and is kept as {_move_aside(path)}"
        return Opened(_writable(path), problem=problem)
    try:
        return Opened(_writable(path))
    except (sqlite3.Error, OSError) as error:
        return _for_reading(path, error)


def _broken(path: Path) -> bool:
    """Judged by reading alone, so that the evidence stays as it was found."""
    # Created and never written, by a crash in the first moment: nothing is lost by beginning.
    if path.stat().st_size == 0:
        return False
    try:
        connection = _read_only(path)
    except sqlite3.Error:
        return False
    try:
        tables = connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'state'").fetchone()[0]
        return bool(tables) and connection.execute("PRAGMA quick_check(state)").fetchone()[0] != "ok"
    except sqlite3.OperationalError:
        return False
    except sqlite3.DatabaseError:
        return True
    finally:
        connection.close()


def _move_aside(path: Path) -> str:
    """Renames the file and its logs to the first free `….broken-N`; returns the new name."""
    number = next(n for n in range(1, 10_000) if not path.with_name(f"{path.name}.broken-{n}").exists())
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        # The log too: it may hold the only good copy of what the file has lost.
        if part.exists():
            part.rename(path.with_name(f"{path.name}.broken-{number}{suffix}"))
    return f"{path.name}.broken-{number}"


def _writable(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        # WAL, so that a person may read while it is written; FULL, so that a commit survives a power cut (H25).
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        _upgrade(connection)
        # Outside the versions: an older lbctl leaves the table alone, so that the way back stays open.
        connection.execute(RECEIPTS)
    except BaseException:
        connection.close()
        raise
    # The umask of whoever started it is not to be trusted with it.
    path.chmod(0o600)
    return connection


def _upgrade(connection: sqlite3.Connection) -> None:
    found = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if found > VERSION:
        raise StoreUnavailable(f"the state file is of version {found}, this lbctl knows {VERSION}: it was left alone")
    for version in range(found, VERSION):
        # The version in the same transaction: a crash leaves the old tables or the new ones.
        connection.executescript(f"BEGIN IMMEDIATE; {UPGRADES[version]} PRAGMA user_version = {version + 1}; COMMIT;")


def _for_reading(path: Path, error: Exception) -> Opened:
    # Nothing to read either: then there is no store at all.
    if not path.exists():
        raise StoreUnavailable(f"{path}: {error}") from error
    try:
        return Opened(_read_only(path), problem=f"{path.name} can only be read: {error}")
    except sqlite3.Error:
        raise StoreUnavailable(f"{path}: {error}") from error


def _read_only(path: Path) -> sqlite3.Connection:
    """`immutable` where the directory forbids the log files that reading would need."""
    last: sqlite3.Error | None = None
    for mode in ("mode=ro", "mode=ro&immutable=1"):
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?{mode}", uri=True, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except sqlite3.OperationalError as error:
            connection.close()
            last = error
        except sqlite3.DatabaseError:
            return connection
        else:
            return connection
    raise last or sqlite3.OperationalError("cannot be read")
