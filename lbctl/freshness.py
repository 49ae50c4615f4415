"""How old is a standby's copy? (H1, SEMANTICS sections 2 and 3): asked of the Core itself, of a file, or of a document on the web.

A page that says Standby says nothing of its last sync. Each source tells from whom the last good sync came and when it started, or why that
cannot be told; the policy draws the conclusions. A kind is a function and a row in `SOURCES`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from lbctl.clock import Clock
from lbctl.controller import Controller
from lbctl.controller.supervisor import Heart
from lbctl.drive import Hand, HandError
from lbctl.model.events import Event, SyncSeen, SyncUnknown, VersionSeen

READ_S = 30.0
DOCUMENT_MAX = 64 * 1024
TICK_S = 1.0
UNREADABLE = (HandError, OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError, aiohttp.ClientError)
"""What a Core, a disk or a stranger's document can end a reading with; the document's shape and depth are theirs to choose."""
AHEAD_S = 60.0
"""How far the clock of a source may be ahead of ours; readiness tells of less."""
FIRST_S = 3.0
"""How long a start, or a person, waits for what the sources tell; a slower one is heard when it answers."""


class StampFile:
    """A file whose time is that of the last good sync (a script's `touch`).

    Asked in a thread of its own: a disk that hangs (somebody's network) keeps that one thread, whoever asks again waits for it too, and neither the
    threads that moves need nor the end of the process wait for either.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._asked: asyncio.Future[float | OSError] | None = None

    async def touched(self) -> float:
        """UTC seconds. OSError where it cannot be told; takes as long as the disk does."""
        if self._asked is None or self._asked.done():
            loop = asyncio.get_running_loop()
            self._asked = loop.create_future()
            threading.Thread(target=self._ask, args=(loop, self._asked), name="stamp", daemon=True).start()
        found = await asyncio.shield(self._asked)
        if isinstance(found, OSError):
            raise found
        return found

    def _ask(self, loop: asyncio.AbstractEventLoop, asked: asyncio.Future[float | OSError]) -> None:
        found: float | OSError
        try:
            found = self._path.stat().st_mtime
        except OSError as error:
            found = error
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(asked.set_result, found)


@dataclass(frozen=True, slots=True)
class Source:
    """One member's source. `names` maps what a Core calls its source (a host, a name) to the member; `partner` is whom it syncs from by the file."""

    service: str
    member: str
    kind: str
    every_s: float
    partner: str
    names: Mapping[str, str]
    hand: Hand | None = None
    file: StampFile | None = None
    url: str = ""


async def read(source: Source) -> list[Event]:
    """What the source tells now. Never raises: what cannot be told is told as that."""
    try:
        async with asyncio.timeout(READ_S):
            return await SOURCES[source.kind](source)
    except TimeoutError:
        return [SyncUnknown(source.member, f"{source.kind}: no answer within {READ_S:g} s")]
    except UNREADABLE as error:
        return [SyncUnknown(source.member, f"{source.kind}: {error or type(error).__name__}")]


async def _ssh(source: Source) -> list[Event]:
    """Last Sync Status over the Core's command line, and its version on the way."""
    assert source.hand is not None, "config has checked that a drive is configured"
    status = await source.hand.status()
    told: list[Event] = [VersionSeen(source.member, status.version)]
    copy = status.copy_of
    if copy is None:
        return [*told, SyncUnknown(source.member, f"{source.member} has never finished a sync")]
    return [*told, SyncSeen(source.member, source.names.get(copy["source"], copy["source"]), copy["started"], copy["applied"])]


async def _file(source: Source) -> list[Event]:
    assert source.file is not None, "config has checked that a file is named"
    at = await source.file.touched()
    return [SyncSeen(source.member, source.partner, at, at)]


async def _url(source: Source) -> list[Event]:
    """A JSON object: `{"source": …, "started": UTC seconds, "completed": UTC seconds}`; `source` may be left out."""
    timeout = aiohttp.ClientTimeout(total=READ_S)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as session, session.get(source.url, allow_redirects=False) as response:
        if response.status != 200:
            raise ValueError(f"answered {response.status}")
        document: Any = json.loads(await _whole(response.content))
    partner = str(document.get("source", source.partner))
    return [SyncSeen(source.member, source.names.get(partner, partner), _instant(document, "started"), _instant(document, "completed"))]


async def _whole(body: aiohttp.StreamReader) -> bytes:
    """Up to its end, in however many pieces it comes. ValueError where that is too far off."""
    found = b""
    async for part in body.iter_any():
        found += part
        if len(found) > DOCUMENT_MAX:
            raise ValueError(f"more than {DOCUMENT_MAX >> 10} KiB")
    return found


def _instant(document: Mapping[str, Any], key: str) -> float:
    found = document[key]
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise ValueError(f"{key}: expected seconds since 1970 as a number")
    return float(found)


def believable(events: list[Event], now: float) -> list[Event]:
    """The same without times that cannot be. A sync of the future (a clock that is ahead, milliseconds for seconds) would be newer than every
    write, and so prove that nothing is lost by a move."""
    return [_doubted(event, now) if isinstance(event, SyncSeen) else event for event in events]


def _doubted(event: SyncSeen, now: float) -> Event:
    if not (math.isfinite(event.started) and math.isfinite(event.completed)):
        return SyncUnknown(event.member, "the time of its sync is no time")
    if max(event.started, event.completed) > now + AHEAD_S:
        return SyncUnknown(event.member, "its sync lies in the future: is a clock wrong, or are these milliseconds?")
    if event.completed < event.started:
        return SyncUnknown(event.member, "its sync is said to have ended before it began")
    return event


SOURCES: dict[str, Callable[[Source], Awaitable[list[Event]]]] = {"ssh": _ssh, "file": _file, "url": _url}


class Watch:
    """Reads every source on its interval, one after the other being late for none: each has a task of its own while it is read."""

    def __init__(self, controller: Controller, sources: list[Source], clock: Clock) -> None:
        self.sources = sources
        self._controller = controller
        self._clock = clock
        self._due: dict[tuple[str, str], float] = {}
        self._reading: set[tuple[str, str]] = set()

    async def first(self) -> None:
        """One reading of every source before the first look is judged. An age that was not asked for yet is an unknown one, and most sites let
        an unknown one pass: without this, each restart would open the gate to a stale copy until the first interval was over (H1, H25)."""
        await self._wait(self.sources)

    async def anew(self, service: str) -> None:
        """One reading of a service's sources now, also beside one that is under way: that one may have begun before the sync was over."""
        await self._wait([source for source in self.sources if source.service == service])

    async def _wait(self, sources: list[Source]) -> None:
        reading = [self._begin(source, self._clock.now()) for source in sources]
        if reading:
            await asyncio.wait(reading, timeout=FIRST_S)

    def follow(self, sources: list[Source]) -> None:
        """New sources after a reload; every one is read at once, because a member that is looked at elsewhere has lost what was known of it."""
        self.sources = sources
        for source in sources:
            if (source.service, source.member) not in self._reading:
                self._begin(source, self._clock.now())

    async def run(self, heart: Heart) -> None:
        """For ever."""
        while True:
            heart.beat()
            now = self._clock.now()
            for source in self.sources:
                key = (source.service, source.member)
                if key not in self._reading and self._due.get(key, now) <= now:
                    self._begin(source, now)
            await self._clock.sleep(min(TICK_S, min((s.every_s for s in self.sources), default=TICK_S)))

    def _begin(self, source: Source, now: float) -> asyncio.Task[None]:
        key = (source.service, source.member)
        self._reading.add(key)
        self._due[key] = now + source.every_s
        return self._controller.supervisor.task(f"freshness {source.member}", self._read(source))

    async def _read(self, source: Source) -> None:
        try:
            for event in believable(await read(source), self._clock.now()):
                if source.service in self._controller.names:  # a reload may have ended it meanwhile
                    self._controller.post(source.service, event)
        finally:
            self._reading.discard((source.service, source.member))
