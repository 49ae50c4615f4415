"""Sockets and TLS: permissions, left-over sockets, client certificates, renewal without a restart."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from lbctl.api import application, tokens
from lbctl.api.call import World
from lbctl.api.server import Server
from lbctl.config.quantities import Endpoint
from lbctl.config.tree import ApiConfig, ServerTls
from tests.api.certificates import Authority
from tests.api.conftest import Running, scrape
from tests.api.fake import FakeController, HandClock


async def test_the_socket_is_for_owner_and_group_only(running: Running) -> None:
    assert running.socket.stat().st_mode & 0o777 == 0o660


async def test_a_second_controller_does_not_steal_the_socket(running: Running) -> None:
    settings = ApiConfig(socket=running.socket, listen=(), tls=None, tokens_file=None)
    second = Server(application.build(World(running.controller, running.clock), settings, scrape), settings, running.clock)
    with pytest.raises(OSError, match="in use"):
        await second.start()
    await second.stop()
    assert (await running.post("/services/core/release"))[0] == 200


async def test_a_socket_left_over_from_a_crash_is_taken_over(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "s"))
    settings = ApiConfig(socket=tmp_path / "s", listen=(), tls=None, tokens_file=None)
    server = Server(application.build(World(FakeController(), HandClock()), settings, scrape), settings, HandClock())
    await server.start()
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(tmp_path / "s"))) as session, session.get("http://lbctl/livez") as answer:
        assert answer.status == 200
    await server.stop()


async def test_what_is_not_http_is_refused_and_not_logged(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    """H54: a stranger cannot fill the log."""
    garbage = (b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\nX: \x00\r\n\r\n", b"nonsense\r\n\r\n", b"GET " + b"/" * 20_000 + b" HTTP/1.1\r\n\r\n")
    for sent in garbage:
        reader, writer = await asyncio.open_connection(*running.server.addresses[0])
        writer.write(sent)
        async with asyncio.timeout(20):
            answer = await reader.read()
        writer.close()
        assert answer.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400")), (sent, answer)
    assert caplog.records == []


class Tls:
    def __init__(self, directory: Path) -> None:
        self.authority = Authority(directory)
        cert, key = self.authority.issue("server")
        certificates = tokens.Tokens(certificates=[tokens.Certificate(name="prometheus", role=tokens.Role.VIEWER),
                                                   tokens.Certificate(name="olga", role=tokens.Role.OPERATOR)])
        tokens.save(directory / "tokens.yaml", certificates)
        settings = ApiConfig(
            socket=None, listen=(Endpoint("127.0.0.1", 0),), tokens_file=directory / "tokens.yaml",
            tls=ServerTls(Path(cert), Path(key), self.authority.file))
        self.controller = FakeController()
        self.server = Server(application.build(World(self.controller, HandClock()), settings, scrape), settings, HandClock())

    async def hold(self, *client: str) -> tuple[int, str]:
        """Status of a hold, and the serial number of the server's certificate."""
        context = ssl.create_default_context(cafile=str(self.authority.file))
        if client:
            context.load_cert_chain(*client)
        url = "https://{}:{}/api/v1/services/core/hold".format(*self.server.addresses[0])
        async with aiohttp.ClientSession() as session, session.post(url, json={"reason": "x"}, ssl=context) as answer:
            assert answer.connection is None or answer.connection.transport is not None
            return answer.status, await self.serial(context)

    async def serial(self, context: ssl.SSLContext) -> str:
        _, writer = await asyncio.open_connection(*self.server.addresses[0], ssl=context)
        found = str(writer.get_extra_info("peercert")["serialNumber"])
        writer.close()
        return found


@pytest.fixture
async def tls(tmp_path: Path) -> AsyncIterator[Tls]:
    found = Tls(tmp_path)
    await found.server.start()
    yield found
    async with asyncio.timeout(10):
        await found.server.stop()


async def test_a_client_certificate_is_somebody_with_a_role(tls: Tls) -> None:
    """H39: without one nobody, a viewer may not, an operator may; `by` is the certificate's name."""
    assert (await tls.hold())[0] == 401
    assert (await tls.hold(*tls.authority.issue("prometheus")))[0] == 403
    assert (await tls.hold(*tls.authority.issue("stranger")))[0] == 401
    assert (await tls.hold(*tls.authority.issue("olga")))[0] == 200
    assert [command.by for command in tls.controller.commands] == ["olga"]


async def test_a_foreign_authority_s_certificate_is_not_believed(tls: Tls, tmp_path: Path) -> None:
    foreign = Authority(tmp_path, "somebody else")
    with pytest.raises((aiohttp.ClientError, ssl.SSLError, ConnectionError)):
        await tls.hold(*foreign.issue("olga", file="forged"))
    assert tls.controller.commands == []


async def test_a_renewed_certificate_is_taken_without_a_restart(tls: Tls) -> None:
    client = tls.authority.issue("olga")
    _, before = await tls.hold(*client)
    files = tls.authority.issue("server")
    os.utime(files[0], ns=(1, 1))
    tls.server.reload_tls()
    _, after = await tls.hold(*client)
    assert before != after


async def test_a_pair_that_does_not_fit_keeps_the_old_certificate(tls: Tls) -> None:
    client = tls.authority.issue("olga")
    _, before = await tls.hold(*client)
    Path(tls.authority.issue("other")[0]).replace(tls.authority.directory / "server.crt")
    os.utime(tls.authority.directory / "server.crt", ns=(1, 1))
    tls.server.reload_tls()
    assert await tls.hold(*client) == (200, before)
