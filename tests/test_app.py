"""The whole controller on real sockets: two status pages, the embedded DNS server asked over UDP, a state file, kills and reloads."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import dns.asyncquery
import dns.message
import dns.rcode
import pytest
import pytest_asyncio

from lbctl.app import App
from lbctl.config import read
from lbctl.errors import ConfigError, LeaseLost
from lbctl.model.commands import Adopt, Code, Failover, Resume
from tests.controller.pages import Pages

A, B = "192.0.2.10", "198.51.100.10"

FILE = """
controller: {{name: test, state: {state}}}
api: {{socket: null, listen: []}}
authoritative:
  listen: [127.0.0.1:0]
  rate_limit: off
  zones: {{gtm.example.com: {{ns: {{ns1.gtm.example.com: [192.0.2.1]}}}}}}
services:
  core:
    probe: {{profile: standard, interval: 500ms, fast_interval: 50ms, timeout: 500ms, fall: 2, min_outage: 0s}}
    members:
      - {{name: core-a, role: primary, address: {a}, url: "{url_a}"}}
      - {{name: core-b, role: secondary, address: {b}, url: "{url_b}", syncs_from: core-a}}
    actuators:
      - authoritative: {{name: core.gtm.example.com, ttl: 30}}
"""


class Site:
    """Two pages, one configuration file, and an App that can be killed and started again."""

    def __init__(self, path: Path, a: Pages, b: Pages) -> None:
        self.path, self.a, self.b = path, a, b
        self.file = path / "lbctl.yaml"
        self.write()
        self.app = App(read(self.file))

    def write(self, **changes: str) -> None:
        values = {"state": str(self.path / "state.db"), "a": A, "b": B, "url_a": self.a.url, "url_b": self.b.url, **changes}
        self.file.write_text(FILE.format(**values))

    async def start(self) -> App:
        self.app = App(read(self.file))
        await self.app.start()
        return self.app

    async def answer(self) -> tuple[str, ...]:
        """What a client is told, or the name of the refusal."""
        assert self.app.dns is not None
        place = self.app.dns.endpoints[0]
        reply = await dns.asyncquery.udp(dns.message.make_query("core.gtm.example.com", "A"), place.host, port=place.port, timeout=5)
        if reply.rcode() != dns.rcode.NOERROR:
            return (dns.rcode.to_text(reply.rcode()),)
        return tuple(sorted(item.address for answer in reply.answer for item in answer))

    def seen(self) -> dict[str, object]:
        return self.app.controller.service("core")

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        try:
            async with asyncio.timeout(30):
                while not holds():
                    await asyncio.sleep(0.02)
        except TimeoutError:
            pytest.fail(f"{what}; {self.seen()}")

    async def until_active(self, member: str) -> None:
        await self.until(lambda: self.seen()["active"] == member and all(a["in_sync"] for a in self.seen()["actuators"]), f"{member} is not active")

    async def until_state(self, state: str) -> None:
        await self.until(lambda: self.seen()["state"] == state, f"the state is not {state}")


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    a, b = await Pages("Primary").start(), await Pages("Standby").start()
    made = Site(tmp_path, a, b)
    yield made
    await a.stop()
    await b.stop()


async def test_a_fresh_start_publishes_the_serving_primary_and_a_failover_changes_the_answer(site: Site) -> None:
    """G-LB3, SEMANTICS section 6 (nothing published, nothing remembered) and section 2."""
    app = await site.start()
    try:
        assert await site.answer() == ("SERVFAIL",)
        await site.until_state("normal")
        assert await site.answer() == (A,)
        await site.a.stop()
        await site.until_active("core-b")
        assert await site.answer() == (B,)
        site.b.mode = "Primary"
        await site.a.start()
        await site.until(lambda: site.seen()["members"][0]["health"] == "up", "the old primary is not seen back")
        assert await site.answer() == (B,)
        refused = await app.controller.submit(Resume(service="core", by="test"))
        assert refused.code is Code.REFUSED
        kinds = [step.kind for step in await app.controller.events()]
        assert kinds.index("moved") < kinds.index("converged", kinds.index("moved"))
    finally:
        await app.stop()


async def test_a_restart_answers_at_once_and_moves_nothing(site: Site) -> None:
    """H25: what is remembered and what is published are taken up; the primary that is back is not taken back."""
    app = await site.start()
    await site.until_state("normal")
    await site.a.stop()
    await site.until_active("core-b")
    await app.stop()
    site.b.mode = "Primary"
    await site.a.start()
    epoch = site.seen()["epoch"]
    app = await site.start()
    try:
        assert await site.answer() == (B,)
        await site.until_state("failed-over")
        await site.until(lambda: bool(site.seen()["promoted"]), "the new active is not promoted")
        assert (site.seen()["active"], site.seen()["epoch"]) == ("core-b", epoch)
        assert await site.answer() == (B,)
    finally:
        await app.stop()


def stale(site: Site) -> None:
    """The copy of core-b is as old as the epoch, by a file that is read once a minute."""
    stamp = site.path / "last-sync"
    stamp.touch()
    os.utime(stamp, (1.0, 1.0))
    freshness = f"syncs_from: core-a, freshness: {{source: file, file: {stamp}, max_staleness: 60m, unknown: allow}}}}"
    site.file.write_text(site.file.read_text().replace("syncs_from: core-a}", freshness))


async def test_a_reload_that_forgets_a_member_reads_the_age_of_its_copy_at_once(site: Site) -> None:
    """H1, H28: looked at elsewhere, nothing is known of it; its copy is as old as before."""
    stale(site)
    app = await site.start()
    try:
        await site.until_state("normal")
        site.file.write_text(site.file.read_text().replace(site.b.url, f"{site.b.url}/"))
        assert (await app.reload("test")).code is Code.DONE
        await site.until(lambda: app.controller.service("core")["members"][1]["synced_at"] is not None, "the age is not known after the reload")
    finally:
        await app.stop()


async def test_a_reload_says_what_waits_for_the_next_start(site: Site) -> None:
    app = await site.start()
    try:
        await site.until_state("normal")
        site.file.write_text(site.file.read_text().replace("name: test", "name: other"))
        reply = await app.reload("test")
        assert (reply.code, reply.message) == (Code.DONE, "the new configuration is in force; controller changes: at the next start")
    finally:
        await app.stop()


async def test_a_start_knows_how_old_the_copy_is_before_anything_can_move(site: Site) -> None:
    """H1, H25: the first age is read before the first look is judged, so that no restart opens the gate to a stale copy for a minute."""
    stale(site)
    app = await site.start()
    await site.until_state("normal")
    await site.a.stop()
    try:
        await site.until(lambda: site.seen()["blocked_by"] == ["fresh-enough"], "the gate is not shut by the copy's age alone")
        await app.stop()
        app = await site.start()
        await site.until(lambda: site.seen()["blocked_by"] == ["fresh-enough"], "the restart forgot the copy's age")
        assert site.seen()["active"] == "core-a"
    finally:
        await app.stop()


async def test_with_state_and_copy_lost_it_waits_for_the_one_serving_primary(site: Site) -> None:
    """SEMANTICS section 6, last rows: nothing is known, so nothing is answered until three rounds agree."""
    site.a.mode = "Standby"
    app = await site.start()
    try:
        await site.until(lambda: site.a.looks > 20 and site.b.looks > 20, "nobody looks")
        assert site.seen()["state"] == "uninitialised"
        assert await site.answer() == ("SERVFAIL",)
        reply = await app.controller.submit(Adopt(service="core", by="test", member="core-b", reason="told so"))
        assert reply.code in (Code.DONE, Code.ACCEPTED)
        await site.until_active("core-b")
        assert await site.answer() == (B,)
    finally:
        await app.stop()


async def test_a_second_controller_on_the_same_state_is_refused(site: Site) -> None:
    app = await site.start()
    try:
        with pytest.raises(LeaseLost):
            await App(read(site.file)).start()
    finally:
        await app.stop()


async def test_a_command_is_answered_when_the_world_shows_it(site: Site) -> None:
    app = await site.start()
    try:
        await site.until_state("normal")
        accept = frozenset({"active-down", "candidate-standby", "candidate-confirmed", "re-synced"})
        reply = await app.controller.submit(Failover(service="core", by="test", reason="drill", to="core-b", force=True, accept=accept))
        assert reply.code is Code.DONE, reply
        assert await site.answer() == (B,)
    finally:
        await app.stop()


async def test_a_reload_that_would_move_traffic_is_refused_unless_allowed(site: Site) -> None:
    """H37: a typo in an address is not published."""
    app = await site.start()
    try:
        await site.until_state("normal")
        site.write(a="192.0.2.99")
        refused = await app.reload("test")
        assert (refused.code, app.config_ok) == (Code.REFUSED, False)
        assert await site.answer() == (A,)
        allowed = await app.reload("test", allow_switch=True)
        assert (allowed.code, app.config_ok) == (Code.DONE, True), allowed
        await site.until_active("core-a")
        assert await site.answer() == ("192.0.2.99",)
    finally:
        await app.stop()


async def test_a_plan_changes_nothing(site: Site) -> None:
    app = await site.start()
    try:
        await site.until_state("normal")
        planned = await app.plan(site.file.read_text().replace(A, "192.0.2.99"), str(site.file))
        assert planned["moves_traffic"] is True
        assert await site.answer() == (A,)
    finally:
        await app.stop()


async def test_before_anything_is_read_faces_are_told_that_nothing_is_known_yet(site: Site) -> None:
    """Status, explain and metrics answer while the start still waits for a place that cannot be read."""
    app = App(read(site.file))
    starting = asyncio.create_task(app.start())
    try:
        async with asyncio.timeout(10):
            while app.api is None:
                await asyncio.sleep(0)
        seen = app.controller.service("core")
        assert seen["state"] == "uninitialised"
        assert app.controller.explain("core")
        assert app.status() == "1 uninitialised"
        await starting
        await site_ready(app)
    finally:
        await starting
        await app.stop()


async def site_ready(app: App) -> None:
    async with asyncio.timeout(30):
        while app.controller.service("core")["state"] != "normal":
            await asyncio.sleep(0.02)


FILES = "cert_file: crt, key_file: key, ca_file: ca"
UNUSABLE = {
    "certificate": f"""
      - vip: {{address: 192.0.2.9/32, interface: lo, agents: {{core-a: 127.0.0.1, core-b: 127.0.0.2}}, {FILES}}}
""",
    "no token": """
  above:
    monitor: {site: {service: core, token_file: token}}
    members:
      - {name: east, role: primary, address: 192.0.2.20, url: "http://127.0.0.1:1"}
      - {name: west, role: secondary, address: 192.0.2.21, url: "http://127.0.0.1:2"}
    actuators: [{authoritative: {name: above.gtm.example.com}}]
""",
}
"""What can be seen only when it is used, by the word that tells it."""


@pytest.mark.parametrize("word", UNUSABLE)
async def test_a_reload_that_fails_while_it_is_made_leaves_everything_as_it_was(site: Site, word: str) -> None:
    """H37: refused with the file; no zone, name or TTL of it is served, and what was watched is watched."""
    app = await site.start()
    try:
        await site.until_state("normal")
        for name in ("crt", "key", "ca", "token"):
            (site.path / name).write_text("no such thing")
        new = site.file.read_text().replace("  zones: {", "  zones: {new.example.com: {ns: {ns1.new.example.com: [192.0.2.1]}}, ")
        site.file.write_text(new.replace("ttl: 30", "ttl: 5").rstrip("\n") + UNUSABLE[word])
        with pytest.raises(ConfigError, match=word):
            await app.reload("test")
        assert app.dns is not None
        assert [zone.settings.name for zone in app.dns.zones] == ["gtm.example.com"]
        assert app.dns.register.declared() == {"core.gtm.example.com": 30}
        assert app.controller.names == ("core",)
        assert not app.config_ok
        assert await site.answer() == (A,)
    finally:
        await app.stop()


@contextlib.contextmanager
def service_manager(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Hears what an App tells it, and wants its watchdog fed every 100 ms."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        monkeypatch.setenv("WATCHDOG_USEC", "100000")
        yield manager


async def test_the_service_manager_hears_ready_after_the_first_round_of_looks(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with service_manager(site.path / "notify", monkeypatch) as manager:
        loop, app = asyncio.get_running_loop(), App(read(site.file))
        running = loop.create_task(app.run())
        async with asyncio.timeout(30):
            while b"READY=1" not in await loop.sock_recv(manager, 4096):
                pass
        assert site.a.looks >= 2 and site.b.looks >= 2
        app.end()
        await running


async def test_the_watchdog_is_fed_while_every_critical_loop_beats_and_no_longer(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """H55: one that is silent is enough, whatever the others do; once it beats again so does the watchdog's food."""
    with service_manager(site.path / "notify", monkeypatch) as manager:
        loop, app = asyncio.get_running_loop(), App(read(site.file))
        running = loop.create_task(app.run())

        async def told(fed: bool) -> None:
            async with asyncio.timeout(30):
                while (b"WATCHDOG=1" in await loop.sock_recv(manager, 4096)) is not fed:
                    pass

        await told(True)
        silent = app.controller.supervisor.heart("silent", 0.0)
        await asyncio.sleep(0.2)
        with contextlib.suppress(BlockingIOError):
            while manager.recv(4096):
                pass  # of before
        assert [b"WATCHDOG=1" in await loop.sock_recv(manager, 4096) for _ in range(3)] == [False] * 3
        silent.limit_s = 1000.0
        await told(True)
        app.end()
        await running
