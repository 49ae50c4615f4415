"""Who may see and do what in the portal: login, session cookie, the token in every form, and the headers of every answer.

A page behind the login is a function of a `Visit`; it is only called for somebody who is logged in and still a local user. For a POST the form
must carry the session's token, and a browser that says where the form came from must say "from here". Nothing is loaded from another host.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from lbctl.core.base import Core
from lbctl.core.logbook import SYSTEM
from lbctl.core.portal import views
from lbctl.core.portal.frame import ROOT, Header, page
from lbctl.core.portal.markup import Child
from lbctl.core.portal.sessions import Session, Sessions, Throttle

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
FIELD_CHARS_MAX = 10_000
NAME_CHARS_MAX = 100
ADDRESS_WAIT_MAX_S = 300.0
USER_WAIT_MAX_S = 10.0
"""Short, so that somebody else's guesses never keep an administrator out for long."""

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody who is logged in, and what they sent: the form of a POST, the query of a GET."""

    session: Session
    fields: Mapping[str, str]

    @property
    def cause(self) -> str:
        """Who did it, for the log."""
        return f"portal: {self.session.user}"

    def note(self, kind: str, words: str) -> None:
        """Something to say at the top of the next page: `good`, `bad` or `info`."""
        self.session.notes.append((kind, words))


Room = Callable[[Visit], Awaitable[web.StreamResponse]]


class Guard:
    """The door of one Core's portal."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._sessions = Sessions()
        self._from_address = Throttle(ADDRESS_WAIT_MAX_S)
        self._for_user = Throttle(USER_WAIT_MAX_S)
        self._cookie = f"__Host-mics-{core.settings.name}"  # two Cores on one machine share a host name, and with it a cookie jar

    def inside(self, room: Room, *, alone: bool = False) -> Answer:
        """A page behind the login. `alone`: the browser asks by itself, which does not keep a session alive."""

        async def answer(request: web.Request) -> web.StreamResponse:
            session = self._sessions.find(request.cookies.get(self._cookie, ""), self._core.clock.now(), touch=not alone)
            if session is None or not await self._core.users.exists(session.user):
                return go("/login")
            fields = await _sent(request)
            if request.method == "POST" and not (_from_here(request) and session.owns(fields.get("csrf", ""))):
                raise web.HTTPForbidden(text="This form is not of your session: go back, reload the page and try again.\n")
            return await room(Visit(session, fields))

        return answer

    async def show_login(self, _: web.Request) -> web.StreamResponse:
        """The login page."""
        return self._login_page("", "", 200)

    async def login(self, request: web.Request) -> web.StreamResponse:
        """Opens a session for the right password."""
        fields, now = await _sent(request), self._core.clock.now()
        user = fields.get("user", "")[:NAME_CHARS_MAX]
        throttles = ((self._from_address, str(request.remote)), (self._for_user, user))
        if not _from_here(request):
            raise web.HTTPForbidden(text="The form came from another site.\n")
        wait_s = max(throttle.wait_s(key, now) for throttle, key in throttles)
        if wait_s > 0:
            seconds = math.ceil(wait_s)
            return self._login_page(user, f"Too many attempts. Try again in {seconds} seconds.", 429, {"Retry-After": str(seconds)})
        for throttle, key in throttles:
            throttle.failed(key, now)  # counted before the password is looked at: guesses sent at once are guesses too
        if not await self._core.users.verify(user, fields.get("password", "")):
            self._core.log.write(SYSTEM, f"portal: login refused: {user} from {request.remote}", level="WARNING")
            return self._login_page(user, "The user name or the password is wrong.", 403)
        for throttle, key in throttles:
            throttle.passed(key)
        self._core.log.write(SYSTEM, f"portal: {user} logged in from {request.remote}")
        response = go("/ha")
        response.set_cookie(self._cookie, self._sessions.begin(user, now), path="/", secure=True, httponly=True, samesite="Strict")
        return response

    async def logout(self, request: web.Request) -> web.StreamResponse:
        """Ends the session of the form's owner."""
        await self.inside(_signed_out)(request)
        self._sessions.end(request.cookies.get(self._cookie, ""))
        return go("/login")

    def page(self, visit: Visit, title: str, path: str, *body: Child, status: int = 200) -> web.Response:
        """A whole page for this visitor."""
        core, role = self._core, self._core.role
        header = Header(core.settings.name, core.settings.version, role.mode, role.state, role.ha_enabled, core.clock.now(), visit.session.user,
                        visit.session.csrf, visit.session.take_notes())
        return web.Response(text=page(header, title, path, *body), content_type="text/html", status=status)

    def _login_page(self, user: str, problem: str, status: int, headers: Mapping[str, str] | None = None) -> web.Response:
        text = views.login(self._core.settings.name, user, problem)
        return web.Response(text=text, content_type="text/html", status=status, headers=headers)


def go(path: str) -> web.Response:
    """To another page of the portal, with a GET: a reload there sends nothing twice."""
    return web.Response(status=303, headers={"Location": ROOT + path})


async def dressed(_: web.Request, response: web.StreamResponse) -> None:
    """Gives every answer of the portal its headers."""
    response.headers.update(HEADERS)


async def _signed_out(_: Visit) -> web.StreamResponse:
    return go("/login")


def _from_here(request: web.Request) -> bool:
    """Whether the form came from a page of ours. What is not a browser does not say, and has no cookie that could be abused."""
    origin = request.headers.get("Origin")
    if origin is not None:
        return origin == f"https://{request.host}"
    return request.headers.get("Sec-Fetch-Site", "same-origin") == "same-origin"


async def _sent(request: web.Request) -> dict[str, str]:
    """The text fields of a form or a query, bounded; files are no fields of ours. Raises HTTP 400 for what is no form."""
    try:
        sent = await request.post() if request.method == "POST" else request.query
    except (ValueError, LookupError):  # bytes that are no text, a character set that nobody knows, a broken multipart
        raise web.HTTPBadRequest(text="This is not a form.\n") from None
    return {name: value[:FIELD_CHARS_MAX] for name, value in sent.items() if isinstance(value, str)}
