"""TCP: pipelining, and what one client can cost."""

from __future__ import annotations

import asyncio
from pathlib import Path

import dns.message
import pytest

from lbctl.dns.server import Server
from tests.dns.served import NAME, ask, serving


def framed(name: str = NAME) -> bytes:
    data = dns.message.make_query(name, "A").to_wire()
    return len(data).to_bytes(2, "big") + data


async def connect(server: Server) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(*server.endpoints[0])


async def replies(reader: asyncio.StreamReader, count: int) -> list[dns.message.Message]:
    return [dns.message.from_wire(await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))) for _ in range(count)]


async def until(condition: object) -> None:
    async with asyncio.timeout(20):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.005)


async def test_pipelined_questions_are_all_answered_in_order(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        server.register.publish(NAME, ["192.0.2.10"], 1)
        reader, writer = await connect(server)
        names = [f"n{number}.gtm.example.com" for number in range(200)]
        writer.write(b"".join(framed(name) for name in names))
        assert [str(reply.question[0].name) for reply in await replies(reader, 200)] == [name + "." for name in names]
        writer.close()


async def test_a_question_that_comes_byte_by_byte_is_answered(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        reader, writer = await connect(server)
        for byte in framed():
            writer.write(bytes((byte,)))
            await writer.drain()
        assert len(await replies(reader, 1)) == 1
        writer.close()


@pytest.mark.parametrize("sent", [b"", b"\0\x20ab"], ids=["silent", "dripping"])
async def test_a_connection_without_a_whole_question_is_closed(tmp_path: Path, sent: bytes) -> None:
    async with serving(tmp_path, tcp_idle_s=0.1) as server:
        reader, writer = await connect(server)
        writer.write(sent)
        with pytest.raises(ConnectionError):
            await reader.readexactly(1) if await reader.read() else _reset()
        writer.close()


def _reset() -> None:
    raise ConnectionResetError


@pytest.mark.parametrize("length", [0, 11, 4097, 65535])
async def test_a_question_of_impossible_length_ends_the_connection(tmp_path: Path, length: int) -> None:
    async with serving(tmp_path) as server:
        _, writer = await connect(server)
        writer.write(length.to_bytes(2, "big") + b"x")
        await until(lambda: server.statistics().tcp_connections == 0)
        writer.close()


async def test_a_full_house_closes_who_has_been_idle_longest(tmp_path: Path) -> None:
    async with serving(tmp_path, tcp_connections_max=3) as server:
        squatters = []
        for number in range(3):
            squatters.append(await connect(server))
            await until(lambda number=number: server.statistics().tcp_connections == number + 1)
        squatters[0][1].write(framed())
        await replies(squatters[0][0], 1)
        assert (await ask(server, NAME, tcp=True)).question
        await until(lambda: squatters[1][0].at_eof() or squatters[1][0].exception())
        assert not squatters[0][0].at_eof()
        assert squatters[0][0].exception() is None
        for _, writer in squatters:
            writer.close()


async def test_a_client_that_does_not_read_is_not_read_from(tmp_path: Path) -> None:
    """Its unsent answers stay bounded; then its time is over."""
    async with serving(tmp_path, tcp_idle_s=0.5) as server:
        _, writer = await connect(server)
        writer.transport.set_write_buffer_limits(high=1 << 30)
        writer.transport.pause_reading()
        writer.write(framed("nope.gtm.example.com") * 200_000)
        await until(lambda: server.statistics().tcp_connections == 0)
        assert sum(server.statistics().answers.values()) < 200_000
        writer.transport.abort()
