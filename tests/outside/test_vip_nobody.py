"""A virtual address with NET_ADMIN and NET_RAW and no other right, end to end: the controller that passes on itself, and agents that do."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.netns import network, sysctl
from tests.outside.front import Front
from tests.outside.vip_site import ONE_AT_A_TIME, PORT, V4, VipSite

pytestmark = [pytest.mark.netns, ONE_AT_A_TIME]
NOBODY = 65534
AS_NOBODY = """
import ctypes, os, struct, sys
import importlib.readers, lbctl.agent.server, lbctl.app, lbctl.cli.agent, lbctl.cli.run  # an interpreter may stand where only root may look
from lbctl.cli import main
libc, wanted = ctypes.CDLL(None), (12, 13)
for number in range(41):
    if number not in wanted:
        libc.prctl(24, number, 0, 0, 0)  # out of the bounding set: no program that it starts can have more either
assert libc.prctl(8, 1, 0, 0, 0) == 0  # keep capabilities over the change of user
os.setgroups([])
os.setresgid(NOBODY, NOBODY, NOBODY)
os.setresuid(NOBODY, NOBODY, NOBODY)
mask = sum(1 << number for number in wanted)
assert libc.capset(struct.pack("Ii", 0x20080522, 0), struct.pack("6I", mask, mask, mask, 0, 0, 0)) == 0
for number in wanted:
    assert libc.prctl(47, 2, number, 0, 0) == 0  # ambient: nft has them too, as the unit files have it
assert libc.prctl(38, 1, 0, 0, 0) == 0  # no new privileges
print("rights", os.getuid(), next(line.split()[1] for line in open("/proc/self/status") if line.startswith("CapEff")), flush=True)
sys.argv[0] = "lbctl"
main()
""".replace("NOBODY", str(NOBODY))
PROGRAM = [sys.executable, "-c", AS_NOBODY]
RIGHTS = "rights 65534 0000000000003000"


@pytest.fixture
def site() -> Iterator[VipSite]:
    with tempfile.TemporaryDirectory() as folder, network() as net:
        os.chown(folder, NOBODY, NOBODY)  # the state is nobody's
        made = VipSite(net, Path(folder))
        try:
            yield made
        finally:
            made.close()


async def test_a_balancer_needs_two_capabilities_and_no_root(site: VipSite) -> None:
    """The address on this host and the rules behind it."""
    sysctl(site.gate, "net.ipv4.ip_forward", "1")
    lbctl = site.controller(site.gate, forward=[PORT], lease="3s")
    lbctl.program = PROGRAM
    lbctl.start()
    await site.until(lambda: site.client.last == "a", "the primary does not answer at the address")
    assert site.gate.has(V4) and RIGHTS in lbctl.log.read_text()
    site.cores[0].kill()
    await site.until(lambda: site.client.last == "b", "the rules do not follow")


async def test_agents_need_two_capabilities_and_no_root(site: VipSite) -> None:
    """The controller of agents needs none of them."""
    front = Front(site)
    try:
        for agent in front.agents:
            agent.program = PROGRAM
        front.start()
        await front.held_by(0, "the preferred host does not hold it")
        assert all(RIGHTS in agent.log.read_text() for agent in front.agents)
        front.agents[0].stop()
        await front.held_by(1, "the other host does not take it")
        assert front.holding.never_two()
    finally:
        front.close()
