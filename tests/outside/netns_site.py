"""The site of real processes on hosts of their own: lbctl, each Core and the client in a network namespace each, joined by a bridge.

Only what is between two of them is cut, so that the client can still ask lbctl's DNS server while lbctl cannot see a Core.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import dns.exception
import dns.message
import dns.rcode

from tests.netns import Host, Network, network
from tests.outside.site import ASK_S, NAME, Site


class Switch:
    """What is between the hosts: nftables on the bridge. A rule takes effect at once, on connections that stand as well."""

    def __init__(self, net: Network) -> None:
        self._net = net
        self._nft("add", "table", "bridge", "wire")
        self._nft("add", "chain", "bridge", "wire", "between", "{ type filter hook forward priority 0; }")

    def cut(self, one: Host, *others: Host) -> None:
        """No packet gets through between `one` and the others; no host is told."""
        self._between(one, others, "drop")

    def lose(self, percent: int, one: Host, *others: Host) -> None:
        """So many of the packets are lost at random, in each direction."""
        self._between(one, others, f"numgen random mod 100 < {percent} counter drop")

    def lost(self) -> int:
        """How many packets the rules of `lose` have dropped since the last `mend`."""
        rows = json.loads(self._nft("-j", "list", "table", "bridge", "wire"))["nftables"]
        parts = [part for row in rows for part in row.get("rule", {}).get("expr", [])]
        return sum(part["counter"]["packets"] for part in parts if "counter" in part)

    def mend(self) -> None:
        self._nft("flush", "chain", "bridge", "wire", "between")

    def _between(self, one: Host, others: tuple[Host, ...], verdict: str) -> None:
        for other in others:
            for source, target in ((one, other), (other, one)):
                self._nft("add", "rule", "bridge", "wire", "between", *f"ip saddr {source.ip4} ip daddr {target.ip4} {verdict}".split())

    def _nft(self, *words: str) -> str:
        done = subprocess.run(["ip", "netns", "exec", self._net.name, "nft", *words], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout


def reject(host: Host, source: Host, how: str) -> None:
    """The firewall of `host` turns away what comes from `source` over TCP, and says so: `tcp reset`, `icmp type host-unreachable`."""
    rule = f"ip saddr {source.ip4} meta l4proto tcp reject with {how}"
    host.run("nft", "-f", "-", given=f"table inet guard {{\nchain in {{\ntype filter hook input priority 0;\n{rule}\n}}\n}}\n")


def admit(host: Host) -> None:
    """Its firewall is open again."""
    host.run("nft", "delete", "table", "inet", "guard")


class Apart(Site):
    """A site whose four parts stand on four hosts."""

    def __init__(self, base: Path, net: Network, **more: Any) -> None:
        self.on_a, self.on_b, self.on_lbctl, self.client = (net.host(name) for name in ("a", "b", "lb", "cl"))
        super().__init__(base, at=(self.on_a.ip4, self.on_b.ip4, self.on_lbctl.ip4), **more)
        self.a.within, self.b.within, self.lbctl.within = self.on_a.command(), self.on_b.command(), self.on_lbctl.command()
        self.switch = Switch(net)

    def config(self) -> dict[str, Any]:
        made = super().config()
        made["api"]["listen"] = "127.0.0.1:9653"
        return made

    async def answer(self, patience_s: float = ASK_S) -> str:
        """As the client on its own host is told."""
        with self.client.inside():
            asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with asking:
            asking.setblocking(False)
            try:
                asking.connect((self.host, 5300))
                query = dns.message.make_query(NAME, "A")
                loop = asyncio.get_running_loop()
                async with asyncio.timeout(patience_s):
                    await loop.sock_sendall(asking, query.to_wire())
                    reply = dns.message.from_wire(await loop.sock_recv(asking, 4096))
            except (TimeoutError, OSError, dns.exception.DNSException):
                return "silence"
        assert query.is_response(reply)
        if reply.rcode() != dns.rcode.NOERROR:
            return dns.rcode.to_text(reply.rcode())
        return ",".join(sorted(item.address for answer in reply.answer for item in answer))


@contextlib.asynccontextmanager
async def apart(base: Path, **more: Any) -> AsyncIterator[Apart]:
    """A running site on four hosts; processes and hosts are gone afterwards."""
    with network() as net:
        made = Apart(base, net, **more)
        try:
            await made.start()
            yield made
        finally:
            await made.close()
