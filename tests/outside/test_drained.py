"""A drained move through somebody else's zone (BIND, DNS UPDATE), as typed, with a real cache (unbound) in between: what a client feels (H49).

Where both members can serve, the client that goes by the cache finds a server each time: zero seconds, there and back, although the old member is
stopped as soon as lbctl calls it free.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from lbctl.clock import SystemClock
from lbctl.dns.settings import Endpoint
from lbctl.policy.drain import LOW_S
from tests.core.cores import hosts
from tests.outside.site import PATIENCE_S, Lbctl
from tests.peers.dns_servers import KEY, NAME, ZONE, bind_primary, free_place, secret
from tests.peers.unbound import Client, asking, unbound

pytestmark = [pytest.mark.peer("bind"), pytest.mark.peer("unbound")]
TTL_S, PORT = 8, 7443
PROBE = {"profile": "standard", "interval": "1s", "fast_interval": "100ms", "timeout": "1s", "fall": 3}


class Visitor(Client):
    """A client that goes where its resolver sends it. `failed`: (when, where) nobody served."""

    def __init__(self, resolver: Endpoint) -> None:
        super().__init__(NAME, resolver)
        self.failed: list[tuple[float, str]] = []

    async def ask(self) -> str:
        seen = await super().ask()
        if seen and seen != "silence":
            try:
                _, writer = await asyncio.open_connection(seen, PORT)
                writer.close()
            except OSError:
                self.failed.append((self.now(), seen))
        return seen


class Members:
    """Two servers on addresses of their own, which can be stopped and started."""

    def __init__(self) -> None:
        self.hosts = dict(zip("ab", hosts(2), strict=True))
        self._serving: dict[str, asyncio.Server] = {}

    async def start(self, name: str) -> None:
        self._serving[name] = await asyncio.start_server(_greet, self.hosts[name], PORT)

    def stop(self, name: str) -> None:
        self._serving.pop(name).close()

    def close(self) -> None:
        for name in list(self._serving):
            self.stop(name)


async def _greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


def written(folder: Path, members: Members, primary: Endpoint, resolver: Endpoint) -> Path:
    (folder / "tsig").write_text(secret(KEY))
    update = {"servers": str(primary), "zone": ZONE, "name": NAME, "ttl": TTL_S, "resolvers": [str(resolver)],
              "tsig": {"name": KEY.name, "secret_file": str(folder / "tsig")}}
    both = [{"name": name, "role": "primary" if name == "a" else "secondary", "address": host, "url": f"tcp://{host}:{PORT}"}
            for name, host in members.hosts.items()]
    service = {"probe": PROBE, "monitor": {"tcp": {}}, "members": both, "actuators": [{"rfc2136": update}]}
    config = {"controller": {"state": str(folder / "state.db")}, "api": {"socket": str(folder / "lbctl.sock"), "listen": []},
              "services": {"core": service}}
    (folder / "lbctl.yaml").write_text(yaml.safe_dump(config))
    return folder / "lbctl.yaml"


@contextlib.asynccontextmanager
async def world(folder: Path) -> AsyncIterator[tuple[Lbctl, Members, Visitor]]:
    """BIND, unbound, two members, lbctl, and the client, who has been told of a."""
    members, place = Members(), free_place()
    async with bind_primary(folder / "bind") as primary, unbound(folder, place, ZONE, primary.place):
        lbctl = Lbctl(written(folder, members, primary.place, place))
        try:
            await asyncio.gather(members.start("a"), members.start("b"), lbctl.start())
            await until(lbctl, lambda seen: seen["state"] == "normal" and seen["actuators"][0]["in_sync"])
            visitor = Visitor(place)
            async with asking(visitor):
                await visitor.until_told(members.hosts["a"])
                yield lbctl, members, visitor
        finally:
            await lbctl.close()
            members.close()


async def until(lbctl: Lbctl, holds: Any) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not (seen := await lbctl.seen()) or not holds(seen):
            await asyncio.sleep(0.05)


async def journal(lbctl: Lbctl) -> dict[str, float]:
    """When the last line of each kind was written (UTC seconds)."""
    _, text = await lbctl.get("/api/v1/events?limit=1000")
    return {event["kind"]: datetime.fromisoformat(event["at"]).timestamp() for event in json.loads(text)["events"]}


async def drained(lbctl: Lbctl, visitor: Visitor, left: str, *verb: str) -> dict[str, float]:
    """Types it, and waits until lbctl says that the member `left` may be stopped; the journal's times on the client's clock."""
    before = await journal(lbctl)
    code, text = await lbctl.say(*verb)
    assert code == 0 and "TTL is lowered to 5 s first" in text, text
    async with asyncio.timeout(PATIENCE_S):
        while (found := await journal(lbctl)).get("drained", 0) == before.get("drained", 0):
            await asyncio.sleep(0.05)
    offset = SystemClock().now() - visitor.now()
    return {kind: at - offset for kind, at in found.items()}


async def test_nobody_is_sent_to_a_stopped_member_there_and_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--drain`: the TTL goes down, the old one passes, traffic moves, the TTL goes up; the old member is stopped as soon as it is called free."""
    async with world(tmp_path) as (lbctl, members, visitor):
        for left, to, verb in (("a", "b", ("switchover", "core", "--to", "b", "--drain")), ("b", "a", ("resume", "core", "--drain"))):
            steps = await drained(lbctl, visitor, left, *verb)
            members.stop(left)
            assert steps["ttl-lowered"] + TTL_S <= steps["moved"] + 0.1 < steps["verified"] + 0.2 <= steps["drained"] + 0.2
            assert visitor.last(members.hosts[left]) < steps["drained"] + 0.1
            assert max(ttl for at, seen, ttl in visitor.told if seen == members.hosts[left] and steps["moved"] < at) <= LOW_S
            await visitor.until_left(TTL_S)
            assert visitor.told[-1][1] == members.hosts[to], "the TTL is the configured one again"
            assert visitor.failed == [], "seconds of clients at a member that does not serve: zero"
            with capsys.disabled():
                old_s = visitor.last(members.hosts[left]) - steps["moved"]
                print(f"\n  {verb[0]} --drain through BIND and unbound: old answers for {old_s:.1f} s after the move, "
                      f"{len(visitor.failed)} failed connections of {len(visitor.told)}")
            await members.start(left)
            await until(lbctl, lambda seen: all(member["health"] == "up" for member in seen["members"]))
        code, told = await lbctl.say("history", "core")
        assert code == 0 and told.count(f"told by {visitor.resolver} after") == 2, told
        code, told = await lbctl.say("status", "core")
        assert code == 0 and "s after the decision" in told, told
        code, told = await lbctl.say("explain", "core")
        assert code == 0 and f"The resolver {visitor.resolver} tells the new answer since" in told, told
