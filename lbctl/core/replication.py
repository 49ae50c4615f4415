"""Sync as a Core lives with it: on demand, on schedule, served to others, never two at once, never on an active Core (G-SY1 to G-SY3).

The work itself is `lbctl.core.sync`; here is who may start it and when. A promotion stops a sync that is under way before the role changes:
cutting a sync is harmless at every byte (G-SY6), replicating over the data of an active Core is not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import asyncssh

from lbctl.clock import Clock
from lbctl.core.database import Database
from lbctl.core.ending import end
from lbctl.core.facts import Facts
from lbctl.core.logbook import HIGH_AVAILABILITY, Logbook
from lbctl.core.notices import Notices
from lbctl.core.record import Record
from lbctl.core.state import may_sync
from lbctl.core.sync.history import History, Result, RunRecord, SyncOverlap
from lbctl.core.sync.run import recover, run_sync
from lbctl.core.sync.serve import serve
from lbctl.core.sync.transfer import Progress, ProgressSink
from lbctl.errors import LbctlError

SYNC_END_S = 15.0
"""How long a sync may take to undo its work before it is asked to stop once more."""


class SyncNotAllowed(LbctlError):
    """This Core is not one that replicates; the message says why (G-SY1)."""


class SyncStopped(LbctlError):
    """The sync was stopped before its end; the last complete copy is kept."""


Connect = Callable[[str], Awaitable[asyncssh.SSHClientConnection]]


class Replication:
    """`progress` is the last line of a sync under way; `next_run` the UTC second of the next one on schedule, None without one."""

    def __init__(
        self, directory: Path, record: Record, log: Logbook, clock: Clock, *, notices: Notices, connect: Connect, facts: Callable[[], Facts],
    ) -> None:
        """Opens the database and the history. Raises sqlite3.Error."""
        self.database = Database(directory / "portal.db")
        self.history = History(directory / "history.db", clock)
        self.progress: Progress | None = None
        self._record = record
        self._log = log
        self._clock = clock
        self._notices = notices
        self._connect = connect
        self._facts = facts
        self._task: asyncio.Task[RunRecord] | None = None

    async def recover(self) -> None:
        """At start: the truth about a sync that a crash cut."""
        await recover(self.database, self.history)

    @property
    def next_run(self) -> float | None:
        if not self._record.role.scheduler or not self._record.ha.primary_host:
            return None
        return self._record.ha.schedule(self._record.saved.saved_at).next_run(self._clock.now())

    async def run(self, host: str, cause: str, progress: ProgressSink | None = None) -> RunRecord:
        """One sync from `host` to its end. Raises `SyncNotAllowed`, `SyncOverlap`, `SyncStopped`. A caller that leaves does not stop it."""
        if why := may_sync(self._record.role):
            raise SyncNotAllowed(why)
        if self.running:
            raise SyncOverlap("a sync is running already; syncs never overlap")
        task = self._task = asyncio.create_task(self._sync(host, cause, progress))
        await asyncio.wait({task})
        if task.cancelled():
            raise SyncStopped("the sync was stopped; the last complete copy is kept")
        return task.result()

    @property
    def running(self) -> bool:
        """A sync is under way."""
        return self._task is not None and not self._task.done()

    async def stop(self) -> None:
        """Cuts a sync that is under way, and waits until it has let go."""
        if self._task:
            await end({self._task}, again_s=SYNC_END_S)

    async def close(self) -> None:
        await self.stop()
        self.history.close()
        self.database.close()

    async def serve(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        """Answers a Secondary that replicates from here."""
        served = await serve(process, self._facts(), self.database)
        if served:
            with suppress(OSError):  # a full disk must not hide from the Secondary that its sync was well
                self._record.note_served(served.host, served.result)
            self._log.write(HIGH_AVAILABILITY, f"{served.host} replicated from here: {served.result}")

    async def schedule(self, halted: Callable[[], bool]) -> None:
        """Runs syncs as StartTime and Run Every say, for ever. Whatever is saved meanwhile is judged at once (G-SY2)."""
        while True:
            due = None if halted() else self.next_run
            changed = await self._record.wait(None if due is None else max(0.0, due - self._clock.now()))
            if not changed and due is not None and self._clock.now() >= due:
                await self._scheduled()

    async def _scheduled(self) -> None:
        try:
            await self.run(self._record.ha.primary_host, "schedule")
        except (SyncOverlap, SyncNotAllowed, SyncStopped) as error:
            self._log.write(HIGH_AVAILABILITY, f"scheduled sync left out: {error}", level="WARNING")

    async def _sync(self, host: str, cause: str, progress: ProgressSink | None) -> RunRecord:
        def seen(now: Progress) -> None:
            self.progress = now
            if progress:
                progress(now)

        self._log.write(HIGH_AVAILABILITY, f"sync from {host} started ({cause})")
        try:
            run = await run_sync(host, lambda: self._connect(host), self.database, self._facts(), self.history, seen)
        finally:
            self.progress = None
        runs = await self.history.runs(1)
        run = runs[0] if runs and runs[0].run == run.run else run
        level = "INFO" if run.result is Result.SUCCESS else "ERROR"
        self._log.write(HIGH_AVAILABILITY, f"sync from {host}: {run.result} {run.reason} ({run.received_bytes} bytes)", level=level)
        self._notices.sync_ended(run)
        return run
