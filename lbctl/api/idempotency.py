"""The same key, the same answer: a retry or a double click acts once (H36).

Keys belong to whoever sent them and to one request: the same key with another request is a mistake and is told so (422). A retry that arrives
while the first is still being decided waits for it. Remembered in memory, `REMEMBERED` answers, the oldest go first: after a restart the
revision (`If-Match`) still keeps a repeated command from acting twice.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from lbctl.api.problems import Refusal

REMEMBERED = 1024
KEY_MAX = 128


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer as it was given."""

    status: int
    body: bytes
    content_type: str
    headers: tuple[tuple[str, str], ...]

    def response(self) -> web.Response:
        """The same answer again."""
        return web.Response(status=self.status, body=self.body, content_type=self.content_type, headers=dict(self.headers))


class Memory:
    """Answers by key. Only answers that were decided are kept: a server error may be tried again."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[str, asyncio.Future[Kept]]] = OrderedDict()

    async def once(self, key: str, request: str, act: Callable[[], Awaitable[Kept]]) -> Kept:
        """Runs `act` unless this key has been answered. `request` tells requests apart."""
        known = self._kept.get(key)
        if known is not None:
            if known[0] != request:
                raise Refusal(422, "this Idempotency-Key belongs to another request")
            return await asyncio.shield(known[1])
        future: asyncio.Future[Kept] = asyncio.get_running_loop().create_future()
        self._kept[key] = (request, future)
        while len(self._kept) > REMEMBERED:
            self._kept.popitem(last=False)
        return await self._run(key, future, act)

    async def _run(self, key: str, future: asyncio.Future[Kept], act: Callable[[], Awaitable[Kept]]) -> Kept:
        try:
            answer = await act()
        except BaseException:
            self._forget(key, future)
            future.cancel()
            raise
        future.set_result(answer)
        if answer.status >= 500:
            self._forget(key, future)
        return answer

    def _forget(self, key: str, future: asyncio.Future[Kept]) -> None:
        if self._kept.get(key, ("", None))[1] is future:
            del self._kept[key]
