"""The kernel's addresses and links, over rtnetlink (rtnetlink(7)): the few messages that an address that moves needs.

The messages are pyroute2's, so that their layout is not ours to get wrong; the socket is our own, because pyroute2's asyncio side cannot be used on
uvloop, which lbctl runs on. The kernel answers a request inside the very call that sends it, so a request is an ordinary function of well under a
millisecond; only *events* arrive when they like, over a socket of their own (`Events`).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pyroute2.netlink import NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_REPLACE, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR
from pyroute2.netlink.rtnl import RTM_DELADDR, RTM_DELLINK, RTM_GETADDR, RTM_GETLINK, RTM_NEWADDR, RTM_NEWLINK
from pyroute2.netlink.rtnl.ifaddrmsg import IFA_F_NODAD, ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.marshal import MarshalRtnl

from lbctl.net.packets import Address

NEWLINK, DELLINK, NEWADDR, DELADDR = RTM_NEWLINK, RTM_DELLINK, RTM_NEWADDR, RTM_DELADDR
_FOR_EVER = 0xFFFFFFFF
_RUNNING = 0x40
_GROUPS = 0x1 | 0x10 | 0x100
"""Links, IPv4 addresses, IPv6 addresses."""
_SKIP_STATS = 8
_SOL_NETLINK, _STRICT = 270, 12
_ANSWER_S = 2
_READ = 1 << 16
_TURNS = 64


@dataclass(frozen=True, slots=True)
class Link:
    """A network interface. `running`: it has a carrier."""

    index: int
    name: str
    mac: bytes
    running: bool


@dataclass(frozen=True, slots=True)
class Held:
    """An address of an interface; `valid_s` whole seconds that the kernel keeps it still, None: for ever."""

    index: int
    address: Address
    prefix: int
    valid_s: int | None = None


def _opened(kind: int) -> socket.socket:
    """A socket to the kernel. The service's unit forbids the whole family where nothing asks for it: then it is said what does."""
    try:
        return socket.socket(socket.AF_NETLINK, kind, 0)
    except OSError as error:
        if error.errno != errno.EAFNOSUPPORT:
            raise
        raise OSError(error.errno, "a virtual address needs netlink, which this unit forbids: add the drop-in vip.conf") from error


class Netlink:
    """Requests. All raise OSError with the kernel's errno: EPERM without CAP_NET_ADMIN, ENODEV for an interface that is gone."""

    def __init__(self) -> None:
        self._socket = _opened(socket.SOCK_RAW | socket.SOCK_CLOEXEC)
        self._socket.bind((0, 0))
        self._socket.settimeout(_ANSWER_S)
        with contextlib.suppress(OSError):
            self._socket.setsockopt(_SOL_NETLINK, _STRICT, 1)
        self._sequence = 0

    def link(self, name: str) -> Link:
        """The interface of that name. OSError(ENODEV) without one."""
        message = ifinfmsg()
        message["attrs"] = [("IFLA_IFNAME", name), ("IFLA_EXT_MASK", _SKIP_STATS)]
        found = [_link(one) for one in self._ask(message, RTM_GETLINK, NLM_F_ACK) if one["header"]["type"] == NEWLINK]
        if found and found[0] is not None:
            return found[0]
        raise OSError(errno.ENODEV, f"there is no interface {name}")

    def links(self) -> list[Link]:
        """All interfaces."""
        found = (_link(message) for message in self._ask(ifinfmsg(), RTM_GETLINK, NLM_F_DUMP) if message["header"]["type"] == NEWLINK)
        return [link for link in found if link is not None]

    def held(self, index: int) -> list[Held]:
        """All addresses of one interface."""
        asked = ifaddrmsg()
        asked["index"] = index  # a kernel that checks strictly tells of this interface alone; an older one tells of all
        found = (_held(message) for message in self._ask(asked, RTM_GETADDR, NLM_F_DUMP) if message["header"]["type"] == NEWADDR)
        return [one for one in found if one is not None and one.index == index]

    def put(self, held: Held) -> None:
        """Adds the address, or sets its lifetime anew. Without duplicate detection by the kernel: whoever puts it has asked before."""
        life = _FOR_EVER if held.valid_s is None else held.valid_s
        message = _which(held)
        message["attrs"] += [("IFA_CACHEINFO", {"ifa_preferred": life, "ifa_valid": life, "cstamp": 0, "tstamp": 0}), ("IFA_FLAGS", IFA_F_NODAD)]
        self._ask(message, NEWADDR, NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK)

    def remove(self, held: Held) -> None:
        """Takes the address away; one that is not there is no error."""
        try:
            self._ask(_which(held), DELADDR, NLM_F_ACK)
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:
                raise

    def close(self) -> None:
        """Lets the socket go."""
        self._socket.close()

    def _ask(self, message: Any, kind: int, flags: int) -> list[Any]:
        """One request and its whole answer."""
        self._sequence += 1
        message["header"] = {"type": kind, "flags": flags | NLM_F_REQUEST, "sequence_number": self._sequence, "pid": 0}
        message.encode()
        self._socket.send(message.data)
        found: list[Any] = []
        while True:
            for part in _messages(self._socket.recv(_READ)):
                header = part["header"]
                if header["sequence_number"] != self._sequence:
                    continue  # the tail of an answer that was given up
                if header["type"] == NLMSG_DONE:
                    return found
                if header["type"] == NLMSG_ERROR:
                    if header["error"] is not None:
                        raise OSError(header["error"].code, os.strerror(header["error"].code))
                    return found
                found.append(part)


class Events:
    """Calls `changed(kind, what)` for every address or link that comes or goes. Needs no privilege."""

    def __init__(self, changed: Callable[[int, Held | Link | None], None]) -> None:
        self._changed = changed
        self._socket = _opened(socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        self._socket.bind((0, _GROUPS))
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket.fileno(), self._read)

    def close(self) -> None:
        """No more calls."""
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def catch_up(self) -> None:
        """Takes in what the kernel has told up to now: whoever trusts what he knows from here has to ask for that first."""
        for _ in range(_TURNS):
            if not self._read():
                return

    def _read(self) -> bool:
        """One datagram; False: there is none. ENOBUFS: the kernel had more to tell than we took; told as a change of nobody knows what."""
        try:
            data = self._socket.recv(_READ)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            self._changed(0, None)
            return True
        for message in _messages(data):
            kind = message["header"]["type"]
            if kind in (NEWADDR, DELADDR):
                self._changed(kind, _held(message))
            elif kind in (NEWLINK, DELLINK):
                self._changed(kind, _link(message))
        return True


def _messages(data: bytes) -> Iterator[Any]:
    """Each message of a datagram."""
    yield from MarshalRtnl().parse(data)


def _which(held: Held) -> Any:
    """An address message that names the address, as local and peer address: there is no peer."""
    message = ifaddrmsg()
    message["family"] = socket.AF_INET if held.address.version == 4 else socket.AF_INET6
    message["prefixlen"], message["index"] = held.prefix, held.index
    message["attrs"] = [("IFA_LOCAL", str(held.address)), ("IFA_ADDRESS", str(held.address))]
    return message


def _held(message: Any) -> Held | None:
    text = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
    if text is None:
        return None
    life = message.get_attr("IFA_CACHEINFO")
    valid = _FOR_EVER if life is None else life["ifa_valid"]
    return Held(message["index"], ipaddress.ip_address(text), message["prefixlen"], None if valid == _FOR_EVER else valid)


def _link(message: Any) -> Link | None:
    name, mac = message.get_attr("IFLA_IFNAME"), message.get_attr("IFLA_ADDRESS")
    if not name:
        return None
    return Link(message["index"], name, bytes.fromhex(mac.replace(":", "")) if mac else b"", bool(message["flags"] & _RUNNING))
