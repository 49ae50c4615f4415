"""The journal inside the state file: a chain of lines, kept for so long and within so many bytes.

Functions over a connection, called in the store's own thread inside its transaction. A line's number and hash are given here; the newest is
marked (`head`), so that a journal cut short at its end is seen too. Old lines go from the far end in small batches, and the mark `tail`
moves with them: what is left is still one whole chain. Age is counted from the newest line, not from a clock.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import replace

from lbctl.model.decision import Step
from lbctl.stores.base import Checked, JournalLimits
from lbctl.stores.encoding import GENESIS, chain, data_text

_SELECT = {
    (False, False): "SELECT * FROM journal WHERE seq > ? AND seq < ? ORDER BY seq LIMIT ?",
    (False, True): "SELECT * FROM journal WHERE seq > ? AND seq < ? ORDER BY seq DESC LIMIT ?",
    (True, False): "SELECT * FROM journal WHERE seq > ? AND seq < ? AND service = ? ORDER BY seq LIMIT ?",
    (True, True): "SELECT * FROM journal WHERE seq > ? AND seq < ? AND service = ? ORDER BY seq DESC LIMIT ?",
}
"""By (one service only, the newest)."""

PRUNE_BATCH = 500
"""Lines dropped at once at most: bounds the stall of the save that pays for it."""


def head(connection: sqlite3.Connection) -> tuple[int, str]:
    """Number and hash of the newest line."""
    return _mark(connection, "head")


def _mark(connection: sqlite3.Connection, name: str) -> tuple[int, str]:
    row = connection.execute("SELECT seq, hash FROM mark WHERE name = ?", (name,)).fetchone()
    return (row[0], row[1]) if row else (0, GENESIS)


def _set_mark(connection: sqlite3.Connection, name: str, seq: int, digest: str) -> None:
    connection.execute("INSERT OR REPLACE INTO mark VALUES (?, ?, ?)", (name, seq, digest))


def append(connection: sqlite3.Connection, steps: Sequence[Step]) -> list[Step]:
    """Adds lines at the end of the chain; returns them with their numbers."""
    # The mark is not written for nothing.
    if not steps:
        return []
    # The mark and not the last line: a journal whose end was cut off must not go on as if it were whole.
    seq, digest = head(connection)
    rows, numbered = [], []
    for step in steps:
        seq += 1
        data = data_text(step.data)
        numbered.append(replace(step, seq=seq))
        digest = chain(digest, numbered[-1], data)
        # Number and hash are given here, inside the transaction: the order of the chain is the order of commits.
        rows.append((seq, step.at, step.service, step.kind, step.text, step.by, step.epoch, step.revision, data, digest))
    connection.executemany("INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    _set_mark(connection, "head", seq, digest)
    return numbered


def prune(connection: sqlite3.Connection, limits: JournalLimits) -> int:
    """Drops at most `PRUNE_BATCH` lines that are too old or too many; says how many."""
    newest = connection.execute("SELECT at FROM journal ORDER BY seq DESC LIMIT 1").fetchone()
    if newest is None:
        return 0
    oldest = connection.execute("SELECT seq, at, hash FROM journal ORDER BY seq LIMIT ?", (PRUNE_BATCH,)).fetchall()
    # Size goes before age: a full disk would stop every save.
    too_big = _used(connection) > limits.size_max_bytes
    # Never the newest: the age of all others is counted from it.
    gone = oldest[:-1] if too_big else [row for row in oldest if row[1] < newest[0] - limits.keep_s]
    if not gone:
        return 0
    seq, _, digest = gone[-1]
    connection.execute("DELETE FROM journal WHERE seq <= ?", (seq,))
    # The hash of the last that went: with it the first that is left can still be followed.
    _set_mark(connection, "tail", seq, digest)
    return len(gone)


def _used(connection: sqlite3.Connection) -> int:
    """Bytes of the file that hold something: freed pages are used again."""
    # The file never shrinks by deleting; only pages in use say whether there is room.
    pages, free, size = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size"))
    return int((pages - free) * size)


def steps(connection: sqlite3.Connection, since: int, before: int, service: str | None, limit: int, newest: bool) -> list[Step]:
    """Lines with numbers between the two, neither included; see `stores.base.Store.steps`."""
    values = [since, before, limit] if service is None else [since, before, service, limit]
    rows = connection.execute(_SELECT[service is not None, newest], values).fetchall()
    return [_step(row) for row in (reversed(rows) if newest else rows)]


def line(connection: sqlite3.Connection, seq: int) -> Step | None:
    """One line by its number; None where it has been dropped."""
    row = connection.execute("SELECT * FROM journal WHERE seq = ?", (seq,)).fetchone()
    return _step(row) if row is not None else None


def _step(row: tuple[int, float, str, str, str, str, int, int, str, str]) -> Step:
    seq, at, service, kind, text, by, epoch, revision, data, _ = row
    return Step(at=at, service=service, kind=kind, text=text, by=by, epoch=epoch, revision=revision, data=json.loads(data), seq=seq)


def verify(connection: sqlite3.Connection, since: int, limit: int) -> Checked:
    """See `stores.base.Store.verify`. One job of the store's thread, so nothing is written between the reads."""
    newest, (seq, digest) = head(connection), _mark(connection, "tail")
    if since > seq:
        row = connection.execute("SELECT seq, hash FROM journal WHERE seq = ?", (since,)).fetchone()
        # The line to go on from is gone or was never there: then nothing can be said of what follows.
        if row is None:
            return Checked(since, newest[0], broken_at=since)
        seq, digest = row
    rows = connection.execute("SELECT * FROM journal WHERE seq > ? ORDER BY seq LIMIT ?", (seq, limit)).fetchall()
    for row in rows:
        step = Step(at=row[1], service=row[2], kind=row[3], text=row[4], by=row[5], epoch=row[6], revision=row[7], seq=row[0])
        # A gap in the numbers is a break even where every hash fits.
        if row[0] != seq + 1 or chain(digest, step, row[8]) != row[9]:
            return Checked(seq, newest[0], broken_at=seq + 1)
        seq, digest = row[0], row[9]
    # Read to the end and not at the mark: lines were taken off the end.
    cut_short = len(rows) < limit and (seq, digest) != newest
    return Checked(seq, newest[0], broken_at=seq + 1 if cut_short else None)
