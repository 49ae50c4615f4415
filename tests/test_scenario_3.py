"""Scenario 3 in one process and on real sockets (G-SC3, G-FS): a pair of Cores, Sentries as a pool with its own page, Sentries as active/standby
beside the Core, and two views of the pool's addresses, each in a zone of its own; asked over UDP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.message
import pytest
import pytest_asyncio

from lbctl.app import App
from lbctl.config import read
from lbctl.model.commands import Code, MaintenanceOn, Resume, SetHold
from tests.controller.pages import Pages

FILE = """
controller: {{name: test, state: {state}}}
api: {{socket: null, listen: []}}
authoritative:
  listen: [127.0.0.1:0]
  rate_limit: off
  zones:
    gtm.example.com: {{ns: {{ns1.gtm.example.com: [192.0.2.1]}}}}
    corp.example.com: {{ns: {{ns1.corp.example.com: [10.0.0.1]}}}}
safety: {{mass_move: {{at_least: 50}}}}
defaults:
  probe: {{profile: standard, interval: 500ms, fast_interval: 50ms, timeout: 500ms, fall: 2, min_outage: 0s}}
services:
  core:
    members:
      - {{name: core-a, role: primary, site: dc1, address: 192.0.2.10, url: "{core_a}"}}
      - {{name: core-b, role: secondary, site: dc2, address: 198.51.100.10, url: "{core_b}", syncs_from: core-a}}
    actuators: [authoritative: {{name: core.gtm.example.com}}]
  sentry:
    kind: pool
    monitor: {{http: {{path: /ready, expect: {{status: 200, text: READY}}}}}}
    members:
      - {{name: sentry-1, site: dc1, address: {{inside: 10.1.0.1, outside: 192.0.2.21}}, url: "{one}"}}
      - {{name: sentry-2, site: dc1, address: {{inside: 10.1.0.2, outside: [192.0.2.22, "2001:db8::22"]}}, url: "{two}"}}
      {third}
    actuators:
      - authoritative: {{name: sentry.gtm.example.com, view: outside}}
      - authoritative: {{name: sentry.corp.example.com, view: inside}}
  standby:
    follows: core
    monitor: {{tcp: {{}}}}
    members:
      - {{name: standby-1, role: primary, site: dc1, address: 192.0.2.31, url: "tcp://127.0.0.1:{tcp}"}}
      - {{name: standby-2, role: secondary, site: dc2, address: 198.51.100.31, url: "tcp://localhost:{tcp}"}}
    actuators: [authoritative: {{name: standby.gtm.example.com}}]
"""
OUT, INSIDE, STANDBY = "sentry.gtm.example.com", "sentry.corp.example.com", "standby.gtm.example.com"
BOTH_OUT = {"192.0.2.21", "192.0.2.22", "2001:db8::22"}


class Page:
    """A Sentry's own page on loopback."""

    def __init__(self) -> None:
        self.text = b"READY"
        self.port = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> Page:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(self.text), self.text))
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


class Centre:
    """The data centre, and a client that asks."""

    def __init__(self, path: Path, core_a: Pages, core_b: Pages, one: Page, two: Page) -> None:
        self.path, self.core_a, self.core_b, self.one, self.two = path, core_a, core_b, one, two
        self.file = path / "lbctl.yaml"
        self.write()
        self.app = App(read(self.file))

    def write(self, third: str = "") -> None:
        self.file.write_text(FILE.format(
            state=self.path / "state.db", core_a=self.core_a.url, core_b=self.core_b.url, third=third, tcp=self.one.port,
            one=f"http://127.0.0.1:{self.one.port}", two=f"http://127.0.0.1:{self.two.port}"))

    async def start(self) -> None:
        self.app = App(read(self.file))
        await self.app.start()

    async def answer(self, name: str) -> set[str]:
        assert self.app.dns is not None
        place, found = self.app.dns.endpoints[0], set()
        for kind in ("A", "AAAA"):
            reply = await dns.asyncquery.udp(dns.message.make_query(name, kind), place.host, port=place.port, timeout=5)
            found |= {item.address for answer in reply.answer for item in answer}
        return found

    async def until(self, name: str, wanted: set[str]) -> None:
        seen: set[str] = set()
        try:
            async with asyncio.timeout(30):
                while (seen := await self.answer(name)) != wanted:
                    await asyncio.sleep(0.02)
        except TimeoutError:
            pytest.fail(f"{name}: {seen}, not {wanted}")

    def seen(self, service: str) -> dict[str, Any]:
        return self.app.controller.service(service)

    async def until_seen(self, service: str, holds: Callable[[dict[str, Any]], bool]) -> None:
        try:
            async with asyncio.timeout(30):
                while not holds(self.seen(service)):
                    await asyncio.sleep(0.02)
        except TimeoutError:
            pytest.fail(f"{self.seen(service)}")

    async def settled(self) -> None:
        await self.until(OUT, BOTH_OUT)
        for service in ("core", "sentry", "standby"):
            await self.until_seen(service, lambda seen: seen["state"] == "normal")


@pytest_asyncio.fixture
async def centre(tmp_path: Path) -> AsyncIterator[Centre]:
    made = Centre(tmp_path, await Pages("Primary").start(), await Pages("Standby").start(), await Page().start(), await Page().start())
    await made.start()
    yield made
    await made.app.stop()
    for server in (made.core_a, made.core_b, made.one, made.two):
        await server.stop()


async def test_a_pool_answers_in_both_views_with_those_whose_page_says_what_is_expected(centre: Centre) -> None:
    """G-SC3: one page says something else, and its addresses leave both views; never empty; back by itself; SEMANTICS 8, views."""
    await centre.settled()
    assert await centre.answer(INSIDE) == {"10.1.0.1", "10.1.0.2"}
    centre.two.text = b"STARTING"
    await centre.until(OUT, {"192.0.2.21"})
    await centre.until(INSIDE, {"10.1.0.1"})
    assert centre.seen("sentry")["members"][1]["reason"] == "mismatch"
    centre.one.text = b"STARTING"
    await centre.until_seen("sentry", lambda seen: seen["state"] == "all-down")
    assert await centre.answer(OUT) == {"192.0.2.21"} and await centre.answer(INSIDE) == {"10.1.0.1"}
    centre.two.text = b"READY"
    await centre.until(OUT, {"192.0.2.22", "2001:db8::22"})
    centre.one.text = b"READY"
    await centre.until(INSIDE, {"10.1.0.1", "10.1.0.2"})
    assert centre.app.controller.counts.convergence["sentry"]


async def test_a_restart_answers_at_once_what_was_published_and_moves_nothing(centre: Centre) -> None:
    """H25: the pool's member that is back while lbctl is away is taken in by looks, not by the start."""
    await centre.settled()
    await centre.two.stop()
    await centre.until(OUT, {"192.0.2.21"})
    await centre.until_seen("sentry", lambda seen: all(a["in_sync"] for a in seen["actuators"]))
    epoch = centre.seen("sentry")["epoch"]
    await centre.app.stop()
    await centre.start()
    assert await centre.answer(OUT) == {"192.0.2.21"}
    assert centre.seen("sentry")["answering"] == ["sentry-1"] and centre.seen("sentry")["epoch"] == epoch
    await centre.until_seen("sentry", lambda seen: seen["members"][1]["health"] == "down" and seen["state"] == "normal")
    assert centre.seen("sentry")["epoch"] == epoch
    await centre.two.start()
    await centre.until(OUT, BOTH_OUT)


async def test_a_person_can_freeze_it(centre: Centre) -> None:
    """H34: maintenance and hold."""
    await centre.settled()
    until = centre.app.clock.now() + 600
    assert (await centre.app.controller.submit(MaintenanceOn(service="sentry", by="ann", reason="test", until=until))).code is Code.DONE
    await centre.two.stop()
    await centre.until_seen("sentry", lambda seen: seen["blocked_by"] == ["not-in-maintenance"])
    assert await centre.answer(OUT) == BOTH_OUT
    assert (await centre.app.controller.submit(SetHold(service="sentry", by="ann", reason="test"))).code is Code.DONE


async def test_the_standby_sentry_goes_where_the_core_goes_and_a_person_brings_it_back(centre: Centre) -> None:
    """G-FS, G-LB4."""
    await centre.settled()
    assert await centre.answer(STANDBY) == {"192.0.2.31"}
    await centre.core_a.stop()
    await centre.until(STANDBY, {"198.51.100.31"})
    assert await centre.answer("core.gtm.example.com") == {"198.51.100.10"}
    kinds = [(step.kind, step.service) for step in await centre.app.controller.events()]
    assert kinds.index(("moved", "core")) < kinds.index(("moved", "standby"))
    await centre.until_seen("standby", lambda seen: seen["promoted"] and seen["members"][0]["health"] == "up")
    reply = await centre.app.controller.submit(Resume(service="standby", by="ann"))
    assert reply.code is Code.DONE and await centre.answer(STANDBY) == {"192.0.2.31"}


async def test_a_member_joins_by_reload_and_leaves_only_with_a_word(centre: Centre) -> None:
    """H37."""
    await centre.settled()
    third = await Page().start()
    centre.write(f'- {{name: sentry-3, site: dc1, address: {{inside: 10.1.0.3, outside: 192.0.2.23}}, url: "http://127.0.0.1:{third.port}"}}')
    assert (await centre.app.reload("ann")).code is Code.DONE
    await centre.until(OUT, BOTH_OUT | {"192.0.2.23"})
    centre.write()
    refused = await centre.app.reload("ann")
    assert refused.code is Code.REFUSED and refused.rule == "traffic-unmoved"
    assert (await centre.app.reload("ann", allow_switch=True)).code is Code.DONE
    await centre.until(OUT, BOTH_OUT)
    await third.stop()
