"""What a zone answers, and what its versions remember."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.dns import wire
from lbctl.dns.settings import ZoneSettings
from lbctl.dns.zone import UNKNOWN, Zone, address_node, answer, next_serial, serial_newer
from tests.dns.served import ZONE

NOW = 1_800_000_000.0


def name(text: str) -> bytes:
    return wire.encode_name(text)


@pytest.fixture
def zone() -> Zone:
    zone = Zone(ZONE, 100)
    zone.put({name("a.b.gtm.example.com"): address_node(("192.0.2.10", "2001:db8::10"), 30), name("lost.gtm.example.com"): UNKNOWN}, NOW)
    return zone


@pytest.mark.parametrize(
    ("asked", "qtype", "rcode", "sections"),
    [
        ("a.b.gtm.example.com", wire.A, wire.NOERROR, (1, 0, 0)),
        ("a.b.gtm.example.com", wire.AAAA, wire.NOERROR, (1, 0, 0)),
        ("a.b.gtm.example.com", wire.TXT, wire.NOERROR, (0, 1, 0)),
        ("a.b.gtm.example.com", wire.ANY, wire.NOERROR, (1, 0, 0)),
        ("b.gtm.example.com", wire.A, wire.NOERROR, (0, 1, 0)),
        ("c.gtm.example.com", wire.A, wire.NXDOMAIN, (0, 1, 0)),
        ("x.a.b.gtm.example.com", wire.A, wire.NXDOMAIN, (0, 1, 0)),
        ("lost.gtm.example.com", wire.A, wire.SERVFAIL, (0, 0, 0)),
        ("lost.gtm.example.com", wire.ANY, wire.SERVFAIL, (0, 0, 0)),
        ("gtm.example.com", wire.SOA, wire.NOERROR, (1, 0, 0)),
        ("gtm.example.com", wire.NS, wire.NOERROR, (1, 0, 2)),
        ("gtm.example.com", wire.A, wire.NOERROR, (0, 1, 0)),
        ("ns1.gtm.example.com", wire.AAAA, wire.NOERROR, (1, 0, 0)),
    ],
)
def test_a_question_gets_its_kind_of_answer(zone: Zone, asked: str, qtype: int, rcode: int, sections: tuple[int, int, int]) -> None:
    found = answer(zone, name(asked), qtype)
    assert (found.rcode, (len(found.answer), len(found.authority), len(found.additional))) == (rcode, sections)


def test_a_negative_answer_lives_as_long_as_configured() -> None:
    zone = Zone(replace(ZONE, negative_ttl_s=7), 1)
    [(owner, soa)] = answer(zone, name("nope.gtm.example.com"), wire.A).authority
    assert (owner, soa.ttl, soa.rdatas[0][-4:]) == (zone.origin, 7, (7).to_bytes(4, "big"))


def test_a_change_has_a_serial_and_a_difference_and_no_change_has_none(zone: Zone) -> None:
    before, node = zone.serial, address_node(("192.0.2.11",), 30)
    assert zone.put({name("a.b.gtm.example.com"): node}, NOW)
    assert serial_newer(zone.serial, before)
    step = zone.history[-1]
    assert (step.before, step.after) == (before, zone.serial)
    assert sorted(rrset.rtype for _, rrset in step.removed) == [wire.A, wire.AAAA]
    assert [rrset.rtype for _, rrset in step.added] == [wire.A]
    assert not zone.put({name("a.b.gtm.example.com"): node}, NOW)
    assert zone.history[-1] is step


def test_a_removed_name_takes_its_empty_parents_with_it(zone: Zone) -> None:
    zone.put({name("a.b.gtm.example.com"): None}, NOW)
    assert answer(zone, name("b.gtm.example.com"), wire.A).rcode == wire.NXDOMAIN


def test_a_zone_without_name_servers_is_refused() -> None:
    with pytest.raises(ValueError, match="name server"):
        ZoneSettings("gtm.example.com", {})


@given(st.integers(0, 0xFFFFFFFF), st.floats(0, 4e9))
def test_the_next_serial_is_newer_unless_time_is_half_the_circle_away(current: int, now: float) -> None:
    step = next_serial(current, now) - current & 0xFFFFFFFF
    assert step == 1 or step == int(now) - current
