"""Somebody at the portal of a Core, with or without a browser's habits."""

from __future__ import annotations

import io
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from lbctl.core.node import Node
from tests.core import cores

PASSWORD = "correct horse"
FORM = {
    "enabled": "yes", "mode": "Secondary", "node_status": "Standby", "primary_host": "", "start_time": "02:00", "run_every": "90",
    "run_every_unit": "minutes", "heartbeat_interval": "60", "heartbeat_failures": "5", "recheck_interval": "30",
    "if_failure_detected": "keep-standby", "email": "",
}


def with_password(base: Path) -> dict[str, Any]:
    """Settings of a Core whose administrator has `PASSWORD`."""
    file = base / "password"
    file.write_text(PASSWORD)
    return {"admin": {"password_file": file}}


@dataclass(frozen=True)
class Answer:
    """What came back; redirects are not followed."""

    status: int
    text: str
    headers: Mapping[str, str]

    @property
    def location(self) -> str:
        return self.headers.get("Location", "")


class Visitor:
    """One cookie jar."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self._session = session
        self.base = base
        self.csrf = ""

    async def get(self, path: str) -> Answer:
        return await self._ask("GET", path)

    async def post(self, path: str, fields: Mapping[str, str], **headers: str) -> Answer:
        """A form as a page of ours would send it; `headers` have _ for -."""
        sent = {"csrf": self.csrf, **fields}
        return await self._ask("POST", path, data=sent, headers={name.replace("_", "-"): value for name, value in headers.items()})

    async def send(self, path: str, body: bytes, kind: str) -> Answer:
        """Anything."""
        return await self._ask("POST", path, data=io.BytesIO(body), headers={"Content-Type": kind})

    async def login(self, user: str = "admin", password: str = PASSWORD) -> Answer:
        answer = await self.post("/login", {"user": user, "password": password})
        if answer.status == 303:
            found = re.search(r'name="csrf" value="([^"]+)"', (await self.get("/ha")).text)
            assert found
            self.csrf = found[1]
        return answer

    async def _ask(self, method: str, path: str, **more: Any) -> Answer:
        async with self._session.request(method, self.base + path, allow_redirects=False, **more) as response:
            return Answer(response.status, await response.text(), dict(response.headers))


@asynccontextmanager
async def visiting(node: Node) -> AsyncIterator[Visitor]:
    """Somebody who is not logged in."""
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=str(node.certificates.ca)))
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield Visitor(session, f"https://127.0.0.1:{node.endpoints()['portal'].port}/mics")


@asynccontextmanager
async def standby(base: Path, **more: Any) -> AsyncIterator[tuple[Node, Visitor]]:
    """A Secondary and its administrator, logged in."""
    config = cores.settings(base, "core-b", ha={"enabled": True, "mode": "Secondary"}, **with_password(base), **more)
    async with cores.running(config) as node, visiting(node) as visitor:
        assert (await visitor.login()).status == 303
        yield node, visitor
