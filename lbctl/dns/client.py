"""Asking a name server what it says, as the read-back of a write: several questions in one go, over UDP, over TCP where the reply is cut.

Sockets are connected, so a closed port is an error at once instead of a timeout, and nobody else's packets arrive. Each question is sent
again at a third and two thirds of the deadline. A reply counts only if it is from the server asked, with the id and the name asked.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence

from lbctl.dns import wire
from lbctl.dns.settings import Endpoint
from lbctl.dns.wire import Reply

Question = tuple[bytes, int]
TRIES = 3
OPT_BYTES = 11


class Unanswered(Exception):
    """A server could not be asked. `reason` is a word for a metric: `timeout`, `closed`, `reset`, `unreachable`, `malformed`."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class _Exchange(asyncio.DatagramProtocol):
    """Open questions by id. `done` ends when all have a reply, or with the first error."""

    def __init__(self, questions: Sequence[Question], *, do: bool, recurse: bool) -> None:
        idents = secrets.SystemRandom().sample(range(65536), len(questions))
        numbered = zip(idents, questions, strict=True)
        self.packets = {ident: wire.encode_query(ident, name, qtype, do=do, recurse=recurse) for ident, (name, qtype) in numbered}
        self.replies: dict[int, Reply] = {}
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: object) -> None:
        ident = int.from_bytes(data[:2], "big")
        question = self.packets.get(ident, b"")[12:-OPT_BYTES]
        if not question or self.done.done() or data[12 : 12 + len(question)].lower() != question.lower():
            return
        try:
            self.replies[ident] = wire.parse_reply(data)
        except wire.Malformed as error:
            self.done.set_exception(Unanswered("malformed", f"malformed reply: {error}"))
            return
        if len(self.replies) == len(self.packets):
            self.done.set_result(None)

    def error_received(self, exc: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(unanswered(exc))


async def ask(
    server: Endpoint, questions: Sequence[Question], *, timeout_s: float = 2.0, do: bool = False, recurse: bool = False
) -> list[Reply]:
    """The replies in the order of the questions, with signatures where `do`. Raises `Unanswered` where one is missing at the deadline.

    `recurse`: the server is a resolver and may ask others for the answer.
    """
    try:
        async with asyncio.timeout(timeout_s):
            replies = await _ask_udp(server, lambda: _Exchange(questions, do=do, recurse=recurse), timeout_s / TRIES)
            return [parsed if not parsed.truncated else wire.parse_reply(await send_tcp(server, packet)) for packet, parsed in replies]
    except TimeoutError:
        raise Unanswered("timeout", f"no reply from {server} within {timeout_s:g} s") from None
    except wire.Malformed as error:
        raise Unanswered("malformed", f"malformed reply: {error}") from None
    except OSError as error:
        raise unanswered(error) from None


async def _ask_udp(server: Endpoint, make: Callable[[], _Exchange], wait_s: float) -> list[tuple[bytes, Reply]]:
    loop = asyncio.get_running_loop()
    transport, exchange = await loop.create_datagram_endpoint(make, remote_addr=(server.host, server.port))
    try:
        while not exchange.done.done():
            for ident, packet in exchange.packets.items():
                if ident not in exchange.replies:
                    transport.sendto(packet)
            await asyncio.wait((exchange.done,), timeout=wait_s)
        exchange.done.result()
        return [(packet, exchange.replies[ident]) for ident, packet in exchange.packets.items()]
    finally:
        transport.close()


class _Single(asyncio.DatagramProtocol):
    """Waits for the one reply with the message's id."""

    def __init__(self, packet: bytes) -> None:
        self.ident = packet[:2]
        self.reply: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: object) -> None:
        if data[:2] == self.ident and len(data) >= 12 and data[2] & 0x80 and not self.reply.done():
            self.reply.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.reply.done():
            self.reply.set_exception(exc)


async def send_udp(server: Endpoint, packet: bytes) -> bytes:
    """One message over UDP, sent once, and the bytes of its reply; the caller sets the deadline. OSError where the port is closed."""
    loop = asyncio.get_running_loop()
    transport, single = await loop.create_datagram_endpoint(lambda: _Single(packet), remote_addr=(server.host, server.port))
    try:
        transport.sendto(packet)
        return await single.reply
    finally:
        transport.close()


async def send_tcp(server: Endpoint, packet: bytes) -> bytes:
    """One message over TCP and the bytes of its reply; the caller sets the deadline. OSError or `Unanswered` where there is none."""
    reader, writer = await asyncio.open_connection(server.host, server.port)
    try:
        writer.write(len(packet).to_bytes(2, "big") + packet)
        length = int.from_bytes(await reader.readexactly(2), "big")
        return await reader.readexactly(length)
    except asyncio.IncompleteReadError:
        raise Unanswered("reset", f"{server} closed the connection") from None
    finally:
        writer.close()


def unanswered(error: Exception) -> Unanswered:
    """The reason in a socket's error."""
    if isinstance(error, ConnectionRefusedError):
        return Unanswered("closed", "nothing listens there")
    return Unanswered("unreachable", getattr(error, "strerror", None) or str(error))
