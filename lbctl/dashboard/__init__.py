"""The page at `/`: static files and nothing else. It reads and acts through the API like everybody, with the token that its user enters.

So it has no session, no cookie, and nothing a foreign page could ride on (H39). The policy below allows scripts, styles and connections of its
own origin only, no inline script or style, no frame around it, and no HTML made from text.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources

from aiohttp import web

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-cache",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class File:
    """One file of the page, held in memory; `tag` changes with its content."""

    content: bytes
    content_type: str
    tag: str


def files() -> dict[str, File]:
    """All files of the page by name, from the package."""
    found = {}
    for entry in resources.files(__name__).joinpath("static").iterdir():
        kind = TYPES.get(entry.name.rpartition(".")[2])
        if kind is not None:
            content = entry.read_bytes()
            found[entry.name] = File(content, kind, f'"{hashlib.sha256(content).hexdigest()[:16]}"')
    return found


def register(app: web.Application) -> None:
    """Mounts `/` and `/static/NAME`. No token is needed for them: they hold nothing but the page."""
    known = files()

    async def serve(request: web.Request) -> web.Response:
        file = known.get(request.match_info.get("name", "index.html"))
        if file is None:
            raise web.HTTPNotFound
        headers = {**HEADERS, "ETag": file.tag}
        if request.headers.get("If-None-Match") == file.tag:
            return web.Response(status=304, headers=headers)
        charset = "utf-8" if file.content_type.startswith("text/") else None
        return web.Response(body=file.content, content_type=file.content_type, charset=charset, headers=headers)

    app.router.add_get("/", serve)
    app.router.add_get("/static/{name}", serve)
