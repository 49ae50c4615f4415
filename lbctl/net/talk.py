"""Questions and answers between a controller and its agents, and among agents: one JSON object a line, over TLS that proves both sides.

Both ends show a certificate of one authority that the site keeps for this alone, and the client checks that the server's is for the address it
called. A connection is kept; one question at a time is under way on it, and one that failed is opened anew for the next question. An answer always
carries `stamp`, the answering host's own steady time: what is lent is counted from a stamp that the borrower itself gave, so that no delay on
the way can make a lease longer than its giver thinks.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lbctl.errors import ActuatorError

LINE_BYTES = 16 << 10
IDLE_S = 120.0
PORT = 9654

Answer = Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Files:
    """Whom we show and whom we believe: PEM files. Read when a context is made; a new certificate needs a restart."""

    cert: Path
    key: Path
    ca: Path

    def context(self, *, server: bool) -> ssl.SSLContext:
        """TLS 1.3, both sides proved. OSError or ssl.SSLError where a file cannot be used."""
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
        made.minimum_version = ssl.TLSVersion.TLSv1_3
        made.load_verify_locations(self.ca)
        made.load_cert_chain(self.cert, self.key)
        made.verify_mode = ssl.CERT_REQUIRED
        return made


class Peer:
    """The other end as a client has it. `ask` raises ActuatorError: `refused`, `timeout`, `tls`, `malformed`."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext, limit_s: float) -> None:
        self.name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._host, self._port, self._context, self._limit_s = host, port, context, limit_s
        self._line: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._one = asyncio.Lock()

    async def ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """One question, its answer; a kept connection that turns out to be gone is opened again once."""
        try:
            async with asyncio.timeout(self._limit_s), self._one:
                kept = self._line is not None
                try:
                    return await self._once(question)
                except (OSError, EOFError):
                    self.close()
                    if not kept:
                        raise
                    return await self._once(question)
        except TimeoutError:
            self.close()
            raise ActuatorError("timeout", f"{self.name}: no answer within {self._limit_s:g} s") from None
        except ssl.SSLError as error:
            self.close()
            raise ActuatorError("tls", f"{self.name}: {error.reason or error}", hint="both certificates are of the same authority") from error
        except (OSError, EOFError) as error:
            self.close()
            raise ActuatorError("refused", f"{self.name}: {error or 'it closed the connection'}") from error

    def close(self) -> None:
        """Lets the connection go."""
        if self._line is not None:
            self._line[1].transport.abort()
            self._line = None

    async def _once(self, question: Mapping[str, Any]) -> dict[str, Any]:
        if self._line is None:
            self._line = await asyncio.open_connection(self._host, self._port, ssl=self._context, server_hostname=self._host, limit=LINE_BYTES)
        reader, writer = self._line
        writer.write(json.dumps(question).encode() + b"\n")
        await writer.drain()
        try:
            answer = json.loads(await reader.readuntil(b"\n"))
        except (ValueError, asyncio.LimitOverrunError) as error:
            self.close()
            raise ActuatorError("malformed", f"{self.name}: {error}") from error
        if not isinstance(answer, dict):
            self.close()
            raise ActuatorError("malformed", f"{self.name}: no JSON object")
        return answer


class Listener:
    """The end that answers. What is no question closes the connection."""

    def __init__(self, answer: Answer, context: ssl.SSLContext) -> None:
        self._answer, self._context = answer, context
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self, host: str, port: int) -> int:
        """Listens; the port. OSError where the address is taken."""
        self._server = await asyncio.start_server(self._serve, host, port, ssl=self._context, limit=LINE_BYTES)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stops listening and ends every connection."""
        if self._server is not None:
            self._server.close()
        for writer in tuple(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while True:
                async with asyncio.timeout(IDLE_S):
                    line = await reader.readuntil(b"\n")
                question = json.loads(line)
                if not isinstance(question, dict):
                    return
                writer.write(json.dumps(await self._answer(question)).encode() + b"\n")
                await writer.drain()
        except (OSError, EOFError, ValueError, TimeoutError, asyncio.LimitOverrunError):
            return
        finally:
            self._open.discard(writer)
            writer.transport.abort()
