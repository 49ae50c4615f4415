"""The files that pages load: a style sheet, a script, an icon. All are ours, and anybody may have them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files

from aiohttp import web

KINDS: Mapping[str, str] = {"portal.css": "text/css", "portal.js": "text/javascript", "icon.svg": "image/svg+xml"}


async def static(request: web.Request) -> web.StreamResponse:
    """The file that the path's `name` says. Raises HTTP 404."""
    name = request.match_info["name"]
    if name not in KINDS:
        raise web.HTTPNotFound
    return web.Response(body=(files(__name__) / name).read_bytes(), content_type=KINDS[name])
