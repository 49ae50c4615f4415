"""One address on hosts of a real network: taken, announced, lent, lost, fought for. Every host is a namespace."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest

from lbctl.clock import SystemClock
from lbctl.errors import ActuatorError
from lbctl.net import packets
from lbctl.net.holder import Holder
from lbctl.net.netlink import Netlink
from lbctl.net.wire import Wire
from tests.netns import Host, Network, network

pytestmark = pytest.mark.netns
V4, V6 = "10.77.0.99/32", "fd77::99/128"
PATIENCE_S = 30.0
BOTH = pytest.mark.parametrize("address", [V4, V6], ids=["IPv4", "IPv6"])
HOLD = """
import asyncio, sys
from lbctl.clock import SystemClock
from lbctl.net.holder import Holder
async def main():
    holder = Holder(sys.argv[1], "eth0", float(sys.argv[2]), SystemClock())
    await holder.take()
    print("held", flush=True)
    await asyncio.sleep(3600)
asyncio.run(main())
"""

AS_NOBODY = """
import asyncio, ctypes, os, struct, sys
from lbctl.clock import SystemClock
from lbctl.errors import ActuatorError
from lbctl.net.holder import Holder
async def main():
    holder = Holder(sys.argv[1], "eth0", 3, SystemClock())
    try:
        await holder.take()
        holder.drop()
        print("held")
    except ActuatorError as error:
        print(error.reason)
    await holder.close()
libc, mask = ctypes.CDLL(None), sum(1 << int(number) for number in sys.argv[2:])
assert libc.prctl(8, 1, 0, 0, 0) == 0  # keep capabilities over the change of user
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
assert libc.capset(struct.pack("Ii", 0x20080522, 0), struct.pack("6I", mask, mask, 0, 0, 0, 0)) == 0
assert os.getuid() == 65534
asyncio.run(main())
"""


@pytest.fixture
def net() -> Iterator[Network]:
    with network() as made:
        yield made


@contextlib.asynccontextmanager
async def holder(host: Host, address: str, lease_s: float = 3.0) -> AsyncIterator[Holder]:
    with host.inside():
        made = Holder(address, "eth0", lease_s, SystemClock())
    try:
        yield made
    finally:
        await made.close()


async def take(host: Host, made: Holder, until: float | None = None) -> None:
    with host.inside():
        made._opened()  # its sockets belong to this host; nothing is waited for in here
    await made.take(until)


async def until(holds: Callable[[], bool], what: str) -> None:
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not holds():
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(what)


def plain(address: str) -> str:
    return address.split("/")[0]


def answers(host: Host, address: str) -> bool:
    """Whether somebody is there: a port where nobody listens is refused."""
    with host.inside(), socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as made:
        made.settimeout(5)
        return made.connect_ex((plain(address), 9)) == errno.ECONNREFUSED


@BOTH
async def test_everybody_knows_at_once_who_holds_it_now(net: Network, address: str) -> None:
    """H45: without the announcement a neighbour would send to the old holder for seconds."""
    a, b, client = net.host("a"), net.host("b"), net.host("c")
    async with holder(a, address) as one, holder(b, address) as two:
        await take(a, one)
        assert answers(client, address)
        assert client.learnt(plain(address)) == a.mac
        one.drop()
        assert not a.has(plain(address))
        await take(b, two)
        await until(lambda: client.learnt(plain(address)) == b.mac, "the neighbour was not told")
        assert answers(client, address)


@BOTH
async def test_an_address_that_somebody_holds_is_not_added_and_the_holder_is_named(net: Network, address: str) -> None:
    """H46."""
    a, b = net.host("a"), net.host("b")
    family = "-6" if ":" in address else "-4"
    a.run("ip", family, "addr", "add", address, "dev", "eth0", *(["nodad"] if ":" in address else []))
    async with holder(b, address) as two:
        with pytest.raises(ActuatorError, match=f"is held by {a.mac}") as raised:
            await take(b, two)
        assert raised.value.reason == "conflict"
        assert not b.has(plain(address))
        a.run("ip", family, "addr", "del", address, "dev", "eth0")
        await until(lambda: b.has(plain(address)), "it is not taken when it is free")


@BOTH
async def test_asked_ahead_it_is_taken_at_once_when_the_old_holder_is_proved_gone(net: Network, address: str) -> None:
    """H46: the old holder's own answer is expected; that of anybody else is not, and what was asked long ago is asked again."""
    a, b = net.host("a"), net.host("b")
    gone = frozenset({bytes.fromhex(a.mac.replace(":", ""))})
    async with holder(a, address) as one, holder(b, address) as two:
        await take(a, one)
        with b.inside():
            two.ask_ahead()
        await until(lambda: bool(two._claims), "the old holder does not answer")
        with pytest.raises(ActuatorError, match=f"is held by {a.mac}"):
            await two.take()  # nothing proves that it is gone
        two.drop()
        one.drop()
        one.ready()
        one.ask_ahead()  # as it does when it is to be the next one after the next
        with b.inside():
            two.ask_ahead()
        await two.take(gone=gone)
        assert b.has(plain(address)) and not a.has(plain(address))


@BOTH
async def test_asked_ahead_a_third_host_that_holds_it_is_no_less_a_conflict(net: Network, address: str) -> None:
    """H46: two are proved to be without it, and a machine that nobody knows has it."""
    a, b, c = net.host("a"), net.host("b"), net.host("c")
    family = "-6" if ":" in address else "-4"
    c.run("ip", family, "addr", "add", address, "dev", "eth0", *(["nodad"] if ":" in address else []))
    async with holder(b, address) as two:
        with b.inside():
            two.ask_ahead()
        with pytest.raises(ActuatorError, match=f"is held by {c.mac}"):
            await two.take(gone=frozenset({bytes.fromhex(a.mac.replace(":", ""))}))
        assert not b.has(plain(address))


@BOTH
async def test_of_two_who_fight_exactly_one_holds_it(net: Network, address: str) -> None:
    """H43, H46: they begin at the same moment, again and again."""
    a, b = net.host("a"), net.host("b")
    async with holder(a, address) as one, holder(b, address) as two:
        for _ in range(5):
            both = await asyncio.gather(take(a, one), take(b, two), return_exceptions=True)
            lost = [found for found in both if isinstance(found, ActuatorError)]
            assert [error.reason for error in lost] == ["conflict"]
            assert [a.has(plain(address)), b.has(plain(address))].count(True) == 1
            one.drop()
            two.drop()


@BOTH
async def test_of_two_who_ask_at_the_same_moment_the_lower_mac_goes_on(net: Network, address: str) -> None:
    """H46: each hears the other's question; the one that may go on is the same on both hosts, or both would give way, or none."""
    hosts = net.host("a"), net.host("b")
    low, high = sorted(hosts, key=lambda host: host.mac)
    async with holder(low, address) as winner, holder(high, address) as loser:
        for host, asks in ((high, loser), (low, winner)):
            with host.inside():
                asks.ask_ahead()
        # The one with the worse right looks first, and hears nothing but a question.
        with pytest.raises(ActuatorError, match="is held by"):
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.gather(take(high, loser), take(low, winner))
        assert low.has(plain(address)) and not high.has(plain(address))


@BOTH
async def test_two_that_both_hold_it_after_a_split_healed_become_one(net: Network, address: str) -> None:
    """H46: each defends it once; the second time the higher MAC gives way."""
    a, b = net.host("a"), net.host("b")
    b.cut()
    async with holder(a, address) as one, holder(b, address) as two:
        await take(a, one)
        await take(b, two)
        assert a.has(plain(address)) and b.has(plain(address))
        b.join()
        one._series_at = one._next_at = two._series_at = two._next_at = 0.0  # both would announce within the minute: now
        one._wake.set()
        two._wake.set()
        await until(lambda: [a.has(plain(address)), b.has(plain(address))].count(True) == 1, "both hold it")
        winner, loser = (a, b) if a.mac < b.mac else (b, a)
        assert winner.has(plain(address)) and not loser.has(plain(address))


@BOTH
async def test_of_two_that_have_just_taken_it_one_gives_way_at_once(net: Network, address: str) -> None:
    """H46: both asked, and neither could hear the other; the first announcement that gets through settles it, by MAC."""
    a, b = net.host("a"), net.host("b")
    b.cut()
    async with holder(a, address) as one, holder(b, address) as two:
        await asyncio.gather(take(a, one), take(b, two))
        b.join()
        one._gained_at = two._gained_at = SystemClock().now()  # as if the cut had lasted for a moment only
        one._series_at = one._next_at = 0.0
        one._wake.set()
        await until(lambda: [a.has(plain(address)), b.has(plain(address))].count(True) == 1, "both hold it")
        winner, loser = (one, two) if a.mac < b.mac else (two, one)
        assert winner.up
        assert "given up here" in loser.trouble or "is held by" in loser.trouble
        assert loser.tally["address-duplicated"] == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
async def test_a_holder_that_does_nothing_any_more_loses_it_by_itself(net: Network, number: signal.Signals) -> None:
    """H47: the kernel keeps the address for a lease and no longer; one that goes on later finds the new holder and stays away."""
    a, b = net.host("a"), net.host("b")
    process = subprocess.Popen(a.command(sys.executable, "-c", HOLD, V4, "1"), stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        await asyncio.sleep(1.2)
        assert a.has(plain(V4)), "it is kept while the holder lives"
        os.kill(process.pid, number)
        await until(lambda: not a.has(plain(V4)), "the lease has no end")
        async with holder(b, V4) as two:
            await take(b, two)
            if number == signal.SIGSTOP:
                os.kill(process.pid, signal.SIGCONT)
                await asyncio.sleep(1.0)
            assert b.has(plain(V4)) and not a.has(plain(V4))
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


async def test_what_is_lent_ends_on_time(net: Network) -> None:
    """H47: nobody prolongs it, so it goes, although the holder is well."""
    a = net.host("a")
    async with holder(a, V4) as one:
        await take(a, one, SystemClock().now() + 1.5)
        assert a.has(plain(V4))
        await until(lambda: not a.has(plain(V4)), "it outlives what was lent")
        await until(lambda: not one.wanted, "it is wanted still")
        assert not a.has(plain(V4))


async def test_an_address_that_somebody_removes_is_put_back(net: Network) -> None:
    a = net.host("a")
    async with holder(a, V4) as one:
        await take(a, one)
        a.run("ip", "addr", "del", V4, "dev", "eth0")
        await until(lambda: a.has(plain(V4)), "it was not put back")
        assert one.tally["address-removed"] == 1


class Jumping(SystemClock):
    """A clock that can be set ahead."""

    ahead = 0.0

    def now(self) -> float:
        return super().now() + self.ahead


@contextlib.asynccontextmanager
async def announcing(host: Host) -> AsyncIterator[tuple[Holder, Callable[[float], Awaitable[None]]]]:
    """A holder that has it, and what lets so many seconds pass and waits until the holder announces."""
    clock = Jumping()
    with host.inside():
        one = Holder(V4, "eth0", 3600, clock)

    async def passed(seconds: float) -> None:
        before = one.tally["announced"]
        clock.ahead += seconds
        one._wake.set()
        await until(lambda: one.tally["announced"] > before, f"nobody was told after {seconds} s more")

    try:
        await take(host, one)
        yield one, passed
    finally:
        await one.close()


async def test_it_is_announced_again_and_again(net: Network) -> None:
    """H45: at once, after 1, 2, 5 and 10 s, then each minute: the first may be lost, and what was lost once is lost again after a split."""
    async with announcing(net.host("a")) as (one, passed):
        assert one.tally["announced"] >= 1
        for seconds in (1.0, 1.0, 3.0, 5.0, 60.0, 60.0):
            await passed(seconds)


async def test_it_is_announced_anew_when_the_interface_was_down(net: Network) -> None:
    """H45: not only when the minute is over."""
    a = net.host("a")
    async with announcing(a) as (one, passed):
        await passed(30.0)
        a.run("ip", "link", "set", "eth0", "down")
        before = one.tally["announced"]
        a.run("ip", "link", "set", "eth0", "up")
        await until(lambda: one.tally["announced"] > before, "nobody was told")


async def test_it_is_announced_anew_when_somebody_else_claims_it(net: Network) -> None:
    """H45: the neighbours have just been told otherwise."""
    a, b = net.host("a"), net.host("b")
    async with announcing(a) as (one, passed):
        await passed(30.0)
        before = one.tally["announced"]
        with b.inside():
            kernel = Netlink()
            link = kernel.link("eth0")
            kernel.close()
            wire = Wire(link, frozenset({link.mac}), one.at.ip, lambda claim: None)
        with contextlib.closing(wire):
            for frame in packets.announcements(link.mac, one.at.ip):
                wire.send(frame)
            await until(lambda: one.tally["announced"] > before, "nobody was told")
        assert one.up and one.tally["address-duplicated"] == 1


async def test_an_interface_that_is_not_there_is_said(net: Network) -> None:
    a = net.host("a")
    with a.inside():
        one = Holder(V4, "eth7", 3, SystemClock())
        with pytest.raises(ActuatorError, match="eth7") as raised:
            await one.take()
        await one.close()
    assert raised.value.reason == "interface"


@pytest.mark.parametrize(("capabilities", "says"), [((12, 13), "held\n"), ((12,), "permission\n"), ((13,), "permission\n")],
                         ids=["both", "NET_ADMIN alone", "NET_RAW alone"])
def test_two_capabilities_are_enough_and_each_is_needed(net: Network, capabilities: tuple[int, ...], says: str) -> None:
    """NET_ADMIN (12) and NET_RAW (13), as a user without any other right."""
    a = net.host("a")
    assert a.run(sys.executable, "-c", AS_NOBODY, V4, *map(str, capabilities)) == says
    assert not a.has(plain(V4))
