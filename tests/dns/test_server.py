"""Real questions over real sockets."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import sys
from dataclasses import replace
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import pytest

from lbctl.dns.settings import Endpoint
from tests.dns.served import NAME, ZONE, ask, run, serving, texts


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_published_name_is_answered(tmp_path: Path, host: str, tcp: bool) -> None:
    async with serving(tmp_path, listen=(Endpoint(host, 0),)) as server:
        server.register.publish(NAME, ["192.0.2.10", "2001:db8::10"], 3)
        assert texts(await ask(server, NAME, "A", tcp=tcp)) == [f"{NAME}. 30 A 192.0.2.10"]
        assert texts(await ask(server, NAME, "AAAA", tcp=tcp)) == [f"{NAME}. 30 AAAA 2001:db8::10"]
        assert texts(await ask(server, f"_lbctl.{NAME}", "TXT", tcp=tcp)) == [f'_lbctl.{NAME}. 30 TXT "epoch=3"']
        reply = await ask(server, NAME, "MX", tcp=tcp)
        assert (reply.rcode(), reply.flags & dns.flags.AA, len(reply.authority)) == (dns.rcode.NOERROR, dns.flags.AA, 1)


async def test_every_address_listened_on_answers(tmp_path: Path) -> None:
    async with serving(tmp_path, listen=(Endpoint("127.0.0.1", 0), Endpoint("127.0.0.2", 0), Endpoint("::1", 0))) as server:
        server.register.publish(NAME, ["192.0.2.10"], 1)
        assert [len((await ask(server, NAME, place=place)).answer) for place in range(3)] == [1, 1, 1]


async def test_a_change_is_answered_at_once(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        for last in range(1, 30):
            server.register.publish(NAME, [f"192.0.2.{last}"], last)
            assert texts(await ask(server, NAME)) == [f"{NAME}. 30 A 192.0.2.{last}"]
            assert texts(await ask(server, NAME)) == [f"{NAME}. 30 A 192.0.2.{last}"]


@pytest.mark.peer("dig")
async def test_dig_understands_the_answers(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        server.register.publish(NAME, ["192.0.2.10"], 1)
        dig = ("dig", "@127.0.0.1", "-p", str(server.endpoints[0].port), "+norecurse", "+nocookie")
        outputs = await asyncio.gather(
            run(*dig, NAME), run(*dig, "+tcp", "+short", NAME), run(*dig, "gtm.example.com", "NS"), run(*dig, "gtm.example.com", "SOA"),
            run(*dig, "nope.gtm.example.com"), run(*dig, "www.example.org"), run(*dig, NAME, "ANY", "+notcp"), run(*dig, "+noall", "+answer", NAME),
        )  # fmt: skip
    whole, short, ns, soa, nope, outside, anything, again = outputs
    assert "status: NOERROR" in whole
    assert "flags: qr aa;" in whole
    assert "WARNING" not in "".join(outputs)
    assert short == "192.0.2.10\n"
    assert "ns1.gtm.example.com." in ns
    assert "2001:db8::1" in ns
    assert "hostmaster.gtm.example.com." in soa
    assert "status: NXDOMAIN" in nope
    assert "status: REFUSED" in outside
    assert "RFC8482" in anything
    assert again.split() == [f"{NAME}.", "30", "IN", "A", "192.0.2.10"]


@pytest.mark.netns
@pytest.mark.parametrize("host", ["192.0.2.77", "2001:db8::77", "127.0.0.1"])
async def test_a_flood_is_truncated_and_dropped_unless_it_comes_from_loopback_and_tcp_still_answers(tmp_path: Path, host: str) -> None:
    """Contract section 3, from outside: in a network namespace, where the server may have an address that is not loopback."""
    output = await run("unshare", "--net", sys.executable, "-m", "tests.dns.flood", host, str(tmp_path))
    seen = json.loads(output)
    assert seen["tcp"] == 1
    if host == "127.0.0.1":
        assert (seen["whole"], seen["truncated"], seen["silent"]) == (200, 0, 0)
    else:
        assert 40 <= seen["whole"] < 200
        assert seen["truncated"] == seen["counted_truncated"] >= seen["silent"] == seen["counted_dropped"] > 0


async def test_hostile_datagrams_get_no_reply_and_the_next_question_does(tmp_path: Path) -> None:
    dice = random.Random(7)
    async with serving(tmp_path) as server:
        server.register.publish(NAME, ["192.0.2.10"], 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect(tuple(server.endpoints[0]))
            sock.setblocking(False)
            for _ in range(300):
                sock.send(dice.randbytes(dice.randint(0, 9)))
            sock.send(dns.message.make_response(dns.message.make_query(NAME, "A")).to_wire())
            assert (await ask(server, NAME)).answer
            with pytest.raises(BlockingIOError):
                sock.recv(512)
        assert server.statistics().malformed == 301


async def test_statistics_count_by_type_and_code(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        server.register.publish(NAME, ["192.0.2.10"], 1)
        for name, qtype in [(NAME, "A")] * 3 + [(NAME, "TYPE64"), ("nope.gtm.example.com", "A"), ("example.org", "AAAA")]:
            await ask(server, name, qtype)
        await ask(server, NAME, tcp=True)
        counts = server.statistics().answers
    assert dict(counts) == {
        ("udp", "A", "NOERROR"): 3, ("udp", "other", "NOERROR"): 1, ("udp", "A", "NXDOMAIN"): 1, ("udp", "AAAA", "REFUSED"): 1,
        ("tcp", "A", "NOERROR"): 1,
    }  # fmt: skip


async def test_a_taken_port_is_said_and_nothing_stays_open(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        with pytest.raises(OSError, match="in use"):
            async with serving(tmp_path, listen=(Endpoint("127.0.0.2", 0), server.endpoints[0])):
                pass


async def test_a_reload_changes_the_zones_while_answering_goes_on(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        server.register.publish(NAME, ["192.0.2.10"], 1)
        await server.reload([replace(ZONE, ns={"ns9.gtm.example.com": ("192.0.2.9",)}), replace(ZONE, name="new.example.com")], None)
        assert texts(await ask(server, NAME))
        assert "ns9" in texts(await ask(server, "gtm.example.com", "NS"))[0]
        assert (await ask(server, "new.example.com", "SOA")).answer


async def test_a_restart_on_the_same_port_answers_from_the_copy(tmp_path: Path) -> None:
    """H25: without any state of the controller's."""
    async with serving(tmp_path) as server:
        server.register.publish(NAME, ["192.0.2.10"], 1)
        place = server.endpoints[0]
    async with serving(tmp_path, listen=(place,)) as server:
        assert texts(await ask(server, NAME)) == [f"{NAME}. 30 A 192.0.2.10"]
