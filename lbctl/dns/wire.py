"""The bytes of DNS (RFC 1035, 6891), as far as an authoritative server for a few names needs them.

Names are kept as *wire names*: lower-case labels with their length bytes and the final zero, so that a question's name is found in a
dictionary without being decoded. Nothing here keeps anything: a malformed packet leaves no trace (the promise of issue-level fuzzing).
A malformed message raises `Malformed`, which every caller turns into silence.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator
from typing import NamedTuple

A, NS, CNAME, SOA, TXT, AAAA, OPT, DS, RRSIG, TSIG, IXFR, AXFR, ANY = 1, 2, 5, 6, 16, 28, 41, 43, 46, 250, 251, 252, 255
HINFO = 13
IN, CLASS_ANY = 1, 255
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, NXRRSET, NOTAUTH, BADVERS = 0, 1, 2, 3, 4, 5, 8, 9, 16
QR, AA, TC, RD, DO = 0x8000, 0x0400, 0x0200, 0x0100, 0x8000
TYPES = {A: "A", NS: "NS", CNAME: "CNAME", SOA: "SOA", TXT: "TXT", AAAA: "AAAA", DS: "DS", IXFR: "IXFR", AXFR: "AXFR", ANY: "ANY"}
RCODES = {
    NOERROR: "NOERROR", FORMERR: "FORMERR", SERVFAIL: "SERVFAIL", NXDOMAIN: "NXDOMAIN", NOTIMP: "NOTIMP", REFUSED: "REFUSED",
    NOTAUTH: "NOTAUTH", BADVERS: "BADVERS",
}  # fmt: skip
HEADER = struct.Struct("!HHHHHH")
RECORD = struct.Struct("!HHIH")
TYPE_CLASS = struct.Struct("!HH")
UDP_SIZE_MIN = 512  # what every client takes (RFC 1035 section 4.2.1)
RECORDS_MAX = 4  # beyond the question: an IXFR's SOA, OPT, TSIG, and one to spare


class Malformed(ValueError):
    """Not a DNS message that anybody honest sends."""


class Query(NamedTuple):
    """A parsed question. `end` is the offset after the question; `size` None: no EDNS; `version` and `do` only with EDNS.

    `plain`: nothing follows the question but perhaps an OPT record.
    """

    id: int
    flags: int
    name: bytes
    qtype: int
    qclass: int
    end: int
    size: int | None
    version: int
    do: bool
    plain: bool
    tsig: bool

    @property
    def opcode(self) -> int:
        return self.flags >> 11 & 15


class Record(NamedTuple):
    """One resource record of a reply; of the names inside `rdata` only an alias's target is expanded."""

    name: bytes
    rtype: int
    ttl: int
    rdata: bytes


class Reply(NamedTuple):
    """A parsed reply: `answer` and `authority` records."""

    id: int
    flags: int
    answer: tuple[Record, ...]
    authority: tuple[Record, ...]

    @property
    def rcode(self) -> int:
        return self.flags & 15

    @property
    def truncated(self) -> bool:
        return bool(self.flags & TC)


def encode_name(text: str) -> bytes:
    """`Core.example.com.` -> wire name. ValueError for what is no host or underscore name (RFC 1035 lengths)."""
    labels = [label.encode("ascii") for label in text.rstrip(".").lower().split(".")] if text.rstrip(".") else []
    if any(not 0 < len(label) < 64 for label in labels):
        raise ValueError(f"{text!r} is not a domain name")
    wire = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
    if len(wire) > 255:
        raise ValueError(f"{text!r} is longer than a domain name may be")
    return wire


def decode_name(wire: bytes) -> str:
    """Wire name -> text with the final dot; what is not printable is escaped."""
    labels = [wire[at + 1 : at + 1 + wire[at]] for at in label_offsets(wire)]
    text = ".".join("".join(chr(c) if 0x21 <= c < 0x7F and c not in b'.\\"' else f"\\{c:03}" for c in label) for label in labels)
    return text + "."


def label_offsets(wire: bytes) -> Iterator[int]:
    """Where each label of a wire name begins, the root excluded: every one starts a suffix of the name."""
    at = 0
    while wire[at]:
        yield at
        at += 1 + wire[at]


def encode_address(text: str) -> tuple[int, bytes]:
    """An address -> its record type and rdata."""
    address = ipaddress.ip_address(text)
    return (A if address.version == 4 else AAAA), address.packed


def encode_text(text: str) -> bytes:
    """TXT rdata of one string of at most 255 bytes."""
    data = text.encode()
    if len(data) > 255:
        raise ValueError("a TXT string holds at most 255 bytes")
    return bytes((len(data),)) + data


def record(owner: bytes, rtype: int, ttl: int, rdata: bytes) -> bytes:
    """One record; `owner` is a wire name or a compression pointer."""
    return owner + RECORD.pack(rtype, IN, ttl, len(rdata)) + rdata


def pointer(offset: int) -> bytes:
    """A compression pointer."""
    return (0xC000 | offset).to_bytes(2, "big")


def encode_query(ident: int, name: bytes, qtype: int, *, size: int = 1232, do: bool = False, recurse: bool = False) -> bytes:
    """A question to an authoritative server, or with `recurse` to a resolver; EDNS with `size`; `do`: with signatures."""
    opt = b"\0" + RECORD.pack(OPT, size, DO if do else 0, 0)
    return HEADER.pack(ident, RD if recurse else 0, 1, 0, 0, 1) + name + TYPE_CLASS.pack(qtype, IN) + opt


def parse_query(data: bytes) -> Query:
    """What is asked. Raises `Malformed` for anything broken; opcodes other than QUERY are returned with the root as name, their body unread."""
    try:
        return _parse_query(data)
    except (IndexError, struct.error) as error:
        raise Malformed("cut short") from error


def _parse_query(data: bytes) -> Query:
    ident, flags, questions, answers, authorities, additionals = HEADER.unpack_from(data)
    if flags & QR:
        raise Malformed("a reply, not a question")
    if flags >> 11 & 15 or questions != 1:
        return Query(ident, flags, b"\0", 0, questions, 12, None, 0, False, False, False)
    end = skip_name(data, 12, pointers=False)
    qtype, qclass = TYPE_CLASS.unpack_from(data, end)
    name = data[12:end].lower()
    end += 4
    if not answers | authorities | additionals:
        if end != len(data):
            raise Malformed("bytes after the end")
        return Query(ident, flags, name, qtype, qclass, end, None, 0, False, True, False)
    if answers + authorities + additionals > RECORDS_MAX:
        raise Malformed("too many records for a question")
    size, version, do, plain, tsig = _parse_extra(data, end, answers + authorities, additionals)
    return Query(ident, flags, name, qtype, qclass, end, size, version, do, plain, tsig)


def _parse_extra(data: bytes, at: int, leading: int, additionals: int) -> tuple[int | None, int, bool, bool, bool]:
    """Walks over everything after the question: (EDNS size, version, DO, nothing but an OPT, signed)."""
    size, version, do, plain, tsig = None, 0, False, leading == 0, False
    for index in range(leading + additionals):
        owner = at
        at = skip_name(data, at)
        rtype, rclass, ttl, length = RECORD.unpack_from(data, at)
        at += 10 + length
        if tsig:
            raise Malformed("TSIG is not the last record")
        if rtype == OPT and index >= leading:
            if size is not None or data[owner]:
                raise Malformed("OPT twice or not at the root")
            size, version, do, plain = rclass, ttl >> 16 & 0xFF, bool(ttl & DO), plain
        else:
            plain, tsig = False, rtype == TSIG and index >= leading
    if at != len(data):
        raise Malformed("bytes after the end")
    return size, version, do, plain, tsig


def skip_name(data: bytes, at: int, *, pointers: bool = True) -> int:
    """The offset after the name at `at`. A name ends with the root or, in records, with a pointer backwards."""
    start = at
    while length := data[at]:
        if length > 63:
            if not pointers or length < 0xC0 or (length & 0x3F) << 8 | data[at + 1] >= start:
                raise Malformed("bad label")
            return at + 2
        at += 1 + length
        if at - start > 254:
            raise Malformed("name too long")
    return at + 1


def read_name(data: bytes, at: int) -> bytes:
    """The wire name at `at`, pointers followed (each must point further back, so it ends), in lower case."""
    labels: list[bytes] = []
    limit, total = len(data), 0
    while length := data[at]:
        if length >= 0xC0:
            target = (length & 0x3F) << 8 | data[at + 1]
            if target >= limit or target >= at:
                raise Malformed("pointer does not go back")
            limit = at = target
            continue
        total += 1 + length
        if length > 63 or total > 254:
            raise Malformed("bad label")
        labels.append(data[at : at + 1 + length])
        at += 1 + length
    return b"".join(labels).lower() + b"\0"


def parse_reply(data: bytes) -> Reply:
    """An answer as a client gets it; `Malformed` for anything broken."""
    try:
        ident, flags, questions, answers, authorities, _ = HEADER.unpack_from(data)
        at = 12
        for _ in range(questions):
            at = skip_name(data, at) + 4
        answer, at = _read_records(data, at, answers)
        authority, at = _read_records(data, at, authorities)
    except (IndexError, struct.error) as error:
        raise Malformed("cut short") from error
    return Reply(ident, flags, answer, authority)


def _read_records(data: bytes, at: int, count: int) -> tuple[tuple[Record, ...], int]:
    records = []
    for _ in range(count):
        name = read_name(data, at)
        at = skip_name(data, at)
        rtype, _rclass, ttl, length = RECORD.unpack_from(data, at)
        at += 10
        if at + length > len(data):
            raise Malformed("cut short")
        rdata = read_name(data, at) if rtype == CNAME else data[at : at + length]
        records.append(Record(name, rtype, ttl, rdata))
        at += length
    return tuple(records), at


def soa_serial(data: bytes) -> int:
    """The serial in a SOA's rdata: the fifth 32-bit number from its end."""
    if len(data) < 22:
        raise Malformed("SOA cut short")
    return int.from_bytes(data[-20:-16], "big")
