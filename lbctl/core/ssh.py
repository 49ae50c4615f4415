"""The SSH port (G-SSH, G-CLI): administrators get the command line, trusted hosts get replication, everybody else gets nothing.

Who a connection belongs to is settled by user name and credential together: the name `replicate` opens only with a trusted host's key and
leads only to replication; an administrator's name opens with a password or a key of his own and never with a trusted host's. No forwarding,
no agent, no X11, no file transfer, no subsystem, for anybody.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import suppress

import asyncssh
from asyncssh.editor import SSHLineEditorChannel

from lbctl.core.base import Core
from lbctl.core.connectivity import TEST_COMMAND
from lbctl.core.door import BACKLOG, bound
from lbctl.core.logbook import SSH
from lbctl.core.settings import Endpoint
from lbctl.core.shell import Command, Shell
from lbctl.core.sync import COMMAND
from lbctl.core.trust import USER

LOGIN_S = 20.0
KEEPALIVE_S = 15.0
WRONG_PASSWORD_S = 0.5
CONNECTIONS_MAX = 64


class SshDoor:
    """The port. `endpoint` has the real number once it was opened."""

    def __init__(self, endpoint: Endpoint, core: Core, commands: Sequence[Command]) -> None:
        self.endpoint = endpoint
        self._core = core
        self._commands = commands
        self._acceptor: asyncssh.SSHAcceptor | None = None
        self._connections: set[asyncssh.SSHServerConnection] = set()

    async def open(self) -> None:
        """Listens. Raises OSError where the port is taken."""
        if self._acceptor:
            return
        sock = bound(self.endpoint)
        self.endpoint = self.endpoint.model_copy(update={"port": sock.getsockname()[1]})
        self._acceptor = await asyncssh.listen(
            sock=sock, server_factory=lambda: _Gate(self._core, self._commands, self._connections), server_host_keys=[self._core.trust.key],
            config=[], backlog=BACKLOG, login_timeout=LOGIN_S, keepalive_interval=KEEPALIVE_S, keepalive_count_max=4, agent_forwarding=False,
            x11_forwarding=False, allow_scp=False, line_history=100, gss_host=None, server_version="Core",
        )

    def close(self) -> None:
        """Refuses, and cuts what is open."""
        if self._acceptor:
            self._acceptor.close()
            self._acceptor = None
        for connection in list(self._connections):
            connection.abort()


class _Gate(asyncssh.SSHServer):
    """One connection: who is it, and what does it get."""

    def __init__(self, core: Core, commands: Sequence[Command], connections: set[asyncssh.SSHServerConnection]) -> None:
        self._core = core
        self._commands = commands
        self._connections = connections
        self._user = ""
        self._trusted = ""

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._connections.add(conn)
        if len(self._connections) > CONNECTIONS_MAX:
            conn.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self._connection)

    def begin_auth(self, username: str) -> bool:
        self._user = username
        return True

    def auth_completed(self) -> None:
        self._log(f"{self._trusted or self._user} logged in")

    def password_auth_supported(self) -> bool:
        return self._user != USER

    def kbdint_auth_supported(self) -> bool:
        return False

    def public_key_auth_supported(self) -> bool:
        return True

    async def validate_password(self, username: str, password: str) -> bool:
        if username == USER:
            return False
        if await self._core.users.verify(username, password):
            return True
        self._log(f"{username}: wrong password", level="WARNING")
        await self._core.clock.sleep(WRONG_PASSWORD_S)
        return False

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        trusted = self._core.trust.identify(key) if username == USER else None
        self._trusted = f"trusted host {trusted.host}" if trusted else ""
        allowed = trusted is not None or (username != USER and self._core.users.may_use(username, key))
        if not allowed:
            self._log(f"{username}: a key that is not trusted: {key.get_fingerprint()}", level="WARNING")
        return allowed

    def session_requested(self) -> tuple[asyncssh.SSHServerChannel[bytes], asyncssh.SSHServerProcess[bytes]] | asyncssh.SSHServerProcess[str]:
        if self._user == USER:
            return self._connection.create_server_channel(encoding=None), _Replicating(self._replicate)
        return _Typing(self._talk)

    async def _replicate(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        """A trusted host's session; the channel let nothing else through than these two."""
        if process.command == COMMAND:
            await self._core.replication.serve(process)
            return
        process.stdout.write(json.dumps(self._core.facts().as_json()).encode())
        process.exit(0)

    async def _talk(self, process: asyncssh.SSHServerProcess[str]) -> None:
        """An administrator's session: one line of commands, or line after line."""

        async def ask(prompt: str) -> str:
            process.stdout.write(prompt)
            editor = process.channel if process.term_type and isinstance(process.channel, SSHLineEditorChannel) else None
            if editor:
                editor.set_echo(False)
            answer = await process.stdin.readline()
            if editor:
                editor.set_echo(True)
            process.stdout.write("\n")
            return answer.rstrip("\r\n")

        def show(text: str) -> None:
            with suppress(OSError):  # whoever leaves before the end of a sync does not end the sync
                process.stdout.write(text + "\n")

        shell = Shell(self._core, self._user, self._commands, show, ask)
        try:
            if process.command is not None:
                await shell.line(process.command)
            else:
                await _lines(process, shell)
            process.exit(shell.code)
        except (OSError, sqlite3.Error) as error:
            process.stdout.write(f"% {getattr(error, 'strerror', None) or error}\n")
            process.exit(1)

    def _log(self, text: str, *, level: str = "INFO") -> None:
        peer = self._connection.get_extra_info("peername")
        self._core.log.write(SSH, f"{text} ({peer[0] if peer else 'unknown'})", level=level)


async def _lines(process: asyncssh.SSHServerProcess[str], shell: Shell) -> None:
    """The interactive form; a terminal sees the prompt, a pipe does not."""
    while not shell.ended:
        if process.term_type:
            process.stdout.write(shell.prompt)
        try:
            line = await process.stdin.readline()
        except asyncssh.BreakReceived:
            process.stdout.write("\n")
            continue
        except asyncssh.TerminalSizeChanged:
            continue
        if not line:
            return
        await shell.line(line)


class _Replicating(asyncssh.SSHServerProcess[bytes]):
    """A session that can do two things."""

    def __init__(self, work: asyncssh.SSHServerProcessFactory[bytes]) -> None:
        super().__init__(work, None, 3, False)

    def pty_requested(self, *_: object) -> bool:
        return False

    def shell_requested(self) -> bool:
        return False

    def subsystem_requested(self, subsystem: str) -> bool:
        return False

    def exec_requested(self, command: str) -> bool:
        return command in (COMMAND, TEST_COMMAND)


class _Typing(asyncssh.SSHServerProcess[str]):
    """A session on the command line."""

    def __init__(self, work: asyncssh.SSHServerProcessFactory[str]) -> None:
        super().__init__(work, None, 3, False)

    def subsystem_requested(self, subsystem: str) -> bool:
        return False
