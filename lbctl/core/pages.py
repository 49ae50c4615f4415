"""The two status pages (G-PG), answered from the real role, and the ways in which they go wrong on purpose.

`Date` carries the Core's own clock, also on every other page: that is where a probe sees how far it is off.
"""

from __future__ import annotations

import asyncio
import contextlib
from email.utils import formatdate
from typing import Protocol

from aiohttp import web

from lbctl.clock import Clock
from lbctl.core.faults import Fault
from lbctl.core.state import Role
from lbctl.statuspage import HASTATUS_PATH, STATUS_PATH, render_hastatus, render_status

WRONG_TEXT = b"<html><body>MOBILEIRON-STATUS: OKAY</body></html>\n"
DRIP_S = 1.0


class Shown(Protocol):
    """What the pages need of a node. `awake` is set except while the node hangs."""

    clock: Clock
    fault: Fault
    awake: asyncio.Event

    @property
    def role(self) -> Role: ...


def application(node: Shown) -> web.Application:
    """A web application with the two pages; the portals add their own."""
    app = web.Application(client_max_size=1 << 20)

    async def status(request: web.Request) -> web.StreamResponse:
        ok = node.role.status_ok
        return await _answer(node, request, 200 if ok else 503, render_status(ok))

    async def hastatus(request: web.Request) -> web.StreamResponse:
        return await _answer(node, request, 200, render_hastatus(node.role.shown_mode))

    async def own_date(_: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = formatdate(node.clock.now(), usegmt=True)
        response.headers["Server"] = "Core"

    app.router.add_get(STATUS_PATH, status)
    app.router.add_get(HASTATUS_PATH, hastatus)
    app.on_response_prepare.append(own_date)
    return app


async def _answer(node: Shown, request: web.Request, code: int, body: bytes) -> web.StreamResponse:
    """The page, or what the fault makes of it."""
    await node.awake.wait()
    if node.fault is Fault.SLOW_DRIP:
        return await _drip(node, request, code, body)
    if node.fault is Fault.UNAVAILABLE:
        code, body = 503, render_status(False)
    elif node.fault is Fault.WRONG_TEXT:
        code, body = 200, WRONG_TEXT
    return web.Response(status=code, body=body, content_type="text/html", headers={"Cache-Control": "no-store"})


async def _drip(node: Shown, request: web.Request, code: int, body: bytes) -> web.StreamResponse:
    response = web.StreamResponse(status=code, headers={"Content-Type": "text/html", "Content-Length": str(len(body))})
    await response.prepare(request)
    with contextlib.suppress(ConnectionResetError):  # nobody waits for ever
        for byte in body:
            await response.write(bytes([byte]))
            await node.clock.sleep(DRIP_S)
    return response
