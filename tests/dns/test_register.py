"""What is published, at which epoch, and what is left of it after a restart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lbctl.clock import LoopClock, SystemClock
from lbctl.dns import wire
from lbctl.dns.answers import Responder
from lbctl.dns.register import Register
from lbctl.dns.settings import ZoneSettings
from lbctl.dns.zone import answer, serial_newer
from lbctl.errors import Superseded
from tests.dns.served import NAME, ZONE, settings


def register(directory: Path, *, declared: bool = True, **more: object) -> Register:
    made = Register(settings(directory, **more), Responder(), SystemClock())
    if declared:
        made.declare(NAME, 30)
    return made


def rcode(made: Register, qtype: int = wire.A) -> int:
    return answer(made.zone_of(NAME), wire.encode_name(NAME), qtype).rcode


async def test_without_copy_a_name_is_unknown_until_it_is_published(tmp_path: Path) -> None:
    """SEMANTICS section 6: SERVFAIL, not NXDOMAIN."""
    made = register(tmp_path)
    assert (rcode(made), made.published(NAME)) == (wire.SERVFAIL, None)
    made.publish(NAME, ["192.0.2.10"], 1)
    assert rcode(made) == wire.NOERROR
    await made.close()


async def test_a_restart_answers_as_before_from_the_copy(tmp_path: Path) -> None:
    """H25, SEMANTICS section 6: the copy of the last answers."""
    first = register(tmp_path)
    first.publish(NAME, ["192.0.2.10", "2001:db8::1"], 7)
    await first.save()
    second = register(tmp_path)
    last = second.published(NAME)
    assert last is not None
    assert (last.addresses, last.epoch, rcode(second, wire.AAAA)) == (("192.0.2.10", "2001:db8::1"), 7, wire.NOERROR)


async def test_a_serial_never_goes_back_even_if_the_clock_does(tmp_path: Path) -> None:
    """H50."""
    serials = []
    for anchor in (1_800_000_000.0, 1_700_000_000.0, 1_000.0):
        made = Register(settings(tmp_path), Responder(), LoopClock(anchor))
        made.declare(NAME, 30)
        for last in range(50):
            made.publish(NAME, [f"192.0.2.{last}"], made._names[NAME].epoch + 1 if NAME in made._names else 1)
        serials.append(made.zone_of(NAME).serial)
        await made.save()
    assert serial_newer(serials[1], serials[0])
    assert serial_newer(serials[2], serials[1])


async def test_an_older_epoch_is_refused_also_after_a_restart(tmp_path: Path) -> None:
    """H27, H41: a controller restored from an old snapshot turns nobody back."""
    first = register(tmp_path)
    first.publish(NAME, ["192.0.2.10"], 7)
    await first.save()
    for made in (first, register(tmp_path)):
        with pytest.raises(Superseded) as refusal:
            made.publish(NAME, ["198.51.100.10"], 6)
        assert refusal.value.found_epoch == 7
        assert made.published(NAME).addresses == ("192.0.2.10",)  # type: ignore[union-attr]


async def test_an_empty_answer_is_never_published(tmp_path: Path) -> None:
    """H41."""
    made = register(tmp_path)
    with pytest.raises(ValueError, match="without an address"):
        made.publish(NAME, [], 1)


async def test_a_family_that_the_new_active_lacks_goes_in_the_same_change(tmp_path: Path) -> None:
    """H22, SEMANTICS section 8."""
    made = register(tmp_path)
    made.publish(NAME, ["192.0.2.10", "2001:db8::1"], 1)
    before = made.zone_of(NAME).serial
    made.publish(NAME, ["198.51.100.10"], 2)
    [change] = [change for change in made.zone_of(NAME).history if change.before == before]
    assert {rrset.rtype for _, rrset in change.removed} == {wire.A, wire.AAAA, wire.TXT}
    assert {rrset.rtype for _, rrset in change.added} == {wire.A, wire.TXT}
    await made.close()


async def test_a_cap_is_no_change_of_the_zone(tmp_path: Path) -> None:
    """SEMANTICS section 8: no write, no epoch, no serial."""
    made = register(tmp_path)
    made.publish(NAME, ["192.0.2.10"], 1)
    before = made.zone_of(NAME).serial
    made.cap_ttl(NAME, 10.0)
    made.cap_ttl(NAME, None)
    assert made.zone_of(NAME).serial == before
    await made.close()


@pytest.mark.parametrize("name", ["core.example.org", "gtm.example.com", "ns1.gtm.example.com"])
async def test_a_name_outside_the_zones_or_of_the_zone_itself_is_refused(tmp_path: Path, name: str) -> None:
    made = register(tmp_path, declared=False)
    with pytest.raises(ValueError, match=r"in no zone|of the zone itself"):
        made.declare(name, 30)


async def test_a_forgotten_name_is_gone_and_a_new_zone_comes_with_a_newer_serial(tmp_path: Path) -> None:
    made = register(tmp_path)
    made.publish(NAME, ["192.0.2.10"], 1)
    before = made.zone_of(NAME).serial
    made.configure([replace(ZONE, negative_ttl_s=5)])
    assert serial_newer(made.zone_of(NAME).serial, before)
    assert rcode(made) == wire.NOERROR
    made.forget(NAME)
    assert (rcode(made), made.published(NAME)) == (wire.NXDOMAIN, None)
    await made.close()


async def test_a_reload_forgets_the_names_that_are_gone(tmp_path: Path) -> None:
    made = register(tmp_path)
    made.declare("other.gtm.example.com", 30)
    made.publish("other.gtm.example.com", ["192.0.2.11"], 1)
    made.publish(NAME, ["192.0.2.10"], 1)
    made.retain([NAME.upper()])
    assert (made.published("other.gtm.example.com"), rcode(made)) == (None, wire.NOERROR)
    await made.save()
    assert register(tmp_path, declared=False)._names.keys() == {NAME}


async def test_a_broken_copy_is_named_and_not_believed(tmp_path: Path) -> None:
    (tmp_path / "answers.copy").write_bytes(b"{}\n{}\n")
    made = register(tmp_path)
    assert "damaged" in made.problem
    assert rcode(made) == wire.SERVFAIL


async def test_what_is_remembered_stands_on_the_disk_before_it_is_served(tmp_path: Path) -> None:
    """H25: a client is never told of a move that a process killed at that instant would take back."""
    first = register(tmp_path)
    await first.remember(NAME, ["192.0.2.10"], 1)
    assert first.published(NAME) is None
    killed = register(tmp_path).published(NAME)
    assert killed is not None and (killed.addresses, killed.epoch) == (("192.0.2.10",), 1)
    first.publish(NAME, ["192.0.2.10"], 1)
    assert rcode(first) == wire.NOERROR
    await first.close()


INNER = ZoneSettings("eu.west.gtm.example.com", {"ns1.eu.west.gtm.example.com": ("192.0.2.3",), "ns2.example.net": ("198.51.100.1",)})
MOVED = "core.eu.west.gtm.example.com"


def handed_out(made: Register, zone: str) -> set[tuple[str, int]]:
    """What a secondary of `zone` is given."""
    return {(wire.decode_name(name), rrset.rtype) for name, rrset in made.zone_of(zone).rrsets()}


async def test_a_zone_carved_out_of_another_takes_its_names_along_and_is_delegated(tmp_path: Path) -> None:
    """H41, H50: the outer zone's secondaries neither keep the names as they were nor say that there are none."""
    made = register(tmp_path)
    made.declare(MOVED, 30)
    for name in (NAME, MOVED):
        made.publish(name, ["192.0.2.10"], 1)
    before = made.zone_of(NAME).serial
    made.configure([ZONE, INNER])
    outer, inner = handed_out(made, NAME), handed_out(made, MOVED)
    assert {(f"{MOVED}.", wire.A), (f"_lbctl.{MOVED}.", wire.TXT)} <= inner
    assert {name for name, _ in outer if "west" in name} == {f"{INNER.name}.", f"ns1.{INNER.name}."}
    assert (f"{INNER.name}.", wire.NS) in outer
    assert (f"{NAME}.", wire.A) in outer
    assert serial_newer(made.zone_of(NAME).serial, before)
    made.configure([ZONE])
    assert {(f"{MOVED}.", wire.A), (f"{NAME}.", wire.A)} <= handed_out(made, NAME)
    assert (f"{INNER.name}.", wire.NS) not in handed_out(made, NAME)


async def test_a_name_between_two_zones_exists(tmp_path: Path) -> None:
    """RFC 8020: NXDOMAIN there would mean to a resolver that nothing is below it, the inner zone included."""
    made = register(tmp_path, zones=(ZONE, INNER))
    between = wire.encode_name("west.gtm.example.com")
    assert answer(made.zone_of("west.gtm.example.com"), between, wire.A).rcode == wire.NOERROR


async def test_a_service_that_becomes_a_zone_leaves_the_zone_its_servers(tmp_path: Path) -> None:
    made = register(tmp_path)
    made.publish(NAME, ["192.0.2.10"], 1)
    made.configure([ZONE, replace(ZONE, name=NAME)])
    made.retain([])
    assert handed_out(made, NAME) == {(f"{NAME}.", wire.NS)}


async def test_of_zones_in_one_another_each_delegates_the_next(tmp_path: Path) -> None:
    middle = replace(INNER, name="west.gtm.example.com")
    made = register(tmp_path, zones=(INNER, ZONE, middle))
    assert [zone.name for zone in made.zone_of(NAME).inner] == ["west.gtm.example.com"]
    assert [zone.name for zone in made.zone_of("west.gtm.example.com").inner] == [INNER.name]
