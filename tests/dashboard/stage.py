"""A stage for the page: the real files behind an API that says what a test wants, and a real Chromium in front of it."""

from __future__ import annotations

import asyncio
import copy
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from playwright.async_api import Browser, Page, async_playwright

from lbctl import dashboard
from tests.dashboard import shown

PATIENCE_MS = 60_000
ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-proxy-server", "--disable-background-networking"]


@dataclass
class Stage:
    """What the API says and what it was asked. `refusals` are (status, document) for the next writes."""

    url: str = ""
    services: list[dict[str, Any]] = field(default_factory=list)
    stories: dict[str, str] = field(default_factory=dict)
    journal: list[dict[str, Any]] = field(default_factory=list)
    asked: list[tuple[str, dict[str, Any], dict[str, str]]] = field(default_factory=list)
    refusals: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    token: str = ""
    role: str = "operator"
    looks: dict[str, dict[str, Any]] = field(default_factory=dict)
    upgrade: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(shown.UPGRADE))
    notices: dict[str, Any] = field(default_factory=lambda: {"ways": [], "waiting": 0, "deliveries": []})
    dead: bool = False
    streams: set[asyncio.Queue[dict[str, Any] | None]] = field(default_factory=set)

    def put(self, story: str, name: str = "core", **changes: Any) -> None:
        """Sets or replaces a service by one of the stories."""
        made = shown.checked({**shown.STORIES[story](name), **changes})
        self.services = [one for one in self.services if one["name"] != name] + [made]
        self.stories[name] = story

    def happen(self, kind: str, text: str, *, service: str = "core", by: str = "lbctl", **data: Any) -> None:
        """Writes a line into the journal and rings at every stream."""
        line = {
            "seq": len(self.journal) + 1000,
            "at": shown.at(),
            "service": service,
            "kind": kind,
            "text": text,
            "by": by,
            "epoch": 8,
            "revision": 50,
            "data": data,
        }
        self.journal.append(line)
        for queue in self.streams:
            queue.put_nowait(line)

    def drop(self) -> None:
        """Cuts every stream."""
        for queue in self.streams:
            queue.put_nowait(None)


@asynccontextmanager
async def stage() -> AsyncIterator[Stage]:
    made = Stage(journal=shown.events())
    app = web.Application()
    _mount(app, made)
    dashboard.register(app)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield made
    finally:
        made.drop()
        await runner.cleanup()


def _mount(app: web.Application, made: Stage) -> None:
    def one(request: web.Request) -> dict[str, Any]:
        return next((entry for entry in made.services if entry["name"] == request.match_info["name"]), {})

    def guard(request: web.Request) -> None:
        if made.dead:
            raise web.HTTPServiceUnavailable
        if made.token and request.headers.get("Authorization") != f"Bearer {made.token}":
            raise web.HTTPUnauthorized(text=json.dumps({"title": "who are you?", "detail": "this token is not known, or has expired", "status": 401}))

    async def services(request: web.Request) -> web.Response:
        guard(request)
        assert request.query["brief"] == "true"
        return web.json_response({"services": [shown.brief(entry) for entry in made.services]})

    async def service(request: web.Request) -> web.Response:
        guard(request)
        if not one(request):
            raise web.HTTPNotFound(text='{"title": "no such thing"}')
        return web.json_response(one(request))

    async def explain(request: web.Request) -> web.Response:
        guard(request)
        return web.json_response(shown.explained(one(request), made.stories[request.match_info["name"]]))

    async def whoami(request: web.Request) -> web.Response:
        guard(request)
        named = "Authorization" in request.headers or made.role == "admin"
        return web.json_response({"by": "alice", "role": made.role} if named else {"by": "local", "role": "viewer"})

    async def looks(request: web.Request) -> web.Response:
        guard(request)
        return web.json_response(shown.looks(one(request), made.looks))

    async def readiness(request: web.Request) -> web.Response:
        return web.json_response(shown.READINESS)

    async def notices(request: web.Request) -> web.Response:
        guard(request)
        return web.json_response(made.notices)

    async def upgrade(request: web.Request) -> web.Response:
        return web.json_response(made.upgrade)

    async def events(request: web.Request) -> web.Response:
        guard(request)
        service = request.query.get("service")
        # the night of `core` is everybody's: each story may be a service of its own
        return web.json_response({"events": [line for line in made.journal if line["service"] in (service, "core")], "next": None})

    async def write(request: web.Request) -> web.Response:
        body = await request.json()
        made.asked.append((request.path, body, dict(request.headers)))
        if made.refusals:
            status, document = made.refusals.pop(0)
            return web.json_response(document, status=status, content_type="application/problem+json")
        delivered = {"delivered": True, "deliveries": []} if request.path.endswith("/notify/test") else {}
        return web.json_response({"code": 0, "message": "done and verified", "evidence": {}, **delivered})

    async def stream(request: web.Request) -> web.StreamResponse:
        guard(request)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        made.streams.add(queue)  # before the page can call itself live
        try:
            await response.prepare(request)
            await response.write(b": lbctl\n\n")
            while (line := await queue.get()) is not None:
                await response.write(f"id: {line['seq']}\nevent: step\ndata: {json.dumps(line)}\n\n".encode())
        finally:
            made.streams.discard(queue)
        return response

    v1 = "/api/v1"
    app.router.add_get(f"{v1}/services", services)
    app.router.add_get(f"{v1}/services/{{name}}", service)
    app.router.add_get(f"{v1}/services/{{name}}/explain", explain)
    app.router.add_get(f"{v1}/services/{{name}}/readiness", readiness)
    app.router.add_get(f"{v1}/services/{{name}}/looks", looks)
    app.router.add_get(f"{v1}/whoami", whoami)
    app.router.add_get(f"{v1}/services/{{name}}/upgrade", upgrade)
    app.router.add_get(f"{v1}/notices", notices)
    app.router.add_get(f"{v1}/events", events)
    app.router.add_get(f"{v1}/events/stream", stream)
    app.router.add_post(f"{v1}/{{rest:.*}}", write)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    program = shutil.which("chromium")
    assert program, "apt-get install chromium"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def tab(browser: Browser, url: str, *, width: int = 1360, height: int = 900, scheme: str = "light", token: str = "",
              **more: Any) -> AsyncIterator[Page]:
    """A tab of its own; what the page complains of, or asks another host for, fails the test."""
    context = await browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, **more)  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE_MS)
    page = await context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "console", lambda message: wrong.append(message.text) if message.type == "error" and "Failed to load resource" not in message.text else None
    )
    origin = "/".join(url.split("/")[:3])
    page.on("request", lambda request: wrong.append(f"asks {request.url}") if not request.url.startswith(f"{origin}/") else None)
    if token:
        await page.add_init_script(f"sessionStorage.setItem('lbctl-token', {json.dumps(token)})")
    await page.goto(url)
    try:
        yield page
    except AssertionError as error:
        error.add_note(f"the page complained of: {wrong or 'nothing'}")
        raise
    finally:
        await context.close()
    assert not wrong, wrong
