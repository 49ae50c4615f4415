"""Hosts on one network: namespaces joined by a bridge in a namespace of its own. Everything is gone when the `with` ends.

    with network() as net:
        a, b = net.host("a"), net.host("b")
        with a.inside(): ...            # sockets made in here belong to host a
        a.run("ip", "addr")             # a program on host a

Needs root; `pytestmark = pytest.mark.netns`.
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import fcntl
import ipaddress
import itertools
import os
import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

_NUMBERS = itertools.count(1)
_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000
_SIOCGIFCONF, _ADDRESSES_MAX = 0x8912, 64
_IFCONF, _IFREQ = struct.Struct("@iP"), struct.Struct("@16s4x4s16x")
"""`struct ifconf`: room in bytes, where; `struct ifreq`: name, `sockaddr_in` (family, port, address), the rest of its union."""


class Host:
    """One namespace with `eth0`."""

    def __init__(self, network: Network, name: str, number: int) -> None:
        self.network, self.name = network, f"{network.name}-{name}"
        self.ip4, self.ip6 = f"10.77.0.{number}", f"fd77::{number}"
        self.port = f"p{number}"
        _ip("netns", "add", self.name)
        network.made.append(self.name)
        _ip("-n", network.name, "link", "add", self.port, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        _ip("-n", network.name, "link", "set", self.port, "master", "br0", "up")
        for words in (["link", "set", "lo", "up"], ["link", "set", "eth0", "up"], ["addr", "add", f"{self.ip4}/24", "dev", "eth0"],
                      ["-6", "addr", "add", f"{self.ip6}/64", "dev", "eth0", "nodad"]):
            _ip("-n", self.name, *words)

    @property
    def mac(self) -> str:
        return self.run("cat", "/sys/class/net/eth0/address").strip()

    def command(self, *words: str) -> list[str]:
        """The words of a program that runs on this host."""
        return ["ip", "netns", "exec", self.name, *words]

    def run(self, *words: str, given: str = "") -> str:
        done = subprocess.run(self.command(*words), input=given, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def has(self, address: str) -> bool:
        """Whether eth0 carries the address. Asked many times a second, so the kernel is asked and no program started."""
        with self.inside():
            return ipaddress.ip_address(address) in (_held6() if ":" in address else _held4())

    def learnt(self, address: str) -> str:
        """The MAC that this host sends to for the address; "" where it knows none."""
        words = self.run("ip", "neigh", "show", address, "dev", "eth0").split()
        return words[words.index("lladdr") + 1] if "lladdr" in words else ""

    def cut(self) -> None:
        """Nothing comes through between this host and the others; its interface stays up, as behind a failed switch."""
        _ip("-n", self.network.name, "link", "set", self.port, "nomaster")

    def join(self) -> None:
        _ip("-n", self.network.name, "link", "set", self.port, "master", "br0")

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """The calling thread is on this host: see `within`."""
        with within(Path("/run/netns") / self.name):
            yield


class Network:
    """A switch and its hosts."""

    def __init__(self) -> None:
        self.name = f"lb{os.getpid()}-{next(_NUMBERS)}"
        self.made = [self.name]
        self._hosts = itertools.count(1)
        _ip("netns", "add", self.name)
        _ip("-n", self.name, "link", "add", "br0", "type", "bridge", "forward_delay", "0", "mcast_snooping", "0")
        _ip("-n", self.name, "link", "set", "br0", "up")

    def host(self, name: str) -> Host:
        return Host(self, name, next(self._hosts))

    def close(self) -> None:
        for name in reversed(self.made):
            for pid in subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, check=False).stdout.split():
                if int(pid) != os.getpid():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(int(pid), 9)
            subprocess.run(["ip", "netns", "del", name], check=False)


@contextlib.contextmanager
def within(namespace: Path) -> Iterator[None]:
    """The calling thread is in that network: wait for nothing meanwhile, or everything else on the event loop is there too."""
    home, there = os.open("/proc/thread-self/ns/net", os.O_RDONLY), os.open(namespace, os.O_RDONLY)
    try:
        _enter(there)
        yield
    finally:
        _enter(home)
        os.close(home)
        os.close(there)


@contextlib.contextmanager
def network() -> Iterator[Network]:
    made = Network()
    try:
        yield made
    finally:
        made.close()


def sysctl(host: Host, name: str, value: str) -> None:
    host.run("sh", "-c", f"echo {value} > {Path('/proc/sys') / name.replace('.', '/')}")


def _held4() -> set[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """What eth0 of the network that the thread is in has, up or down: SIOCGIFCONF, netdevice(7)."""
    found = array.array("B", bytes(_IFREQ.size * _ADDRESSES_MAX))
    address, room = found.buffer_info()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        used, _ = _IFCONF.unpack(fcntl.ioctl(asking, _SIOCGIFCONF, _IFCONF.pack(room, address)))
    rows = _IFREQ.iter_unpack(found.tobytes()[:used])
    return {ipaddress.ip_address(ip) for name, ip in rows if name.rstrip(b"\0") == b"eth0"}


def _held6() -> set[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    rows = [line.split() for line in Path("/proc/thread-self/net/if_inet6").read_text().splitlines()]
    return {ipaddress.ip_address(bytes.fromhex(row[0])) for row in rows if row[-1] == "eth0"}


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (words, done.stderr)


def _enter(namespace: int) -> None:
    if _LIBC.setns(namespace, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
