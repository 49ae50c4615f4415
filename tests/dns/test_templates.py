"""What the table answers is, byte for byte, what the zone says to the same packet; and nothing that is asked makes it grow beyond its bound."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from string import ascii_letters

import dns.edns
import dns.message
import dns.name
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbctl.dns import wire
from lbctl.dns.answers import Responder
from lbctl.dns.settings import ZoneSettings
from lbctl.dns.zone import UNKNOWN, RRset, Zone, address_node
from tests.dns.served import NAME, ZONE
from tests.dns.test_answers import HOST, NOW, mutants

INNER = ZoneSettings("inner.example.net", {"ns1.inner.example.net": ("192.0.2.1",)})
OUTER = ZoneSettings("example.net", {"ns1.example.net": ("192.0.2.1",)})
SUFFIXES = ("gtm.example.com", "a.b.gtm.example.com", "b.gtm.example.com", NAME, "lost.gtm.example.com", "example.net", "inner.example.net",
            "x.inner.example.net", "example.org", "com", "gtm.example.comx", "xgtm.example.com", "")  # fmt: skip
LABELS = st.lists(st.sampled_from([b"x", b"core", b"a", b"b", b"\0", b"\3gtm", b"\x41", b"nope." * 12, b"y" * 63]), max_size=5)
TYPES = st.sampled_from([wire.A, wire.NS, wire.SOA, wire.TXT, wire.AAAA, 64, 65, 97, wire.ANY, wire.AXFR, 0x4141, 0x6161])
SIZES = st.sampled_from([0, 512, 0x0341, 0x0361, 0x0578, 1232, 4096])  # between two that differ as `A` and `a` do, an answer is cut


def zones() -> dict[bytes, Zone]:
    """Of sets of one record each: several take turns in front, which would be a difference."""
    made = [Zone(one, 100) for one in (replace(ZONE, ns={"ns1.gtm.example.com": ("192.0.2.1", "2001:db8::1")}), OUTER, INNER)]
    made[0].put({wire.encode_name(NAME): address_node(("192.0.2.10",), 30), wire.encode_name("lost.gtm.example.com"): UNKNOWN}, NOW)
    long = RRset(wire.TXT, 30, ((b"\xff" + b"t" * 255) * 3 + b"\x15" + b"t" * 21,))
    made[0].put({wire.encode_name("a.b.gtm.example.com"): {**address_node(("2001:db8::1",), 30), wire.TXT: long}}, NOW)
    made[2].put({wire.encode_name("x.inner.example.net"): address_node(("192.0.2.11",), 30)}, NOW)
    return {zone.origin: zone for zone in made}


def fresh(known: dict[bytes, Zone]) -> Responder:
    made = Responder()
    made.zones = known
    return made


def fast(made: Responder, data: bytes) -> tuple[bytes | None, bool]:
    """The reply as a reader makes it, and whether the table had it."""
    template = made.templates.find(data[2:].lower())
    return (made.respond(data, HOST), False) if template is None else (template.reply(data), True)


@st.composite
def questions(draw: st.DrawFn) -> bytes:
    labels, suffix = draw(LABELS), dns.name.from_text(draw(st.sampled_from(SUFFIXES))).to_wire()
    name = b"".join(bytes((len(label),)) + label for label in labels) + suffix
    capitals = draw(st.integers(0, 2**32))
    spelled = bytes(c ^ 32 if chr(c) in ascii_letters and capitals >> at % 32 & 1 else c for at, c in enumerate(name))
    flags = draw(st.sampled_from([0, wire.RD, wire.RD | 0x20, 0x10, 0x4100]))
    header = wire.HEADER.pack(draw(st.integers(0, 65535)), flags, 1, 0, 0, edns := draw(st.integers(0, 1)))
    options = draw(st.sampled_from([b"", b"\0\x0a\0\x08ABCDabcd", b"\0\x0c\0\0"]))
    version, do = draw(st.sampled_from([0, 0, 0, 1])), draw(st.sampled_from([0, wire.DO]))
    opt = b"\0" + wire.RECORD.pack(wire.OPT, draw(SIZES), version << 16 | do, len(options)) + options
    return header + spelled + wire.TYPE_CLASS.pack(draw(TYPES), draw(st.sampled_from([1, 1, 1, 3, 255]))) + opt * edns


@given(st.lists(questions(), min_size=1, max_size=10))
@settings(max_examples=150)
def test_the_table_answers_byte_for_byte_as_the_zone_does(asked: Sequence[bytes]) -> None:
    """Whatever was asked before: names that are there, that are not, below others, in zones inside zones, spelled and flagged in any way."""
    known = zones()
    made = fresh(known)
    wanted = [fresh(known).respond(data, HOST) for data in asked]
    for _ in range(2):
        assert [fast(made, data)[0] for data in asked] == wanted
    assert sum(made.counts().values()) == 2 * sum(reply is not None for reply in wanted)


def test_mutated_packets_that_the_table_knows_are_answered_as_the_zone_does() -> None:
    """One that is broken is never taken for one that is not."""
    known, hits = zones(), 0
    made = fresh(known)
    names = ("n.gtm.example.com", "n.o.gtm.example.com", "core.x.gtm.example.com", "core.example.org")
    nope = [wire.encode_query(7, wire.encode_name(name), qtype) for name in names for qtype in (1, 28)]
    dice = random.Random(4)
    for data in (*nope, *mutants(5, 4000)):
        fast(made, data)
        changed = bytearray(dice.choice(nope) if dice.random() < 0.7 else data)
        for _ in range(dice.randint(0, 2)):
            changed[dice.randrange(len(changed))] = dice.choice((0, 1, 2, 3, 63, 64, 0x41, 0x61, 0xC0, dice.randrange(256)))
        reply, hit = fast(made, bytes(changed))
        assert reply == fresh(known).respond(bytes(changed), HOST)
        hits += hit
    assert hits > 500


SHORT = ZoneSettings("z", {"ns.example.org": ()})
WORDY = ZoneSettings("zz", {".".join(["w" * 60] * 4): ()})
PREFIXES = (b"\0", b"\x40" + b"x" * 64, b"\x80" + b"x" * 128, b"\xc0\x0c", b"\1x\0", b"\1x\x40", b"\5core", b"\1x" * 126, b"\1x" * 400)
"""What may stand before a zone's name and is no row of labels of a name; the last but one is."""


@pytest.mark.parametrize("edns", [True, False], ids=["edns", "plain"])
@pytest.mark.parametrize("zone", [ZONE, SHORT, WORDY], ids=["long", "short", "wordy"])
def test_broken_and_endless_names_get_what_the_slow_way_gives_them(zone: ZoneSettings, edns: bool) -> None:
    """Also the longest names, one byte more, where the pointer to the zone's name needs its upper bits, and where the reply is cut."""
    made, name = Responder(), wire.encode_name(zone.name)
    known = {name: Zone(zone, 100)}
    made.zones = known
    head, tail = wire.HEADER.pack(1, 0, 1, 0, 0, int(edns)), wire.TYPE_CLASS.pack(wire.A, wire.IN) + (b"\0" + wire.RECORD.pack(41, 1232, 0, 0)) * edns
    longest = [b"".join(b"\x27" + bytes(39) for _ in range(size // 40)) + b"\1x" * (size % 40 // 2) for size in range(120, 262, 2)]
    odd = [b"\2yy" + labels for labels in longest]
    found = []
    for prefix in (b"\3abc", *longest, *odd, *PREFIXES):
        for suffix in (name, b"\3org\0"):
            data = head + prefix + suffix + tail
            reply, hit = fast(made, data)
            assert reply == fresh(known).respond(data, HOST)
            found.append(hit)
    assert any(found[0::2])
    assert any(found[1::2])


def test_a_client_that_takes_more_is_not_told_to_come_by_tcp_because_another_was() -> None:
    """EDNS sizes 0x341 and 0x361 differ as `A` and `a` do, and one is too small for the answer."""
    known = zones()
    for sizes in ((0x341, 0x361), (0x361, 0x341)):
        made = fresh(known)
        for size in sizes:
            data = wire.encode_query(1, wire.encode_name("a.b.gtm.example.com"), wire.TXT, size=size)
            reply, _ = fast(made, data)
            assert reply == fresh(known).respond(data, HOST)
            assert wire.parse_reply(reply or b"").truncated == (size == 0x341)


def made_with(name: str, **more: object) -> Responder:
    made = Responder()
    zone = Zone(replace(ZONE, **more), 100)
    zone.put({wire.encode_name(name): address_node(("192.0.2.10",), 30)}, NOW)
    made.zones = {zone.origin: zone}
    return made


def hits(made: Responder, *names: str, qtype: int = wire.A) -> list[bool]:
    return [fast(made, wire.encode_query(1, wire.encode_name(name), qtype))[1] for name in names]


def test_the_second_unknown_name_is_answered_from_the_table_at_any_depth() -> None:
    assert hits(made_with(NAME), "a.gtm.example.com", "b.gtm.example.com", "c.d.e.f.gtm.example.com", f"x.{NAME}") == [False, True, True, True]


def test_names_of_other_zones_are_refused_from_the_table_and_a_new_zone_is_not() -> None:
    made = made_with(NAME)
    assert hits(made, ".", "example.org", "a.b.example.net", "com", "example.com", NAME, "gtm.example.com") == [
        False,
        True,
        True,
        True,
        True,
        False,
        False,
    ]
    assert hits(made, ".", ".", "example.org") == [False, False, True]
    assert made.counts()["udp", "A", "REFUSED"] == 8
    zone = Zone(OUTER, 100)
    made.zones = {**made.zones, zone.origin: zone}
    assert hits(made, "example.org", "a.b.example.net", "b.example.net") == [False, False, True]


def test_a_name_that_is_there_is_never_denied_by_the_table() -> None:
    """Published names, empty ones above them and the zone's own."""
    made = made_with("a.b.gtm.example.com")
    assert hits(made, "nope.gtm.example.com", "a.b.gtm.example.com", "b.gtm.example.com", "gtm.example.com", "ns1.gtm.example.com") == [False] * 5


def test_a_name_that_appears_is_answered_at_once_and_one_that_goes_is_denied() -> None:
    made, key = made_with(NAME), wire.encode_name("new.gtm.example.com")
    [zone] = made.zones.values()
    for node, code in ((None, wire.NXDOMAIN), (address_node(("192.0.2.9",), 30), wire.NOERROR), (None, wire.NXDOMAIN)):
        zone.put({key: node}, NOW)
        made.changed()
        for name in ("x.gtm.example.com", "new.gtm.example.com"):
            reply = fast(made, wire.encode_query(1, wire.encode_name(name), wire.A))[0]
            assert reply is not None
        assert wire.parse_reply(reply).rcode == code
        soa = wire.parse_reply(reply).authority
        assert not soa or wire.soa_serial(soa[0].rdata) == zone.serial


def test_a_name_in_a_zone_inside_another_is_denied_by_the_inner_one() -> None:
    """And other zones, which are set while answering goes on, forget what the ones before said."""
    known = zones()
    made = fresh(known)
    for name in ("nope.example.net", "other.example.net", "nope.inner.example.net", "nope.example.net"):
        data = wire.encode_query(1, wire.encode_name(name), wire.A)
        assert fast(made, data)[0] == fresh(known).respond(data, HOST)
    made.zones = {}
    assert len(made.templates) == 0


def test_a_zone_that_hides_has_no_templates() -> None:
    """H51: who may ask depends on the asker."""
    made = made_with(NAME, dnssec="secondaries", allow_transfer=(HOST,))
    assert hits(made, NAME, NAME, "a.gtm.example.com", "b.gtm.example.com") == [False] * 4


@pytest.mark.parametrize("options", [[dns.edns.CookieOption(b"12345678", b"")], [dns.edns.ECSOption("192.0.2.0", 24)]], ids=["cookie", "subnet"])
def test_options_change_no_answer_and_fill_no_table(options: list[dns.edns.Option]) -> None:
    made = made_with(NAME)
    for name in (NAME, "nope.gtm.example.com"):
        bare = made.respond(dns.message.make_query(name, "A", use_edns=0, payload=1232, id=1).to_wire(), HOST)
        size = len(made.templates)
        assert made.respond(dns.message.make_query(name, "A", use_edns=0, payload=1232, id=1, options=options).to_wire(), HOST) == bare
        assert len(made.templates) == size
    assert made.counts()["udp", "A", "NOERROR"] == made.counts()["udp", "A", "NXDOMAIN"] == 2


def test_no_type_that_is_counted_or_held_by_a_zone_has_a_letter() -> None:
    """What `keep` relies on."""
    held = {rtype for zone in zones().values() for node in zone.nodes.values() for rtype in node}
    assert not any(chr(rtype & 255).isalpha() and rtype < 128 for rtype in (*held, *wire.TYPES))


@pytest.mark.parametrize("qtypes", [1, 65536], ids=["one type", "random types"])
def test_questions_of_every_kind_do_not_grow_the_table_beyond_its_bound(qtypes: int) -> None:
    known, dice = zones(), random.Random(1)
    made = Responder(100)
    made.zones = known
    for number in range(2000):
        name = wire.encode_name(dice.choice((NAME, f"n{number}.gtm.example.com")))
        fast(made, wire.encode_query(1, name, dice.randrange(qtypes), size=512 + number % 100))
        assert len(made.templates) <= 100
    assert sum(made.counts().values()) == 2000


def flood(count: int) -> int:
    """Bytes by which memory has grown after so many questions for names that are not there."""
    made, dice = fresh(zones()), random.Random(2)
    packet = wire.encode_query(1, wire.encode_name("gtm.example.com"), wire.A)

    def ask() -> None:
        label = dice.randbytes(dice.randint(1, 40)).hex().encode()[:63]
        assert fast(made, packet[:12] + bytes((len(label),)) + label + packet[12:])[0] is not None

    for _ in range(100):
        ask()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(count):
        ask()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert len(made.templates) == 1
    return grown


def test_a_flood_of_random_names_leaves_nothing_behind() -> None:
    assert flood(5000) < 5000


@pytest.mark.slow
def test_a_flood_of_a_million_random_names_leaves_nothing_behind() -> None:
    assert flood(1_000_000) < 100_000
