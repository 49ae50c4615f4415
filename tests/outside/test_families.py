"""H22 from outside: a real `lbctl run`, a member that answers over IPv4 and IPv6, and what a client is told when one of the two dies."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.exception
import dns.message
import yaml

from tests.core.cores import hosts
from tests.outside.site import NAME, PATIENCE_S, QUICK, Lbctl
from tests.probes.servers import Server, reply, serving

PRIMARY = {"/status/status.html": reply(b"MOBILEIRON-STATUS: OK"), "/hastatus.html": reply(b"MOBILEIRON-STATUS: OK (Mode: Primary)")}
STANDBY = {"/status/status.html": reply(b"", status="503 Service Unavailable"), "/hastatus.html": reply(b"MOBILEIRON-STATUS: OK (Mode: Standby)")}
A = {"192.0.2.10", "2001:db8::10"}
Play = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def core(pages: dict[str, bytes]) -> Play:
    """A Core's two pages."""
    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        writer.write(pages[request.split()[1].decode()])
        await writer.drain()
    return play


def place(host: str, server: Server) -> str:
    return f"[{host}]:{server.port}" if ":" in host else f"{host}:{server.port}"


class Told:
    """What a client is told now."""

    def __init__(self, at: str, lbctl: Lbctl) -> None:
        self.at, self.lbctl = at, lbctl

    async def answers(self) -> set[str]:
        found: set[str] = set()
        for kind in ("A", "AAAA"):
            with contextlib.suppress(dns.exception.DNSException, OSError):
                reply_ = await dns.asyncquery.udp(dns.message.make_query(NAME, kind), self.at, port=5300, timeout=2)
                found |= {item.to_text() for rrset in reply_.answer for item in rrset}
        return found

    async def until(self, wanted: set[str]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while (seen := await self.answers()) != wanted:
                await asyncio.sleep(0.05)
        assert seen == wanted

    async def seen(self, alerts: list[str] | None = None) -> dict[str, Any]:
        """The service object; with `alerts`: once it has these and no others."""
        async with asyncio.timeout(PATIENCE_S):
            while not (seen := await self.lbctl.seen()) or (alerts is not None and [alert["kind"] for alert in seen["alerts"]] != alerts):
                await asyncio.sleep(0.05)
        return seen

    async def until_journalled(self, *kinds: str) -> None:
        """Lines of these kinds stand in it: they come a moment after what they tell of."""
        history = ""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while any(f'"{kind}"' not in history for kind in kinds):
                    _, history = await self.lbctl.say("-o", "json", "history", "core")
        except TimeoutError:
            raise AssertionError(f"{kinds} not in {history}") from None


@contextlib.asynccontextmanager
async def running(base: Path, rule: str, a: list[str], b: list[str]) -> AsyncIterator[Told]:
    """`lbctl run` over a pair whose pages are at these places, one for each family."""
    at, = hosts(1)
    members = [
        {"name": "core-a", "role": "primary", "address": sorted(A), "url": "http://core-a.example.com", "connect": a},
        {"name": "core-b", "role": "secondary", "address": ["192.0.2.11", "2001:db8::11"], "url": "http://core-b.example.com", "connect": b},
    ]
    file = base / "lbctl.yaml"
    file.write_text(yaml.safe_dump({
        "controller": {"state": str(base / "state.db")}, "api": {"socket": str(base / "lbctl.sock"), "listen": []},
        "authoritative": {"listen": [f"{at}:5300"], "zones": {"gtm.example.com": {"ns": {"ns1.gtm.example.com": ["192.0.2.53"]}}}},
        "services": {"core": {"probe": {**QUICK, "families": rule}, "members": members, "actuators": [{"authoritative": {"name": NAME, "ttl": 5}}]}},
    }))
    lbctl = Lbctl(file)
    await lbctl.start()
    try:
        yield Told(at, lbctl)
    finally:
        await lbctl.close()


async def six_has_died(stack: contextlib.AsyncExitStack, base: Path, rule: str) -> tuple[Told, Server]:
    """Both families of both Cores are told; then nobody answers over IPv6 for core-a any more. What is told, and the server that has ended."""
    four = await stack.enter_async_context(serving(core(PRIMARY), host="127.0.0.1"))
    other = [await stack.enter_async_context(serving(core(STANDBY), host=host)) for host in ("127.0.0.1", "::1")]
    async with serving(core(PRIMARY), host="::1") as six:
        a, b = [place("127.0.0.1", four), place("::1", six)], [place("127.0.0.1", other[0]), place("::1", other[1])]
        told = await stack.enter_async_context(running(base, rule, a, b))
        await told.until(A)
    return told, six


async def test_a_dead_ipv6_path_is_not_told_to_clients_and_moves_nobody(tmp_path: Path) -> None:
    """A and AAAA are published independently; the family comes back by itself, also over a restart of lbctl."""
    async with contextlib.AsyncExitStack() as stack:
        told, server = await six_has_died(stack, tmp_path, "any")
        await told.until({"192.0.2.10"})
        seen = await told.seen(alerts=["FamilyWithheld"])
        assert seen["active"] == "core-a"
        families = seen["members"][0]["families"]
        assert families["ipv6"]["withheld"] and families["ipv6"]["reason"] == "refused" and families["ipv4"]["health"] == "up"
        await told.lbctl.end()
        await told.lbctl.start()
        await told.until({"192.0.2.10"})
        await stack.enter_async_context(serving(core(PRIMARY), host="::1", port=server.port))
        await told.until(A)
        await told.until_journalled("family-withheld", "family-back")


async def test_with_all_a_dead_ipv6_path_fails_over(tmp_path: Path) -> None:
    """Who says that both families must answer is moved when one does not."""
    async with contextlib.AsyncExitStack() as stack:
        told, _ = await six_has_died(stack, tmp_path, "all")
        await told.until({"192.0.2.11", "2001:db8::11"})
        assert (await told.seen())["active"] == "core-b"
