"""A planned move between real Cores, as an administrator types it (H49, SEMANTICS sections 3 and 8)."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from lbctl.clock import SystemClock
from lbctl.dns.settings import Endpoint
from lbctl.policy.drain import LOW_S, ROUNDING_S
from tests.outside.site import ASK_S, NAME, PATIENCE_S, PATIENT, Site, site
from tests.peers.dns_servers import KEY, ZONE, bind_primary, free_place, secret
from tests.peers.dns_servers import NAME as ZONED
from tests.peers.unbound import Client, ended, unbound

TTL_S = 7


async def test_a_drained_and_driven_switchover_announces_the_gap_and_reports_it(tmp_path: Path) -> None:
    """The TTL goes down and passes, the Cores change roles, traffic moves, and what clients felt is in the history."""
    actuators = [{"authoritative": {"name": NAME, "ttl": 7}}]
    async with site(tmp_path, drive=True, probe=PATIENT, service={"actuators": actuators}) as made:
        await made.until_service("ready to be driven", lambda seen: seen["state"] == "normal" and seen["members"][1]["verdict"] == "standby")
        await made.accepted("switchover", "core", "--drive", "--drain", "--reason", "network work")
        await made.until_service("over", lambda seen: seen["active"] == "core-b" and seen["run"] is None)
        assert "clients are refused while the Cores change roles" in made.lbctl.log
        assert await made.answer() == made.host_b
        code, history = await made.lbctl.say("history", "core")
        assert code == 0 and "TTL is lowered" in history and "clients were refused for" in history
        await made.until_service("ready for the way back", lambda seen: seen["members"][0]["verdict"] == "standby" and seen["promoted"])
        code, told = await made.lbctl.say("resume", "core", "--drive", "--reason", "network work is over")
        assert code == 0, told + made.lbctl.log[-2000:]
        _, events = await made.lbctl.say("-o", "json", "events", "core", "--since", "0")
        paged = [event["text"] for event in json.loads(events)["events"] if event["data"].get("page") is True]
        assert paged == [], "a planned switchover never pages (contract, section 5)"


class Zoned(Site):
    """The pair in somebody else's zone: lbctl changes it at BIND, and a client asks unbound and goes to the Core that it is told of."""

    def __init__(self, base: Path, primary: Endpoint, resolver: Endpoint) -> None:
        (base / "tsig").write_text(secret(KEY))
        update = {"servers": str(primary), "zone": ZONE, "name": ZONED, "ttl": TTL_S, "resolvers": [str(resolver)],
                  "tsig": {"name": KEY.name, "secret_file": str(base / "tsig")}}
        super().__init__(base, drive=True, probe=PATIENT, service={"actuators": [{"rfc2136": update}]})
        self.visitor = Visitor(resolver)

    async def answer(self, patience_s: float = ASK_S) -> str:
        return await self.visitor.ask()

    async def journal(self) -> list[dict[str, Any]]:
        _, text = await self.lbctl.get("/api/v1/events?limit=1000&newest=true&service=core")
        return list(json.loads(text)["events"])

    async def until_converged(self, verb: str) -> dict[str, float]:
        """When the last line of each kind was written, by the client's clock, once the resolver tells what `verb` has moved to."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                events = await self.journal()
                moved = [event for event in events if event["kind"] == "moved"][-1]
                if moved["text"].startswith(verb) and any(e["kind"] == "resolver-converged" and e["epoch"] == moved["epoch"] for e in events):
                    break
                await asyncio.sleep(0.1)
        offset = SystemClock().now() - self.visitor.now()
        return {event["kind"]: datetime.fromisoformat(event["at"]).timestamp() - offset for event in events}

    async def reported(self) -> str:
        """What lbctl says that clients felt."""
        return str([event["text"] for event in await self.journal() if event["kind"] == "gap"][-1])


class Visitor(Client):
    """`visits`: (loop time, whether the Core that the resolver named serves)."""

    def __init__(self, resolver: Endpoint) -> None:
        super().__init__(ZONED, resolver)
        self.visits: list[tuple[float, bool]] = []

    async def visit(self) -> None:
        """Opens the status page of the Core it is told of, again and again."""
        async with aiohttp.ClientSession() as session:
            while True:
                host, told = await self.ask(), self.now()
                async with session.get(f"https://{host}:4443/status/status.html", ssl=False) as page:
                    self.visits.append((told, page.status == 200))
                await asyncio.sleep(0.1)

    def gap(self) -> tuple[float, float]:
        """First and last visit to a Core that did not serve."""
        failed = [at for at, served in self.visits if not served]
        return failed[0], failed[-1]


@pytest.mark.peer("bind")
@pytest.mark.peer("unbound")
async def test_behind_a_cache_the_gap_of_cores_is_what_was_announced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Through BIND and unbound, there and back (G-LB4): a client finds no serving Core from the change of roles until the cache has let go of the
    low TTL, and at no other time."""
    place = free_place()
    async with bind_primary(tmp_path / "bind") as primary, unbound(tmp_path, place, ZONE, primary.place):
        made = Zoned(tmp_path, primary.place, place)
        try:
            await made.start()
            for verb in (("switchover", "core", "--drive", "--drain", "--reason", "network work"), ("resume", "core", "--drive", "--drain")):
                await made.until_service("ready to be driven", lambda seen: "standby" in [m["verdict"] for m in seen["members"]] and seen["promoted"])
                made.visitor.visits.clear()
                visiting = asyncio.create_task(made.visitor.visit())
                code, told = await made.lbctl.say(*verb)
                assert code == 0, told + made.lbctl.log[-2000:]
                steps = await made.until_converged(verb[0])
                await ended(visiting)
                first, last = made.visitor.gap()
                assert steps["drain-begun"] + TTL_S <= steps["moved"] + 0.1
                assert steps["ttl-lowered"] + TTL_S - 1 <= first, "every client is served until the old TTL has passed"
                assert last - steps["moved"] <= LOW_S + ROUNDING_S, "and again when the low one has"
                with capsys.disabled():
                    print(f"\n  {verb[0]} --drive --drain of Cores through BIND and unbound: no Core served the client for {last - first:.1f} s; "
                          f"{last - steps['moved']:.1f} s of it after the move, by the cache; {await made.reported()}")
        finally:
            await made.close()
