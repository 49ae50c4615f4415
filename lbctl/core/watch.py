"""One real look of a Secondary at its Primary: the heartbeat's eyes (G-HB).

Alive is who shows a mode on the hastatus page, and, where the mode is Primary, a good status page too. The order matters for a chain: the
Core in the disaster-recovery site watches the main site's Secondary, which is well while its status page says 503. The certificate is not
verified: the question is whether the Primary lives, and an expired certificate that made the Secondary promote itself would make two Primaries.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import aiohttp

from lbctl.clock import Clock
from lbctl.model.looks import Verdict
from lbctl.statuspage import HASTATUS_PATH, STATUS_PATH, parse_hastatus, parse_status

BODY_BYTES_MAX = 65536
TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Look:
    """`detail` says what was wrong, or the Primary's mode. `elapsed_s` is how long it took."""

    alive: bool
    detail: str
    elapsed_s: float


async def look(host: str, port: int, clock: Clock, timeout_s: float = TIMEOUT_S) -> Look:
    """Never raises; takes at most `timeout_s` in all."""
    started = clock.now()
    try:
        async with asyncio.timeout(timeout_s):
            alive, detail = await _pages(_base(host, port))
    except TimeoutError:
        alive, detail = False, f"no answer within {timeout_s:g} s"
    except (aiohttp.ClientError, OSError, ValueError) as error:
        alive, detail = False, (" ".join(str(error).split()) or type(error).__name__)[:200]
    return Look(alive, detail, clock.now() - started)


async def answers(host: str, port: int) -> str:
    """The mode that a Core's hastatus page shows on that port. Raises OSError or ValueError with what was wrong; has no deadline of its own."""
    try:
        async with _session() as session:
            code, body = await _get(session, f"{_base(host, port)}{HASTATUS_PATH}")
    except aiohttp.ClientError as error:
        raise OSError(str(error)) from None
    mode = parse_hastatus(body)
    if code != 200 or mode.verdict not in (Verdict.STANDBY, Verdict.PRIMARY):
        raise ValueError(f"{HASTATUS_PATH}: HTTP {code} {mode.detail}")
    return f"Mode: {mode.verdict.capitalize()}"


def _base(host: str, port: int) -> str:
    return f"https://{f'[{host}]' if ':' in host else host}:{port}"


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False, force_close=True, limit=1), auto_decompress=False)


async def _pages(base: str) -> tuple[bool, str]:
    async with _session() as session:
        code, body = await _get(session, base + HASTATUS_PATH)
        mode = parse_hastatus(body)
        if code != 200 or mode.verdict not in (Verdict.STANDBY, Verdict.PRIMARY):
            return False, f"{HASTATUS_PATH}: HTTP {code} {mode.detail}"
        if mode.verdict is Verdict.STANDBY:
            return True, "Mode: Standby"
        code, body = await _get(session, base + STATUS_PATH)
        if code != 200 or parse_status(body).verdict is not Verdict.OK:
            return False, f"{STATUS_PATH}: HTTP {code}"
        return True, "Mode: Primary"


async def _get(session: aiohttp.ClientSession, url: str) -> tuple[int, bytes]:
    async with session.get(url, allow_redirects=False) as response:
        body = b""
        async for chunk in response.content.iter_chunked(4096):
            body += chunk
            if len(body) > BODY_BYTES_MAX:
                raise ValueError(f"{url}: the page has no end")
        return response.status, body
