"""A whole lbctl over two pages that say what a test wants: page, API, metrics and notices as users have them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from lbctl.api import tokens
from lbctl.api.tokens import Certificate, Role, Tokens
from lbctl.app import App
from lbctl.clock import SystemClock
from lbctl.config import read
from tests.controller.pages import Pages

FILE = """
controller: {{name: test, state: {path}/state.db}}
api: {{socket: null, listen: ["127.0.0.1:{port}"], tokens_file: {path}/tokens.yaml{tls}}}
authoritative:
  listen: [127.0.0.1:0]
  zones: {{gtm.example.com: {{ns: {{ns1.gtm.example.com: [192.0.2.1]}}}}}}
{more}
services:
  core:
    probe: {{profile: standard, interval: 500ms, fast_interval: 50ms, timeout: 500ms, fall: 2, min_outage: 0s}}
    members:
      - {{name: core-a, role: primary, address: 192.0.2.10, url: "{a}"}}
      - {{name: core-b, role: secondary, address: 198.51.100.10, url: "{b}", syncs_from: core-a}}
    actuators:
      - authoritative: {{name: core.gtm.example.com, ttl: 30}}
"""


@dataclass
class Real:
    """`a` is the primary, `b` the standby; `token` an operator's."""

    app: App
    a: Pages
    b: Pages
    url: str
    token: str
    path: Path
    tls: str = ""
    more: str = ""

    def seen(self) -> dict[str, Any]:
        return dict(self.app.controller.service("core"))

    def write(self, port: int = 0) -> None:
        text = FILE.format(path=self.path, a=self.a.url, b=self.b.url, port=port, tls=self.tls, more=self.more)
        (self.path / "lbctl.yaml").write_text(text)

    async def start(self) -> None:
        """A controller on what the file says, and where its page is."""
        self.app = App(read(self.path / "lbctl.yaml"))
        await self.app.start()
        assert self.app.api is not None, "a started app has its API"
        host, port = self.app.api.addresses[0]
        self.url = f"{'https' if self.tls else 'http'}://{host}:{port}"

    async def restart(self, away: Callable[[], Awaitable[object]]) -> None:
        """Gone until `away` has returned; then back at the same address."""
        await self.app.stop()
        await away()
        self.write(int(self.url.rsplit(":", 1)[1]))
        await self.start()

    async def until(self, holds: Callable[[dict[str, Any]], object], what: str, timeout_s: float = 60.0) -> None:
        """Polls the service; a slow machine only makes it later."""
        try:
            async with asyncio.timeout(timeout_s):
                while not holds(self.seen()):
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"never happened: {what}; {self.seen()}") from None


@asynccontextmanager
async def real(path: Path, more: str = "", *, tls: str = "", certificates: Sequence[Certificate] = ()) -> AsyncIterator[Real]:
    """Started and `normal`. `tls`: more of the `api:` block; `certificates`: who may come with one."""
    a, b = await Pages("Primary").start(), await Pages("Standby").start()
    made, text = tokens.create("alice", Role.OPERATOR, now=SystemClock().now())
    tokens.save(path / "tokens.yaml", Tokens(tokens=[made], certificates=list(certificates)))
    it = Real(cast("App", None), a, b, "", text, path, tls, more)
    it.write()
    await it.start()
    try:
        await it.until(lambda seen: seen["state"] == "normal", "the first rounds")
        yield it
    finally:
        await it.app.stop()
        await a.stop()
        await b.stop()
