"""A virtual address on a host of its own network, with and without passing on."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from lbctl.actuators.base import Actuator
from lbctl.actuators.vip import Settings
from lbctl.errors import ActuatorError
from lbctl.model.decision import Desired
from lbctl.net.forward import Forward
from tests.actuators.places import PATIENCE_S, make_on
from tests.netns import Host, Network, network, sysctl

pytestmark = pytest.mark.netns
V4, V6 = "10.77.0.99", "fd77::99"
PORT = 8443
SPEAKER = """
import socket, sys
with socket.create_server((sys.argv[1], int(sys.argv[2])), family=socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET) as server:
    print("ready", flush=True)
    kept = []
    while True:
        kept.append(server.accept()[0])
        kept[-1].sendall(sys.argv[3].encode())
"""


@pytest.fixture
def net() -> Iterator[Network]:
    with network() as made:
        yield made


def desired(epoch: int, member: str, *addresses: str) -> Desired:
    return Desired("core", epoch, (member,), {"": addresses})


async def shown(actuator: Actuator) -> tuple[frozenset[str] | None, int | None]:
    [place] = (await actuator.read()).places
    return place.addresses, place.epoch


async def until(holds: Callable[[], bool], what: str) -> None:
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not holds():
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(what)


def speaks(host: Host, address: str, word: str) -> subprocess.Popen[str]:
    """A server on that host that says one letter and keeps the connection."""
    process = subprocess.Popen(host.command(sys.executable, "-c", SPEAKER, address, str(PORT), word), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == "ready\n"
    return process


def connected(client: Host, address: str) -> socket.socket:
    with client.inside():
        return socket.create_connection((address, PORT), PATIENCE_S)


async def test_it_is_held_while_a_member_is_active_whoever_that_is(net: Network, tmp_path: Path) -> None:
    host = net.host("a")
    vip = make_on(host, Settings(f"{V4}/32", "eth0", 60), tmp_path / "state.db")
    for epoch, member, address in ((1, "a", "192.0.2.10"), (2, "b", "192.0.2.11")):
        await vip.apply(desired(epoch, member, address))
        assert host.has(V4)
        assert await shown(vip) == (frozenset({address}), epoch)
    await vip.close()


async def test_the_next_life_takes_over_what_the_last_one_held(net: Network, tmp_path: Path) -> None:
    """SIGTERM changes nothing: the address waits for a restart, and is then kept for longer than its first lease."""
    host = net.host("a")
    settings = Settings(f"{V4}/32", "eth0", 1)
    first = make_on(host, settings, tmp_path / "state.db")
    await first.apply(desired(4, "a", "192.0.2.10"))
    await first.close()
    await asyncio.sleep(1.5)
    assert host.has(V4)
    second = make_on(host, settings, tmp_path / "state.db")
    assert await shown(second) == (frozenset({"192.0.2.10"}), 4)
    await until(lambda: "valid_lft 1sec" in host.run("ip", "addr", "show", "dev", "eth0"), "the lease is not a lease again")
    await asyncio.sleep(2.5)  # what the last one left for the restart would be over as well
    assert host.has(V4), "the lease is not renewed"
    await second.close()


@pytest.mark.parametrize("family", [4, 6])
async def test_the_holder_passes_on_to_the_active_member_and_cuts_the_dead_ones_connections(net: Network, tmp_path: Path, family: int) -> None:
    """Two Cores that are appliances; a client that is connected to the dead one is told at once, not after its own patience."""
    gate, a, b, client = net.host("gate"), net.host("a"), net.host("b"), net.host("client")
    address, prefix = (V4, 32) if family == 4 else (V6, 128)
    at_a, at_b = (a.ip4, b.ip4) if family == 4 else (a.ip6, b.ip6)
    sysctl(gate, "net.ipv4.ip_forward" if family == 4 else "net.ipv6.conf.all.forwarding", "1")
    servers = [speaks(a, at_a, "a"), speaks(b, at_b, "b")]
    vip = make_on(gate, Settings(f"{address}/{prefix}", "eth0", 60, (PORT,)), tmp_path / "state.db")
    try:
        with gate.inside():  # nft is a program: it runs where it is started
            await vip.apply(desired(1, "a", at_a))
        with connected(client, address) as old:
            assert old.recv(1) == b"a"
            with gate.inside():
                await vip.apply(desired(2, "b", at_b))
                assert await shown(vip) == (frozenset({at_b}), 2)
            with connected(client, address) as new:
                assert new.recv(1) == b"b"
            old.sendall(b"x")
            with pytest.raises(ConnectionResetError):
                old.recv(1)
        gate.run("nft", "flush", "ruleset")
        with gate.inside():
            assert await shown(vip) == (frozenset(), 2)
    finally:
        for server in servers:
            server.kill()
            server.wait()
        await vip.close()


async def test_rules_that_somebody_else_has_set_are_shown_as_they_are(net: Network, tmp_path: Path) -> None:
    """What clients are passed on to is what counts, not what was written last: another target, another decision."""
    gate = net.host("gate")
    sysctl(gate, "net.ipv4.ip_forward", "1")
    vip = make_on(gate, Settings(f"{V4}/32", "eth0", 60, (PORT,)), tmp_path / "state.db")
    with gate.inside():
        await vip.apply(desired(1, "a", "10.77.0.50"))
        other = Forward(ipaddress.ip_address(V4))
        other.apply("10.77.0.51", (PORT,), 7)
        assert await shown(vip) == (frozenset({"10.77.0.51"}), 7)
        other.apply("10.77.0.50", (PORT,), 7)
        assert await shown(vip) == (frozenset({"10.77.0.50"}), 7)
        other.close()
        await vip.close()


async def test_an_address_that_another_host_holds_is_no_place_that_shows_nothing(net: Network, tmp_path: Path) -> None:
    """H46: nothing is added, and what is told is the conflict and its MAC, not an empty place to be written again."""
    host, other = net.host("a"), net.host("b")
    other.run("ip", "addr", "add", f"{V4}/32", "dev", "eth0")
    vip = make_on(host, Settings(f"{V4}/32", "eth0", 60), tmp_path / "state.db")
    with pytest.raises(ActuatorError, match=other.mac):
        await vip.apply(desired(1, "a", "192.0.2.10"))
    async with asyncio.timeout(PATIENCE_S):  # told by the next try, half a second later
        while (place := (await vip.read()).places[0]).error_reason != "conflict":
            await asyncio.sleep(0.05)
    assert place.addresses is None and other.mac in place.error and not host.has(V4)
    await vip.close()


async def test_a_host_that_passes_nothing_on_and_a_member_without_the_family_are_said(net: Network, tmp_path: Path) -> None:
    gate = net.host("gate")
    vip = make_on(gate, Settings(f"{V4}/32", "eth0", 60, (PORT,)), None)
    with gate.inside():
        sysctl(gate, "net.ipv4.ip_forward", "0")
        with pytest.raises(ActuatorError, match=r"sysctl -w net\.ipv4\.ip_forward=1"):
            await vip.apply(desired(1, "a", "192.0.2.10"))
        with pytest.raises(ActuatorError, match="no IPv4 address"):
            await vip.apply(desired(2, "a", "2001:db8::1"))
    assert not gate.has(V4)
    with suppress(ActuatorError):
        await vip.close()
