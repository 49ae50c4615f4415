"""Two Cores' halves of a sync over real SSH on loopback: a small asyncssh server that dispatches `replicate`, and the client's connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import asyncssh

from lbctl.clock import SystemClock
from lbctl.core.database import Database
from lbctl.core.facts import Facts
from lbctl.core.sync import COMMAND
from lbctl.core.sync.history import History, RunRecord
from lbctl.core.sync.run import recover, run_sync
from lbctl.core.sync.serve import Served, serve
from lbctl.core.sync.transfer import Progress
from lbctl.core.tables import TABLES

PRIMARY = Facts("core-a", "11.3.0.0", "Primary", "Active", True, False, True, 0.0, 4, 8192)
STANDBY = replace(PRIMARY, name="core-b", mode="Secondary", state="Standby")


@dataclass
class Server:
    """The source: its database behind an SSH port."""

    database: Database
    facts: Facts
    port: int = 0
    served: list[Served | None] = field(default_factory=list)

    async def exec(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        assert process.command == COMMAND
        self.served.append(await serve(process, self.facts, self.database))


class _Anybody(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return False


@asynccontextmanager
async def serving(database: Database, facts: Facts = PRIMARY, server: Server | None = None) -> AsyncIterator[Server]:
    """The source on a free port of loopback."""
    server = server or Server(database, facts)
    key = asyncssh.generate_private_key("ssh-ed25519")
    listener = await asyncssh.create_server(
        _Anybody, "127.0.0.1", 0, server_host_keys=[key], process_factory=server.exec, encoding=None,
    )
    server.port = listener.get_port()
    try:
        yield server
    finally:
        listener.close()
        await listener.wait_closed()


def connecting(port: int) -> Callable[[], asyncio.Future[asyncssh.SSHClientConnection]]:
    """What `run_sync` connects with."""
    return lambda: asyncio.ensure_future(
        asyncssh.connect("127.0.0.1", port, known_hosts=None, username="replica", config=[], agent_path=None, client_keys=None)
    )


@dataclass
class Standby:
    """The Secondary: its database, its history, and how it syncs."""

    database: Database
    history: History
    facts: Facts = STANDBY
    progress: list[Progress] = field(default_factory=list)

    async def sync(self, port: int, source: str = "core-a") -> RunRecord:
        return await run_sync(source, connecting(port), self.database, self.facts, self.history, self.progress.append)

    def close(self) -> None:
        self.database.close()
        self.history.close()


async def standby(directory: Path) -> Standby:
    """A Secondary in this directory, recovered as at a start."""
    made = Standby(Database(directory / "copy.db"), History(directory / "history.db", SystemClock()))
    await recover(made.database, made.history)
    return made


async def contents(database: Database) -> dict[str, list[tuple[object, ...]]]:
    """Every replicated table, whole."""
    return await database.file.read(
        lambda connection: {name: connection.execute(f"SELECT * FROM {name} ORDER BY id").fetchall() for name in TABLES}
    )
