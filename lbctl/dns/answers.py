"""From a packet to its reply. One of the two hot paths.

What is asked again and again, or for names that are not there, is answered by a template (`dns.templates`) without coming here. The rest is
parsed and answered by the zone, and what that says may become the next template. Malformed packets and packets that are themselves replies
get silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lbctl.dns import wire
from lbctl.dns.templates import TEMPLATES_MAX, Label, Negative, Refusal, Template, Templates
from lbctl.dns.wire import Query
from lbctl.dns.zone import Answer, RRset, Zone, answer

UDP_SIZE_MAX = 1232  # fits an IPv6 packet that is never fragmented (DNS flag day 2020)
ROTATIONS_MAX = 8
TTL_FLOOR_S = 5
CD = 0x0010
_OPT = b"\0" + wire.RECORD.pack(wire.OPT, UDP_SIZE_MAX, 0, 0)
_OPT_DO = b"\0" + wire.RECORD.pack(wire.OPT, UDP_SIZE_MAX, wire.DO, 0)
_OPT_BADVERS = b"\0" + wire.RECORD.pack(wire.OPT, UDP_SIZE_MAX, wire.BADVERS >> 4 << 24, 0)


class Responder:
    """Answers for a set of zones. `zones` by origin; `caps` shortens the TTL of single names in direct answers (SEMANTICS section 8)."""

    def __init__(self, templates_max: int = TEMPLATES_MAX) -> None:
        self._zones: dict[bytes, Zone] = {}
        self._outer: frozenset[bytes] = frozenset()
        self.templates = Templates(templates_max)
        self.caps: dict[bytes, int] = {}
        self.dropped = 0

    @property
    def zones(self) -> Mapping[bytes, Zone]:
        """All zones by origin. Setting them is a change (`changed`)."""
        return self._zones

    @zones.setter
    def zones(self, zones: dict[bytes, Zone]) -> None:
        self._zones = zones
        # A name below one of these may belong to a zone inside it, so its NXDOMAIN holds for that name alone.
        self._outer = frozenset(origin[at:] for origin in zones for at in wire.label_offsets(origin) if at and origin[at:] in zones)
        self.changed()

    def changed(self) -> None:
        """To be called after every change of zones or caps."""
        self.templates.clear()

    def counts(self) -> Mapping[Label, int]:
        """Answers since the start by (transport, question type, reply code)."""
        return self.templates.counts()

    def count(self, qtype: int, rcode: int, *, tcp: bool) -> None:
        """Counts one reply."""
        self.templates.count(label(qtype, rcode, tcp=tcp))

    def find(self, name: bytes) -> Zone | None:
        """The zone that a wire name belongs to, the closest one."""
        for at in wire.label_offsets(name):
            if zone := self.zones.get(name[at:]):
                return zone
        return None

    def parse(self, data: bytes) -> Query | None:
        """The question, or None for what deserves silence."""
        try:
            return wire.parse_query(data)
        except wire.Malformed:
            self.dropped += 1
            return None

    def respond(self, data: bytes, host: str, *, tcp: bool = False) -> bytes | None:
        """The reply to one packet from `host`; None: silence."""
        query = self.parse(data)
        return None if query is None else self.reply(data, query, host, tcp=tcp)

    def reply(self, data: bytes, query: Query, host: str, *, tcp: bool) -> bytes:
        """The reply to a parsed question."""
        if query.plain and not tcp and len(data) > query.end + len(_OPT):
            # A cookie, padding, a client's subnet: they change no answer, so the same question without them may be known.
            data = data[: query.end + len(_OPT) - 2] + b"\0\0"
            if template := self.templates.find(data[2:].lower()):
                return template.reply(data)
        zone = self.find(query.name)
        if (rcode := _refusal(query, zone, host)) is not None or zone is None:
            reply = self.refuse(data, query, rcode or wire.REFUSED, tcp=tcp)
            if zone is None and rcode == wire.REFUSED and not tcp:
                named = label(query.qtype, rcode, tcp=False)
                self.templates.keep(data, query, Refusal(reply[2:12], query.end, reply[query.end :], named, self._zones))
            return reply
        found = answer(zone, query.name, query.qtype)
        self.count(query.qtype, found.rcode, tcp=tcp)
        cap = None if zone.settings.fed else self.caps.get(query.name)
        room = 65535 if tcp else max(wire.UDP_SIZE_MIN, min(query.size or 0, UDP_SIZE_MAX))
        head, tails = encode(query, found, cap, room)
        if not tcp and zone.settings.dnssec == "off":
            named = label(query.qtype, found.rcode, tcp=False)
            if found.rcode == wire.NOERROR:
                self.templates.keep(data, query, Template(head, query.end, tails, named))
            elif found.rcode == wire.NXDOMAIN and zone.origin not in self._outer:
                self.templates.keep(data, query, Negative(head, query.end, tails[0], named, zone))
        return b"".join((data[:2], head, data[12 : query.end], tails[0]))

    def refuse(self, data: bytes, query: Query, rcode: int, *, tcp: bool) -> bytes:
        """A reply without records. The question is repeated where it was understood."""
        self.count(query.qtype, rcode, tcp=tcp)
        opt = b"" if query.size is None else _OPT_BADVERS if rcode == wire.BADVERS else _opt(query)
        flags = wire.QR | query.flags & (0x7800 | wire.RD | CD) | rcode & 15
        questions = 1 if query.end > 12 else 0
        return data[:2] + wire.HEADER.pack(0, flags, questions, 0, 0, 1 if opt else 0)[2:] + data[12 : query.end] + opt

    def truncated(self, data: bytes) -> bytes | None:
        """The shortest reply that sends an honest client to TCP: what a rate-limited one gets every second time."""
        query = self.parse(data)
        if query is None or query.end <= 12:
            return None
        flags = wire.QR | wire.TC | query.flags & (wire.RD | CD)
        return data[:2] + wire.HEADER.pack(0, flags, 1, 0, 0, 0)[2:] + data[12 : query.end]


def label(qtype: int, rcode: int, *, tcp: bool) -> Label:
    """Bounded words for a counter: transport, type, reply code."""
    return "tcp" if tcp else "udp", wire.TYPES.get(qtype, "other"), wire.RCODES.get(rcode, "other")


def _refusal(query: Query, zone: Zone | None, host: str) -> int | None:
    """Why the question gets no answer at all; None: it gets one."""
    if query.opcode:
        return wire.NOTIMP
    if query.end <= 12:
        return wire.FORMERR
    if query.version:
        return wire.BADVERS
    if zone is None or query.qclass not in (wire.IN, wire.CLASS_ANY) or query.qtype in (wire.AXFR, wire.IXFR):
        return wire.REFUSED
    if zone.settings.dnssec != "off" and not zone.admits(host):
        return wire.REFUSED  # unsigned data of a signed zone would look like an attack to a validator (H51)
    return None


def _opt(query: Query) -> bytes:
    return b"" if query.size is None else _OPT_DO if query.do else _OPT


def encode(query: Query, found: Answer, cap: int | None, room: int) -> tuple[bytes, list[bytes]]:
    """(header after the id, the orders of what follows the question). Too long: first without additional records, then truncated."""
    opt = _opt(query)
    room -= query.end + len(opt)
    answers = _section(query.name, found.answer, cap)
    authority = _section(query.name, found.authority, None)
    additional = _section(query.name, found.additional, None)
    flags = wire.QR | wire.AA | query.flags & (wire.RD | CD) | found.rcode
    if found.rcode == wire.SERVFAIL:
        flags &= ~wire.AA
    length = sum(map(len, answers)) + sum(map(len, authority))
    if length + sum(map(len, additional)) > room:
        additional = []
    if length > room:
        flags, answers, authority = flags | wire.TC, [], []
    head = wire.HEADER.pack(0, flags, 1, len(answers), len(authority), len(additional) + bool(opt))[2:]
    rest = b"".join((*authority, *additional, opt))
    turns = max(1, min(len(answers), ROTATIONS_MAX)) if len(found.answer) == 1 else 1
    return head, [b"".join((*answers[turn:], *answers[:turn], rest)) for turn in range(turns)]


def _section(asked: bytes, rrsets: Iterable[tuple[bytes, RRset]], cap: int | None) -> list[bytes]:
    records = []
    for name, rrset in rrsets:
        owner = wire.pointer(12 + len(asked) - len(name)) if asked.endswith(name) else name
        ttl = rrset.ttl if cap is None else min(rrset.ttl, max(cap, TTL_FLOOR_S))
        records += [wire.record(owner, rrset.rtype, ttl, rdata) for rdata in rrset.rdatas]
    return records
