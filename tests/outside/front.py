"""Two balancer hosts with agents in front of a `VipSite`, and `lbctl run` on a third."""

from __future__ import annotations

from typing import Any

from tests.agent.stage import PORT as AGENT_PORT
from tests.agent.stage import AgentProcess, Authority
from tests.netns import sysctl
from tests.outside.vip_site import KEPT, PORT, QUICK, V4, Controller, Holding, VipSite


class Front:
    """`hosts` and `agents` in order of preference."""

    def __init__(self, site: VipSite, probe: dict[str, Any] = QUICK, lease: str = "2s") -> None:
        self.site, self.client = site, site.client
        self.hosts = [site.net.host("lb1"), site.net.host("lb2")]
        authority = Authority(site.directory)
        self.agents = [AgentProcess(host, authority.files(host.name, host.ip4), site.directory) for host in self.hosts]
        self.agents[0].peers, self.agents[1].peers = [self.hosts[1].ip4], [self.hosts[0].ip4]
        files = authority.files("controller")
        proof: dict[str, Any] = {"cert_file": str(files.cert), "key_file": str(files.key), "ca_file": str(files.ca)}
        where: dict[str, Any] = {f"lb{number}": f"{host.ip4}:{AGENT_PORT}" for number, host in enumerate(self.hosts, 1)}
        self.lbctl: Controller = site.controller(site.gate, probe, lease=lease, forward=[PORT, KEPT], agents=where, **proof)
        self.holding = Holding(self.hosts, site.directory)

    def start(self) -> None:
        for agent in self.agents:
            sysctl(agent.host, "net.ipv4.ip_forward", "1")
            agent.start()
        self.lbctl.start()

    async def held_by(self, number: int, what: str) -> None:
        """The host has the address, and clients are answered."""
        await self.site.until(lambda: self.hosts[number].has(V4) and not self.hosts[1 - number].has(V4) and self.client.last != "-", what)

    def close(self) -> None:
        self.holding.close()
        for agent in self.agents:
            agent.stop()
