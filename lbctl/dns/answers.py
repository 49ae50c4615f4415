"""From a packet to its reply. One of the two hot paths.

Most questions are the same few, asked again and again, so their replies are kept as *templates*: the packet after its id, in lower case, is
the key; the reply is the asker's id, a head, the question exactly as it was asked (0x20 mixed case comes back untouched), and a tail. A hit
costs a dictionary look-up and a concatenation. A template is kept only where lower-casing the packet cannot confuse it with another one:
no byte outside the name may be a letter. The table is bounded and emptied by every change, so it can neither grow nor be stale.

What is not in the table is parsed and answered by the zone. Malformed packets and packets that are themselves replies get silence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import cycle

from lbctl.dns import wire
from lbctl.dns.wire import Query
from lbctl.dns.zone import Answer, RRset, Zone, answer

TEMPLATES_MAX = 32_768
UDP_SIZE_MAX = 1232  # fits an IPv6 packet that is never fragmented (DNS flag day 2020)
ROTATIONS_MAX = 8
TTL_FLOOR_S = 5
CD = 0x0010
_LETTERS = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_OPT = b"\0" + wire.RECORD.pack(wire.OPT, UDP_SIZE_MAX, 0, 0)
_OPT_DO = b"\0" + wire.RECORD.pack(wire.OPT, UDP_SIZE_MAX, wire.DO, 0)
_OPT_BADVERS = b"\0" + wire.RECORD.pack(wire.OPT, UDP_SIZE_MAX, wire.BADVERS >> 4 << 24, 0)


class Template:
    """A reply but for the asker's id and spelling. `tails` holds the other orders of several addresses, taken in turn."""

    __slots__ = ("end", "head", "hits", "label", "tail", "tails")

    def __init__(self, head: bytes, end: int, tails: list[bytes], label: tuple[str, str, str]) -> None:
        self.head = head
        self.end = end
        self.tail = tails[0]
        self.tails = cycle(tails) if len(tails) > 1 else None
        self.hits = 0
        self.label = label


class Responder:
    """Answers for a set of zones. `zones` by origin; `caps` shortens the TTL of single names in direct answers (SEMANTICS section 8)."""

    def __init__(self, templates_max: int = TEMPLATES_MAX) -> None:
        self.zones: dict[bytes, Zone] = {}
        self.templates: dict[bytes, Template] = {}
        self.caps: dict[bytes, int] = {}
        self.dropped = 0
        self._templates_max = templates_max
        self._counts: Counter[tuple[str, str, str]] = Counter()

    def changed(self) -> None:
        """To be called after every change of zones or caps."""
        for template in self.templates.values():
            self._counts[template.label] += template.hits
        self.templates.clear()

    def counts(self) -> Mapping[tuple[str, str, str], int]:
        """Answers since the start by (transport, question type, reply code)."""
        total = Counter(self._counts)
        for template in self.templates.values():
            total[template.label] += template.hits
        return total

    def count(self, qtype: int, rcode: int, *, tcp: bool) -> None:
        """Counts one reply."""
        self._counts[label(qtype, rcode, tcp=tcp)] += 1

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
        zone = self.find(query.name)
        if (rcode := _refusal(query, zone, host)) is not None or zone is None:
            return self.refuse(data, query, rcode or wire.REFUSED, tcp=tcp)
        found = answer(zone, query.name, query.qtype)
        self.count(query.qtype, found.rcode, tcp=tcp)
        cap = None if zone.settings.fed else self.caps.get(query.name)
        room = 65535 if tcp else max(512, min(query.size or 512, UDP_SIZE_MAX))
        head, tails = encode(query, found, cap, room)
        if not tcp and zone.settings.dnssec == "off":
            self._keep(data, query, found, head, tails)
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

    def _keep(self, data: bytes, query: Query, found: Answer, head: bytes, tails: list[bytes]) -> None:
        """Remembers the reply where that is safe: a plain question for a known name, with no letter outside the name."""
        if not query.plain or found.rcode != wire.NOERROR or not _LETTERS.isdisjoint(data[2:12] + data[query.end - 4 :]):
            return
        if len(self.templates) >= self._templates_max:
            self.changed()
        self.templates[data[2:].lower()] = Template(head, query.end, tails, label(query.qtype, found.rcode, tcp=False))


def label(qtype: int, rcode: int, *, tcp: bool) -> tuple[str, str, str]:
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
