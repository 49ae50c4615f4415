"""Questions and answers between a controller and its agents, and among agents: one JSON object a line, over TLS that proves both sides.

Both ends show a certificate of one authority that the site keeps for this alone, and the client checks that the server's is for the address it
called; what the client may ask for is decided by who it is (`net.trust`). A connection is kept; one question at a time is under way on it, and
one that failed is opened anew for the next question. An answer always carries `stamp`, the answering host's own steady time: what is lent is
counted from a stamp that the borrower itself gave, so that no delay on the way can make a lease longer than its giver thinks.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from lbctl.errors import ActuatorError
from lbctl.net.trust import Caller, Trust, caller

LINE_BYTES = 16 << 10
IDLE_S = 120.0
HANDSHAKE_S = 5.0
"""Whoever has not proven himself by then is a stranger who holds a descriptor; a peer has done so in milliseconds."""
OPEN_MAX = 128
"""Connections of proven peers at a time: a site has a few of them, and one that forgets to close must not take all descriptors of a host."""

Answer = Callable[[Caller, Mapping[str, Any]], Awaitable[dict[str, Any]]]


class Peer:
    """The other end as a client has it. `ask` raises ActuatorError: `refused`, `timeout`, `tls`, `malformed`."""

    def __init__(self, host: str, port: int, trust: Trust, limit_s: float) -> None:
        self.name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._host, self._port, self._trust, self._limit_s = host, port, trust, limit_s
        self._line: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._shown: ssl.SSLContext | None = None
        self._one = asyncio.Lock()

    async def ask(self, question: Mapping[str, Any], limit_s: float | None = None) -> dict[str, Any]:
        """One question, its answer, within `limit_s` where that is less than usual; a kept connection that turns out to be gone is opened again
        once."""
        limit_s = self._limit_s if limit_s is None else min(limit_s, self._limit_s)
        try:
            async with asyncio.timeout(limit_s), self._one:
                kept = self._line is not None
                try:
                    return await self._once(question)
                except (OSError, EOFError):
                    if not kept:
                        raise
                    return await self._once(question)
        except TimeoutError:  # perhaps while another question was under way: its line is not ours to close
            raise ActuatorError("timeout", f"{self.name}: no answer within {limit_s:.2g} s") from None
        except ssl.SSLError as error:
            raise ActuatorError("tls", f"{self.name}: {error.reason or error}", hint="both certificates are of the same authority") from error
        except (OSError, EOFError) as error:
            raise ActuatorError("refused", f"{self.name}: {error or 'it closed the connection'}") from error

    def close(self) -> None:
        """Lets the connection go."""
        if self._line is not None:
            self._line[1].transport.abort()
            self._line = None

    async def _once(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """On the line that is open, or on a new one; whatever goes wrong closes it."""
        context = self._trust.client()
        if self._line is not None and context is not self._shown:
            self.close()  # opened with certificates that have been replaced since
        if self._line is None:
            self._line = await asyncio.open_connection(self._host, self._port, ssl=context, server_hostname=self._host, limit=LINE_BYTES)
            self._shown = context
        reader, writer = self._line
        try:
            writer.write(json.dumps(question).encode() + b"\n")
            await writer.drain()
            return _object(await reader.readuntil(b"\n"))
        except (ValueError, asyncio.LimitOverrunError) as error:
            self.close()
            raise ActuatorError("malformed", f"{self.name}: {error}") from error
        except BaseException:
            self.close()  # also when it was given up: the next question may not be given this one's answer
            raise


class Listener:
    """The end that answers. What is no question closes the connection."""

    def __init__(self, answer: Answer, trust: Trust) -> None:
        self._answer, self._trust = answer, trust
        self._socket: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._shown: ssl.SSLContext | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self, host: str, port: int) -> int:
        """Listens; the port. OSError where the address is taken."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family)
        await self._listen(self._socket)
        return int(self._socket.getsockname()[1])

    async def renew(self) -> None:
        """Where the certificates have changed: takes connections with the new ones. The listening socket stays, so nobody is refused meanwhile;
        whoever is connected has to prove himself anew, for he may have been let in by an authority that is no longer believed."""
        if self._socket is None or self._trust.server() is self._shown:
            return
        if self._server is not None:
            self._server.close()
        await self._listen(self._socket)
        self._cut()

    async def close(self) -> None:
        """Stops listening and ends every connection."""
        if self._server is not None:
            self._server.close()
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._cut()

    async def _listen(self, listening: socket.socket) -> None:
        self._shown = self._trust.server()
        self._server = await asyncio.start_server(
            self._serve, sock=listening.dup(), ssl=self._shown, limit=LINE_BYTES, ssl_handshake_timeout=HANDSHAKE_S)

    def _cut(self) -> None:
        for writer in tuple(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._open) >= OPEN_MAX:
            writer.transport.abort()
            return
        self._open.add(writer)
        try:
            who = caller(writer.get_extra_info("ssl_object"))
            while True:
                async with asyncio.timeout(IDLE_S):
                    line = await reader.readuntil(b"\n")
                writer.write(json.dumps(await self._answer(who, _object(line))).encode() + b"\n")
                await writer.drain()
        except (OSError, EOFError, ValueError, TimeoutError, asyncio.LimitOverrunError):
            return
        finally:
            self._open.discard(writer)
            writer.transport.abort()


def _object(line: bytes) -> dict[str, Any]:
    """What stands in one line. ValueError for anything but an object; its depth is for whoever sent it to choose."""
    try:
        found = json.loads(line)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError("no JSON object")
    return found
