"""One Core, joined: its role on disk, its pages, heartbeat, schedule, trust, command line and portal.

Promises. A change of role is on the disk before anything shows it, as one write: after kill -9 at any moment the Core is in the old role or in
the new one (G-ST). What is shown outside (pages, command line, portal) is computed from that one value, so that no two of them can disagree.
Only one process runs in a directory. A loop that ends unexpectedly ends the Core: half a Core that still answers "OK" is the worst of all.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

import asyncssh
from aiohttp import web

from lbctl.clock import Clock
from lbctl.core.certificates import Certificates, server_context
from lbctl.core.clients import add_clients
from lbctl.core.commands import COMMANDS
from lbctl.core.connectivity import Connectivity
from lbctl.core.control import Control
from lbctl.core.door import Door
from lbctl.core.ending import end
from lbctl.core.facts import Facts, OffsetClock, machine_cpus, machine_memory_mib
from lbctl.core.failover import Failover
from lbctl.core.faults import DEAF, MEANINGS, Fault
from lbctl.core.logbook import SYSTEM, Logbook
from lbctl.core.notices import Notices
from lbctl.core.pages import application
from lbctl.core.portal.routes import add_portal
from lbctl.core.record import Record
from lbctl.core.replication import Replication
from lbctl.core.settings import CoreSettings, Endpoint, HaSettings
from lbctl.core.show import status
from lbctl.core.ssh import SshDoor
from lbctl.core.state import Mode, Role
from lbctl.core.statefile import StateFile
from lbctl.core.sync.history import RunRecord
from lbctl.core.sync.transfer import ProgressSink
from lbctl.core.trust import Trust
from lbctl.core.users import Users
from lbctl.core.watch import Look, look
from lbctl.errors import LbctlError

SHUTDOWN_S = 2.0
LOOP_END_S = 1.0


class AlreadyRunning(LbctlError):
    """Another process runs this Core: stop that one first."""


class Node:
    """A Core. `start`, then `stop`; `failed` ends with the error of a loop that broke. Made inside a running event loop.

    `settings`, `clock`, `log`, `record`, `trust`, `users`, `replication`, `notices`, `failover`, `connectivity` are for the faces (`base.Core`).
    """

    def __init__(self, settings: CoreSettings, clock: Clock, *, on_stage: Callable[[str], None] = lambda stage: None) -> None:
        """Nothing but the directory is touched before `start`. `on_stage` is for crash tests (`statefile`)."""
        self.settings = settings
        self.clock: Clock = OffsetClock(clock, settings.clock_offset_s)
        self.fault = Fault.NONE
        self.awake = asyncio.Event()
        self.awake.set()
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        settings.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.log = Logbook(settings.directory / "logs", self.clock)
        self.record = Record(StateFile(settings.directory / "state.json", on_stage), settings, self.log, self.clock)
        self.notices = Notices(settings, self.record, self.log, self.clock)
        self.failover = Failover(self.record, self.log, self.clock, self.notices, self._look, self._halted, self.promote)
        self._control = Control(settings.directory, self._command)
        self._doors: dict[str, Door] = {}
        self._ssh: SshDoor | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._exits = AsyncExitStack()

    @property
    def role(self) -> Role:
        return self.record.role

    async def start(self) -> None:
        """Everything up. Raises `AlreadyRunning`, `StateUnreadable`, or OSError for a port that is taken; `stop` cleans up after each."""
        self._take_directory()
        self.record.load(self.settings)
        self.certificates = Certificates(self.settings, self.clock.now())
        self._context = server_context(self.certificates.cert, self.certificates.key)
        await self._open_database()
        await self._open_doors()
        await self._control.open()
        self._exits.callback(self._control.close)
        for loop in (self.failover.run(), self.replication.schedule(self._halted), self.notices.run()):
            self._spawn(loop)
        self.log.write(SYSTEM, f"started: {self.listening()}")

    async def stop(self) -> None:
        """Everything down, in the reverse order."""
        self.awake.set()
        await end(self._tasks, again_s=LOOP_END_S)
        await self._exits.aclose()
        self.failed.cancel()

    def listening(self) -> str:
        """One line for people: who this is and where it answers."""
        places = ", ".join(f"{name} {endpoint}" for name, endpoint in self.endpoints().items())
        return f"{self.settings.name} {self.settings.version} ({self.role.mode}/{self.role.state}): {places}"

    def endpoints(self) -> dict[str, Endpoint]:
        """Where `https`, `portal` and `ssh` really are."""
        found = {name: door.endpoint for name, door in self._doors.items()}
        return found | ({"ssh": self._ssh.endpoint} if self._ssh else {})

    def peer_port(self, host: str, name: str) -> int:
        """Where a peer has `https`, `portal` or `ssh`: on our own number unless its trusted host says otherwise."""
        trusted = self.trust.find(host)
        own = {"https": trusted.https, "portal": trusted.portal, "ssh": trusted.ssh}[name] if trusted else None
        return own if own is not None else self.endpoints()[name].port

    def facts(self) -> Facts:
        """This Core for another Core or a tool."""
        settings, role = self.settings, self.role
        return Facts(
            settings.name, settings.version, role.mode, role.state, role.ha_enabled, self.record.saved.atlas, settings.core_services,
            self.clock.now(), settings.cpus or machine_cpus(), settings.memory_mib or machine_memory_mib(),
        )

    async def promote(self, cause: str) -> None:
        """Active. A sync under way is cut first. Raises OSError where the role cannot be saved: then nothing has happened but the cut."""
        while self.replication.running:
            await self.replication.stop()
        if self.record.promote(cause):
            self.notices.became_primary(cause)

    async def save_ha(self, ha: HaSettings, *, active: bool, cause: str) -> None:
        """Save and Apply of the HA Configuration window. Raises OSError."""
        was_standby = self.role.standby
        while self.replication.running and (active or ha.mode is Mode.PRIMARY):
            await self.replication.stop()
        self.record.save_ha(ha, active=active, cause=cause)
        if was_standby and not self.role.standby:
            self.notices.became_primary(cause)

    async def run_sync(self, host: str, cause: str, progress: ProgressSink | None = None) -> RunRecord:
        """Run Sync Now. Raises `SyncNotAllowed`, `SyncOverlap`, `SyncStopped`."""
        return await self.replication.run(host, cause, progress)

    async def set_fault(self, fault: Fault) -> None:
        """Fails in that way from now on, until the next fault, `none` or a restart. Raises ValueError where it cannot."""
        expired = fault is Fault.EXPIRED_CERTIFICATE
        self._context.load_cert_chain(*(self.certificates.expired() if expired else (self.certificates.cert, self.certificates.key)))
        self.fault = fault
        if fault is Fault.HUNG:
            self.awake.clear()
        else:
            self.awake.set()
        for door in self._doors.values():
            await self._set_door(door)
        if self._halted():
            await self.replication.stop()
            self._open_ssh().close()
        else:
            await self._open_ssh().open()
        self.record.wake()
        self.log.write(SYSTEM, f"fault: {fault}: {MEANINGS[fault]}")

    async def _set_door(self, door: Door) -> None:
        if self.fault in DEAF:
            door.close()
        elif self.fault is Fault.HUNG:
            await door.hang()
        else:
            await door.open()

    def _halted(self) -> bool:
        return self.fault is Fault.STOPPED

    def _look(self, host: str) -> Awaitable[Look]:
        return look(host, self.peer_port(host, "https"), self.clock)

    def _connect(self, host: str) -> Awaitable[asyncssh.SSHClientConnection]:
        return self.trust.connect(host, self.peer_port(host, "ssh"))

    async def _command(self, request: dict[str, Any]) -> dict[str, Any]:
        """The local control."""
        kind = str(request.get("fault"))
        if request.get("do") == "status":
            return {"ok": True, "status": await status(self)}
        if request.get("do") != "fault" or kind not in set(Fault):
            return {"ok": False, "error": "unknown request"}
        try:
            await self.set_fault(Fault(kind))
        except (ValueError, OSError) as error:
            return {"ok": False, "error": str(error)}
        return {"ok": True, "meaning": MEANINGS[self.fault]}

    async def _open_database(self) -> None:
        directory = self.settings.directory
        self.trust = Trust(self.settings)
        self.connectivity = Connectivity(self.trust, self._connect, self.peer_port, self.clock)
        self.replication = Replication(directory, self.record, self.log, self.clock, notices=self.notices, connect=self._connect, facts=self.facts)
        self._exits.push_async_callback(self.replication.close)
        await self.replication.recover()
        self.users = Users(self.replication.database, self.settings.admin, directory)
        await self.users.ensure(self.clock.now())

    async def _open_doors(self) -> None:
        for name, endpoint in (("https", self.settings.listen.https), ("portal", self.settings.listen.portal)):
            app = application(self)
            (add_clients if name == "https" else add_portal)(app, self)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)
            await runner.setup()
            self._exits.push_async_callback(runner.cleanup)
            self._doors[name] = door = Door(endpoint, runner, self._context)
            self._exits.callback(door.close)
            await door.open()
        await self._open_ssh().open()

    def _open_ssh(self) -> SshDoor:
        if self._ssh is None:
            self._ssh = SshDoor(self.settings.listen.ssh, self, COMMANDS)
            self._exits.callback(self._ssh.close)
        return self._ssh

    def _take_directory(self) -> None:
        descriptor = os.open(self.settings.directory / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        self._exits.callback(os.close, descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise AlreadyRunning(f"a Core is running in {self.settings.directory} already") from None

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) and not self.failed.done():
            self.failed.set_exception(error)
