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


async def say(running: Running, sent: bytes) -> bytes:
    """What is answered until the server hangs up."""
    reader, writer = await asyncio.open_connection(*running.server.addresses[0])
    writer.write(sent)
    async with asyncio.timeout(30):
        answer = await reader.read()
    writer.close()
    return answer


async def test_what_is_not_http_is_refused_and_not_logged(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    """H54: a stranger cannot fill the log."""
    garbage = (b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\nX: \x00\r\n\r\n", b"nonsense\r\n\r\n", b"GET " + b"/" * 20_000 + b" HTTP/1.1\r\n\r\n")
    for sent, status in zip(garbage, (501, 400, 501, 414), strict=True):
        answer = await say(running, sent)
        assert answer.startswith(b"HTTP/1.0 %d" % status), (sent, answer)
    assert caplog.records == []


async def test_a_fault_of_our_own_is_a_problem_document_and_is_logged(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    """What has happened stands in the log, not in the answer."""
    running.controller.services = {"core": {}}
    async with running.local.get("/api/v1/services/core") as answer:
        problem = await answer.json(content_type="application/problem+json")
    assert (answer.status, problem["code"]) == (500, 1) and "revision" not in problem["detail"]
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [KeyError]


async def test_a_body_that_dribbles_is_given_up(running: Running) -> None:
    """A connection that is held open is one that others lack."""
    running.application.body_s = 0.1
    head = f"POST /api/v1/services/core/hold HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {running.texts['otto']}\r\n"
    answer = await say(running, f"{head}Content-Type: application/json\r\nContent-Length: 20\r\nConnection: close\r\n\r\n{{".encode())
    assert answer.startswith(b"HTTP/1.1 408") and b"problem+json" in answer


async def test_strangers_that_fill_the_port_do_not_keep_the_operator_on_the_host_out(running: Running) -> None:
    """H55: nor do they take the files that looks need."""
    unix, tcp = running.server.doors
    tcp.most = tcp.open + 2
    held = [await asyncio.open_connection(*running.server.addresses[0]) for _ in range(2)]
    assert await say(running, b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n") == b""
    assert (await running.post("/services/core/release"))[0] == 200
    held[0][1].close()
    async with asyncio.timeout(30):
        while tcp.open == tcp.most:
            await asyncio.sleep(0.01)
    assert (await say(running, b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")).startswith(b"HTTP/1.1 200")
    held[1][1].close()
    assert unix is not tcp


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
    await tls.server.reload_tls()
    _, after = await tls.hold(*client)
    assert before != after


async def test_a_pair_that_does_not_fit_keeps_the_old_certificate(tls: Tls) -> None:
    client = tls.authority.issue("olga")
    _, before = await tls.hold(*client)
    Path(tls.authority.issue("other")[0]).replace(tls.authority.directory / "server.crt")
    os.utime(tls.authority.directory / "server.crt", ns=(1, 1))
    await tls.server.reload_tls()
    assert await tls.hold(*client) == (200, before)


async def test_a_new_authority_of_clients_holds_without_a_restart_and_the_old_one_no_more(tls: Tls, tmp_path: Path) -> None:
    """H39: an authority that is replaced because its key leaked must not go on opening doors, and those with new certificates must get in."""
    old, address = tls.authority.issue("olga"), tls.server.addresses[0]
    assert (await tls.hold(*old))[0] == 200
    new = Authority(tmp_path, "the next authority")
    kept = tls.authority.file.read_bytes()
    tls.authority.file.write_bytes(new.file.read_bytes())
    os.utime(tls.authority.file, ns=(1, 1))
    await tls.server.reload_tls()
    tls.authority.file.write_bytes(kept)  # what the client believes is another matter
    assert (await tls.hold(*new.issue("olga", file="renewed")))[0] == 200
    with pytest.raises((aiohttp.ClientError, ssl.SSLError, ConnectionError)):
        await tls.hold(*old)
    assert tls.server.addresses[0] == address


async def test_a_connection_that_stands_outlives_a_new_certificate(tls: Tls) -> None:
    """Whoever follows the events is not cut off by a renewal."""
    context = ssl.create_default_context(cafile=str(tls.authority.file))
    context.load_cert_chain(*tls.authority.issue("olga"))
    async with aiohttp.ClientSession() as session:
        url = "https://{}:{}/api/v1/events/stream".format(*tls.server.addresses[0])
        async with session.get(url, ssl=context) as stream:
            assert await stream.content.readline() == b": lbctl\n"
            os.utime(tls.authority.issue("server")[0], ns=(1, 1))
            await tls.server.reload_tls()
            await tls.hold(*tls.authority.issue("olga", file="again"))
            assert not stream.content.at_eof()
