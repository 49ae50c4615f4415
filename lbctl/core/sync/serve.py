"""The side that is copied from: answers one Secondary out of a frozen view of the database.

It decides nothing but whether to answer at all (`pairing`): the Secondary asks for sums, stamps and rows in whatever order it likes, and at the
end for the checksum over every row frame that it was sent. All SQL, JSON and compression run in the view's own thread, one frame ahead of the
link, so the Core's event loop only moves bytes.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Any

import asyncssh

from lbctl.core.database import Database, Snapshot
from lbctl.core.facts import Facts
from lbctl.core.sync import manifest, rows, wire
from lbctl.core.sync.pairing import Refusal, facts_from_wire, refuse_pair
from lbctl.core.tables import Table, replicated

IDLE_S = 120.0
"""A Secondary that neither asks nor takes anything for so long is given up: the view may not be held for ever."""

APPLY_S = 3600.0
"""How long a Secondary that has everything may take to say how it ended. The view is given back before."""


@dataclass(slots=True)
class Served:
    """What became of one Secondary's sync, for *HA Status* on the side that served it: `result` is Success or what went wrong."""

    host: str
    result: str


async def serve(process: asyncssh.SSHServerProcess[bytes], facts: Facts, database: Database) -> Served | None:
    """Answers the exec command `COMMAND` of a trusted host until it is done or gone, then ends the process.

    Never raises for the peer's sake. None when the peer did not even say who it is.
    """
    session = _Session(process, facts)
    try:
        copy = await session.greet()
        if copy is not None:
            await session.answer_from(database, copy)
        process.exit(0)
    except (wire.WireError, sqlite3.Error) as error:
        session.failed(str(error))
        process.exit(1)
    return session.served


class _Session:
    """One Secondary, from its greeting to its report."""

    def __init__(self, process: asyncssh.SSHServerProcess[bytes], facts: Facts) -> None:
        self._process = process
        self._facts = facts
        self._tables: dict[str, Table] = {}
        self._sent = hashlib.sha256()
        self._ended = False
        self.served: Served | None = None

    async def greet(self) -> Facts | None:
        """Exchanges facts; None when the pair may not sync, which both sides then know."""
        frame = await self._read(IDLE_S)
        try:
            copy = facts_from_wire(frame.header.get("facts"))
        except ValueError as error:
            raise wire.WireError(str(error)) from error
        self.served = Served(copy.name, "the sync did not end")
        refusal = refuse_pair(copy, self._facts)
        if refusal is not None:
            await self._refuse(refusal)
            return None
        await self._send({"kind": "hello", "facts": self._facts.as_json()})
        return copy

    def failed(self, reason: str) -> None:
        """The link or the database failed here, or the Secondary did."""
        if self.served is not None:
            self.served.result = reason

    async def answer_from(self, database: Database, copy: Facts) -> None:
        """Answers every request out of one frozen view."""
        tables = replicated(atlas=self._facts.atlas and copy.atlas, core=self._facts.serves_core)
        self._tables = {table.name: table for table in tables}
        snapshot = await asyncio.to_thread(database.snapshot)
        try:
            await snapshot.begin()
            while not self._ended:
                await self._answer(await self._read(IDLE_S), snapshot)
        finally:
            await asyncio.to_thread(snapshot.close)
        self._take_report(await self._read(APPLY_S))

    async def _refuse(self, refusal: Refusal) -> None:
        self.failed(refusal.message)
        await self._send({"kind": "refused", "facts": self._facts.as_json(), "rule": refusal.rule, "message": refusal.message})

    async def _answer(self, frame: wire.Frame, snapshot: Snapshot) -> None:
        answers: dict[str, Callable[[wire.Frame, Snapshot], Awaitable[None]]] = {
            "buckets": self._buckets,
            "leaves": self._leaves,
            "stamps": self._stamps,
            "bucket-rows": self._bucket_rows,
            "rows": self._rows,
            "digest": self._digest,
            "report": self._gives_up,
        }
        if frame.kind not in answers:
            raise wire.WireError("an unknown request")
        await answers[frame.kind](frame, snapshot)

    async def _buckets(self, frame: wire.Frame, snapshot: Snapshot) -> None:
        table = self._table(frame)
        sums = await snapshot.read(lambda connection: rows.bucket_sums(connection, table))
        listed = [(bucket, known.rows, known.stamps) for bucket, known in sums.items()]
        await self._send({"kind": "buckets"}, json.dumps(listed).encode())

    async def _leaves(self, frame: wire.Frame, snapshot: Snapshot) -> None:
        table, buckets = self._table(frame), wire.unpack_keys(frame.json())

        def marks(connection: sqlite3.Connection) -> bytes:
            parts = []
            for bucket in buckets:
                sums = manifest.leaf_sums(rows.stamps_between(connection, table, manifest.keys_of_bucket(bucket)))
                parts.append(manifest.pack_marks(manifest.leaves_of_bucket(bucket), sums))
            return b"".join(parts)

        await self._send({"kind": "leaves"}, await snapshot.read(marks))

    async def _stamps(self, frame: wire.Frame, snapshot: Snapshot) -> None:
        table, leaves = self._table(frame), wire.unpack_keys(frame.json())

        def marks(connection: sqlite3.Connection) -> bytes:
            ranges = (manifest.keys_of_leaf(leaf) for leaf in leaves)
            return b"".join(manifest.pack_marks(keys, dict(rows.stamps_between(connection, table, keys))) for keys in ranges)

        await self._send({"kind": "stamps"}, await snapshot.read(marks))

    async def _bucket_rows(self, frame: wire.Frame, snapshot: Snapshot) -> None:
        table, buckets = self._table(frame), wire.unpack_keys(frame.json())

        def select(connection: sqlite3.Connection) -> Iterable[rows.Row]:
            return chain.from_iterable(rows.rows_between(connection, table, manifest.keys_of_bucket(bucket)) for bucket in buckets)

        await self._stream(table, select, snapshot)

    async def _rows(self, frame: wire.Frame, snapshot: Snapshot) -> None:
        table, keys = self._table(frame), wire.unpack_keys(frame.json())

        def select(connection: sqlite3.Connection) -> Iterable[rows.Row]:
            return (row for key in keys if (row := rows.row_at(connection, table, key)) is not None)

        await self._stream(table, select, snapshot)

    async def _stream(self, table: Table, select: Callable[[sqlite3.Connection], Iterable[rows.Row]], snapshot: Snapshot) -> None:
        """Row frames, then an end. The next frame is made while the last one travels."""
        frames = await snapshot.read(lambda connection: rows.row_frames(table, iter(select(connection))))

        def make_next() -> asyncio.Task[bytes | None]:
            return asyncio.create_task(snapshot.read(lambda _: next(frames, None)))

        coming = make_next()
        try:
            while (packed := await coming) is not None:
                coming = make_next()
                self._sent.update(packed)
                await wire.send(self._process.stdout, packed, IDLE_S)
        finally:
            coming.cancel()
            await snapshot.read(lambda _: frames.close())  # while its connection is open, or its cursor ends badly later
        await self._send({"kind": "end"})

    async def _digest(self, _frame: wire.Frame, _snapshot: Snapshot) -> None:
        await self._send({"kind": "digest", "sha256": self._sent.hexdigest()})
        self._ended = True

    async def _gives_up(self, frame: wire.Frame, _snapshot: Snapshot) -> None:
        """A report before the checksum was asked for: the Secondary tells why it stops."""
        raise wire.WireError(str(frame.header.get("reason"))[:500])

    def _take_report(self, frame: wire.Frame) -> None:
        if frame.kind != "report":
            raise wire.WireError("a request after the end")
        self.failed("Success" if frame.header.get("success") is True else str(frame.header.get("reason"))[:500])

    def _table(self, frame: wire.Frame) -> Table:
        name = frame.header.get("table")
        if not isinstance(name, str) or name not in self._tables:
            raise wire.WireError("a table that is not replicated between these two Cores")
        return self._tables[name]

    async def _read(self, idle_s: float) -> wire.Frame:
        return await wire.read(self._process.stdin, idle_s)

    async def _send(self, header: dict[str, Any], raw: bytes = b"") -> None:
        await wire.send(self._process.stdout, wire.pack(header, raw), IDLE_S)
