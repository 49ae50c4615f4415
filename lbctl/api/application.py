"""The application: the table of routes behind one door.

Order of every request: who is asking → may they → is it well-formed → the handler. Every error leaves as a problem document. The same
application serves the Unix socket and TCP; only who somebody is differs (`auth`).
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace

import structlog
from aiohttp import web

from lbctl.api import call, openapi, writes
from lbctl.api.auth import Doorkeeper, Principal, require
from lbctl.api.call import Answered, Call, Route, World
from lbctl.api.idempotency import KEY_MAX, Kept, Memory
from lbctl.api.problems import SECURITY, Refusal, from_http
from lbctl.api.routes import ROUTES, V1
from lbctl.api.stream import Streams
from lbctl.api.tokens import Role, TokenFile
from lbctl.config.tree import ApiConfig
from lbctl.errors import LbctlError
from lbctl.model.decision import Step

BODY_MAX = 64 * 1024
PLAN_MAX = 8 * 1024 * 1024
BODY_S = 20.0
"""How long a body may take to arrive: a connection that is held open by dribbling is one that others lack."""

log = structlog.get_logger()
_Next = Callable[[web.Request], Awaitable[web.StreamResponse]]
Scrape = Callable[[], Awaitable[bytes]]
"""Renders /metrics (`metrics.Metrics.render`)."""
PRINCIPAL = web.RequestKey("principal", Principal)
"""Who is asking, for routes that others mount (`extra`)."""


class Application:
    """All routes over one controller; `web` is the aiohttp application, `guarded` puts somebody else's handler (the page's) behind the same door.

    `body_s` is how long a body may take to arrive.
    """

    def __init__(self, world: World, doorkeeper: Doorkeeper, metrics: Scrape) -> None:
        self._world = world
        self._doorkeeper = doorkeeper
        self._metrics = metrics
        self._memory = Memory(world.controller, world.clock)
        self.body_s = BODY_S
        self.streams = Streams(world.controller)
        self._document = json.dumps(openapi.document(ROUTES)).encode()
        self.web = web.Application(middlewares=[self._problems], client_max_size=PLAN_MAX)
        self._mount()

    def _mount(self) -> None:
        router = self.web.router
        for route in ROUTES:
            resource = router.add_resource(route.path)
            resource.add_route(route.method, self._handle(route))
            if route.method == "GET":
                resource.add_route("HEAD", self._handle(route))
        for path, handler in ((f"{V1}/events/stream", self.streams.serve), ("/openapi.json", self._openapi), ("/metrics", self._scrape)):
            router.add_get(path, self.guarded(handler))

    def guarded(self, handler: _Next, role: Role = Role.VIEWER) -> _Next:
        """Anybody else's handler behind the same door."""
        async def guarded(request: web.Request) -> web.StreamResponse:
            request[PRINCIPAL] = self._doorkeeper.principal(request)
            require(request[PRINCIPAL], role)
            return await handler(request)
        return guarded

    @web.middleware
    async def _problems(self, request: web.Request, handler: _Next) -> web.StreamResponse:
        try:
            response = await handler(request)
        except Refusal as refusal:
            response = refusal.response()
        except web.HTTPException as error:
            response = from_http(error).response() if error.status >= 400 else error
        except LbctlError as error:
            log.error("request failed", path=request.path, error=str(error))
            response = Refusal(503, str(error)).response()
        if not response.prepared:
            for name, value in SECURITY.items():
                response.headers.setdefault(name, value)
        return response

    def _handle(self, route: Route) -> _Next:
        async def handle(request: web.Request) -> web.StreamResponse:
            principal = self._admit(request, route)
            if route.body is None:
                query = call.typed(route.query, lambda model: model.model_validate(_query(request))) if route.query else None
                return _respond(await route.handler(Call(self._world, principal, request.match_info, query)))
            return await self._write(request, route, principal)
        return handle

    def _admit(self, request: web.Request, route: Route) -> Principal:
        if route.role is None:
            return Principal("anybody", Role.VIEWER)
        principal = self._doorkeeper.principal(request)
        require(principal, route.role)
        return principal

    async def _write(self, request: web.Request, route: Route, principal: Principal) -> web.StreamResponse:
        assert route.body is not None
        raw = await _body(request, PLAN_MAX if route.name == "plan" else BODY_MAX, self.body_s)
        body = call.typed(route.body, lambda model: model.model_validate_json(raw or b"{}"))
        asked = Call(self._world, principal, request.match_info, None, body, call.revision(request.headers.get("If-Match")))

        key = _key(request)
        if not key:
            return (await _kept(route, asked)).response()

        async def act(ident: str) -> Kept:
            return await _kept(route, replace(asked, key=ident))

        same = f"{request.path} {asked.revision} {raw.hex()}"
        return (await self._memory.once(principal.by, key, same, act, lambda step: _told(asked, step))).response()

    async def _openapi(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._document, content_type="application/json")

    async def _scrape(self, _request: web.Request) -> web.Response:
        return web.Response(body=await self._metrics(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


async def _kept(route: Route, asked: Call) -> Kept:
    """The answer, errors included: a refused command is an answer as well, and a retry must not be judged anew."""
    try:
        return _plain(_respond(await route.handler(asked)))
    except Refusal as refusal:
        return _plain(refusal.response())


def _told(asked: Call, step: Step) -> Kept:
    """What the journal says was decided, to whoever did not live to hear it. What is published since, the service as it stands now shows."""
    try:
        return _plain(_respond(writes.told(asked, step)))
    except Refusal as refusal:
        return _plain(refusal.response())


def _plain(response: web.Response) -> Kept:
    body = response.body
    assert isinstance(body, bytes)
    headers = tuple((name, value) for name, value in response.headers.items() if name in ("ETag", "Retry-After"))
    return Kept(response.status, body, response.content_type, headers)


def _respond(answered: Answered) -> web.Response:
    if answered.text is not None:
        return web.Response(text=answered.text, status=answered.status, headers=answered.headers)
    body = answered.raw if answered.raw is not None else json.dumps(answered.body, default=str).encode()
    return web.Response(body=body, status=answered.status, content_type="application/json", headers=answered.headers)


async def _body(request: web.Request, most: int, within_s: float) -> bytes:
    """415 for anything but plain JSON: a form from a foreign page cannot send that, and a few packed bytes may unpack to gigabytes.

    413 beyond `most` bytes, 408 after `within_s`, 400 where the body breaks its own framing (RFC 9112 section 7).
    """
    if request.content_type != "application/json":
        raise Refusal(415, "send the body as application/json")
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise Refusal(415, "send the body as it is, without a Content-Encoding", headers={"Accept-Encoding": "identity"})
    if (request.content_length or 0) > most:
        raise Refusal(413, f"at most {most} bytes")
    try:
        async with asyncio.timeout(within_s):
            return await _read(request, most)
    except web.RequestPayloadError:
        raise Refusal(400, "the body is not what its headers announce") from None
    except TimeoutError:
        raise Refusal(408, f"the body did not arrive within {within_s:g} s") from None


async def _read(request: web.Request, most: int) -> bytes:
    raw = bytearray()
    async for chunk in request.content.iter_chunked(65536):
        raw += chunk
        if len(raw) > most:
            raise Refusal(413, f"at most {most} bytes")
    return bytes(raw)


def _key(request: web.Request) -> str:
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return ""
    if not 0 < len(key) <= KEY_MAX or any(not "!" <= char <= "~" for char in key):
        raise Refusal(400, f"Idempotency-Key takes 1 to {KEY_MAX} printable characters")
    return key


def _query(request: web.Request) -> dict[str, object]:
    """A parameter given twice is a mistake: which of them was meant?"""
    found: dict[str, object] = {}
    for name, value in request.query.items():
        if name in found:
            raise Refusal(422, f"{name}: given twice")
        found[name] = value
    return found


def build(world: World, settings: ApiConfig, metrics: Scrape) -> Application:
    """The application for these settings."""
    tokens = TokenFile(settings.tokens_file)
    return Application(world, Doorkeeper(tokens, world.clock, host_names=frozenset({socket.gethostname().lower()})), metrics)
