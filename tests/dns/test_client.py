"""Asking servers that answer, refuse, lie or say nothing."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from lbctl.dns import readback, wire
from lbctl.dns.client import Unanswered, ask
from lbctl.dns.settings import Endpoint
from tests.dns.served import NAME, serving


async def test_a_closed_port_is_known_at_once() -> None:
    """TECH section 2: connected sockets."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        place = Endpoint(*sock.getsockname())
    with pytest.raises(Unanswered) as error:
        await ask(place, [(wire.encode_name(NAME), wire.A)], timeout_s=60)
    assert error.value.reason == "closed"


async def test_silence_is_a_timeout() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        with pytest.raises(Unanswered) as error:
            await ask(Endpoint(*sock.getsockname()), [(wire.encode_name(NAME), wire.A)], timeout_s=0.1)
        assert error.value.reason == "timeout"
        assert len(sock.recv(512)) > 12


class Liar(asyncio.DatagramProtocol):
    """Answers with other ids and other names first, then drops the first honest question, then answers."""

    def __init__(self) -> None:
        self.asked = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.asked += 1
        header = wire.HEADER.pack(int.from_bytes(data[:2], "big"), wire.QR | wire.AA, 1, 0, 0, 0)
        other = wire.encode_name("other.example.com") + data[-15:-11]
        for lie in (bytes([data[0] ^ 1]) + header[1:] + data[12:-11], header + other, data[:2], b""):
            self.transport.sendto(lie, addr)  # type: ignore[attr-defined]
        if self.asked > 1:
            self.transport.sendto(header + data[12:-11], addr)  # type: ignore[attr-defined]


async def test_only_a_reply_to_the_question_counts_and_a_lost_one_is_asked_again() -> None:
    transport, liar = await asyncio.get_running_loop().create_datagram_endpoint(Liar, local_addr=("127.0.0.1", 0))
    [reply] = await ask(Endpoint(*transport.get_extra_info("sockname")), [(wire.encode_name(NAME), wire.A)], timeout_s=1.5)
    assert (reply.rcode, liar.asked) == (0, 2)
    transport.close()


async def test_a_truncated_reply_is_fetched_over_tcp(tmp_path: Path) -> None:
    addresses = [f"2001:db8::{number:x}" for number in range(1, 90)]
    async with serving(tmp_path) as server:
        server.register.publish(NAME, addresses, 5)
        shown = await readback.look(server.endpoints[0], NAME, zone="gtm.example.com")
        assert shown == (frozenset(addresses), 5, "epoch=5", server.register.zone_of(NAME).serial, 30, None, "", "")


async def test_a_refusal_is_an_error_of_that_server(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        assert (await readback.look(server.endpoints[0], "www.example.org")).error_reason == "refused"
        assert (await readback.look(server.endpoints[0], NAME)).error_reason == "servfail"
        assert (await readback.look(server.endpoints[0], "nope.gtm.example.com")) == (frozenset(), None, "", None, None, None, "", "")
