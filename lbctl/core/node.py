"""One Core, joined: its role on disk, its pages, heartbeat, schedule, trust, command line and portal.

Promises. A change of role is on the disk before anything shows it, as one write: after kill -9 at any moment the Core is in the old role or in
the new one (G-ST). What is shown outside (pages, command line, portal) is computed from that one value, so that no two of them can disagree.
Only one process runs in a directory. A loop that ends unexpectedly ends the Core: half a Core that still answers "OK" is the worst of all.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Callable, Coroutine
from typing import Any

from aiohttp import web

from lbctl.clock import Clock
from lbctl.core.certificates import Certificates, server_context
from lbctl.core.control import Control
from lbctl.core.door import Door
from lbctl.core.facts import Facts, OffsetClock, machine_cpus, machine_memory_mib
from lbctl.core.failover import Failover
from lbctl.core.faults import DEAF, MEANINGS, Fault
from lbctl.core.logbook import HIGH_AVAILABILITY, SYSTEM, Logbook
from lbctl.core.pages import application
from lbctl.core.record import Record
from lbctl.core.settings import CoreSettings
from lbctl.core.state import Role
from lbctl.core.statefile import StateFile
from lbctl.errors import LbctlError

SHUTDOWN_S = 2.0


class AlreadyRunning(LbctlError):
    """Another process runs this Core: stop that one first."""


class Node:
    """A Core. `start`, then `stop`; `failed` ends with the error of a loop that broke. Made inside a running event loop."""

    def __init__(self, settings: CoreSettings, clock: Clock, *, on_stage: Callable[[str], None] = lambda stage: None) -> None:
        self.settings = settings
        self.clock: Clock = OffsetClock(clock, settings.clock_offset_s)
        self.fault = Fault.NONE
        self.awake = asyncio.Event()
        self.awake.set()
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        settings.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.log = Logbook(settings.directory / "logs", self.clock)
        self.record = Record(StateFile(settings.directory / "state.json", on_stage), settings, self.log, self.clock)
        self.failover = Failover(self.record, self.log, self.clock, self, self.https_port, self._halted, self.promote)
        self._control = Control(settings.directory, self._command)
        self._doors: dict[str, Door] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._lock = -1

    @property
    def role(self) -> Role:
        return self.record.role

    async def start(self) -> None:
        """Everything up. Raises `AlreadyRunning`, `StateUnreadable`, or OSError for a port that is taken."""
        self._take_directory()
        self.record.load(self.settings)
        self.certificates = Certificates(self.settings, self.clock.now())
        self._context = server_context(self.certificates.cert, self.certificates.key)
        for name, endpoint in (("https", self.settings.listen.https), ("portal", self.settings.listen.portal)):
            runner = web.AppRunner(application(self), access_log=None, shutdown_timeout=SHUTDOWN_S)
            await runner.setup()
            self._doors[name] = Door(endpoint, runner, self._context)
            await self._doors[name].open()
        await self._control.open()
        self._spawn(self.failover.run())
        self.log.write(SYSTEM, f"started: {self.listening()}")

    async def stop(self) -> None:
        """Everything down; may be called after a start that failed half-way."""
        self.awake.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._control.close()
        for door in self._doors.values():
            door.close()
            await door.runner.cleanup()
        if self._lock >= 0:
            self.log.write(SYSTEM, "stopped")
            os.close(self._lock)
            self._lock = -1
        self.failed.cancel()

    def listening(self) -> str:
        """One line for people: who this is and where it answers."""
        role = self.role
        return f"{self.settings.name} {self.settings.version} ({role.mode}/{role.state}): " + ", ".join(
            f"{name} {door.endpoint}" for name, door in self._doors.items())

    def port(self, name: str) -> int:
        """The real number of `https`, `portal` or `ssh`."""
        return self._doors[name].endpoint.port

    def https_port(self, host: str) -> int:
        """Where a peer answers HTTPS: on our own port unless its trusted host says otherwise."""
        trusted = next((one for one in self.settings.trusted_hosts if one.host == host), None)
        return trusted.https if trusted and trusted.https is not None else self.port("https")

    def facts(self) -> Facts:
        """This Core for another Core or a tool."""
        settings, role = self.settings, self.role
        return Facts(
            settings.name, settings.version, role.mode, role.state, role.ha_enabled, self.record.saved.atlas, settings.core_services,
            self.clock.now(), settings.cpus or machine_cpus(), settings.memory_mib or machine_memory_mib(),
        )

    async def promote(self, cause: str) -> None:
        """Active. Raises OSError where that cannot be saved, and then nothing has happened."""
        self.record.promote(cause)

    def failure_detected(self, primary: str, detail: str, *, promoted: bool) -> None:
        """The heartbeat's notice."""
        self.log.write(HIGH_AVAILABILITY, f"notice: {primary} failed ({detail}); {'this server becomes primary' if promoted else 'kept in Standby'}")

    async def set_fault(self, fault: Fault) -> None:
        """Fails in that way from now on, until the next fault, `none` or a restart."""
        self.fault = fault
        if fault is Fault.HUNG:
            self.awake.clear()
        else:
            self.awake.set()
        expired = fault is Fault.EXPIRED_CERTIFICATE
        self._context.load_cert_chain(*(self.certificates.expired() if expired else (self.certificates.cert, self.certificates.key)))
        for door in self._doors.values():
            if fault in DEAF:
                door.close()
            elif fault is Fault.HUNG:
                await door.hang()
            else:
                await door.open()
        self.record.wake()
        self.log.write(SYSTEM, f"fault: {fault}: {MEANINGS[fault]}")

    def _halted(self) -> bool:
        return self.fault is Fault.STOPPED

    async def _command(self, request: dict[str, Any]) -> dict[str, Any]:
        """The local control."""
        kind = str(request.get("fault", "none"))
        if request.get("do") != "fault" or kind not in set(Fault):
            return {"ok": False, "error": "unknown request"}
        try:
            await self.set_fault(Fault(kind))
        except (ValueError, OSError) as error:
            return {"ok": False, "error": str(error)}
        return {"ok": True, "fault": kind, "meaning": MEANINGS[self.fault]}

    def _take_directory(self) -> None:
        self._lock = os.open(self.settings.directory / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            self._lock = -1
            raise AlreadyRunning(f"a Core is running in {self.settings.directory} already") from None

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) and not self.failed.done():
            self.failed.set_exception(error)
