"""DNS UPDATE against real BIND, Knot and PowerDNS: what they take, what they refuse, and that they are the referee."""

from __future__ import annotations

import asyncio
import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import dns.name
import dns.rdatatype
import dns.rdtypes.ANY.TSIG
import dns.tsig
import pytest

from lbctl.actuators.rfc2136 import Rfc2136, Settings
from lbctl.clock import SystemClock
from lbctl.controller.counts import Counts
from lbctl.controller.reconciler import Pace, Pool, Reconciler
from lbctl.controller.supervisor import Supervisor
from lbctl.dns import wire
from lbctl.dns.client import ask, send_udp
from lbctl.dns.readback import addresses, epoch_name, look, mark_text
from lbctl.dns.settings import Endpoint, TsigKey
from lbctl.dns.update import judge, send_update, update_message
from lbctl.errors import ActuatorError, Superseded
from lbctl.model.decision import Desired
from lbctl.model.events import Event, Verified
from tests.peers.dns_servers import KEY, NAME, PRIMARIES, ZONE, Peer, bind_primary, knot_primary, powerdns_primary
from tests.peers.relay import UPDATE, opcode, relaying

EVERY = pytest.mark.parametrize("kind", [pytest.param(kind, marks=pytest.mark.peer(kind)) for kind in PRIMARIES])
BOTH, ONE = ("192.0.2.10", "2001:db8::10"), ("198.51.100.10",)


def desired(epoch: int, member: str, *addresses: str) -> Desired:
    return Desired("core", epoch, (member,), {"": addresses})


def actuator(*servers: Endpoint, **more: Any) -> Rfc2136:
    return Rfc2136(replace(Settings(servers, ZONE, NAME, 30, KEY), **more))


async def shown(peer: Peer) -> tuple[frozenset[str], int | None]:
    seen = await look(peer.place, NAME)
    assert not seen.error_reason
    return seen.addresses, seen.epoch


@EVERY
async def test_a_name_moves_with_both_families_and_as_an_alias(tmp_path: Path, kind: str) -> None:
    """SEMANTICS section 8: one message; a family that the new active lacks goes in it."""
    async with PRIMARIES[kind](tmp_path) as peer:
        dns_name = actuator(peer.place)
        for epoch, addresses in enumerate((BOTH, ONE, ("2001:db8::11", "192.0.2.11", "192.0.2.12"), ("www.example.com",), ONE), 1):
            await dns_name.apply(desired(epoch, f"m{epoch}", *addresses))
            [place] = (await dns_name.read()).places
            assert (place.addresses, place.epoch, place.error_reason) == (frozenset(addresses), epoch, "")
            assert (await look(peer.place, NAME)).ttl_s == 30
        serial = place.serial
        await dns_name.apply(desired(5, "m5", *ONE))
        assert (await dns_name.read()).places[0].serial == serial


@EVERY
async def test_a_stale_writer_stops_and_so_does_another_decision_of_the_same_epoch(tmp_path: Path, kind: str) -> None:
    """H41, H43."""
    async with PRIMARIES[kind](tmp_path) as peer:
        dns_name = actuator(peer.place)
        await dns_name.apply(desired(5, "core-b", *ONE))
        for stale in (desired(4, "core-a", *BOTH), desired(5, "core-a", *BOTH)):
            with pytest.raises(Superseded) as refusal:
                await dns_name.apply(stale)
            assert refusal.value.found_epoch == 5
        assert await shown(peer) == (frozenset(ONE), 5)


@EVERY
async def test_the_server_itself_refuses_who_was_overtaken_after_reading(tmp_path: Path, kind: str) -> None:
    """H41: the prerequisites name the old addresses and the old mark; changed addresses, a changed mark or a first mark each refuse."""
    first, second = mark_text(1, ("a",)), mark_text(2, ("b",))
    old = {(NAME, "A"): ("192.0.2.10",), (NAME, "AAAA"): (), (epoch_name(NAME), "TXT"): (f'"{first}"',)}
    new = {(NAME, "A"): ("198.51.100.10",), (epoch_name(NAME), "TXT"): (f'"{second}"',)}
    overtaken = {
        "address": {**old, (NAME, "A"): ("192.0.2.99",)}, "subset": {**old, (NAME, "A"): ("192.0.2.10", "192.0.2.99")},
        "family": {**old, (NAME, "AAAA"): ("2001:db8::1",)}, "mark": {**old, (epoch_name(NAME), "TXT"): (f'"{second}"',)},
        "first": {(NAME, "A"): (), (epoch_name(NAME), "TXT"): ()},
    }  # fmt: skip
    async with PRIMARIES[kind](tmp_path) as peer:
        await actuator(peer.place).apply(desired(1, "a", "192.0.2.10"))
        for what, before in overtaken.items():
            refusal = await send_update(peer.place, update_message(ZONE, 30, before, new), KEY, timeout_s=20, tcp=False)
            assert refusal is not None, what
            assert (refusal.reason, refusal.unknown) == ("changed", False), what
        assert await shown(peer) == (frozenset({"192.0.2.10"}), 1)
        assert await send_update(peer.place, update_message(ZONE, 30, old, new), KEY, timeout_s=20, tcp=True) is None
        assert await shown(peer) == (frozenset({"198.51.100.10"}), 2)


@EVERY
async def test_of_two_controllers_that_fight_for_a_name_one_wins_each_time(tmp_path: Path, kind: str) -> None:
    """H43: the answer is always the whole of one decision, and the loser is told."""
    async with PRIMARIES[kind](tmp_path) as peer:
        for epoch in range(1, 9):
            rivals = {"a": desired(epoch, "a", f"192.0.2.{epoch}"), "b": desired(epoch, "b", f"198.51.100.{epoch}", f"2001:db8::{epoch}")}
            results = await asyncio.gather(*(actuator(peer.place).apply(rival) for rival in rivals.values()), return_exceptions=True)
            winners = [rival for rival, result in zip(rivals.values(), results, strict=True) if result is None]
            assert len(winners) == 1, results
            assert [type(result) for result in results if result is not None] == [Superseded]
            assert await shown(peer) == (frozenset(winners[0].addresses[""]), epoch)


class Watcher:
    """A client that asks for the name all the time. `seen`: every answer that differs from the one before."""

    def __init__(self, place: Endpoint) -> None:
        self.seen: list[frozenset[str]] = []
        self.asked = 0
        self._place = place

    async def run(self) -> None:
        while True:
            [reply] = await ask(self._place, [(wire.encode_name(NAME), wire.A)], timeout_s=20)
            answer = addresses(reply)
            self.asked += 1
            if not self.seen or self.seen[-1] != answer:
                self.seen.append(answer)
            await asyncio.sleep(0.005)


@EVERY
async def test_in_a_lasting_fight_no_client_is_ever_told_anything_but_one_winner_an_epoch(tmp_path: Path, kind: str) -> None:
    """H41, H43: two controllers of equal right, each of which goes on trying for ever. Epoch by epoch one wins, the other is refused and says so,
    and what a client sees never goes back, is never empty, and is never a mixture."""
    clock = SystemClock()
    pool = Pool(clock, Supervisor(clock), Counts(), Pace(settle_s=20.0, limit_s=40.0, pause_max_s=0.2, hopeless_s=0.1))
    async with PRIMARIES[kind](tmp_path) as peer:
        told: dict[str, list[Event]] = {"a": [], "b": []}
        rivals = {name: Reconciler(actuator(peer.place, timeout_s=20), pool, told[name].append) for name in told}
        watcher = Watcher(peer.place)
        winners: list[frozenset[str]] = []
        watching = asyncio.create_task(watcher.run())
        for epoch in range(1, 7):
            plans = {"a": desired(epoch, "a", f"192.0.2.{epoch}"), "b": desired(epoch, "b", f"198.51.100.{epoch}")}
            for name, rival in sorted(rivals.items(), reverse=epoch % 2 == 0):
                rival.want(plans[name])
            async with asyncio.timeout(60):
                while len(won := [name for name in told if Verified(rivals[name].actuator.id, epoch) in told[name]]) != 1 or not all(
                        rivals[name].trouble.startswith("superseded") for name in told if name not in won):
                    assert len(won) <= 1, "both believe that they won"
                    await asyncio.sleep(0.01)
            winners.append(frozenset(plans[won[0]].addresses[""]))
            assert await shown(peer) == (winners[-1], epoch)
        assert all(Verified(rivals[name].actuator.id, 6) in told[name] for name in won), "and so it stays while the loser goes on trying"
        serial = (await look(peer.place, NAME, zone=ZONE)).serial
        asked = watcher.asked
        async with asyncio.timeout(60):
            while watcher.asked < asked + 50:
                await asyncio.sleep(0.01)
        assert (await look(peer.place, NAME, zone=ZONE)).serial == serial
        assert all(rivals[name].trouble.startswith("superseded") for name in told if name not in won), "it goes on saying so"
        watching.cancel()
        await asyncio.gather(watching, *(rival.close() for rival in rivals.values()), return_exceptions=True)
        assert [answer for answer in watcher.seen if answer] == [one for one in winners if one in watcher.seen]
        assert frozenset() not in watcher.seen[1:] and watcher.seen[-1] == winners[-1]


OTHER_SECRET, OTHER_NAME, OTHER_DIGEST = TsigKey("lbctl", b"x" * 32), TsigKey("stranger", b"x" * 32), replace(KEY, algorithm="hmac-sha512")
REFUSALS = {
    ("bind", "secret"): "badsig", ("bind", "name"): "badkey", ("bind", "digest"): "badkey", ("bind", "unsigned"): "refused",
    ("bind", "owner"): "refused", ("bind", "zone"): "refused",
    ("knot", "secret"): "badsig", ("knot", "name"): "badkey", ("knot", "digest"): "badkey", ("knot", "unsigned"): "notauth",
    ("knot", "owner"): "badkey", ("knot", "zone"): "refused",
    ("powerdns", "secret"): "refused", ("powerdns", "name"): "refused", ("powerdns", "digest"): "refused", ("powerdns", "unsigned"): "refused",
    ("powerdns", "zone"): "refused",
}  # fmt: skip
FAULTS: dict[str, dict[str, Any]] = {
    "secret": {"tsig": OTHER_SECRET}, "name": {"tsig": OTHER_NAME}, "digest": {"tsig": OTHER_DIGEST}, "unsigned": {"tsig": None},
    "owner": {"name": "www.example.com"}, "zone": {"zone": "example.org", "name": "core.example.org"},
}  # fmt: skip


@EVERY
async def test_every_refusal_has_its_own_reason_and_changes_nothing(tmp_path: Path, kind: str) -> None:
    """H42."""
    async with PRIMARIES[kind](tmp_path) as peer:
        await actuator(peer.place).apply(desired(1, "a", *BOTH))
        for fault, more in FAULTS.items():
            if (kind, fault) not in REFUSALS:
                continue
            with pytest.raises(ActuatorError) as error:
                await actuator(peer.place, **more).apply(desired(2, "b", *ONE))
            assert error.value.reason == REFUSALS[kind, fault], (fault, error.value)
            assert error.value.temporary
            assert str(peer.place) in str(error.value)
            assert "0123456789" not in str(error.value)
        assert await shown(peer) == (frozenset(BOTH), 1)


@pytest.mark.peer("powerdns")
async def test_a_yes_that_does_nothing_is_no_success(tmp_path: Path) -> None:
    """H42: PowerDNS drops silently what its policy script does not allow."""
    async with powerdns_primary(tmp_path, policy=True) as peer:
        await actuator(peer.place).apply(desired(1, "a", *BOTH))
        assert await shown(peer) == (frozenset(BOTH), 1)
        with pytest.raises(ActuatorError, match="says yes and shows nothing") as error:
            await actuator(peer.place, name="www.example.com").apply(desired(1, "a", *ONE))
        assert error.value.reason == "unverified"


@pytest.mark.parametrize("algorithm", ["hmac-sha256", "hmac-sha384", "hmac-sha512"])
@EVERY
async def test_every_digest_is_understood(tmp_path: Path, kind: str, algorithm: str) -> None:
    key = replace(KEY, algorithm=algorithm)
    async with PRIMARIES[kind](tmp_path, key=key) as peer:
        await actuator(peer.place, tsig=key).apply(desired(1, "a", *BOTH))
        assert await shown(peer) == (frozenset(BOTH), 1)


@pytest.mark.parametrize("make", [bind_primary, knot_primary], ids=["bind", "knot"])
async def test_a_clock_that_is_off_is_told_with_how_much(tmp_path: Path, make: Any) -> None:
    """H42: signed a thousand seconds ago."""
    async with make(tmp_path) as peer:
        update = update_message(ZONE, 30, {}, {(NAME, "A"): ONE})
        key = dns.tsig.Key(KEY.name, KEY.secret, f"{KEY.algorithm}.")
        plain, now = update.to_wire(), int(time.time()) - 1000
        blank = dns.rdtypes.ANY.TSIG.TSIG("ANY", "TSIG", key.algorithm, now, 300, b"", update.id, 0, b"")
        signed, _ = dns.tsig.sign(plain, key, blank, now, b"")
        rdata = signed.to_wire()
        record = key.name.to_wire() + (250).to_bytes(2, "big") + (255).to_bytes(2, "big") + bytes(4) + len(rdata).to_bytes(2, "big") + rdata
        update.use_tsig(key)
        update.to_wire()
        update.wire = plain[:11] + b"\1" + plain[12:] + record
        update.tsig = dns.rrset.from_rdata(key.name, 0, signed)
        refusal = judge(update, await send_udp(peer.place, update.wire))
        assert refusal is not None
        assert refusal.reason == "badtime"
        assert 990 <= int(refusal.detail.rsplit(" by ", 1)[1].split()[0]) <= 1100
        assert await shown(peer) == (frozenset(), None)


@EVERY
async def test_an_update_whose_reply_was_lost_is_settled_by_reading_back(tmp_path: Path, kind: str) -> None:
    """H40, H42: applied once, although the first "yes" never came."""
    async with PRIMARIES[kind](tmp_path) as peer, relaying(peer.place) as relay:
        dns_name = actuator(relay.place, timeout_s=0.4)
        relay.lose_reply = lambda data: opcode(data) == UPDATE
        await dns_name.apply(desired(1, "a", *BOTH))
        [place] = (await dns_name.read()).places
        assert (place.addresses, place.epoch) == (frozenset(BOTH), 1)
        first = place.serial
        relay.lose_reply = lambda data: False
        await dns_name.apply(desired(1, "a", *BOTH))
        assert (await dns_name.read()).places[0].serial == first


@pytest.mark.peer("bind")
@pytest.mark.peer("knot")
async def test_of_three_servers_one_refuses_one_is_silent_and_the_third_is_right(tmp_path: Path) -> None:
    """H40: partial application is visible place by place, and heals when the servers do."""
    other = TsigKey("lbctl", b"y" * 32)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        void = Endpoint(*silent.getsockname())
        async with bind_primary(tmp_path / "bind") as good, knot_primary(tmp_path / "knot", key=other) as refusing:
            dns_name = actuator(good.place, refusing.place, void, timeout_s=0.5)
            with pytest.raises(ActuatorError, match="2 of 3 servers") as error:
                await dns_name.apply(desired(1, "a", *BOTH))
            assert all(str(place) in str(error.value) for place in (refusing.place, void))
            assert error.value.temporary
            places = (await dns_name.read()).places
            assert [(place.epoch, place.error_reason) for place in places] == [(1, ""), (None, ""), (None, "timeout")]
            assert places[2].addresses is None
            await actuator(refusing.place, tsig=other).apply(desired(1, "a", *BOTH))
            await actuator(good.place, refusing.place).apply(desired(1, "a", *BOTH))


async def test_a_closed_port_fails_at_once() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        place = Endpoint(*sock.getsockname())
    with pytest.raises(ActuatorError) as error:
        await actuator(place, timeout_s=600).apply(desired(1, "a", *ONE))
    assert error.value.reason == "closed"


async def test_an_empty_answer_is_never_written() -> None:
    """H41."""
    with pytest.raises(ActuatorError) as error:
        await actuator(Endpoint("127.0.0.1", 9)).apply(Desired("core", 1, (), {}))
    assert (error.value.reason, error.value.temporary) == ("empty", False)


@EVERY
async def test_the_ttl_is_lowered_before_a_planned_move_and_put_back_after(tmp_path: Path, kind: str) -> None:
    """SEMANTICS section 8: under the same epoch; says how long caches may hold what was said before."""
    async with PRIMARIES[kind](tmp_path) as peer:
        dns_name = actuator(peer.place)
        assert await dns_name.set_ttl(5) == 0
        await dns_name.set_ttl(None)
        await dns_name.apply(desired(1, "a", *BOTH))
        ttls = [await dns_name.set_ttl(5), (await look(peer.place, NAME)).ttl_s]
        await dns_name.apply(desired(2, "b", *ONE))
        ttls += [(await look(peer.place, NAME)).ttl_s, await dns_name.set_ttl(None), (await look(peer.place, NAME)).ttl_s]
        assert ttls == [30, 5, 5, 5, 30]
        assert await shown(peer) == (frozenset(ONE), 2)


@pytest.mark.peer("bind")
async def test_what_somebody_changed_by_hand_is_put_right_under_the_same_epoch(tmp_path: Path) -> None:
    async with bind_primary(tmp_path) as peer:
        await actuator(peer.place).apply(desired(1, "a", *ONE))
        by_hand = update_message(ZONE, 77, {(NAME, "A"): ONE}, {(NAME, "A"): ("203.0.113.66",)})
        assert await send_update(peer.place, by_hand, KEY, timeout_s=20, tcp=False) is None
        assert await shown(peer) == (frozenset({"203.0.113.66"}), 1)
        await actuator(peer.place).apply(desired(1, "a", *ONE))
        assert await shown(peer) == (frozenset(ONE), 1)


def test_a_secret_is_never_shown() -> None:
    """H54."""
    assert "0123456789" not in repr(Settings((), ZONE, NAME, 30, KEY))
