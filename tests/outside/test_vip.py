"""The virtual address end to end: real `lbctl run`, real hosts, and what a client that asks all the time is told."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

import pytest

from tests.agent.stage import PORT as AGENT_PORT
from tests.agent.stage import AgentProcess, Authority
from tests.netns import Host, network, sysctl
from tests.outside.vip_site import ONE_AT_A_TIME, PORT, V4, VipSite

pytestmark = [pytest.mark.netns, ONE_AT_A_TIME]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[VipSite]:
    with network() as net:
        made = VipSite(net, tmp_path)
        try:
            yield made
        finally:
            made.close()


@contextmanager
def watching(host: Host, file: Path) -> Iterator[Path]:
    """Everything that happens to addresses there, as the kernel tells it."""
    with file.open("wb") as out:
        process = subprocess.Popen(host.command("ip", "monitor", "address"), stdout=out)
    try:
        yield file
    finally:
        process.kill()
        process.wait()


async def test_the_balancer_passes_on_to_the_active_core_and_a_restart_is_not_noticed(site: VipSite, tmp_path: Path) -> None:
    """Two Cores that are appliances behind one lbctl: kill -9 of the primary, SIGTERM and SIGKILL of lbctl itself (H47)."""
    sysctl(site.gate, "net.ipv4.ip_forward", "1")
    lbctl = site.controller(site.gate, forward=[PORT], lease="3s")
    lbctl.start()
    await site.until(lambda: site.client.last == "a", "the primary does not answer at the address")
    site.cores[0].kill()
    await site.until(lambda: site.client.last == "b", "the address does not follow")
    with watching(site.gate, tmp_path / "addresses.txt") as watched:
        lbctl.end(signal.SIGTERM)
        await asyncio.sleep(3.5)
        lbctl.start()
        await site.until(lambda: "valid_lft 3sec" in site.gate.run("ip", "addr", "show", "dev", "eth0"), "the next life does not keep it")
        await asyncio.sleep(3.5)
        assert V4 in watched.read_text(), "nobody set the lifetime anew"
        assert "Deleted" not in watched.read_text(), "the address was away during the restart"
    lbctl.end(signal.SIGKILL)
    await site.until(lambda: not site.gate.has(V4), "the address outlives its holder")
    assert {who for _, who in site.client.seen} <= {"-", "a", "b"}
    told = [who for who, _ in groupby(who for _, who in site.client.seen if who != "-")]
    assert told == ["a", "b"], "an answer went back"


async def test_two_controllers_that_fight_for_one_address_never_both_have_it(site: VipSite) -> None:
    """H43, H46: each has a memory of its own, so neither can know of the other but by the network."""
    other = site.net.host("other")
    both = [site.controller(site.gate, lease="5s"), site.controller(other, lease="5s")]
    for one in both:
        one.start()
    await site.until(lambda: any("is held by" in one.log.read_text() for one in both), "nobody was refused")
    await site.until(lambda: site.gate.has(V4) or other.has(V4), "nobody has it")
    for _ in range(20):
        assert [site.gate.has(V4), other.has(V4)].count(True) == 1
        await asyncio.sleep(0.02)
    winner, loser = (both[0], other) if site.gate.has(V4) else (both[1], site.gate)
    assert "is held by" not in winner.log.read_text()
    winner.end(signal.SIGKILL)
    await site.until(lambda: loser.has(V4), "the other does not take it when it is free")


async def test_with_agents_it_stands_on_the_active_members_host_and_a_cut_host_loses_it(site: VipSite) -> None:
    """The service killed under a living agent, then the holder's host cut off from everybody by its own packet filter (H47)."""
    authority = Authority(site.directory)
    agents = [AgentProcess(host, authority.files(host.name, host.ip4), site.directory) for host in site.hosts]
    agents[0].peers, agents[1].peers = [site.hosts[1].ip4], [site.hosts[0].ip4]
    files = authority.files("controller")
    try:
        for agent in agents:
            agent.start()
        lbctl = site.controller(
            site.gate, lease="2s", agents={name: f"{host.ip4}:{AGENT_PORT}" for name, host in zip("ab", site.hosts, strict=True)},
            cert_file=str(files.cert), key_file=str(files.key), ca_file=str(files.ca))
        lbctl.start()
        await site.until(lambda: site.client.last == "a", "the primary does not answer at the address")
        assert [host.has(V4) for host in site.hosts] == [True, False]
        site.hosts[0].run("nft", "-f", "-", given="table inet cut {\nchain i { type filter hook input priority 0; policy drop; }\n"
                                                  "chain o { type filter hook output priority 0; policy drop; }\n}\n")
        seen = set()

        def moved() -> bool:
            seen.add(tuple(host.has(V4) for host in site.hosts))
            return site.client.last == "b"

        await site.until(moved, "the address does not follow")
        assert (True, True) not in seen, "it was on two hosts"
        assert [host.has(V4) for host in site.hosts] == [False, True]
    finally:
        for agent in agents:
            agent.stop()
