"""From packet to reply: templates say what the slow way says, and nothing hostile leaves a trace."""

from __future__ import annotations

import random
import tracemalloc
from dataclasses import replace

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import dns.tsig
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbctl.clock import SystemClock
from lbctl.dns import templates, wire
from lbctl.dns.answers import Responder
from lbctl.dns.settings import TsigKey
from lbctl.dns.transfer import Source
from lbctl.dns.zone import UNKNOWN, Zone, address_node
from tests.dns.served import NAME, ZONE, texts

NOW = 1_800_000_000.0
HOST = "192.0.2.77"
KEY = TsigKey("feed", b"k" * 32)


def responder(*addresses: str, templates_max: int = templates.TEMPLATES_MAX, fed: bool = False) -> Responder:
    made = Responder(templates_max)
    zone = Zone(replace(ZONE, tsig=KEY, allow_transfer=("0.0.0.0/0",)) if fed else ZONE, 100)
    zone.put({wire.encode_name(NAME): address_node(addresses or ("192.0.2.10",), 30)}, NOW)
    if not fed:
        zone.put({wire.encode_name("lost.gtm.example.com"): UNKNOWN}, NOW)
    made.zones = {zone.origin: zone}
    return made


def ask(made: Responder, name: str, qtype: str = "A", *, tcp: bool = False, **more: object) -> dns.message.Message:
    query = dns.message.make_query(name, qtype, **more)
    data = query.to_wire()
    kept = None if tcp else made.templates.find(data[2:].lower())
    reply = kept.reply(data) if kept else made.respond(data, HOST, tcp=tcp)
    assert reply is not None
    message = dns.message.from_wire(reply)
    assert query.is_response(message)
    return message


KINDS = st.sampled_from(["A", "AAAA", "TXT", "SOA", "TYPE65", "TYPE97"])


@given(st.lists(st.booleans(), min_size=len(NAME), max_size=len(NAME)), st.booleans(), KINDS)
def test_a_template_answers_as_the_zone_does_and_keeps_the_spelling(upper: list[bool], edns: bool, qtype: str) -> None:
    """0x20: the question comes back with the capitals it had, answered from the table or not. Types 65 and 97 differ as `A` and `a` do."""
    made = responder()
    ask(made, NAME, "TYPE65", use_edns=edns)
    spelled = "".join(c.upper() if up else c for c, up in zip(NAME, upper, strict=True))
    first, second = ask(made, NAME, qtype, use_edns=edns), ask(made, spelled, qtype, use_edns=edns)
    assert str(second.question[0].name) == spelled + "."
    assert texts(first) == [text.replace(spelled, NAME) for text in texts(second)]
    assert first.rcode() == second.rcode() == dns.rcode.NOERROR
    assert bool(second.answer) == (qtype == "A")


def test_a_change_empties_the_table() -> None:
    made = responder()
    ask(made, NAME)
    assert made.templates
    made.changed()
    assert not made.templates
    assert made.counts()["udp", "A", "NOERROR"] == 1


def test_the_table_is_bounded() -> None:
    made = responder(templates_max=10)
    for size in range(512, 612):
        ask(made, NAME, payload=size)
    assert 0 < len(made.templates) <= 10


def test_what_is_not_for_us_is_refused_and_what_is_unknown_is_servfail() -> None:
    made = responder()
    assert ask(made, "www.example.org").rcode() == dns.rcode.REFUSED
    assert ask(made, NAME, rdclass="CH").rcode() == dns.rcode.REFUSED
    assert ask(made, "lost.gtm.example.com").rcode() == dns.rcode.SERVFAIL
    assert ask(made, "nope.gtm.example.com").rcode() == dns.rcode.NXDOMAIN


def test_any_is_refused_politely() -> None:
    """RFC 8482."""
    [text] = texts(ask(responder(), NAME, "ANY"))
    assert text.endswith('HINFO "RFC8482" ""')


def test_an_unknown_edns_version_is_badvers_and_another_opcode_notimp() -> None:
    made = responder()
    reply = ask(made, NAME, use_edns=1)
    assert (reply.rcode(), reply.edns, reply.answer) == (dns.rcode.BADVERS, 0, [])
    for opcode in (1, 2, 4, 5):
        data = bytearray(dns.message.make_query(NAME, "A").to_wire())
        data[2] = opcode << 3
        answered = made.respond(bytes(data), HOST)
        assert answered is not None
        assert (answered[2] >> 3 & 15, answered[3] & 15, answered[4:12]) == (opcode, dns.rcode.NOTIMP, bytes(8))


def test_no_question_or_two_are_a_format_error() -> None:
    made = responder()
    for count in (0, 2):
        answered = made.respond(wire.HEADER.pack(9, 0, count, 0, 0, 0) + b"\1a\0\0\1\0\1" * count, HOST)
        assert answered == wire.HEADER.pack(9, wire.QR | wire.FORMERR, 0, 0, 0, 0)


def test_an_answer_that_does_not_fit_is_truncated_and_whole_over_tcp() -> None:
    made = responder(*(f"2001:db8::{n:x}" for n in range(1, 60)))
    plain, edns = ask(made, NAME, "AAAA"), ask(made, NAME, "AAAA", payload=65535)
    assert all(reply.flags & dns.flags.TC and not reply.answer for reply in (plain, edns))
    assert len(texts(ask(made, NAME, "AAAA", tcp=True))) == 59


@pytest.mark.parametrize("payload", [0, 100, 512, 1232, 4096])
def test_no_reply_is_larger_than_the_client_takes(payload: int) -> None:
    for count in range(1, 60, 3):
        made = responder(*(f"192.0.2.{n}" for n in range(1, count + 1)))
        reply = made.respond(dns.message.make_query(NAME, "A", payload=payload).to_wire(), HOST)
        assert reply is not None
        assert len(reply) <= max(512, min(payload, 1232))


def test_several_addresses_take_turns_in_front() -> None:
    """G-SC3: a pool's clients that take the first address are spread."""
    made = responder("192.0.2.1", "192.0.2.2", "192.0.2.3")
    ask(made, NAME)
    [template] = made.templates.exact.values()
    assert template.tails is not None
    firsts = {bytes(next(template.tails)[12:16]) for _ in range(3)}
    assert firsts == {bytes([192, 0, 2, n]) for n in (1, 2, 3)}


def test_a_cap_shortens_only_the_ttl_of_that_name_and_never_below_the_floor() -> None:
    """SEMANTICS section 8: direct answers only, floor 5 s."""
    made = responder()
    made.caps[wire.encode_name(NAME)] = 10
    assert ask(made, NAME).answer[0].ttl == 10
    made.caps[wire.encode_name(NAME)] = 1
    made.changed()
    assert ask(made, NAME).answer[0].ttl == 5
    assert ask(made, "gtm.example.com", "NS").answer[0].ttl == 3600


def test_a_truncated_reply_is_never_larger_than_its_question() -> None:
    """The rate limit's reply amplifies nothing."""
    data = dns.message.make_query(NAME, "A", use_edns=True).to_wire()
    reply = responder().truncated(data)
    assert reply is not None
    assert len(reply) <= len(data)
    assert dns.message.from_wire(reply).flags & dns.flags.TC


def mutants(seed: int, count: int) -> list[bytes]:
    dice = random.Random(seed)
    queries = [dns.message.make_query(NAME, kind, use_edns=edns, want_dnssec=edns) for kind in ("A", "ANY") for edns in (False, True)]
    for serial in (99, 100):
        queries.append(dns.message.make_query(ZONE.name, "IXFR"))
        queries[-1].authority = [dns.rrset.from_text(ZONE.name + ".", 0, "IN", "SOA", f". . {serial} 0 0 0 0")]
    for query in queries[2:]:
        query.use_tsig(dns.tsig.Key(KEY.name, KEY.secret, f"{KEY.algorithm}."))
    seeds = [query.to_wire() for query in queries]
    found = []
    for _ in range(count):
        data = bytearray(dice.choice(seeds))
        for _ in range(dice.randint(1, 6)):
            match dice.randint(0, 3):
                case 0:
                    data[dice.randrange(len(data))] = dice.randrange(256)
                case 1:
                    del data[dice.randrange(len(data)) :]
                    data += b"\0"
                case 2:
                    data[dice.randrange(len(data)) : 0] = dice.randbytes(dice.randint(1, 8))
                case 3:
                    data[2:12] = wire.HEADER.pack(0, dice.getrandbits(16), *(dice.choice((0, 1, 1, 2)) for _ in range(4)))[2:]
        found.append(bytes(data))
    return found


def hammer(seed: int, count: int) -> int:
    """Bytes by which memory has grown after `count` mutated packets, signed ones and transfers among them."""
    made = responder(fed=True)
    source = Source(made, SystemClock())
    for data in mutants(seed, 2000):
        source.datagram(data, HOST)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for turn in range(count // 2000):
        for data in mutants(seed + turn + 1, 2000):
            for reply in (source.datagram(data, HOST), *source.stream(data, HOST)):
                assert reply is None or (reply[:2] == data[:2] and reply[2] & 0x80 and len(reply) <= 1232)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert len(made.templates) < templates.TEMPLATES_MAX
    return grown


def test_mutated_packets_neither_crash_nor_leave_a_trace() -> None:
    assert hammer(1, 20_000) < 2_000_000


@pytest.mark.slow
def test_a_million_mutated_packets_neither_crash_nor_leave_a_trace() -> None:
    assert hammer(2, 1_000_000) < 5_000_000


@given(st.binary(max_size=80))
@settings(max_examples=200)
def test_random_bytes_get_silence_or_a_reply_with_their_id(data: bytes) -> None:
    reply = responder().respond(data, HOST)
    assert reply is None or (reply[:2] == data[:2] and reply[2] & 0x80)
