"""Receipts inside the state file: the outcome of a request under its idempotency key.

Functions over a connection, called in the store's own thread inside its transaction. A command's line in the journal is filed with the state that it
changed, so there is no moment at which something was done and its repetition would not be known (H36). Bounded in age and number.

The table is added to a file of any version and read by none before: an lbctl that does not know it leaves it alone, so the way back stays open.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable

from lbctl.model.decision import Step
from lbctl.stores.base import RECEIPT_KEEP_S, RECEIPTS_MAX, Receipt
from lbctl.stores.sqlite_journal import line

TABLE = """CREATE TABLE IF NOT EXISTS receipt (
    key TEXT PRIMARY KEY, request TEXT NOT NULL, at REAL NOT NULL, seq INTEGER, status INTEGER NOT NULL DEFAULT 0,
    body BLOB NOT NULL DEFAULT x'', media TEXT NOT NULL DEFAULT '', headers TEXT NOT NULL DEFAULT '[]') WITHOUT ROWID"""


def file_decided(connection: sqlite3.Connection, steps: Iterable[Step]) -> None:
    """Files each line that carries a key. What was told already is not undone by a line that is stored late."""
    for step in steps:
        key, _, request = str(step.data.get("key", "")).partition("/")
        if key:
            # IGNORE: a line that is stored late must not take the place of what was told.
            connection.execute("INSERT OR IGNORE INTO receipt (key, request, at, seq) VALUES (?, ?, ?, ?)", (key, request, step.at, step.seq))


def keep(connection: sqlite3.Connection, receipt: Receipt) -> None:
    """See `stores.base.Store.keep`; what is too old or too much goes."""
    values = (receipt.key, receipt.request, receipt.at, receipt.status, receipt.body, receipt.media, json.dumps(receipt.headers))
    connection.execute("INSERT OR REPLACE INTO receipt (key, request, at, status, body, media, headers) VALUES (?, ?, ?, ?, ?, ?, ?)", values)
    # By the newest receipt's time and not by a clock: one that was set forward would forget them all (H30).
    connection.execute("DELETE FROM receipt WHERE at < ?", (receipt.at - RECEIPT_KEEP_S,))
    connection.execute("DELETE FROM receipt WHERE key IN (SELECT key FROM receipt ORDER BY at DESC, key LIMIT -1 OFFSET ?)", (RECEIPTS_MAX,))


def find(connection: sqlite3.Connection, key: str) -> Receipt | None:
    """See `stores.base.Store.receipt`."""
    row = connection.execute("SELECT request, at, seq, status, body, media, headers FROM receipt WHERE key = ?", (key,)).fetchone()
    if row is None:
        return None
    request, at, seq, status, body, media, headers = row
    # Only where nothing was told: else the answer itself is repeated.
    step = line(connection, seq) if not status else None
    return Receipt(key, request, at, status, body, media, tuple((name, value) for name, value in json.loads(headers)), step)
