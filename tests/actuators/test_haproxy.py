"""A real HAProxy between a client and two servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lbctl.actuators.haproxy import Haproxy, Settings
from lbctl.errors import ActuatorError, Superseded
from lbctl.model.decision import Desired
from tests.actuators import places
from tests.actuators.places import running_haproxy

pytestmark = pytest.mark.peer("haproxy")
A, B = ("192.0.2.10",), ("198.51.100.10",)


def desired(epoch: int, *members: str) -> Desired:
    addresses = {"a": A, "b": B}
    return Desired("core", epoch, members, {"": tuple(one for member in members for one in addresses[member])})


@asynccontextmanager
async def speaking(word: bytes) -> AsyncIterator[str]:
    """A server that says its word and keeps the connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(word)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield "{}:{}".format(*server.sockets[0].getsockname())
    finally:
        server.close()


def actuator(peer: places.Haproxy, memory: Path | None = None) -> Haproxy:
    return Haproxy(Settings(str(peer.socket), "cores", {"b": "srv-b"}), memory)


async def test_a_move_cuts_the_old_sessions_and_new_ones_go_to_the_new_server(tmp_path: Path) -> None:
    """SEMANTICS section 8: only one Core may take writes, so nobody stays on the old one."""
    async with speaking(b"a") as a, speaking(b"b") as b, running_haproxy(tmp_path, a, b) as peer, asyncio.timeout(places.PATIENCE_S):
        lb = actuator(peer)
        await lb.apply(desired(1, "a"))
        reader, writer = await asyncio.open_connection("127.0.0.1", peer.port)
        assert await reader.read(1) == b"a"
        await lb.apply(desired(2, "b"))
        assert await reader.read(1) == b""
        writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", peer.port)
        assert await reader.read(1) == b"b"
        writer.close()
        [place] = (await lb.read()).places
        assert (place.addresses, place.epoch) == (frozenset(B), 2)


async def test_every_healthy_member_of_a_pool_is_ready(tmp_path: Path) -> None:
    async with running_haproxy(tmp_path, "127.0.0.1:1", "127.0.0.1:2") as peer:
        lb = actuator(peer)
        await lb.apply(desired(1, "a", "b"))
        assert (await lb.read()).places[0].addresses == frozenset(A + B)
        await lb.apply(desired(2, "b"))
        assert (await lb.read()).places[0].addresses == frozenset(B)


async def test_two_controllers_see_one_another_in_haproxy_itself(tmp_path: Path) -> None:
    """H43: the second has no memory of the first."""
    async with running_haproxy(tmp_path, "127.0.0.1:1", "127.0.0.1:2") as peer:
        await actuator(peer).apply(desired(7, "b"))
        with pytest.raises(Superseded) as raised:
            await actuator(peer).apply(desired(6, "a"))
        assert raised.value.found_epoch == 7


async def test_what_somebody_else_sets_is_seen(tmp_path: Path) -> None:
    """H40: drift, by hand in HAProxy, and a restart of HAProxy, which forgets."""
    async with running_haproxy(tmp_path, "127.0.0.1:1", "127.0.0.1:2") as peer:
        lb = actuator(peer, tmp_path / "state.db")
        await lb.apply(desired(1, "a"))
        await peer.say("set server cores/a state drain")
        assert (await lb.read()).places[0].addresses == frozenset()
        await peer.say("set server cores/srv-b state ready")
        assert (await lb.read()).places[0].addresses == frozenset({"127.0.0.1"})
        again = actuator(peer, tmp_path / "state.db")
        await again.apply(desired(1, "a"))
        assert (await again.read()).places[0].addresses == frozenset(A)


@pytest.mark.parametrize(("settings", "reason"), [
    (Settings("{socket}", "nothing"), "backend"), (Settings("{socket}", "cores", {"a": "x"}), "server"),
    (Settings("{folder}/none", "cores"), "missing"), (Settings("127.0.0.1:1", "cores"), "refused"),
], ids=["backend", "server", "socket", "port"])
async def test_what_is_not_there_is_said(tmp_path: Path, settings: Settings, reason: str) -> None:
    async with running_haproxy(tmp_path, "127.0.0.1:1", "127.0.0.1:2") as peer:
        where = settings.socket.format(socket=peer.socket, folder=tmp_path)
        with pytest.raises(ActuatorError) as raised:
            await Haproxy(Settings(where, settings.backend, settings.servers), None).apply(desired(1, "a"))
        assert raised.value.reason == reason


@asynccontextmanager
async def recording(directory: Path, *serving: str) -> AsyncIterator[tuple[Path, list[str]]]:
    """A runtime socket of three servers, of which these serve; and what is set through it, in order."""
    said: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        command = (await reader.readline()).decode().strip()
        if command.startswith("show servers state"):
            rows = [f"{name} 192.0.2.{number} {0 if name in serving else 1}" for number, name in enumerate("abc")]
            writer.write("\n".join(["1", "# srv_name srv_addr srv_admin_state", *rows]).encode())
        elif command.startswith(("set server", "shutdown")):
            said.append(command)
        writer.close()

    server = await asyncio.start_unix_server(answer, directory / "runtime")
    try:
        yield directory / "runtime", said
    finally:
        server.close()


async def test_of_one_active_member_the_old_one_goes_first_with_its_sessions(tmp_path: Path) -> None:
    """SEMANTICS section 8: only one Core may take writes, so there is no moment with two."""
    async with recording(tmp_path, "a") as (socket, said):
        await Haproxy(Settings(str(socket), "cores"), None).apply(desired(1, "b"))
    assert said == ["set server cores/a state maint", "shutdown sessions server cores/a", "set server cores/b state ready"]


async def test_of_a_pool_the_new_ones_come_first(tmp_path: Path) -> None:
    """There is no moment without a server."""
    async with recording(tmp_path, "c") as (socket, said):
        await Haproxy(Settings(str(socket), "cores"), None).apply(desired(1, "a", "b"))
    assert said == ["set server cores/a state ready", "set server cores/b state ready", "set server cores/c state maint",
                    "shutdown sessions server cores/c"]
