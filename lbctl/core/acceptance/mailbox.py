"""A mail server that keeps what it gets: just enough SMTP (RFC 5321) with STARTTLS (RFC 3207) to see that a Core's mail arrives."""

from __future__ import annotations

import asyncio
import ssl
from email import message_from_bytes
from email.message import Message

LINE_BYTES_MAX = 4096
MAIL_BYTES_MAX = 1 << 20
IDLE_S = 30.0


class Mailbox:
    """Listens on a free port of 127.0.0.1. Mail is taken only after STARTTLS."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.messages: list[Message] = []
        self.port = 0
        self._context = context
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=LINE_BYTES_MAX)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        if self._server:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(b"220 mailbox\r\n")
            safe = False
            while verb := (await _line(reader))[:4].upper():
                if verb == b"STAR":
                    writer.write(b"220 go ahead\r\n")
                    await writer.drain()
                    await writer.start_tls(self._context)
                    safe = True
                elif verb == b"DATA" and safe:
                    await self._take(reader, writer)
                else:
                    writer.write(_answer(verb, safe))
                if verb == b"QUIT":
                    return
        except (OSError, ValueError, TimeoutError):
            return
        finally:
            writer.close()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"354 end with a dot\r\n")
        lines: list[bytes] = []
        while (line := await _line(reader)) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b"."))
            if sum(map(len, lines)) > MAIL_BYTES_MAX:
                raise ValueError("a mail without end")
        self.messages.append(message_from_bytes(b"".join(lines)))
        writer.write(b"250 kept\r\n")


async def _line(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(IDLE_S):
        return await reader.readline()


def _answer(verb: bytes, safe: bool) -> bytes:
    """The reply to a verb that needs no more work."""
    if verb in (b"EHLO", b"HELO"):
        return b"250-mailbox\r\n250 8BITMIME\r\n" if safe else b"250-mailbox\r\n250 STARTTLS\r\n"
    if verb in (b"MAIL", b"RCPT") and not safe:
        return b"530 STARTTLS first\r\n"
    return {b"MAIL": b"250 ok\r\n", b"RCPT": b"250 ok\r\n", b"RSET": b"250 ok\r\n", b"NOOP": b"250 ok\r\n", b"QUIT": b"221 bye\r\n"}.get(
        verb, b"502 not here\r\n")
