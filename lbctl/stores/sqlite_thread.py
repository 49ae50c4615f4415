"""One thread owns the connection; whatever waits in line is written in one transaction.

A durable commit costs about a millisecond, most of it the disk's. Four thousand services that move at once must not pay it four thousand
times: the thread takes all that has queued up (at most `BATCH`), runs each job, commits once, and only then tells anybody. A job that is
refused (`StaleRevision`) must not have written; a job that fails otherwise takes the whole batch back, because nobody may be told "saved"
by a transaction that is in doubt.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from lbctl.errors import LbctlError, StoreUnavailable

T = TypeVar("T")
# Bounds how long the first in a batch waits for the last.
BATCH = 256
"""Jobs in one transaction at most."""


_FAILURES = (sqlite3.Error, ValueError, TypeError, OverflowError)
"""What SQLite says, and what Python says of a value that SQLite cannot hold: neither may end the thread, which is everybody's."""


@dataclass(slots=True)
class _Job:
    work: Callable[[sqlite3.Connection], Any]
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    writes: bool
    result: Any = None
    error: BaseException | None = None


class SqliteThread:
    """`connect` is called in the thread, again whenever the connection has been lost; it raises `StoreUnavailable` where there is none."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._connection: sqlite3.Connection | None = None
        # Unbounded here and bounded where jobs come from: a loop waits for its save before it makes another.
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        # A daemon: a disk that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)
        self._thread.start()

    async def call(self, work: Callable[[sqlite3.Connection], T], *, writes: bool) -> T:
        """Runs `work` in the thread, inside a transaction if it writes. Raises what it raised, `StoreUnavailable` for whatever SQLite says."""
        # Otherwise a job would wait for ever for a thread that has ended.
        if not self._thread.is_alive():
            raise StoreUnavailable("the store is closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put(_Job(work, future, loop, writes))
        return await future

    async def close(self) -> None:
        """Ends after what is queued."""
        self._jobs.put(None)
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join)

    def _run(self) -> None:
        going = True
        while going:
            batch = [self._jobs.get()]
            # What has queued up, without waiting for more: nobody waits for a batch to become full.
            while len(batch) < BATCH and not self._jobs.empty():
                batch.append(self._jobs.get())
            # What was queued before the end is still done.
            going = None not in batch
            self._do([job for job in batch if job is not None])
        if self._connection is not None:
            self._connection.close()

    def _do(self, jobs: list[_Job]) -> None:
        try:
            connection = self._connection = self._connection or self._connect()
        except LbctlError as error:
            for job in jobs:
                job.error = error
        else:
            # Writes first: whoever reads in the same batch reads what was just written.
            self._write(connection, [job for job in jobs if job.writes])
            for job in jobs:
                if not job.writes:
                    _attempt(connection, job)
        _tell(jobs)

    def _write(self, connection: sqlite3.Connection, jobs: list[_Job]) -> None:
        if not jobs:
            return
        try:
            connection.execute("BEGIN IMMEDIATE")
            for job in jobs:
                _attempt(connection, job, passing=_FAILURES)
            connection.execute("COMMIT")
        except _FAILURES as error:
            # Jobs that were refused (`StaleRevision`) are told "unavailable" as well: they try again and learn it then.
            self._undo(connection)
            for job in jobs:
                job.error = StoreUnavailable(f"{error}")

    def _undo(self, connection: sqlite3.Connection) -> None:
        """Takes the batch back and lets go of the connection, so that the next job finds out whether the disk is well again."""
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        finally:
            self._connection = None
            connection.close()


def _attempt(connection: sqlite3.Connection, job: _Job, passing: tuple[type[Exception], ...] = ()) -> None:
    try:
        job.result = job.work(connection)
    except passing:
        raise
    except LbctlError as error:
        job.error = error
    except _FAILURES as error:
        job.error = StoreUnavailable(f"{error}")


def _tell(jobs: list[_Job]) -> None:
    for loop in {job.loop for job in jobs}:
        mine = [job for job in jobs if job.loop is loop]
        # A test or an ending process may have gone: there is nobody left to tell.
        if not loop.is_closed():
            loop.call_soon_threadsafe(_settle, mine)


def _settle(jobs: list[_Job]) -> None:
    for job in jobs:
        # Cancelled meanwhile: it was written all the same, and whoever asked has been told that it is not known.
        if job.future.done():
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)
