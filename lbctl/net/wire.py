"""The raw socket of one interface: sends claims of an address, hears those of others. Needs CAP_NET_RAW.

One socket stays open as long as the address may be wanted: to close a bound packet socket blocks for some 30 ms (the kernel waits for
its readers), which would be most of a move. A filter in the kernel lets only neighbour discovery through, so that a busy interface costs nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import ipaddress
import socket
import struct
from collections.abc import Callable

from lbctl.net.netlink import Link
from lbctl.net.packets import ADVERTISEMENT, ETH_ARP, ETH_IPV6, SOLICITATION, Address, Claim, claim, group_mac, solicited_node

_SO_ATTACH_FILTER = 26
_SOL_PACKET, _ADD_MEMBERSHIP, _MULTICAST = 263, 1, 0
_FRAMES_A_TURN = 32
_NEIGHBOURS = (
    (0x30, 0, 0, 20),             # the next header of IPv6 ...
    (0x15, 0, 3, 58),             # ... is ICMPv6
    (0x30, 0, 0, 54),             # its type is one of two
    (0x15, 2, 0, SOLICITATION),
    (0x15, 1, 0, ADVERTISEMENT),
    (0x06, 0, 0, 0),
    (0x06, 0, 0, 1500),
)
"""A classic packet filter: (code, jump if true, jump if false, value)."""


class Wire:
    """`heard` is called with every claim of the address by somebody else; `ours` are the MACs of this host, all of them: two interfaces may share a
    segment, and then the kernel answers on both."""

    def __init__(self, link: Link, ours: frozenset[bytes], address: Address, heard: Callable[[Claim], None]) -> None:
        self.link = link
        self._ours, self._address, self._heard = ours, address, heard
        kind = ETH_ARP if address.version == 4 else ETH_IPV6
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, 0)
        try:
            if isinstance(address, ipaddress.IPv6Address):
                self._narrow(address)
            self._socket.bind((link.name, kind))
        except OSError:
            self._socket.close()
            raise
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket.fileno(), self.hear)

    def send(self, frame: bytes) -> bool:
        """False where the interface could not take it: it is down, or its queue is full. Nothing is lost that the next time would not bring."""
        try:
            self._socket.send(frame)
        except OSError as error:
            if error.errno not in (errno.ENETDOWN, errno.ENOBUFS, errno.EAGAIN, errno.ENXIO, errno.ENODEV):
                raise
            return False
        return True

    def close(self) -> None:
        """No more calls."""
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def _narrow(self, address: ipaddress.IPv6Address) -> None:
        """Hears neighbour discovery alone, and the group in which others ask for the address, before it is ours."""
        code = b"".join(struct.pack("=HBBI", *line) for line in _NEIGHBOURS)
        buffer = ctypes.create_string_buffer(code, len(code))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(_NEIGHBOURS), ctypes.addressof(buffer)))
        member = struct.pack("iHH8s", self.link.index, _MULTICAST, 6, group_mac(solicited_node(address)))
        self._socket.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, member)

    def hear(self) -> None:
        """Takes in what has arrived, now."""
        with contextlib.suppress(BlockingIOError, InterruptedError):
            for _ in range(_FRAMES_A_TURN):
                try:
                    frame = self._socket.recv(256)
                except OSError as error:
                    if error.errno == errno.ENETDOWN:
                        return  # told once when the interface goes down; it goes on when it is up again
                    raise
                found = claim(frame, self._address)
                if found is not None and found.mac not in self._ours:
                    self._heard(found)
