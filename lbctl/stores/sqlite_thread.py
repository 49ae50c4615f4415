"""One thread owns the connection; whatever waits in line is written in one transaction.

A durable commit costs about a millisecond, most of it the disk's. Four thousand services that move at once must not pay it four thousand
times: the thread takes all that has queued up (at most `BATCH`), runs each job, commits once, and only then tells anybody. A job that is
refused (`StaleRevision`) must not have written; a job that fails otherwise takes the whole batch back, because nobody may be told "saved"
by a transaction that is in doubt.
"""

from __future__ import annotations

import asyncio
import contextlib
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
ENDING_S = 5.0
"""How long an end waits for the disk."""


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


@dataclass(slots=True)
class _End:
    """What stands behind the last job; `told` when the thread has let go of the file."""

    told: asyncio.Future[None]
    loop: asyncio.AbstractEventLoop


class SqliteThread:
    """`connect` is called in the thread, again whenever the connection has been lost; it raises `StoreUnavailable` where there is none."""

    def __init__(self, connect: Callable[[], sqlite3.Connection], ending_s: float = ENDING_S) -> None:
        self._connect = connect
        self._ending_s = ending_s
        self._ending = False
        self._connection: sqlite3.Connection | None = None
        # Unbounded here and bounded where jobs come from: a loop waits for its save before it makes another.
        self._jobs: queue.SimpleQueue[_Job | _End] = queue.SimpleQueue()
        # A daemon: a disk that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)
        self._thread.start()

    async def call(self, work: Callable[[sqlite3.Connection], T], *, writes: bool) -> T:
        """Runs `work` in the thread, inside a transaction if it writes. Raises what it raised, `StoreUnavailable` for whatever SQLite says."""
        # Otherwise a job would wait for ever for a thread that has ended.
        if self._ending or not self._thread.is_alive():
            raise StoreUnavailable("the store is closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put(_Job(work, future, loop, writes))
        return await future

    async def close(self) -> None:
        """Ends after what is queued. A disk that hangs longer than `ending_s` is left to the end of the process."""
        if self._ending or not self._thread.is_alive():
            return
        self._ending = True
        loop = asyncio.get_running_loop()
        # Told by the thread itself: whoever joined it in a thread of the loop's would keep the process for as long as the disk does.
        end = _End(loop.create_future(), loop)
        self._jobs.put(end)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._ending_s):
                await end.told

    def _run(self) -> None:
        ends: list[_End] = []
        while not ends:
            batch = [self._jobs.get()]
            # What has queued up, without waiting for more: nobody waits for a batch to become full.
            while len(batch) < BATCH and not self._jobs.empty():
                batch.append(self._jobs.get())
            # What was queued before the end is still done.
            ends = [item for item in batch if isinstance(item, _End)]
            self._do([item for item in batch if isinstance(item, _Job)])
        if self._connection is not None:
            self._connection.close()
        for end in ends:
            with contextlib.suppress(RuntimeError):  # its loop did not wait so long
                end.loop.call_soon_threadsafe(_let_go, end.told)

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


def _let_go(told: asyncio.Future[None]) -> None:
    if not told.done():
        told.set_result(None)


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
