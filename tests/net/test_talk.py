"""The line between a controller and an agent: whatever one question or one answer is like, it does no harm to the others."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from lbctl.errors import ActuatorError
from lbctl.net.talk import OPEN_MAX, Listener, Peer
from lbctl.net.trust import Caller, Trust
from tests.agent.stage import Authority

PATIENCE_S = 20.0
no_object = pytest.mark.parametrize("said", [b"[" * 9000, b"[1]", b'"x"', b"null", b"", b"\xff", b"x" * 20_000],
                                    ids=["deep", "a list", "a text", "null", "nothing", "no text", "too long"])


class Agent:
    """Answers a question after `held` is set where the question asks for that, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.held = asyncio.Event()

    async def answer(self, who: Caller, question: Mapping[str, Any]) -> dict[str, Any]:
        self.asked.append(question["number"])
        if question.get("slow"):
            await self.held.wait()
        return {"number": question["number"]}


@pytest_asyncio.fixture
async def ends(tmp_path: Path) -> AsyncIterator[tuple[Agent, Peer]]:
    agent, authority = Agent(), Authority(tmp_path)
    listener = Listener(agent.answer, Trust(authority.files("agent", "127.0.0.1")))
    port = await listener.start("127.0.0.1", 0)
    peer = Peer("127.0.0.1", port, Trust(authority.files("controller")), PATIENCE_S)
    yield agent, peer
    peer.close()
    await listener.close()


async def test_a_question_that_waited_in_vain_for_its_turn_does_not_end_the_one_under_way(ends: tuple[Agent, Peer]) -> None:
    agent, peer = ends
    first = asyncio.create_task(peer.ask({"number": 1, "slow": True}))
    async with asyncio.timeout(PATIENCE_S):
        while not agent.asked:
            await asyncio.sleep(0.01)
    with pytest.raises(ActuatorError) as raised:
        await peer.ask({"number": 2}, 0.05)
    assert raised.value.reason == "timeout"
    agent.held.set()
    assert await first == {"number": 1}
    assert agent.asked == [1], "the question under way was cut and asked again"


async def test_a_question_that_was_given_up_leaves_no_answer_for_the_next(ends: tuple[Agent, Peer]) -> None:
    agent, peer = ends
    with pytest.raises(ActuatorError):
        await peer.ask({"number": 1, "slow": True}, 0.2)
    agent.held.set()
    assert await peer.ask({"number": 2}) == {"number": 2}


@no_object
async def test_an_answer_that_is_no_object_is_malformed(tmp_path: Path, said: bytes) -> None:
    """An error with a reason, and the next question goes on a new line."""
    authority, lines = Authority(tmp_path), [said, b"{}"]

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for _ in reader:
            writer.write(lines.pop(0) + b"\n")
        writer.close()

    strange = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=Trust(authority.files("agent", "127.0.0.1")).server())
    peer = Peer("127.0.0.1", strange.sockets[0].getsockname()[1], Trust(authority.files("controller")), PATIENCE_S)
    with pytest.raises(ActuatorError) as raised:
        await peer.ask({})
    assert raised.value.reason == "malformed"
    assert await peer.ask({}) == {}
    peer.close()
    strange.close()


@no_object
async def test_a_question_that_is_none_ends_its_connection_and_no_other(tmp_path: Path, said: bytes) -> None:
    agent, authority = Agent(), Authority(tmp_path)
    listener = Listener(agent.answer, Trust(authority.files("agent", "127.0.0.1")))
    port = await listener.start("127.0.0.1", 0)
    trust = Trust(authority.files("controller"))
    peer = Peer("127.0.0.1", port, trust, PATIENCE_S)
    assert await peer.ask({"number": 1}) == {"number": 1}
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust.client(), server_hostname="127.0.0.1")
    writer.write(said + b"\n")
    async with asyncio.timeout(PATIENCE_S):
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
    writer.transport.abort()
    assert await peer.ask({"number": 2}) == {"number": 2}
    assert agent.asked == [1, 2]
    peer.close()
    await listener.close()


async def test_strangers_hold_no_connection_and_a_peer_that_forgets_to_close_takes_no_more_than_its_share(ends: tuple[Agent, Peer]) -> None:
    """Whoever says nothing is let go within seconds; one connection too many is closed, and those that are open go on."""
    _, peer = ends
    host, port = peer.name.split(":")
    assert await peer.ask({"number": 1}) == {"number": 1}
    silent, mute = await asyncio.open_connection(host, int(port))
    lines = [await asyncio.open_connection(host, int(port), ssl=peer._trust.client(), server_hostname=host) for _ in range(OPEN_MAX)]
    async with asyncio.timeout(PATIENCE_S):
        assert await silent.read() == b""
        assert await _ended(lines[-1][0])
    assert await peer.ask({"number": 2}) == {"number": 2}
    for writer in (mute, *(writer for _, writer in lines)):
        writer.transport.abort()
    for number in range(3, 9):  # they are gone, and there is room again
        assert await peer.ask({"number": number}) == {"number": number}


async def _ended(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read() == b""
    except ConnectionResetError:
        return True
