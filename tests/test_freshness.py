"""What a freshness source may tell: an age, or why none is known; never a time that cannot be (H1)."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path, PosixPath
from types import SimpleNamespace
from typing import cast

import pytest
import pytest_asyncio
from aiohttp import web

from lbctl.clock import LoopClock
from lbctl.controller import Controller
from lbctl.controller.supervisor import Supervisor
from lbctl.freshness import AHEAD_S, DOCUMENT_MAX, Source, StampFile, Watch, believable, read
from lbctl.model.events import Event, SyncSeen, SyncUnknown

NOW = 1_795_000_000.0
Told = Callable[[str], Source]


@pytest_asyncio.fixture
async def told() -> AsyncIterator[Told]:
    """A web server that tells one document, as the source of core-b, which follows core-a."""
    said = [""]

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        half = len(said[0]) // 2
        await response.write(said[0][:half].encode())
        await asyncio.sleep(0.02)  # as any server may: what arrives first is not the whole
        await response.write(said[0][half:].encode())
        return response

    async def elsewhere(_: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("/")

    async def broken(_: web.Request) -> web.StreamResponse:
        return web.Response(status=503, text=said[0])

    app = web.Application()
    app.add_routes([web.get("/", answer), web.get("/elsewhere", elsewhere), web.get("/broken", broken)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]

    def source(document: str) -> Source:
        said[0] = document
        return Source("core", "core-b", "url", 60.0, "core-a", {"core-a": "core-a"}, url=f"http://{host}:{port}/")

    yield source
    await runner.cleanup()


async def asked(source: Source) -> Event:
    (event,) = believable(await read(source), NOW)
    return event


async def test_a_document_tells_from_whom_the_last_sync_came_and_when(told: Told) -> None:
    assert await asked(told('{"source": "core-a", "started": 1794999000, "completed": 1794999030.5}')) == SyncSeen(
        "core-b", "core-a", 1794999000.0, 1794999030.5)


async def test_a_document_that_has_no_end_is_an_unknown_age(told: Told) -> None:
    """It begins as a good one does."""
    event = await asked(told('{"started": 1794999000, "completed": 1794999030}' + " " * DOCUMENT_MAX))
    assert isinstance(event, SyncUnknown) and "64 KiB" in event.detail


@pytest.mark.parametrize("document", [
    '{"source": "core-a", "started": 1794999000000, "completed": 1794999030000}',
    f'{{"started": {NOW + AHEAD_S + 1}, "completed": {NOW + AHEAD_S + 1}}}',
    '{"started": 1794999000, "completed": 99999999999}',
    '{"started": NaN, "completed": NaN}',
    '{"started": 1e999, "completed": 1e999}',
    '{"started": -1e999, "completed": 1}',
    f'{{"started": {"9" * 400}, "completed": 1}}',
    '{"started": "NaN", "completed": 1}',
    '{"started": "1794999000", "completed": "1794999030"}',
    '{"started": true, "completed": true}',
    '{"started": 1794999000, "completed": 1794998000}',
    '{"started": 1794999000}',
    '{"source": 5}',
    "[1]", "null", '"x"', "", "x" * 100_000, "[" * 60_000,
], ids=lambda text: text[:40])
async def test_a_time_that_cannot_be_is_an_unknown_age_and_never_a_fresh_copy(told: Told, document: str) -> None:
    """A sync of the future would be newer than every write and prove that nothing is lost; what is no number would not even be shown."""
    event = await asked(told(document))
    assert isinstance(event, SyncUnknown) and event.detail


async def test_a_file_of_the_future_is_an_unknown_age(tmp_path: Path) -> None:
    stamp = tmp_path / "last-sync"
    stamp.touch()
    source = Source("core", "core-b", "file", 60.0, "core-a", {}, file=StampFile(stamp))
    os.utime(stamp, (NOW + 3600, NOW + 3600))
    assert isinstance(await asked(source), SyncUnknown)
    os.utime(stamp, (NOW + 1, NOW + 1))
    assert isinstance(await asked(source), SyncSeen)


async def test_a_redirect_and_an_answer_that_is_no_success_are_an_unknown_age(told: Told) -> None:
    """H16: whoever is sent elsewhere might be told of another pair's sync, and an error page of none."""
    good = told('{"started": 1794999000, "completed": 1794999030}')
    assert isinstance(await asked(good), SyncSeen)
    for path, status in (("elsewhere", "302"), ("broken", "503"), ("nothing", "404")):
        event = await asked(replace(good, url=good.url + path))
        assert isinstance(event, SyncUnknown) and status in event.detail


async def test_proxy_variables_are_not_read(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    """H18."""
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert isinstance(await asked(told('{"started": 1794999000, "completed": 1794999030}')), SyncSeen)


class Hanging(PosixPath):
    """A file on a disk that does not answer."""

    asked, well = list[str](), threading.Event()

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        self.asked.append(str(self))
        self.well.wait(30)
        return super().stat(follow_symlinks=follow_symlinks)


async def test_a_disk_that_hangs_keeps_one_thread_and_none_that_a_move_needs(tmp_path: Path) -> None:
    stamp = Hanging(tmp_path / "last-sync")
    stamp.touch()
    source = Source("core", "core-b", "file", 60.0, "core-a", {}, file=StampFile(stamp))
    readings = [asyncio.create_task(read(source)) for _ in range(50)]
    await asyncio.sleep(0)
    readings.pop().cancel()
    async with asyncio.timeout(10):
        assert await asyncio.to_thread(lambda: "free") == "free"
    assert len(stamp.asked) == 1
    stamp.well.set()
    assert all(isinstance(event, SyncSeen) for events in await asyncio.gather(*readings) for event in events)


async def test_a_person_who_asks_has_the_sources_read_anew(told: Told, tmp_path: Path) -> None:
    """Of that service alone, however far off the next reading is."""
    heard: list[tuple[str, Event]] = []
    stamp = tmp_path / "last-sync"
    stamp.touch()
    other = Source("other", "core-b", "file", 60.0, "core-a", {}, file=StampFile(stamp))
    controller = SimpleNamespace(names=("core", "other"), supervisor=Supervisor(LoopClock()), post=lambda *told: heard.append(told))
    watch = Watch(cast("Controller", controller), [told('{"started": 5, "completed": 6}'), other], LoopClock())
    await watch.anew("core")
    await watch.anew("core")
    assert heard == [("core", SyncSeen("core-b", "core-a", 5.0, 6.0))] * 2
