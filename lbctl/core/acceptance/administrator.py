"""An administrator with a browser and a terminal: portals over HTTPS with the certificate verified, forms as they are on the page, SSH.

Nothing here knows a Core from inside. A form is sent back with the fields that the page holds, changed where the administrator changes one.
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import aiohttp

from lbctl.core.client import Login, run

PORTAL = "/mics"
DEVICES = re.compile(r'id="device-count">([\d,]+)<')
PAGE_BYTES_MAX = 4 << 20
TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where one Core answers, and the key that its SSH shows."""

    host: str
    https: int
    portal: int
    ssh: int
    host_key: str


@dataclass(slots=True)
class Page:
    """What a page shows: its visible text in one line, and the fields of its forms."""

    status: int
    text: str = ""
    fields: dict[str, str] = field(default_factory=dict)


class Administrator:
    """Logged in to the portals of one Core as a local user. Use as a context."""

    def __init__(self, place: Place, user: str, password: str, ca: Path) -> None:
        self.place = place
        self._user = user
        self._password = password
        connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=str(ca)))
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.CookieJar(unsafe=True), timeout=timeout)

    async def close(self) -> None:
        await self._session.close()

    async def log_in(self) -> Page:
        """To the System Manager Portal."""
        return await self._portal("POST", "/login", {"user": self._user, "password": self._password})

    async def see(self, path: str) -> Page:
        """A page of the System Manager Portal."""
        return await self._portal("GET", path, None)

    async def click(self, path: str, action: str, **changes: str) -> Page:
        """Fills in the form of that page as it is, changes some fields, and presses the button."""
        page = await self.see(path)
        return await self._portal("POST", path, {**page.fields, **changes, "action": action})

    async def status_page(self, path: str) -> tuple[int, str]:
        """A page of port 443 as a load balancer sees it."""
        async with self._session.get(self._url(self.place.https, path)) as response:
            return response.status, (await response.content.read(PAGE_BYTES_MAX)).decode().strip()

    async def device_count(self) -> int | None:
        """What the Admin Portal says after logging on; None where it does not answer, as without tomcat."""
        login = {"Authorization": aiohttp.encode_basic_auth(self._user, self._password)}
        async with self._session.get(self._url(self.place.https, "/mifs/admin"), headers=login) as response:
            found = DEVICES.search(await response.text())
            return int(found[1].replace(",", "")) if response.status == 200 and found else None

    async def type(self, line: str) -> tuple[int, str]:
        """A line on the command line over SSH: exit code and output."""
        lines: list[str] = []
        login = Login(self.place.host, self.place.ssh, self._user, self._password, host_key=self.place.host_key)
        code = await run(login, line, lines.append, timeout_s=TIMEOUT_S)
        return code, "\n".join(lines)

    async def _portal(self, method: str, path: str, form: dict[str, str] | None) -> Page:
        async with self._session.request(method, self._url(self.place.portal, PORTAL + path), data=form) as response:
            reader = _Reader(response.status)
            reader.feed((await response.content.read(PAGE_BYTES_MAX)).decode())
            return reader.page

    def _url(self, port: int, path: str) -> str:
        return f"https://{self.place.host}:{port}{path}"


class _Reader(HTMLParser):
    """Text and form fields of a page, as a browser would send them back."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.page = Page(status)
        self._select = ""
        self._textarea = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        name = given.get("name", "")
        if tag == "select":
            self._select = name
        elif tag == "textarea":
            self._textarea = name or given.get("id", "")
        elif tag == "option" and self._select and ("selected" in given or self._select not in self.page.fields):
            self.page.fields[self._select] = given.get("value", "")
        elif tag == "input" and name and (given.get("type") not in ("radio", "checkbox") or "checked" in given):
            self.page.fields[name] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""
        elif tag == "textarea":
            self._textarea = ""

    def handle_data(self, data: str) -> None:
        if self._textarea:
            self.page.fields[self._textarea] = self.page.fields.get(self._textarea, "") + data
        elif data.strip():
            self.page.text += " " + " ".join(data.split())
