"""The real server on a Unix socket and a loopback port over a controller made by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from lbctl.api import application, tokens
from lbctl.api.call import World
from lbctl.api.server import Server
from lbctl.config.quantities import Endpoint
from lbctl.config.tree import ApiConfig
from tests.api.fake import AT, FakeAdministration, FakeController, HandClock


@dataclass
class Running:
    controller: FakeController
    clock: HandClock
    server: Server
    application: application.Application
    socket: Path
    tokens_file: Path
    local: aiohttp.ClientSession
    tcp: aiohttp.ClientSession
    texts: dict[str, str]

    @property
    def url(self) -> str:
        host, port = self.server.addresses[0]
        return f"http://{host}:{port}"

    def bearer(self, name: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.texts[name]}"}

    async def post(self, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        async with self.local.post(f"/api/v1{path}", json={} if body is None else body, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)


def make_tokens(path: Path, *, expires: bool = True) -> dict[str, str]:
    """One token of each role, and one that has expired by the tests' clock; by name."""
    texts: dict[str, str] = {}
    file = tokens.Tokens()
    wanted = [("vera", "viewer", None), ("otto", "operator", None), ("anna", "admin", None), ("old", "admin", -1.0)]
    for name, role, lifetime in wanted[: 4 if expires else 3]:
        token, texts[name] = tokens.create(name, tokens.Role[role.upper()], now=AT, lifetime_s=lifetime)
        file.tokens.append(token)
    tokens.save(path, file)
    return texts


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    controller, clock = FakeController(), HandClock()
    texts = make_tokens(tmp_path / "tokens.yaml")
    listen = (Endpoint("127.0.0.1", 0),)
    settings = ApiConfig(socket=tmp_path / "s", listen=listen, tls=None, tokens_file=tmp_path / "tokens.yaml")
    app = application.build(World(controller, clock, FakeAdministration()), settings, scrape)
    server = Server(app, settings, clock)
    await server.start()
    async with (
        aiohttp.ClientSession("http://lbctl", connector=aiohttp.UnixConnector(str(tmp_path / "s"))) as local,
        aiohttp.ClientSession("http://{}:{}".format(*server.addresses[0])) as tcp,
    ):
        yield Running(controller, clock, server, app, tmp_path / "s", tmp_path / "tokens.yaml", local, tcp, texts)
    async with asyncio.timeout(10):
        await server.stop()


async def scrape() -> bytes:
    return b"lbctl_up 1\n"
