"""The demo tells only what it saw: an answer that does not move, or moves when it should not, is told so."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import dns.message
import dns.rrset
import pytest

from lbctl.clock import SystemClock
from lbctl.demo.cast import Cast, Unseen
from lbctl.demo.files import NAME, Stage, free_port, prepare, tcp_free

A, B = "127.0.0.11", "127.0.0.12"


class Names(asyncio.DatagramProtocol):
    """Answers every question with `address`."""

    address = A

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, place: tuple[str, int]) -> None:
        reply = dns.message.make_response(dns.message.from_wire(data))
        reply.answer.append(dns.rrset.from_text(NAME + ".", 5, "IN", "A", self.address))
        self.transport.sendto(reply.to_wire(), place)


@pytest.fixture
async def names() -> AsyncIterator[tuple[Names, Cast]]:
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(Names, ("127.0.0.1", 0))
    stage = Stage(Path("/nonexistent"), (A, B), transport.get_extra_info("sockname")[1], 0)
    yield protocol, Cast(stage, SystemClock(), lambda _: None)
    transport.close()


async def test_the_moment_of_a_move_is_seen_from_outside(names: tuple[Names, Cast]) -> None:
    protocol, cast = names
    asyncio.get_running_loop().call_later(0.1, setattr, protocol, "address", B)
    start = cast.clock.now()
    assert await cast.until("core-b", 20, "") > start


async def test_an_answer_that_does_not_move_is_not_seen(names: tuple[Names, Cast]) -> None:
    with pytest.raises(Unseen, match="core-a"):
        await names[1].until("core-b", 0.3, "")


async def test_an_answer_that_moves_by_itself_is_told(names: tuple[Names, Cast]) -> None:
    protocol, cast = names
    assert await cast.stays("core-a", 0.2) > 0
    asyncio.get_running_loop().call_later(0.1, setattr, protocol, "address", B)
    with pytest.raises(Unseen, match="core-b"):
        await cast.stays("core-a", 20)


async def test_a_server_that_is_gone_is_silence() -> None:
    cast = Cast(Stage(Path("/nonexistent"), (A, B), 9, 0), SystemClock(), lambda _: None)
    assert await cast.answer() == "silence"


def test_what_is_taken_is_replaced(tmp_path: Path) -> None:
    """Two demos, or a demo beside a running lbctl, do not disturb one another."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port("127.0.0.1", port, tcp_free) != port
    stage = prepare(tmp_path)
    assert stage.addresses[0] in stage.core("core-a").read_text() and str(stage.dns_port) in stage.config.read_text()


def test_demos_that_begin_at_once_have_nothing_in_common(tmp_path: Path) -> None:
    """Nobody listens yet when the next one chooses."""
    stages = []
    for number in range(3):
        (tmp_path / str(number)).mkdir()
        stages.append(prepare(tmp_path / str(number)))
    assert len({stage.addresses for stage in stages}) == len({stage.dns_port for stage in stages}) == len({stage.page_port for stage in stages}) == 3
