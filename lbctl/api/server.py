"""The sockets of the API and its TLS: a Unix socket for this host, TCP for the rest, the same application behind both."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
from pathlib import Path

import structlog
from aiohttp import web

from lbctl.api.application import Application
from lbctl.api.connection import Door
from lbctl.clock import Clock
from lbctl.config.tree import ApiConfig, ServerTls

TLS_CHECK_S = 30.0
SHUTDOWN_S = 2.0

log = structlog.get_logger()


_aiohttp = logging.getLogger("lbctl.api")


def server_tls(tls: ServerTls) -> ssl.SSLContext:
    """TLS 1.2 and newer; client certificates are asked for, and believed only where the authority signed them."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(tls.cert_file, tls.key_file)
    if tls.client_ca_file is not None:
        context.load_verify_locations(tls.client_ca_file)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


class Server:
    """Sockets around an `Application`. `start()` binds or raises OSError; `stop()` wakes every stream and leaves no socket file."""

    def __init__(self, application: Application, settings: ApiConfig, clock: Clock) -> None:
        self._application = application
        self._settings = settings
        self._clock = clock
        self._runner = web.AppRunner(application.web, handler_cancellation=True, shutdown_timeout=SHUTDOWN_S)
        self._listening: list[asyncio.Server] = []
        self.doors: list[Door] = []
        self._tls_seen: tuple[int, ...] = ()
        self._watch: asyncio.Task[None] | None = None
        self._bound: Path | None = None
        self.addresses: list[tuple[str, int]] = []

    async def start(self) -> None:
        """Listens; `addresses` then has the ports that were really taken."""
        await self._runner.setup()
        if self._settings.socket is not None:
            await self._unix(self._settings.socket)
        tls = None
        if self._settings.tls is not None:
            tls, self._tls_seen = server_tls(self._settings.tls), self._tls_marks()
            self._watch = asyncio.create_task(self._watch_tls(), name="api-tls")
        for endpoint in self._settings.listen:
            await self._tcp(endpoint.host, endpoint.port, tls)

    async def _unix(self, path: Path) -> None:
        """0660: the group may. A socket that nobody answers at is left over from a crash and goes."""
        if not await _answers(path):
            _clear(path)
        sock = _bind(path)
        await self._listen(sock)
        self._bound = path

    async def _tcp(self, host: str, port: int, tls: ssl.SSLContext | None) -> None:
        sock = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=128)
        self.addresses.append(sock.getsockname()[:2])
        await self._listen(sock, tls)

    async def _listen(self, sock: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """By hand instead of by aiohttp's sites, so that the connections are ours."""
        server = self._runner.server
        assert server is not None, "the runner is set up before anything listens"
        door = Door(server, _aiohttp)
        self._listening.append(await asyncio.get_running_loop().create_server(door, sock=sock, ssl=tls, backlog=128))
        self.doors.append(door)

    def _tls_marks(self) -> tuple[int, ...]:
        tls = self._settings.tls
        files = (tls.cert_file, tls.key_file, tls.client_ca_file) if tls is not None else ()
        return tuple(file.stat().st_mtime_ns if file and file.exists() else 0 for file in files)

    async def reload_tls(self) -> None:
        """Takes renewed certificates, ours and the clients' authority, for new connections; what does not load keeps the old ones, and says so once.
        """
        marks = self._tls_marks()
        if self._settings.tls is None or marks == self._tls_seen:
            return
        self._tls_seen = marks
        try:
            await self._listen_anew(server_tls(self._settings.tls))
            log.info("certificates of the API reloaded")
        except (OSError, ssl.SSLError) as error:
            log.error("certificates of the API not reloaded; the old ones are still used", error=str(error))

    async def _listen_anew(self, tls: ssl.SSLContext) -> None:
        """The same listening sockets, so nobody who connects meanwhile is turned away, under a context that knows nothing of the old one.

        A context forgets neither an authority nor the sessions that it opened to one: whoever was removed would go on being believed.
        """
        loop = asyncio.get_running_loop()
        for at, old in enumerate(self._listening):
            if not old.sockets or old.sockets[0].family == socket.AF_UNIX:
                continue
            # in the list before it serves: a stop in this moment closes it like the others
            self._listening[at] = await loop.create_server(self.doors[at], sock=old.sockets[0].dup(), ssl=tls, backlog=128, start_serving=False)
            await self._listening[at].start_serving()
            old.close()

    async def _watch_tls(self) -> None:
        while True:
            await self._clock.sleep(TLS_CHECK_S)
            await self.reload_tls()

    async def stop(self) -> None:
        """Ends streams, lets running requests finish for a moment, closes."""
        self._application.streams.close()
        if self._watch is not None:  # first: it may be about to listen anew
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        for listening in self._listening:
            listening.close()
        await self._runner.cleanup()
        if self._bound is not None:
            _clear(self._bound)


async def _answers(path: Path) -> bool:
    try:
        _, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return False
    writer.close()
    return True


def _clear(path: Path) -> None:
    """No socket there, and a directory for one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_socket():
        path.unlink()


def _bind(path: Path) -> socket.socket:
    """By hand, because asyncio would take a living socket's place. OSError where somebody answers there."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o117)
    try:
        sock.bind(str(path))
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    finally:
        os.umask(before)
    return sock
