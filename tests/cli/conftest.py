"""The real command line against the real server over its Unix socket; the controller behind it is made by hand."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from lbctl.api import application
from lbctl.api.call import World
from lbctl.api.server import Server
from lbctl.cli.root import cli
from lbctl.clock import SystemClock
from lbctl.config.quantities import Endpoint
from lbctl.config.tree import ApiConfig
from tests.api.conftest import make_tokens, scrape
from tests.api.fake import FakeAdministration, FakeController


@dataclass
class Terminal:
    """What an operator has: a socket to talk to, and `lbctl` to type."""

    controller: FakeController
    administration: FakeAdministration
    socket: Path
    url: str
    directory: Path
    texts: dict[str, str]

    def type(self, *words: str, env: dict[str, str] | None = None) -> Result:
        clean = {"LBCTL_API": f"unix:{self.socket}", "LBCTL_CONFIG": None, "LBCTL_TOKEN": None, "LBCTL_TOKEN_FILE": None}
        runner = CliRunner(env={**clean, **(env or {})})
        return runner.invoke(cli, list(words), prog_name="lbctl", catch_exceptions=False)

    def json(self, *words: str) -> Any:
        return json.loads(self.type("-o", "json", *words).stdout)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    loop = asyncio.new_event_loop()
    texts = make_tokens(tmp_path / "tokens.yaml", expires=False)
    administration = FakeAdministration()
    controller, server = loop.run_until_complete(_start(tmp_path, administration))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield Terminal(controller, administration, tmp_path / "s", "http://{}:{}".format(*server.addresses[0]), tmp_path, texts)
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result(20)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


async def _start(directory: Path, administration: FakeAdministration) -> tuple[FakeController, Server]:
    listen = (Endpoint("127.0.0.1", 0),)
    settings = ApiConfig(socket=directory / "s", listen=listen, tls=None, tokens_file=directory / "tokens.yaml")
    controller = FakeController()
    server = Server(application.build(World(controller, SystemClock(), administration), settings, scrape), settings, SystemClock())
    await server.start()
    return controller, server
