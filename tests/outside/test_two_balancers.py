"""Two balancer hosts in front of Cores that are appliances: one controller, an agent on each host, and a client that asks all the time."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.netns import network, sysctl
from tests.outside.front import Front
from tests.outside.vip_site import KEPT, ONE_AT_A_TIME, PATIENCE_S, V4, VipSite

pytestmark = [pytest.mark.netns, ONE_AT_A_TIME]


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    with network() as net:
        site = VipSite(net, tmp_path)
        made = Front(site)
        try:
            yield made
        finally:
            made.close()
            site.close()


async def test_what_happens_to_the_address_is_counted_journalled_and_explained(front: Front) -> None:
    """H45, H46: removed by somebody, claimed by another machine, and a spare host that is gone."""
    front.start()
    await front.held_by(0, "the preferred host does not hold it")
    series = f'{{service="core",actuator="vip:{V4}",host="lb%d"'
    await front.site.until(lambda: "lb2 could take it" in front.lbctl.lbctl("explain", "core"), "no spare is told of")
    assert front.lbctl.metric("lbctl_vip_holds" + series % 1 + "}") == 1
    assert front.lbctl.metric("lbctl_vip_events_total" + series % 1 + ',event="removed"}') == 0
    front.hosts[0].run("ip", "addr", "del", f"{V4}/32", "dev", "eth0")
    await front.site.until(lambda: front.lbctl.metric("lbctl_vip_events_total" + series % 1 + ',event="removed"}') == 1, "it is not counted")
    await front.held_by(0, "it was not put back")
    other = front.site.net.host("other")
    # With a lower MAC than the holder's it would be given the address, for the holder has only just put it back (H46).
    other.run("ip", "link", "set", "eth0", "address", "fe:ff:ff:ff:ff:ff")
    other.run("ip", "addr", "add", f"{V4}/32", "dev", "eth0")
    with other.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as speaking:
        speaking.bind((V4, 0))
        speaking.sendto(b"x", (front.hosts[0].ip4, 9))  # asks for that host's MAC, as the address
    await front.site.until(lambda: front.lbctl.metric("lbctl_vip_events_total" + series % 1 + ',event="duplicated"}') >= 1, "it is not counted")
    other.run("ip", "addr", "del", f"{V4}/32", "dev", "eth0")
    sysctl(front.hosts[1], "net.ipv4.ip_forward", "0")
    await front.site.until(lambda: "sysctl -w net.ipv4.ip_forward=1" in front.lbctl.lbctl("explain", "core"), "it counts as a spare")
    front.agents[1].stop()
    await front.site.until(lambda: "refused" in front.lbctl.lbctl("explain", "core"), "the spare host is said to be well")
    assert front.lbctl.metric("lbctl_vip_host_ready" + series % 2 + "}") == 0
    said = front.lbctl.lbctl("explain", "core")
    assert "no other host could take it now" in said and "lb2: " in said, said
    assert "lb1" in front.lbctl.lbctl("status", "core")
    story = front.lbctl.lbctl("history", "core", "--last", "100")
    for words in (f"lb1: {V4} was removed from eth0 by somebody", f"is claimed by {other.mac} too", f"lb2 could not hold {V4}"):
        assert words in " ".join(story.split()), story
    assert front.holding.never_two()


def connected(front: Front) -> socket.socket:
    with front.site.net.host("idle").inside():
        return socket.create_connection((V4, KEPT), PATIENCE_S)


def speak(old: socket.socket) -> None:
    """Until somebody says that this connection is none."""
    old.settimeout(0.2)
    for _ in range(int(PATIENCE_S / 0.2)):
        with contextlib.suppress(TimeoutError):
            old.sendall(b"x")
            old.recv(1)


async def test_hosts_die_in_every_way_and_the_other_takes_over_never_both(front: Front, capsys: pytest.CaptureFixture[str]) -> None:
    """H41, H43, H47: killed, stopped, cut off, deleted; between them a failover of the Cores, which moves nothing but the rules."""
    gaps: dict[str, float] = {}
    front.start()
    await front.held_by(0, "the preferred host does not hold it")
    assert front.client.last == "a"
    front.site.cores[0].kill()
    await front.site.until(lambda: front.client.last == "b", "the rules do not follow the active Core")
    gaps["a Core is killed"] = front.client.gap_s()
    assert front.hosts[0].has(V4), "a failover of the Cores moved the address"

    async def moved(how: str, number: int) -> None:
        since = len(front.client.seen)
        await front.held_by(number, f"{how}: the other host does not take it")
        gaps[f"the agent's host: {how}"] = front.client.worst_s(since)

    front.agents[0].signal(signal.SIGKILL)
    await moved("agent killed", 1)
    front.agents[0].stop()
    front.agents[0].start()
    await front.site.until(lambda: front.agents[0].log.read_text().count("ready") == 2, "the agent does not start again")
    front.agents[1].signal(signal.SIGSTOP)
    await moved("agent stopped", 0)
    front.agents[1].signal(signal.SIGCONT)
    front.hosts[0].cut()
    await moved("cut off", 1)
    front.hosts[0].join()
    subprocess.run(["ip", "netns", "exec", front.site.net.name, "ip", "link", "del", front.hosts[1].port], check=True)
    await front.site.until(lambda: front.hosts[0].has(V4) and front.client.last == "b", "deleted: the other host does not take it")
    assert front.holding.never_two(), front.holding.turns()
    with capsys.disabled():
        print("\n" + "\n".join(f"  {how}: {gap * 1000:.0f} ms" for how, gap in gaps.items()))


async def test_without_its_controller_all_stays_and_a_second_death_ends_it(front: Front) -> None:
    """SEMANTICS section 8, H44, H47: what `deploy/vip/README.md` says that one controller gives, and what not.

    On the way a connection to the Core that hangs is cut, which nobody there would do.
    """
    front.start()
    await front.held_by(0, "the preferred host does not hold it")
    with connected(front) as old:
        assert old.recv(1) == b"a"
        front.site.cores[0].stop()
        await front.site.until(lambda: front.client.last == "b", "the rules do not follow the active Core")
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            await asyncio.to_thread(speak, old)
    front.lbctl.end(signal.SIGKILL)
    await front.site.until(lambda: "while all peers agree" in front.agents[0].log.read_text(), "the peer was not asked")
    await asyncio.sleep(5.0)
    assert front.hosts[0].has(V4), "it does not outlive its controller"
    await front.site.until(lambda: front.client.last == "b", "it is not passed on without its controller")
    front.agents[1].stop()
    await front.site.until(lambda: not front.hosts[0].has(V4), "it is kept although nobody confirms")
    front.lbctl.start()
    await front.held_by(0, "the next life of the controller does not lend it")
    await front.site.until(lambda: front.client.last == "b", "the next life does not pass it on")
    assert front.holding.never_two()
