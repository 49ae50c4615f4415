"""What runs in tomcat on port 443: devices that register and check in, and the Admin Portal's device count (G-TP task 3).

tomcat stopped: everything here answers 503, as behind the appliance's proxy. New devices are taken only by an active Core whose client
connections are enabled; devices that are known already check in as long as it is active (`failover client-connection disable` "prevents
*new* device connections"). On a standby whose tomcat was started by hand an administrator can look, and nothing is written.
"""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from lbctl.core.base import Core
from lbctl.core.portal.admin import COUNTED, admin_page
from lbctl.core.portal.guard import HEADERS
from lbctl.core.portal.static import static

ADMIN_PATH = "/mifs/admin"
COUNT_PATH = "/mifs/admin/devices/count"
ENROLL_PATH = "/mifs/enroll"
CHECK_IN_PATH = "/mifs/check-in"
TEXT_MAX = 200

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def add_clients(app: web.Application, core: Core) -> None:
    """Adds the routes to the application of port 443."""

    async def enroll(request: web.Request) -> web.StreamResponse:
        if not core.role.writable:
            return _refused("new device connections are not accepted")
        fields = await _fields(request)
        now = int(core.clock.now())
        row = {"uuid": fields["uuid"], "platform": fields.get("platform", ""), "status": "active", "registered": now, "last_check_in": now}
        try:
            await core.replication.database.insert("devices", [row])
        except sqlite3.IntegrityError:
            return web.json_response({"error": "that device is registered already"}, status=409)
        return web.json_response({"uuid": fields["uuid"]}, status=201)

    async def check_in(request: web.Request) -> web.StreamResponse:
        if core.role.standby:
            return _refused("this Core is on standby")
        found = await core.replication.database.select("devices", {"uuid": (await _fields(request))["uuid"]}, limit=1)
        if not found:
            return web.json_response({"error": "unknown device"}, status=404)
        await core.replication.database.update("devices", int(str(found[0]["id"])), {"last_check_in": int(core.clock.now())})
        return web.json_response({"uuid": found[0]["uuid"]})

    async def count(_: web.Request) -> web.StreamResponse:
        return web.json_response({"devices": await core.replication.database.count("devices")})

    async def admin(_: web.Request) -> web.StreamResponse:
        counts = {table: await core.replication.database.count(table) for table in COUNTED}
        text = admin_page(core.settings.name, core.settings.version, core.role.mode, core.role.state, counts, core.clock.now())
        return web.Response(text=text, content_type="text/html", headers=HEADERS)

    app.router.add_post(ENROLL_PATH, _in_tomcat(core, enroll))
    app.router.add_post(CHECK_IN_PATH, _in_tomcat(core, check_in))
    app.router.add_get(COUNT_PATH, _in_tomcat(core, _logged_in(core, count)))
    app.router.add_get("/mifs/static/{name}", _in_tomcat(core, static))
    app.router.add_get(ADMIN_PATH, _in_tomcat(core, _logged_in(core, admin)))


def _in_tomcat(core: Core, handler: Handler) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        return await handler(request) if core.role.tomcat else _refused("tomcat is not running")

    return answer


def _logged_in(core: Core, handler: Handler) -> Handler:
    """HTTP Basic, over TLS, with a local user of the System Manager."""

    async def answer(request: web.Request) -> web.StreamResponse:
        name, password = _credentials(request.headers.get("Authorization", ""))
        if name and await core.users.verify(name, password):
            return await handler(request)
        return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="Core"'}, text="Log in\n")

    return answer


def _credentials(header: str) -> tuple[str, str]:
    """Name and password of a Basic header; empty where it is none."""
    kind, _, packed = header.partition(" ")
    try:
        name, colon, password = base64.b64decode(packed, validate=True).decode().partition(":")
    except ValueError:  # not base64, or not a text in it
        return "", ""
    return (name, password) if kind.lower() == "basic" and colon else ("", "")


async def _fields(request: web.Request) -> dict[str, str]:
    """The request's JSON object of short texts, with a `uuid`. Raises HTTP 400."""
    try:
        fields: Any = await request.json()
    except (ValueError, RecursionError):
        raise web.HTTPBadRequest(text="not JSON\n") from None
    if not isinstance(fields, dict) or not all(isinstance(value, str) and len(value) <= TEXT_MAX for value in fields.values()):
        raise web.HTTPBadRequest(text="expected an object of short texts\n")
    if not fields.get("uuid"):
        raise web.HTTPBadRequest(text="a device has a uuid\n")
    return fields


def _refused(why: str) -> web.Response:
    return web.json_response({"error": why}, status=503)
