"""Frames that claim an address, and what a frame of somebody else's says about it. Pure.

IPv4: ARP (RFC 826), asked for and announced as RFC 5227 has it: a probe has no sender address, an announcement names the same address twice, once
as a request and once as a reply, because there are devices that learn from only one of the two.
IPv6: neighbour discovery (RFC 4861): a solicitation from the unspecified address, an unsolicited advertisement with the override flag to all
nodes. The router flag is never set: it would make hosts believe that we are none, or one.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

ETH_ARP, ETH_IPV6 = 0x0806, 0x86DD
EVERYBODY = b"\xff" * 6
ALL_NODES = ipaddress.IPv6Address("ff02::1")
UNSPECIFIED = ipaddress.IPv6Address("::")
SOLICITATION, ADVERTISEMENT = 135, 136
OVERRIDE = 0x20000000
_ARP = struct.Struct("!HHBBH6s4s6s4s")
_NO_MAC, _NO_IP = bytes(6), bytes(4)


@dataclass(frozen=True, slots=True)
class Claim:
    """What a frame says of an address: the one with this MAC holds it, or (`holds` False) is about to take it and asks."""

    mac: bytes
    holds: bool

    @property
    def who(self) -> str:
        """The MAC as people write it."""
        return self.mac.hex(":")


def probe(mac: bytes, address: Address) -> bytes:
    """Asks whether somebody holds the address, without saying that we do (RFC 5227 section 2.1.1, RFC 4862 section 5.4.2)."""
    if isinstance(address, ipaddress.IPv4Address):
        return _arp(EVERYBODY, mac, 1, _NO_IP, _NO_MAC, address.packed)
    return _neighbour(mac, UNSPECIFIED, solicited_node(address), struct.pack("!II", SOLICITATION << 24, 0) + address.packed)


def announcements(mac: bytes, address: Address) -> tuple[bytes, ...]:
    """Tells everybody that this MAC holds the address now."""
    if isinstance(address, ipaddress.IPv4Address):
        return tuple(_arp(EVERYBODY, mac, op, address.packed, target, address.packed) for op, target in ((1, _NO_MAC), (2, EVERYBODY)))
    body = struct.pack("!II", ADVERTISEMENT << 24, OVERRIDE) + address.packed + b"\x02\x01" + mac
    return (_neighbour(mac, address, ALL_NODES, body),)


def solicited_node(address: ipaddress.IPv6Address) -> ipaddress.IPv6Address:
    """The group that whoever holds the address listens to (RFC 4291 section 2.7.1)."""
    return ipaddress.IPv6Address(bytes.fromhex("ff0200000000000000000001ff") + address.packed[13:])


def group_mac(group: ipaddress.IPv6Address) -> bytes:
    """The MAC of a multicast group (RFC 2464 section 7)."""
    return b"\x33\x33" + group.packed[12:]


def claim(frame: bytes, address: Address) -> Claim | None:
    """What the frame says of the address; None where it is about something else, or is no good frame at all."""
    kind = int.from_bytes(frame[12:14], "big")
    if kind == ETH_ARP and isinstance(address, ipaddress.IPv4Address):
        return _arp_claim(frame, address)
    if kind == ETH_IPV6 and isinstance(address, ipaddress.IPv6Address):
        return _neighbour_claim(frame, address)
    return None


def _arp_claim(frame: bytes, address: ipaddress.IPv4Address) -> Claim | None:
    if len(frame) < 14 + _ARP.size:
        return None
    _, _, _, _, op, mac, sender, _, target = _ARP.unpack_from(frame, 14)
    if sender == address.packed:
        return Claim(mac, holds=True)
    return Claim(mac, holds=False) if op == 1 and sender == _NO_IP and target == address.packed else None


def _neighbour_claim(frame: bytes, address: ipaddress.IPv6Address) -> Claim | None:
    if len(frame) < 78 or frame[20] != 58:
        return None
    source, what, target = frame[22:38], frame[54], frame[62:78]
    if what == ADVERTISEMENT and target == address.packed:
        return Claim(_target_mac(frame) or frame[6:12], holds=True)
    if what == SOLICITATION and source == address.packed:
        return Claim(frame[6:12], holds=True)
    return Claim(frame[6:12], holds=False) if what == SOLICITATION and source == UNSPECIFIED.packed and target == address.packed else None


def _target_mac(frame: bytes) -> bytes:
    """The target link-layer option of an advertisement; b"" without one."""
    at = 78
    while at + 8 <= len(frame) and frame[at + 1]:
        if frame[at] == 2:
            return frame[at + 2 : at + 8]
        at += frame[at + 1] * 8
    return b""


def _arp(to: bytes, mac: bytes, op: int, sender: bytes, target_mac: bytes, target: bytes) -> bytes:
    return to + mac + struct.pack("!H", ETH_ARP) + _ARP.pack(1, 0x0800, 6, 4, op, mac, sender, target_mac, target)


def _neighbour(mac: bytes, source: ipaddress.IPv6Address, to: ipaddress.IPv6Address, body: bytes) -> bytes:
    """ICMPv6 in IPv6 in Ethernet; hop limit 255, or no receiver believes it (RFC 4861 section 7.1)."""
    checked = body[:2] + _checksum(source.packed + to.packed + struct.pack("!II", len(body), 58) + body) + body[4:]
    header = struct.pack("!IHBB", 6 << 28, len(body), 58, 255) + source.packed + to.packed
    return group_mac(to) + mac + struct.pack("!H", ETH_IPV6) + header + checked


def _checksum(data: bytes) -> bytes:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)
