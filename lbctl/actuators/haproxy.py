"""The servers of one backend of an HAProxy that stays, through its runtime socket: the active member's server is ready, every other in maintenance.

Only states are set, never addresses: how HAProxy reaches its servers is the site's own. For one active member the others go first, with their
sessions, because only one Core may take writes; a pool's new servers come first.
Every command is judged by reading the servers' states afterwards. The epoch stands in HAProxy itself, in a process variable, so that two
controllers see one another there (H41, H43); an HAProxy that was started anew has forgotten it, and what it serves is then what its own file says.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lbctl.actuators.base import Actual, Place, wanted
from lbctl.errors import ActuatorError, Superseded
from lbctl.model.decision import Desired
from lbctl.net.fence import Fence, file_of

LIMIT_S = 3.0
REPLY_BYTES = 1 << 20
OUT_OF_SERVICE = 0x01 | 0x02 | 0x08 | 0x10 | 0x20
"""Maintenance and drain in `srv_admin_state` (management.txt, section 9.3)."""


@dataclass(frozen=True, slots=True)
class Settings:
    """`haproxy: {socket, backend, servers, view}`. `socket`: a path, or HOST:PORT; `servers`: member -> server where the names differ."""

    socket: str
    backend: str
    servers: Mapping[str, str] = field(default_factory=dict)
    view: str = ""


@dataclass(frozen=True, slots=True)
class Server:
    """A server as HAProxy has it. `serves`: neither in maintenance nor draining; its checks are HAProxy's."""

    name: str
    address: str
    serves: bool


class Haproxy:
    """One backend."""

    def __init__(self, settings: Settings, memory: Path | None) -> None:
        self.id = f"haproxy:{settings.backend}@{settings.socket}" + (f"/{settings.view}" if settings.view else "")
        self.view = settings.view
        self._settings = settings
        self._variable = "proc.lbctl_" + re.sub(r"\W", "_", settings.backend)
        self._fence = Fence(file_of(memory, self.id))

    async def apply(self, desired: Desired) -> None:
        if not desired.members:
            raise ActuatorError("empty", f"{self.id}: a backend without any server is never made", temporary=False)
        shown = await self._epoch()
        if shown is not None and shown > desired.epoch:
            raise Superseded(f"{self.id} follows epoch {shown}, ours is {desired.epoch}", found_epoch=shown)
        self._fence.check(self.id, desired)
        want = {self._settings.servers.get(member, member) for member in desired.members}
        servers = {server.name: server for server in await self._servers()}
        if unknown := want - set(servers):
            raise ActuatorError("server", f"the backend {self._settings.backend} has no server {', '.join(sorted(unknown))}",
                                hint=f"it has {', '.join(servers)}; `servers:` maps a member to one", temporary=False)
        self._fence.advance(self.id, desired, wanted(desired, self.view))
        await self._say(f"experimental-mode on; set var {self._variable} int({desired.epoch})")
        for command in self._commands(want, servers):
            if said := await self._say(command):
                raise ActuatorError("refused", f"{command}: {said[:200]}", hint="the socket needs `level admin`")
        await self._fence.save()

    async def read(self) -> Actual:
        place = f"{self._settings.backend}@{self._settings.socket}"
        try:
            servers, epoch = await self._servers(), await self._epoch()
        except ActuatorError as error:
            return Actual((Place(place, None, None, error.reason, str(error)),))
        serving, mark = {server.name for server in servers if server.serves}, self._fence.mark
        if mark is not None and serving == {self._settings.servers.get(member, member) for member in mark.members}:
            return Actual((Place(place, frozenset(mark.addresses), epoch),))
        return Actual((Place(place, frozenset(server.address for server in servers if server.serves), epoch),))

    async def close(self) -> None:
        """Nothing is held between calls."""

    def _commands(self, want: set[str], servers: Mapping[str, Server]) -> list[str]:
        """What is not so yet, in the order in which it may become so."""
        backend = self._settings.backend
        ready = [f"set server {backend}/{name} state ready" for name in sorted(want) if not servers[name].serves]
        others = [server.name for server in servers.values() if server.serves and server.name not in want]
        rest = [f"{verb} {backend}/{name}{to}" for name in others for verb, to in (("set server", " state maint"), ("shutdown sessions server", ""))]
        return [*rest, *ready] if len(want) == 1 else [*ready, *rest]

    async def _servers(self) -> list[Server]:
        lines = (await self._say(f"show servers state {self._settings.backend}")).splitlines()
        if len(lines) < 2 or not lines[1].startswith("# "):
            raise ActuatorError("backend", f"{self._settings.socket}: {lines[0][:200] if lines else 'no reply'}", hint="is the backend's name right?")
        rows = [dict(zip(lines[1][2:].split(), line.split(), strict=False)) for line in lines[2:]]
        try:
            return [Server(row["srv_name"], row["srv_addr"], not int(row["srv_admin_state"]) & OUT_OF_SERVICE) for row in rows]
        except (KeyError, ValueError) as error:
            raise ActuatorError("malformed", f"{self._settings.socket}: the states cannot be read: {error!r}") from error

    async def _epoch(self) -> int | None:
        """What stands in HAProxy; None where nothing does."""
        found = re.search(r"value=<(\d+)>", await self._say(f"get var {self._variable}"))
        return int(found[1]) if found else None

    async def _say(self, command: str) -> str:
        """One command, its reply; a connection each, as the socket wants it."""
        try:
            async with asyncio.timeout(LIMIT_S):
                reader, writer = await self._open()
                try:
                    writer.write(command.encode() + b"\n")
                    await writer.drain()
                    return (await self._reply(reader)).decode(errors="replace").strip()
                finally:
                    writer.close()
        except TimeoutError:
            raise ActuatorError("timeout", f"{self._settings.socket}: no reply within {LIMIT_S:g} s") from None
        except OSError as error:
            reason = {FileNotFoundError: "missing", PermissionError: "permission"}.get(type(error), "refused")
            raise ActuatorError(reason, f"{self._settings.socket}: {error.strerror or error}", hint="`stats socket PATH level admin`") from error

    async def _reply(self, reader: asyncio.StreamReader) -> bytes:
        """Up to the end of the connection; no more than what a thousand servers say."""
        found = b""
        while len(found) < REPLY_BYTES and (part := await reader.read(65536)):
            found += part
        return found

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        where = self._settings.socket
        if where.startswith("/"):
            return await asyncio.open_unix_connection(where)
        host, _, port = where.rpartition(":")
        return await asyncio.open_connection(host.strip("[]"), int(port))
