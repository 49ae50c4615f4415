"""The kernel's addresses and links, over rtnetlink (rtnetlink(7)): the few messages that an address that moves needs.

Written out here because the usual library's asyncio side cannot be used on uvloop, which lbctl runs on, and takes 300 ms to import.
The kernel answers a request inside the very call that sends it, so a request is an ordinary function of well under a millisecond;
only *events* arrive when they like, over a socket of their own (`Events`).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import os
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lbctl.net.packets import Address

NEWLINK, DELLINK, GETLINK, NEWADDR, DELADDR, GETADDR = 16, 17, 18, 20, 21, 22
_REQUEST, _ACK, _REPLACE, _DUMP, _CREATE = 0x1, 0x4, 0x100, 0x300, 0x400
_ERROR, _DONE = 2, 3
_NODAD = 0x02
_GROUPS = 0x1 | 0x10 | 0x100
"""Links, IPv4 addresses, IPv6 addresses."""
_HEADER, _ADDRESS, _LINK = struct.Struct("=IHHII"), struct.Struct("=BBBBI"), struct.Struct("=BxHiII")
_ANSWER_S = 2
_READ = 1 << 16


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


class Netlink:
    """Requests. All raise OSError with the kernel's errno: EPERM without CAP_NET_ADMIN, ENODEV for an interface that is gone."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        self._socket.bind((0, 0))
        self._socket.settimeout(_ANSWER_S)
        self._sequence = 0

    def link(self, name: str) -> Link:
        """The interface of that name. OSError(ENODEV) without one."""
        for link in self.links():
            if link.name == name:
                return link
        raise OSError(errno.ENODEV, f"there is no interface {name}")

    def links(self) -> list[Link]:
        """All interfaces."""
        found = (_link(body) for kind, body in self._ask(GETLINK, _DUMP, _LINK.pack(0, 0, 0, 0, 0)) if kind == NEWLINK)
        return [link for link in found if link is not None]

    def held(self, index: int) -> list[Held]:
        """All addresses of one interface."""
        found = (_held(body) for kind, body in self._ask(GETADDR, _DUMP, _ADDRESS.pack(0, 0, 0, 0, 0)) if kind == NEWADDR)
        return [one for one in found if one is not None and one.index == index]

    def put(self, held: Held) -> None:
        """Adds the address, or sets its lifetime anew. Without duplicate detection by the kernel: whoever puts it has asked before."""
        life = 0xFFFFFFFF if held.valid_s is None else held.valid_s
        body = _attribute(6, struct.pack("=IIII", life, life, 0, 0)) + _attribute(8, struct.pack("=I", _NODAD))
        self._ask(NEWADDR, _CREATE | _REPLACE | _ACK, _which(held) + body)

    def remove(self, held: Held) -> None:
        """Takes the address away; one that is not there is no error."""
        try:
            self._ask(DELADDR, _ACK, _which(held))
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:
                raise

    def close(self) -> None:
        """Lets the socket go."""
        self._socket.close()

    def _ask(self, kind: int, flags: int, body: bytes) -> list[tuple[int, bytes]]:
        """One request and its whole answer."""
        self._sequence += 1
        self._socket.send(_HEADER.pack(_HEADER.size + len(body), kind, flags | _REQUEST, self._sequence, 0) + body)
        found: list[tuple[int, bytes]] = []
        while True:
            for sequence, got, part in _messages(self._socket.recv(_READ)):
                if sequence != self._sequence:
                    continue  # the tail of an answer that was given up
                if got == _DONE:
                    return found
                if got == _ERROR:
                    code = -int(struct.unpack_from("=i", part)[0])
                    if code:
                        raise OSError(code, os.strerror(code))
                    return found
                found.append((got, part))


class Events:
    """Calls `changed(kind, what)` for every address or link that comes or goes. Needs no privilege."""

    def __init__(self, changed: Callable[[int, Held | Link | None], None]) -> None:
        self._changed = changed
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, 0)
        self._socket.bind((0, _GROUPS))
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket.fileno(), self._read)

    def close(self) -> None:
        """No more calls."""
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def _read(self) -> None:
        """One datagram a turn. ENOBUFS: the kernel had more to tell than we took; told as a change of nobody knows what."""
        with contextlib.suppress(BlockingIOError, InterruptedError):
            try:
                data = self._socket.recv(_READ)
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self._changed(0, None)
                return
            for _, kind, body in _messages(data):
                if kind in (NEWADDR, DELADDR):
                    self._changed(kind, _held(body))
                elif kind in (NEWLINK, DELLINK):
                    self._changed(kind, _link(body))


def _which(held: Held) -> bytes:
    """The header of an address message and the address itself, as local and peer address: there is no peer."""
    family = socket.AF_INET if held.address.version == 4 else socket.AF_INET6
    text = held.address.packed
    return _ADDRESS.pack(family, held.prefix, 0, 0, held.index) + _attribute(2, text) + _attribute(1, text)


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", len(value) + 4, kind) + value + bytes(-len(value) % 4)


def _messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(sequence, type, body) of each message of a datagram."""
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, _, sequence, _ = _HEADER.unpack_from(data, at)
        if length < _HEADER.size:
            return
        yield sequence, kind, data[at + _HEADER.size : at + length]
        at += (length + 3) & ~3


def _attributes(data: bytes) -> dict[int, bytes]:
    found, at = {}, 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4:
            break
        found[kind & 0x3FFF] = data[at + 4 : at + length]
        at += (length + 3) & ~3
    return found


def _held(body: bytes) -> Held | None:
    _, prefix, _, _, index = _ADDRESS.unpack_from(body)
    found = _attributes(body[_ADDRESS.size :])
    packed = found.get(2) or found.get(1)
    if packed is None:
        return None
    life = struct.unpack_from("=II", found[6])[1] if 6 in found else 0xFFFFFFFF
    return Held(index, ipaddress.ip_address(packed), prefix, None if life == 0xFFFFFFFF else life)


def _link(body: bytes) -> Link | None:
    _, _, index, flags, _ = _LINK.unpack_from(body)
    found = _attributes(body[_LINK.size :])
    name = found.get(3, b"").rstrip(b"\0").decode(errors="replace")
    return Link(index, name, found.get(1, b""), bool(flags & 0x40)) if name else None
