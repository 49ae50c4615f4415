"""Feeding secondaries: AXFR (RFC 5936), IXFR (RFC 1995) and signed questions (RFC 8945). That is how the answers scale beyond one machine.

Who may take a zone is said by address (`allow_transfer`) and, where the zone has a key, by signature too. A zone in which any name's answer
is unknown (a start without memory) is not handed out at all: the secondaries then go on answering what they have, where a transfer would
delete what clients are being told (H41).

Signing the zone (DNSSEC) belongs to the secondaries, which `dnssec: secondaries` declares. Their keys stay away from the process that faces
probes and operators; their signatures are renewed while this one is down, so that a dead controller cannot let a zone expire (H51); denial,
rollover and CDS are theirs, and proven. This server then hides: it answers only loopback and `allow_transfer`, because an unsigned answer of
a signed zone looks like an attack; and the read-back asks the secondaries for the signatures too. `deploy/dns` has the set-up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from lbctl.clock import Clock
from lbctl.dns import tsig, wire
from lbctl.dns.answers import Responder
from lbctl.dns.settings import TsigKey
from lbctl.dns.wire import Query
from lbctl.dns.zone import Change, RRset, Zone, soa_rrset

MESSAGE_BYTES = 16_000
Item = tuple[bytes, RRset]


class Source:
    """Replies to everything: plain questions by the responder, transfers and signed questions by itself.

    `transfers`: handed out since the start, by zone and whether the `whole` or only a `difference`.
    """

    def __init__(self, responder: Responder, clock: Clock) -> None:
        self.transfers: Counter[tuple[str, str]] = Counter()
        self._responder = responder
        self._clock = clock

    def datagram(self, data: bytes, host: str) -> bytes | None:
        """The reply to one UDP packet; None: silence."""
        query = self._responder.parse(data)
        if query is None:
            return None
        if not query.tsig and query.qtype not in (wire.AXFR, wire.IXFR):
            return self._responder.reply(data, query, host, tcp=False)
        return next(self._replies(data, query, host, tcp=False), None)

    def stream(self, data: bytes, host: str) -> Iterator[bytes]:
        """The replies to one question over TCP."""
        query = self._responder.parse(data)
        return iter(()) if query is None else self._replies(data, query, host, tcp=True)

    def _replies(self, data: bytes, query: Query, host: str, *, tcp: bool) -> Iterator[bytes]:
        if not query.tsig:
            yield from self._answer(data, query, host, None, tcp=tcp)
            return
        try:
            plain, key, mac = tsig.verify(data, self._keys(), self._clock.now())
        except wire.Malformed:
            return
        except tsig.BadSignature as error:
            yield self._distrust(data, query, error, tcp=tcp)
            return
        later = False
        for reply in self._answer(plain, wire.parse_query(plain), host, key, tcp=tcp):
            signed, mac = tsig.sign(reply, key, self._clock.now(), prior_mac=mac, later=later)
            later = True
            yield signed

    def _keys(self) -> dict[bytes, TsigKey]:
        keys = (zone.settings.tsig for zone in self._responder.zones.values())
        return {wire.encode_name(key.name): key for key in keys if key is not None}

    def _distrust(self, data: bytes, query: Query, error: tsig.BadSignature, *, tcp: bool) -> bytes:
        reply = self._responder.refuse(data, query, wire.NOTAUTH, tcp=tcp)
        if error.key is None:
            return tsig.refuse(reply, error.signature, error.error, self._clock.now())
        signature = error.signature
        moment = signature.signed_at  # RFC 8945 section 5.2.3: the client's own time comes back, ours in `other`
        return tsig.sign(reply, error.key, self._clock.now(), prior_mac=signature.mac, error=error.error, signed_at=moment)[0]

    def _answer(self, data: bytes, query: Query, host: str, key: TsigKey | None, *, tcp: bool) -> Iterator[bytes]:
        zone = self._responder.zones.get(query.name)
        if query.opcode or query.qtype not in (wire.AXFR, wire.IXFR):
            yield self._responder.reply(data, query, host, tcp=tcp)
        elif zone is None or query.qclass != wire.IN or not zone.hands_out(host) or key != zone.settings.tsig:
            yield self._responder.refuse(data, query, wire.REFUSED, tcp=tcp)
        elif not zone.complete:
            yield self._responder.refuse(data, query, wire.SERVFAIL, tcp=tcp)
        elif not tcp and query.qtype == wire.AXFR:
            yield self._responder.refuse(data, query, wire.REFUSED, tcp=tcp)
        elif query.qtype == wire.IXFR and client_serial(data, query) is None:
            yield self._responder.refuse(data, query, wire.FORMERR, tcp=tcp)
        else:
            self._responder.count(query.qtype, wire.NOERROR, tcp=tcp)
            if tcp and zone.serial not in zone.handed_out:
                zone.handed_out.append(zone.serial)
            yield from _messages(data, query, zone, self._records(data, query, zone, tcp=tcp))

    def _records(self, data: bytes, query: Query, zone: Zone, *, tcp: bool) -> Iterable[Item]:
        """What is sent. A UDP IXFR gets the one SOA, which sends a secondary that is behind to TCP."""
        soa = (zone.origin, zone.soa)
        if query.qtype == wire.IXFR:
            theirs = client_serial(data, query)
            if not tcp or theirs == zone.serial:
                return [soa]
            if (changes := missing(zone, theirs)) is not None:
                self.transfers[zone.settings.name, "difference"] += 1
                return _difference(zone, changes)
        self.transfers[zone.settings.name, "whole"] += 1
        return [soa, *zone.rrsets(), soa]


def client_serial(data: bytes, query: Query) -> int | None:
    """The serial that an IXFR question names in its authority section; None where it names none."""
    if data[6:10] != b"\0\0\0\1":
        return None
    at = wire.skip_name(data, query.end)
    rtype, _, _, length = wire.RECORD.unpack_from(data, at)
    return wire.soa_serial(data[at + 10 : at + 10 + length]) if rtype == wire.SOA and length >= 22 else None


def missing(zone: Zone, serial: int | None) -> list[Change] | None:
    """The changes since `serial`; None where they are not known, or sending them is longer than sending all."""
    found: list[Change] = []
    if serial not in zone.handed_out:
        return None
    for change in reversed(zone.history):
        found.append(change)
        if change.before == serial:
            size = sum(len(change.removed) + len(change.added) + 2 for change in found)
            return found[::-1] if size < 2 * len(zone.nodes) + 8 else None
    return None


def _difference(zone: Zone, changes: list[Change]) -> Iterator[Item]:
    now = (zone.origin, zone.soa)
    yield now
    for change in changes:
        yield zone.origin, soa_rrset(zone.settings, change.before)
        yield from change.removed
        yield zone.origin, soa_rrset(zone.settings, change.after)
        yield from change.added
    yield now


def _messages(data: bytes, query: Query, zone: Zone, items: Iterable[Item]) -> Iterator[bytes]:
    """Records packed into messages; only the first repeats the question."""
    question, size = data[12 : query.end], 0
    records: list[bytes] = []
    for name, rrset in items:
        for rdata in rrset.rdatas:
            packed = wire.record(_owner(name, zone, compress=bool(question)), rrset.rtype, rrset.ttl, rdata)
            if records and size + len(packed) > MESSAGE_BYTES:
                yield _message(data, question, records)
                question, records, size = b"", [], 0
                packed = wire.record(_owner(name, zone, compress=False), rrset.rtype, rrset.ttl, rdata)
            records.append(packed)
            size += len(packed)
    yield _message(data, question, records)


def _owner(name: bytes, zone: Zone, *, compress: bool) -> bytes:
    return name[: -len(zone.origin)] + wire.pointer(12) if compress else name


def _message(data: bytes, question: bytes, records: list[bytes]) -> bytes:
    header = data[:2] + wire.HEADER.pack(0, wire.QR | wire.AA, bool(question), len(records), 0, 0)[2:]
    return header + question + b"".join(records)
