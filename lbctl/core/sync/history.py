"""Sync History and Last Sync Status (G-SY3): every task of every run, in a file of the Core's own that is never replicated.

`begin` also is the lock against overlapping (G-SY2): there is one open run or none. A run that is still open when the file is opened was cut
off by the end of the process. Whether it had already committed is no matter of opinion: the database knows the run it came from (`Origin`).
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from lbctl.clock import Clock
from lbctl.core.sqlite import SqliteFile
from lbctl.errors import LbctlError

RUNS_KEPT = 1000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
  number INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL UNIQUE, source TEXT NOT NULL, started REAL NOT NULL, completed REAL,
  result TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '', received_bytes INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS tasks (
  number INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL, name TEXT NOT NULL, started REAL NOT NULL, completed REAL,
  result TEXT NOT NULL, detail TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS tasks_of_run ON tasks (run);
"""


class Result(StrEnum):
    """How a run, or a task of it, ended."""

    RUNNING = "Running"
    SUCCESS = "Success"
    FAILED = "Failed"


class SyncOverlap(LbctlError):
    """A sync is running already; wait for it. Syncs never overlap."""


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """One line of the Sync History. Times are UTC seconds; `completed` is None while it runs, and for ever if the process was cut off."""

    name: str
    started: float
    completed: float | None
    result: Result
    detail: str


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run: *Last Sync Status* is the newest of them. `reason` says why it failed; `received_bytes` counts frames, before SSH."""

    run: str
    source: str
    started: float
    completed: float | None
    result: Result
    reason: str
    received_bytes: int
    tasks: tuple[TaskRecord, ...] = ()


class History:
    """The record that one Core keeps of its syncs."""

    def __init__(self, path: Path, clock: Clock) -> None:
        """Opens or creates the file. Raises sqlite3.Error."""
        self.clock = clock
        self._file = SqliteFile(path, _SCHEMA)
        self._open: str | None = None
        self._unwritten: dict[str, RunRecord] = {}

    @property
    def running(self) -> bool:
        """A sync is under way in this process."""
        return self._open is not None

    async def recover(self, applied_run: str | None) -> None:
        """Closes what an earlier process left open; `applied_run` is the run that the database says it came from. To be called once, at start."""
        now = self.clock.now()
        await self._file.write(lambda connection: _recover(connection, applied_run, now))

    async def begin(self, source: str) -> OpenRun:
        """Opens a run from `source`. Raises SyncOverlap while another is open."""
        if self._open is not None:
            raise SyncOverlap("a sync is running already; syncs never overlap")
        run = self._open = secrets.token_hex(8)
        started = self.clock.now()
        try:
            await self._file.write(lambda connection: _begin(connection, run, source, started))
        except BaseException:
            self._open = None
            raise
        return OpenRun(self, run, source, started)

    async def close_run(self, run: OpenRun, result: Result, reason: str) -> RunRecord:
        """Ends the open run; from here on another may begin. A disk too full even for this line does not hide the outcome."""
        record = RunRecord(run.run, run.source, run.started, self.clock.now(), result, reason, run.received_bytes)
        try:
            await self._file.write(lambda connection: _close_run(connection, record))
        except sqlite3.Error:
            self._unwritten[run.run] = record
        finally:
            self._open = None
        return record

    async def runs(self, limit: int = 50) -> list[RunRecord]:
        """The newest runs with their tasks, newest first."""
        runs = await self._file.read(lambda connection: _runs(connection, limit))
        return [replace(self._unwritten[run.run], tasks=run.tasks) if run.run in self._unwritten else run for run in runs]

    async def last(self) -> RunRecord | None:
        """Last Sync Status; None on a Core that has never synced."""
        runs = await self.runs(1)
        return runs[0] if runs else None

    def close(self) -> None:
        self._file.close()

    async def open_task(self, run: str, name: str) -> int:
        started = self.clock.now()
        query = "INSERT INTO tasks (run, name, started, result) VALUES (?, ?, ?, ?) RETURNING number"
        return await self._file.write(lambda connection: int(connection.execute(query, (run, name, started, Result.RUNNING)).fetchone()[0]))

    async def close_task(self, number: int, result: Result, detail: str) -> None:
        row = (self.clock.now(), result, detail, number)
        await self._file.write(lambda connection: connection.execute("UPDATE tasks SET completed = ?, result = ?, detail = ? WHERE number = ?", row))


class Task:
    """A task under way; `detail` is what the history will say of it."""

    def __init__(self) -> None:
        self.detail = ""


class OpenRun:
    """The run under way."""

    def __init__(self, history: History, run: str, source: str, started: float) -> None:
        self._history = history
        self.run = run
        self.source = source
        self.started = started
        self.received_bytes = 0

    @asynccontextmanager
    async def task(self, name: str) -> AsyncIterator[Task]:
        """One task: Success when the block ends, Failed with the reason when it raises."""
        number = await self._history.open_task(self.run, name)
        task = Task()
        try:
            yield task
        except BaseException as error:
            await self._history.close_task(number, Result.FAILED, str(error) or "cancelled")
            raise
        await self._history.close_task(number, Result.SUCCESS, task.detail)

    def now(self) -> float:
        """UTC seconds."""
        return self._history.clock.now()

    async def end(self, result: Result, reason: str = "") -> RunRecord:
        """Closes the run."""
        return await self._history.close_run(self, result, reason)


CUT_OFF = "cut off: this Core stopped while the sync was running; the last complete copy is kept"
LATE = "this Core stopped after the new copy was complete and before it was recorded"


def _recover(connection: sqlite3.Connection, applied_run: str | None, now: float) -> None:
    done, failed = (Result.SUCCESS, now, LATE), (Result.FAILED, now, CUT_OFF)
    for (run,) in connection.execute("SELECT run FROM runs WHERE completed IS NULL").fetchall():
        result, at, reason = done if run == applied_run else failed
        connection.execute("UPDATE runs SET result = ?, completed = ?, reason = ? WHERE run = ?", (result, at, reason, run))
        connection.execute("UPDATE tasks SET result = ?, completed = ?, detail = ? WHERE run = ? AND completed IS NULL", (result, at, reason, run))


def _begin(connection: sqlite3.Connection, run: str, source: str, started: float) -> None:
    connection.execute("INSERT INTO runs (run, source, started, result) VALUES (?, ?, ?, ?)", (run, source, started, Result.RUNNING))
    connection.execute("DELETE FROM runs WHERE number <= (SELECT max(number) FROM runs) - ?", (RUNS_KEPT,))
    connection.execute("DELETE FROM tasks WHERE run NOT IN (SELECT run FROM runs)")


def _close_run(connection: sqlite3.Connection, record: RunRecord) -> None:
    query = "UPDATE runs SET result = ?, reason = ?, completed = ?, received_bytes = ? WHERE run = ?"
    connection.execute(query, (record.result, record.reason, record.completed, record.received_bytes, record.run))


def _runs(connection: sqlite3.Connection, limit: int) -> list[RunRecord]:
    query = "SELECT run, source, started, completed, result, reason, received_bytes FROM runs ORDER BY number DESC LIMIT ?"
    rows = connection.execute(query, (limit,)).fetchall()
    return [
        RunRecord(run, source, started, completed, Result(result), reason, received, _tasks(connection, run))
        for run, source, started, completed, result, reason, received in rows
    ]


def _tasks(connection: sqlite3.Connection, run: str) -> tuple[TaskRecord, ...]:
    rows = connection.execute("SELECT name, started, completed, result, detail FROM tasks WHERE run = ? ORDER BY number", (run,))
    return tuple(TaskRecord(name, started, completed, Result(result), detail) for name, started, completed, result, detail in rows)
