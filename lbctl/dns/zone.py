"""PURE: what a zone holds, and what it answers to a question (RFC 1034, 2308, 8020, 8482).

A zone is small and made by lbctl alone: SOA, NS and glue at its apex, and under it the names of the services. There are no wildcards or
aliases, so an answer is one look into a dictionary. A zone that stands inside another is delegated there: this server always answers from the
inner one, but a secondary may have the outer one alone, and a name between the two exists because of what is below it (RFC 8020).

Three kinds of "no" are kept apart, because clients treat them differently: the name is not there (NXDOMAIN), it is there without this type
(NODATA), and *we do not know* (SERVFAIL, never cached for long): the last is said for a service whose published answer is not known after a
start without memory (SEMANTICS section 6).

Each change makes a new version with its own serial and keeps the difference, bounded, for IXFR. A difference is offered only to who holds a
version that was handed out in this life: the same number from an earlier life may have held something else.
"""

from __future__ import annotations

import ipaddress
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from lbctl.dns import wire
from lbctl.dns.settings import ZoneSettings

HISTORY_MAX = 200
APEX_TTL_S = 3600
REFRESH_S, RETRY_S, EXPIRE_S = 60, 15, 1_209_600
SERIAL_MASK = 0xFFFFFFFF
REFUSED_ANY = wire.encode_text("RFC8482") + b"\0"


class RRset(NamedTuple):
    """All records of one name and type."""

    rtype: int
    ttl: int
    rdatas: tuple[bytes, ...]


Node = Mapping[int, RRset]
UNKNOWN: Node = {}
"""The node of a name whose answer is not known: it exists and holds nothing."""


class Change(NamedTuple):
    """The step from one version to the next: what went and what came, name by name."""

    before: int
    after: int
    removed: tuple[tuple[bytes, RRset], ...]
    added: tuple[tuple[bytes, RRset], ...]


class Answer(NamedTuple):
    """The sections of a reply, each of (owner, RRset)."""

    rcode: int
    answer: tuple[tuple[bytes, RRset], ...] = ()
    authority: tuple[tuple[bytes, RRset], ...] = ()
    additional: tuple[tuple[bytes, RRset], ...] = ()


def next_serial(current: int, now: float) -> int:
    """A serial that is newer than `current` and, where that is so, the time in seconds: a server that lost its memory does not go back."""
    return max(current + 1, int(now)) & SERIAL_MASK


def serial_newer(left: int, right: int) -> bool:
    """Whether `left` is newer than `right` in serial arithmetic (RFC 1982)."""
    return left != right and (left - right) & SERIAL_MASK < 0x80000000


def serials_behind(theirs: int, ours: int) -> int:
    """By how much `theirs` is older than `ours` in serial arithmetic; 0 where it is not (a signer counts on by itself)."""
    return (ours - theirs) & SERIAL_MASK if serial_newer(ours, theirs) else 0


class Zone:
    """One zone and its versions. Changed only by `put`; `nodes` and `below` are for reading.

    `nodes`: the records by name. `below`: names that may hold nothing but have others below them, and how many.
    """

    def __init__(self, settings: ZoneSettings, serial: int, inner: tuple[ZoneSettings, ...] = ()) -> None:
        """`inner`: the zones right inside this one."""
        self.settings = settings
        self.inner = inner
        self.origin = wire.encode_name(settings.name)
        self.serial = serial
        self.nodes: dict[bytes, Node] = {}
        self.history: deque[Change] = deque(maxlen=HISTORY_MAX)
        self.handed_out: deque[int] = deque(maxlen=HISTORY_MAX)
        self._soa = serial, soa_rrset(settings, serial)
        self.below: Counter[bytes] = Counter()
        self._unknown: set[bytes] = set()
        self._admitted = tuple(ipaddress.ip_network(text) for text in settings.allow_transfer)
        self.apex = apex_nodes(settings, self.origin, inner)
        for name, node in self.apex.items():
            self._store(name, node)

    def put(self, changes: Mapping[bytes, Node | None], now: float) -> bool:
        """Makes the next version: each name gets its node, None removes it. False, and no new serial, where nothing differs."""
        removed: list[tuple[bytes, RRset]] = []
        added: list[tuple[bytes, RRset]] = []
        for name, node in changes.items():
            old = self.nodes.get(name)
            removed += [(name, rrset) for rrset in (old or {}).values() if (node or {}).get(rrset.rtype) != rrset]
            added += [(name, rrset) for rrset in (node or {}).values() if (old or {}).get(rrset.rtype) != rrset]
            if node is not None or old is not None:
                self._store(name, node)
        if not removed and not added:
            return False
        before, self.serial = self.serial, next_serial(self.serial, now)
        self.history.append(Change(before, self.serial, tuple(removed), tuple(added)))
        return True

    def go_beyond(self, serial: int) -> bool:
        """Somebody holds the version `serial`. Where it is not one of ours, from before a loss of memory, ours becomes newer. Says whether it did."""
        if serial in self.handed_out or serial_newer(self.serial, serial):
            return False
        self.serial = next_serial(serial, 0)
        self.history.clear()
        return True

    def _store(self, name: bytes, node: Node | None) -> None:
        was = name in self.nodes
        if node is None:
            del self.nodes[name]
        else:
            self.nodes[name] = node
        (self._unknown.add if node == UNKNOWN else self._unknown.discard)(name)
        step = (node is not None) - was
        for at in wire.label_offsets(name) if step else ():
            if at and len(name) - at > len(self.origin):
                self.below[name[at:]] += step
                if not self.below[name[at:]]:
                    del self.below[name[at:]]  # so that being in it is the answer

    def hands_out(self, host: str) -> bool:
        """Whether `allow_transfer` names `host`."""
        address = ipaddress.ip_address(host.partition("%")[0])
        return any(address in network for network in self._admitted)

    def admits(self, host: str) -> bool:
        """Whether `host` may ask a zone that hides behind its secondaries: they, and the machine itself."""
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback or self.hands_out(host)

    @property
    def complete(self) -> bool:
        """Whether every name's answer is known."""
        return not self._unknown

    @property
    def soa(self) -> RRset:
        """The SOA of the present version."""
        serial, soa = self._soa
        if serial != self.serial:
            soa = soa_rrset(self.settings, self.serial)
            self._soa = self.serial, soa
        return soa

    def exists(self, name: bytes) -> bool:
        """Whether the name has records, or names below it (an empty non-terminal, RFC 8020)."""
        return name in self.nodes or name in self.below

    def rrsets(self) -> Iterator[tuple[bytes, RRset]]:
        """Everything but the SOA."""
        for name, node in self.nodes.items():
            for rrset in node.values():
                yield name, rrset


def answer(zone: Zone, name: bytes, qtype: int) -> Answer:
    """What the zone says to a question for a name inside it."""
    node = zone.nodes.get(name)
    if node is None:
        return _negative(zone, wire.NOERROR if zone.exists(name) else wire.NXDOMAIN)
    if not node:
        return Answer(wire.SERVFAIL)
    if qtype == wire.SOA and name == zone.origin:
        return Answer(wire.NOERROR, ((name, zone.soa),))
    if qtype == wire.ANY:  # RFC 8482: one small answer, nothing to amplify
        return Answer(wire.NOERROR, ((name, RRset(wire.HINFO, APEX_TTL_S, (REFUSED_ANY,))),))
    rrset = node.get(qtype)
    if rrset is None:
        return _negative(zone, wire.NOERROR)
    return Answer(wire.NOERROR, ((name, rrset),), (), _glue(zone, rrset) if qtype == wire.NS else ())


def _negative(zone: Zone, rcode: int) -> Answer:
    soa = zone.soa  # its TTL here is the negative one, RFC 2308 section 3
    return Answer(rcode, (), ((zone.origin, soa._replace(ttl=min(soa.ttl, zone.settings.negative_ttl_s))),))


def _glue(zone: Zone, servers: RRset) -> tuple[tuple[bytes, RRset], ...]:
    return tuple((name, rrset) for name in servers.rdatas for rrset in (zone.nodes.get(name) or {}).values() if rrset.rtype in (wire.A, wire.AAAA))


def soa_rrset(settings: ZoneSettings, serial: int) -> RRset:
    """The SOA: its primary is the first name server, its timers let a lost NOTIFY heal within a minute."""
    primary = wire.encode_name(next(iter(settings.ns)))
    person = wire.encode_name("hostmaster." + settings.name)
    numbers = (serial, REFRESH_S, RETRY_S, EXPIRE_S, settings.negative_ttl_s)
    return RRset(wire.SOA, APEX_TTL_S, (primary + person + b"".join(n.to_bytes(4, "big") for n in numbers),))


def apex_nodes(settings: ZoneSettings, origin: bytes, inner: Iterable[ZoneSettings]) -> Mapping[bytes, Node]:
    """NS of the zone and of those inside it, and the addresses of those name servers that are inside the zone."""
    nodes: dict[bytes, dict[int, RRset]] = {}
    for zone in (settings, *inner):
        servers = {wire.encode_name(name): addresses for name, addresses in zone.ns.items()}
        nodes.setdefault(wire.encode_name(zone.name), {})[wire.NS] = RRset(wire.NS, APEX_TTL_S, tuple(servers))
        for server, addresses in servers.items():
            if server.endswith(origin):  # where two zones say of one server, the outer one's word holds here
                nodes[server] = address_node(addresses, APEX_TTL_S) | nodes.get(server, {})
    return nodes


def address_node(addresses: tuple[str, ...] | frozenset[str], ttl_s: int) -> dict[int, RRset]:
    """A and AAAA of one name; a family without addresses has no RRset."""
    found: dict[int, list[bytes]] = {}
    for rtype, rdata in (wire.encode_address(text) for text in addresses):
        found.setdefault(rtype, []).append(rdata)
    return {rtype: RRset(rtype, ttl_s, tuple(sorted(rdatas))) for rtype, rdatas in sorted(found.items())}
