"""The embedded server as hidden primary of real BIND, Knot and NSD."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path

import pytest

from lbctl.actuators.authoritative import Authoritative, Settings
from lbctl.actuators.base import Place
from lbctl.clock import SystemClock
from lbctl.dns import wire
from lbctl.dns.readback import look
from lbctl.dns.server import Server
from lbctl.dns.settings import Endpoint, ZoneSettings
from lbctl.dns.transfer import missing
from lbctl.dns.zone import Zone, address_node
from lbctl.errors import ActuatorError
from lbctl.model.decision import Desired
from tests.dns.served import NAME, ZONE, ask, run, serving, settings, texts
from tests.peers.dns_servers import KEY, SECONDARIES, Peer, free_place, knot_secondary, secret, until

EVERY = pytest.mark.parametrize("kind", [pytest.param(kind, marks=pytest.mark.peer(kind)) for kind in SECONDARIES])


def fed(secondary: Endpoint, **more: object) -> ZoneSettings:
    return replace(ZONE, tsig=KEY, allow_transfer=("127.0.0.1/32",), also_notify=(secondary,), verify=(secondary,), **more)  # type: ignore[arg-type]


def desired(epoch: int) -> Desired:
    return Desired("core", epoch, ("a",), {"": (f"192.0.2.{epoch}", f"2001:db8::{epoch}") if epoch % 2 else (f"192.0.2.{epoch}",)})


async def follows(actuator: Authoritative, server: Server, epoch: int) -> None:
    """Waits until the secondary shows the epoch whole, at our serial."""
    want, serial = desired(epoch), server.register.zone_of(NAME).serial

    async def shown() -> bool:
        [place] = (await actuator.read()).places
        return (place.addresses, place.epoch, place.serial, place.behind) == (frozenset(want.addresses[""]), epoch, serial, 0)

    await until(shown)


@EVERY
async def test_a_secondary_follows_by_notify_and_difference(tmp_path: Path, kind: str) -> None:
    """H50: verified at the secondary, serial included."""
    place = free_place()
    async with serving(tmp_path, names=(), zones=(fed(place),)) as server:
        actuator = Authoritative(Settings(NAME), server)
        await actuator.apply(desired(1))
        async with SECONDARIES[kind](tmp_path / "second", ZONE.name, server.endpoints[0], place) as second:
            await follows(actuator, server, 1)
            for epoch in range(2, 6):
                await actuator.apply(desired(epoch))
                await follows(actuator, server, epoch)
            counts = server.statistics()
            assert counts.answers["tcp", "IXFR", "NOERROR"] >= 4, (counts, second.log[-20:])
            assert counts.transfers[ZONE.name, "whole"] >= 1 and counts.transfers[ZONE.name, "difference"] >= 4, second.log[-20:]
            assert server.notifier.unheard == {}


@EVERY
async def test_a_secondary_that_was_away_catches_up(tmp_path: Path, kind: str) -> None:
    place = free_place()
    async with serving(tmp_path, names=(), zones=(fed(place),)) as server:
        actuator = Authoritative(Settings(NAME), server)
        await actuator.apply(desired(1))
        for epoch in (2, 4):
            async with SECONDARIES[kind](tmp_path / "second", ZONE.name, server.endpoints[0], place):
                await actuator.apply(desired(epoch))
                await follows(actuator, server, epoch)
            await actuator.apply(desired(epoch + 1))
            assert (await actuator.read()).places[0].error_reason == "closed"
            assert (await ask(server, NAME)).answer


@pytest.mark.peer("knot")
async def test_a_ttl_is_lowered_when_the_secondaries_tell_it(tmp_path: Path) -> None:
    """H49, H50: `--drain`; until then caches are given the long one. A secondary that is silent may be giving it, so that is an error."""
    place = free_place()
    async with serving(tmp_path, names=(), zones=(fed(place),)) as server:
        actuator = Authoritative(Settings(NAME, ttl_s=30), server)
        await actuator.apply(desired(1))
        with pytest.raises(ActuatorError, match=str(place.port)) as error:
            await actuator.set_ttl(5)
        assert error.value.reason == "lagging" and error.value.temporary
        async with SECONDARIES["knot"](tmp_path / "second", ZONE.name, server.endpoints[0], place) as second:
            assert await actuator.set_ttl(5) == 30, "what an earlier try has lowered may be in caches all the same"
            assert (await look(second.place, NAME)).ttl_s == 5
            assert await actuator.set_ttl(None) == 5


@pytest.mark.peer("bind")
@pytest.mark.peer("nsd")
@pytest.mark.parametrize("kind", ["bind", "nsd"])
async def test_a_primary_that_lost_its_memory_deletes_nothing_at_the_secondary(tmp_path: Path, kind: str) -> None:
    """H41, SEMANTICS section 6: what the secondaries show is what is published; the zone is handed out again once it is known again."""
    place = free_place()
    async with serving(tmp_path, names=(), zones=(fed(place),)) as server:
        actuator = Authoritative(Settings(NAME), server)
        await actuator.apply(desired(3))
        home = server.endpoints[0]
        async with SECONDARIES[kind](tmp_path / "second", ZONE.name, home, place) as second:
            await follows(actuator, server, 3)
            before = await second.serial(ZONE.name)
            await server.close()
            (tmp_path / "answers.copy").unlink()
            async with serving(tmp_path, names=(), zones=(fed(place),), listen=(home,)) as reborn:
                actuator = Authoritative(Settings(NAME), reborn)
                assert "Transfer failed" in await run("dig", "@127.0.0.1", "-p", str(home.port), "-y", _key(), ZONE.name, "AXFR")
                assert (await actuator.read()).places == (Place(str(place), frozenset(desired(3).addresses[""]), 3, serial=before),)
                await actuator.apply(desired(4))
                await follows(actuator, reborn, 4)


def _key() -> str:
    return f"{KEY.algorithm}:{KEY.name}:{secret(KEY)}"


@pytest.mark.peer("dig")
async def test_only_who_is_named_and_signs_may_take_the_zone(tmp_path: Path) -> None:
    nobody = Endpoint("127.0.0.1", 9)
    strangers = replace(fed(nobody), name="other.example.com", allow_transfer=("192.0.2.0/24",))
    async with serving(tmp_path, zones=(fed(nobody), strangers)) as server:
        server.register.publish(NAME, ["192.0.2.10"], 1)
        dig = ("dig", "@127.0.0.1", "-p", str(server.endpoints[0].port))
        whole = await run(*dig, "-y", _key(), ZONE.name, "AXFR")
        serial = server.register.zone_of(NAME).serial
        same = await run(*dig, "-y", _key(), ZONE.name, f"IXFR={serial}")
        unsigned = await run(*dig, ZONE.name, "AXFR")
        wrong = await run(*dig, "-y", f"{KEY.algorithm}:{KEY.name}:{base64.b64encode(b'wrong').decode()}", ZONE.name, "AXFR")
        unknown = await run(*dig, "-y", f"{KEY.algorithm}:nobody:{secret(KEY)}", ZONE.name, "SOA", "+tcp")
        elsewhere = await run(*dig, "-y", _key(), "other.example.com", "AXFR")
        signed = await run(*dig, "-y", _key(), NAME)
    assert "192.0.2.10" in whole
    assert "ns2.example.net" in whole
    assert "XFR size: 8 records" in whole
    assert "XFR size: 1 records" in same
    assert "Transfer failed" in unsigned
    assert "Transfer failed" in elsewhere
    assert "BADSIG" in wrong or "tsig verify failure" in wrong.lower()
    assert "NOTAUTH" in unknown
    assert "BADKEY" in unknown
    assert "192.0.2.10" in signed
    assert "TSIG" in signed
    assert "verify failure" not in signed + whole


async def test_a_large_zone_is_transferred_in_several_signed_messages(tmp_path: Path) -> None:
    names = tuple(f"s{number}.gtm.example.com" for number in range(2000))
    async with serving(tmp_path, names=names, zones=(fed(Endpoint("127.0.0.1", 9)),)) as server:
        for name in names:
            server.register.publish(name, ["192.0.2.10"], 1)
        output = await run("dig", "@127.0.0.1", "-p", str(server.endpoints[0].port), "-y", _key(), ZONE.name, "AXFR", "+onesoa")
        assert "XFR size: 4006 records (messages " in output, output[-500:]
        assert "verify failure" not in output


@pytest.mark.peer("knot")
@pytest.mark.peer("delv")
async def test_where_the_secondary_signs_a_validator_believes_every_answer(tmp_path: Path) -> None:
    """H51: positive and negative answers, after a move too; this server hides."""
    place = free_place()
    async with serving(tmp_path, names=(), zones=(fed(place, dnssec="secondaries"),)) as server:
        actuator = Authoritative(Settings(NAME), server)
        await actuator.apply(desired(1))
        async with knot_secondary(tmp_path / "second", ZONE.name, server.endpoints[0], place, signing=True) as second:
            for epoch in (1, 2):
                await actuator.apply(desired(epoch))
                await until(lambda epoch=epoch: _shows(actuator, epoch))
                answers = [await validated(second, tmp_path, *question) for question in ((NAME, "A"), (NAME, "MX"), ("no.gtm.example.com", "A"))]
                assert f"192.0.2.{epoch}" in answers[0]
                [signed] = (await actuator.read()).places
                left_d = ((signed.signed_until or 0) - SystemClock().now()) / 86400
                assert 12 < left_d < 15, "the margin of the signatures, which last 14 days"
                assert all("fully validated" in text for text in answers), "\n".join(answers)
        assert texts(await ask(server, NAME)) == [f"{NAME}. 30 A 192.0.2.2"]


async def _shows(actuator: Authoritative, epoch: int) -> bool:
    [place] = (await actuator.read()).places
    return (place.epoch, place.error_reason) == (epoch, "")


async def validated(peer: Peer, directory: Path, name: str, qtype: str) -> str:
    """What `delv` thinks of the answer, with the zone's own key as trust anchor."""
    keys = await run("dig", f"@{peer.place.host}", "-p", str(peer.place.port), "+short", "+norec", ZONE.name, "DNSKEY")
    anchors = [key.split(maxsplit=3) for key in keys.splitlines() if key.startswith("257")]
    lines = [f'"{ZONE.name}." static-key {flags} {protocol} {algorithm} "{key}";' for flags, protocol, algorithm, key in anchors]
    (directory / "anchors").write_text("trust-anchors {\n" + "\n".join(lines) + "\n};\n")
    return await run(
        "delv", f"@{peer.place.host}", "-p", str(peer.place.port), "-a", str(directory / "anchors"), f"+root={ZONE.name}", "+vtrace", name, qtype
    )


@pytest.mark.peer("knot")
async def test_a_secondary_that_should_sign_and_does_not_is_told(tmp_path: Path) -> None:
    """H51: never unsigned data in a signed zone without a word."""
    place = free_place()
    async with serving(tmp_path, names=(), zones=(fed(place, dnssec="secondaries"),)) as server:
        actuator = Authoritative(Settings(NAME), server)
        await actuator.apply(desired(1))
        async with knot_secondary(tmp_path / "second", ZONE.name, server.endpoints[0], place):
            assert (await actuator.read()).places[0].error_reason == "unsigned"


def test_a_hidden_zone_answers_only_its_secondaries_and_the_machine_itself(tmp_path: Path) -> None:
    """Checked without sockets: the test's own packets always come from loopback."""
    hidden = replace(ZONE, allow_transfer=("192.0.2.53/32",), dnssec="secondaries")
    server, question = Server(settings(tmp_path, zones=(hidden,)), SystemClock()), wire.encode_query(1, wire.encode_name(NAME), wire.A)
    server.register.declare(NAME, 30)
    replies = {host: server._responder.respond(question, host) for host in ("127.0.0.1", "192.0.2.53", "192.0.2.54", "2001:db8::1")}
    assert {host: reply[3] & 15 for host, reply in replies.items() if reply} == {
        "127.0.0.1": 2, "192.0.2.53": 2, "192.0.2.54": 5, "2001:db8::1": 5,
    }  # fmt: skip


def test_a_version_of_an_earlier_life_is_never_the_base_of_a_difference(tmp_path: Path) -> None:
    """H50: the same serial may have held something else before the memory was lost."""
    zone = Zone(ZONE, 100)
    for last in range(1, 6):
        zone.put({wire.encode_name(NAME): address_node((f"192.0.2.{last}",), 30)}, 0)
    assert [missing(zone, serial) for serial in (100, 103)] == [None, None]
    zone.handed_out.append(103)
    assert [change.after for change in missing(zone, 103) or []] == [104, 105]
    assert not zone.go_beyond(103)
    assert not zone.go_beyond(99)
    assert zone.go_beyond(105)
    assert (zone.serial, missing(zone, 103)) == (106, None)
    assert zone.go_beyond(900)
    assert zone.serial == 901
