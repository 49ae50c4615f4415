"""Server-sent events: live, resumable, bounded, and ended at once when the server stops."""

from __future__ import annotations

import asyncio
import json

import aiohttp

from tests.api.conftest import Running


async def read(answer: aiohttp.ClientResponse, count: int) -> list[tuple[int, str]]:
    """The next `count` events: (id, text)."""
    found: list[tuple[int, str]] = []
    ident = 0
    async with asyncio.timeout(20):
        while len(found) < count:
            line = (await answer.content.readline()).decode().rstrip("\n")
            if line.startswith("id: "):
                ident = int(line[4:])
            elif line.startswith("data: "):
                found.append((ident, json.loads(line[6:])["text"]))
    return found


async def test_a_stream_tells_what_happens_from_now_on(running: Running) -> None:
    running.controller.write("note", "before")
    async with running.local.get("/api/v1/events/stream") as answer:
        await answer.content.readline()
        running.controller.write("note", "first")
        assert await read(answer, 1) == [(2, "first")]
        running.controller.write("note", "elsewhere", service="sentry")
        assert await read(answer, 1) == [(3, "elsewhere")]


async def test_a_stream_resumes_where_it_broke(running: Running) -> None:
    for number in range(450):
        running.controller.write("note", str(number))
    async with running.local.get("/api/v1/events/stream", headers={"Last-Event-ID": "10"}) as answer:
        found = await read(answer, 440)
    assert [seq for seq, _ in found] == list(range(11, 451))


async def test_a_reader_of_a_journal_that_was_lost_is_told_what_the_new_one_has(running: Running) -> None:
    """H25: the number that he has seen is higher than any of the new journal; he would else hear nothing of what happens now."""
    running.controller.write("note", "a new start")
    async with running.local.get("/api/v1/events/stream", headers={"Last-Event-ID": "5000"}) as answer:
        assert await read(answer, 1) == [(1, "a new start")]
        running.controller.write("note", "and on")
        assert await read(answer, 1) == [(2, "and on")]


async def test_a_stream_of_one_service(running: Running) -> None:
    running.controller.write("note", "a")
    running.controller.write("note", "b", service="sentry")
    async with running.local.get("/api/v1/events/stream?since=0&service=sentry") as answer:
        assert await read(answer, 1) == [(2, "b")]


async def test_a_reader_that_leaves_lets_go_of_its_bell(running: Running) -> None:
    async with running.local.get("/api/v1/events/stream") as answer:
        await answer.content.readline()
        assert len(running.controller.bells) == 1
    async with asyncio.timeout(20):
        while running.controller.bells:
            await asyncio.sleep(0.01)


async def test_stopping_ends_every_stream(running: Running) -> None:
    """The fixture's own stop has a deadline: a stream that lingered would break it."""
    answers = [await running.local.get("/api/v1/events/stream") for _ in range(3)]
    async with asyncio.timeout(20):
        await running.server.stop()
        for answer in answers:
            await answer.read()
    assert running.controller.bells == [] and not running.socket.exists()
