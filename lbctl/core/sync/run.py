"""One sync, from the Secondary's side: connect, compare, transfer, apply, and the truth about it in the history.

A run that cannot succeed is a record that says so, never an exception: the scheduler, the portal and the command line all show it. Only
overlap is refused without a record, for the run that is under way has one.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress

import asyncssh

from lbctl.core.database import Database, Origin
from lbctl.core.facts import Facts
from lbctl.core.sync import COMMAND, wire
from lbctl.core.sync.apply import Hand, Received, apply
from lbctl.core.sync.history import History, OpenRun, Result, RunRecord
from lbctl.core.sync.pairing import Refusal, refuse_alone, refuse_pair
from lbctl.core.sync.rows import BucketSum
from lbctl.core.sync.source import Source
from lbctl.core.sync.transfer import Progress, ProgressSink, Spool, Transfer, spool, spool_path
from lbctl.core.tables import PARTS_LABELS, Part, Table, replicated
from lbctl.errors import LbctlError

Connect = Callable[[], Awaitable[asyncssh.SSHClientConnection]]

REPORT_S = 5.0
"""How long the source may take to hear how it ended; that it does not hear it changes nothing."""


class SyncRefused(LbctlError):
    """The two Cores may not sync; `rule` is the row of `pairing` that says so."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.rule = refusal.rule


async def recover(database: Database, history: History) -> None:
    """At start: throws away what a cut sync left behind, and closes its record with the truth (G-SY6)."""
    await asyncio.to_thread(spool_path(database).unlink, missing_ok=True)
    origin = await database.origin()
    await history.recover(origin.run if origin else None)


async def run_sync(source: str, connect: Connect, database: Database, facts: Facts, history: History, progress: ProgressSink) -> RunRecord:
    """Makes `database` equal to that of the Core `source`. The record of the run, failed or not. Raises SyncOverlap while another runs.

    `connect` opens the SSH connection to the trusted host, with this Core's key; it is closed here. Cancelling is allowed at any
    time: the copy stays as it was, or is complete, and the record says which.
    """
    run = await history.begin(source)
    try:
        await _Sync(run, connect, database, facts, progress).run()
    except asyncio.CancelledError:
        await _end_cancelled(run, database)
        raise
    except (LbctlError, asyncssh.Error, OSError, sqlite3.Error) as error:
        return await run.end(Result.FAILED, _sentence(error))
    return await run.end(Result.SUCCESS)


class _Sync:
    """The tasks of one run, in order."""

    def __init__(self, run: OpenRun, connect: Connect, database: Database, facts: Facts, progress: ProgressSink) -> None:
        self._run = run
        self._connect = connect
        self._database = database
        self._facts = facts
        self._progress = progress
        self._rows: dict[str, int] = {}

    async def run(self) -> None:
        refusal = refuse_alone(self._facts)
        if refusal is not None:
            raise SyncRefused(refusal)
        async with self._run.task("Connect") as task:
            connection = await self._connect()
            task.detail = f"SSH to {self._run.source}"
        try:
            source = Source(await connection.create_process(COMMAND, encoding=None))
            await self._reported(source)
        finally:
            connection.close()

    async def _reported(self, source: Source) -> None:
        """The work, and its outcome told to the source."""
        try:
            await self._copy(source)
        except (LbctlError, OSError, sqlite3.Error) as error:
            await _tell(source, _sentence(error))
            raise
        finally:
            self._run.received_bytes = source.received_bytes
        await _tell(source, "")

    async def _copy(self, source: Source) -> None:
        theirs = await self._greet(source)
        tables = replicated(atlas=self._facts.atlas and theirs.atlas, core=self._facts.serves_core)
        await self._note_atlas(theirs)
        async with spool(self._database) as target:
            sums = {table.name: await self._transfer(source, table, target) for table in tables}
            await target.flush()
            self._run.received_bytes = source.received_bytes
            async with self._run.task("Verify and apply") as task:
                received = Received(spool_path(self._database), await source.digest(), sums, self._rows)
                await self._apply(received, theirs)
                task.detail = f"{sum(known.rows for table in sums.values() for known in table.values())} rows equal those of {theirs.name}"

    async def _greet(self, source: Source) -> Facts:
        async with self._run.task("Check software version and modes") as task:
            theirs, refusal = await source.greet(self._facts)
            refusal = refusal or refuse_pair(self._facts, theirs)
            if refusal is not None:
                raise SyncRefused(refusal)
            task.detail = f"{theirs.name} runs {theirs.version} too; it is {theirs.mode}/{theirs.state}"
        return theirs

    async def _note_atlas(self, theirs: Facts) -> None:
        """Atlas on one side only is a likely mistake of set-up: a line in the history instead of silence."""
        if self._facts.atlas == theirs.atlas:
            return
        async with self._run.task(PARTS_LABELS[Part.ATLAS]) as task:
            where = self._facts.name if self._facts.atlas else theirs.name
            task.detail = f"not replicated: Atlas is enabled on {where} only"

    async def _transfer(self, source: Source, table: Table, target: Spool) -> dict[int, BucketSum]:
        async with self._run.task(f"{PARTS_LABELS[table.part]}: {table.name}") as task:
            transfer = Transfer(source, self._database, table, target, self._progress)
            sums = await transfer.run()
            self._rows[table.name] = transfer.rows
            total = sum(known.rows for known in sums.values())
            task.detail = f"{transfer.rows} of {total} rows copied, {transfer.dropped} deleted"
        return sums

    async def _apply(self, received: Received, theirs: Facts) -> None:
        """The transaction, in a thread of its own. A cancellation stops it at the next frame and waits until it has let go."""
        origin = Origin(self._run.run, theirs.name, self._run.started, self._run.now())
        loop, total = asyncio.get_running_loop(), sum(self._rows.values())

        def tell(done: int) -> None:
            loop.call_soon_threadsafe(self._progress, Progress("apply", done, total, self._run.received_bytes))

        hand = Hand(threading.Event(), tell)
        writer = await asyncio.to_thread(self._database.writer)
        work = asyncio.create_task(writer.read(lambda connection: apply(connection, received, origin, hand)))
        try:
            await asyncio.shield(work)
        finally:
            hand.stop.set()
            await asyncio.wait([work])
            await asyncio.to_thread(writer.close)
            work.exception()


async def _end_cancelled(run: OpenRun, database: Database) -> None:
    origin = await database.origin()
    if origin is not None and origin.run == run.run:
        await run.end(Result.SUCCESS)
    else:
        await run.end(Result.FAILED, "stopped before the new copy was complete; the last complete copy is kept")


async def _tell(source: Source, failure: str) -> None:
    with suppress(wire.WireError, TimeoutError):
        async with asyncio.timeout(REPORT_S):
            await source.report(failure)


def _sentence(error: Exception) -> str:
    if isinstance(error, sqlite3.Error):
        return f"the database could not take it: {error}"
    return str(error) or type(error).__name__
