"""The same key, the same answer: a retry or a double click acts once, also when lbctl was killed in between (H36).

Keys belong to whoever sent them and to one request: the same key with another request is a mistake and is told so (422).

* A retry that arrives while the first is still being decided waits for it. A client that leaves does not take its command back: what was begun is
  finished, and its retry is told how it ended.
* The answer is filed in the store before it is told. Killed between the decision and that, the decision's own line in the journal, saved with the
  state under the same key, says what was decided; so there is no moment at which a repetition would act again.
* What failed as a fault of ours (5xx) is not kept: it may be tried again. Receipts are kept for a day, and bounded in number (`stores.base`).

What changes no service's state (`plan`, `reload`, a test notice) has no line of that kind: killed in the middle of one, its retry does it anew.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import structlog
from aiohttp import web

from lbctl.api.problems import Refusal
from lbctl.clock import Clock
from lbctl.errors import StoreUnavailable
from lbctl.model.decision import Step
from lbctl.stores.base import Receipt

REMEMBERED = 256
"""Answers kept at hand; older ones are read from the store."""
KEY_MAX = 128

log = structlog.get_logger()


class Receipts(Protocol):
    """Where answers outlive the process (`controller.Controller`)."""

    async def receipt(self, key: str) -> Receipt | None: ...

    async def keep_receipt(self, receipt: Receipt) -> None: ...


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


Act = Callable[[str], Awaitable[Kept]]
"""Does what is asked; its argument is what `Command.key` takes."""
Told = Callable[[Step], Kept]
"""What was decided, as the answer that nobody got."""


class Memory:
    """Answers by key."""

    def __init__(self, receipts: Receipts, clock: Clock) -> None:
        self._receipts = receipts
        self._clock = clock
        self._running: OrderedDict[str, tuple[str, asyncio.Task[Kept]]] = OrderedDict()

    async def once(self, by: str, key: str, request: str, act: Act, told: Told) -> Kept:
        """Runs `act` unless this key of theirs has been answered. `request` tells requests apart."""
        ident, same = _digest(f"{by} {key}"), _digest(request)
        known = self._running.get(ident)
        if known is not None and known[0] != same:
            raise _another()
        task = known[1] if known is not None else asyncio.create_task(self._run(ident, same, act, told), name="keyed request")
        if known is None:
            self._running[ident] = (same, task)
            task.add_done_callback(lambda done: self._ended(ident, done))
        return await asyncio.shield(task)  # a client that leaves cancels its own waiting, not what it began

    async def _run(self, ident: str, same: str, act: Act, told: Told) -> Kept:
        found = await self._find(ident)
        if found is not None:
            return _again(found, same, told)
        answer = await act(f"{ident}/{same}")
        if answer.status < 500:
            await self._keep(Receipt(ident, same, self._clock.now(), answer.status, answer.body, answer.content_type, answer.headers))
        return answer

    async def _find(self, ident: str) -> Receipt | None:
        try:
            return await self._receipts.receipt(ident)
        except StoreUnavailable:
            return None  # then nothing can be saved either, so nothing will be done

    async def _keep(self, receipt: Receipt) -> None:
        try:
            await self._receipts.keep_receipt(receipt)
        except StoreUnavailable as error:
            log.warning("an answer could not be filed; its repetition after a restart is told what the journal has", error=str(error))

    def _ended(self, ident: str, task: asyncio.Task[Kept]) -> None:
        """What fell, was refused its key, or may be tried again is forgotten; of the others the oldest go."""
        if task.cancelled() or task.exception() is not None or task.result().status >= 500:
            self._running.pop(ident, None)
        while len(self._running) > REMEMBERED and next(iter(self._running.values()))[1].done():
            self._running.popitem(last=False)


def _again(found: Receipt, same: str, told: Told) -> Kept:
    if found.request != same:
        raise _another()
    if found.status:
        return Kept(found.status, found.body, found.media, found.headers)
    if found.step is None:
        raise Refusal(422, "this Idempotency-Key was used before, and what became of it is no longer known: look at history, then use a new one")
    return told(found.step)


def _another() -> Refusal:
    return Refusal(422, "this Idempotency-Key belongs to another request")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
