"""Both ways of reading UDP answer the same, in every order of good and bad datagrams."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import subprocess
import sys
from collections.abc import Callable

import pytest

from lbctl.dns import wire
from lbctl.dns.answers import Responder
from lbctl.dns.datagrams import DATAGRAMS, QUESTION_BYTES, Desk, batched, single
from lbctl.dns.limit import RateLimit
from tests.dns.served import NAME
from tests.dns.test_answers import responder

WAYS = pytest.mark.parametrize("way", [batched, single], ids=["batched", "single"])
Way = Callable[[socket.socket, Desk], Callable[[], None]]


def desk(made: Responder, limit: RateLimit | None = None) -> Desk:
    return Desk(made.templates, made.respond, made.truncated, lambda: 5.0, limit)


def bound(host: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.bind((host, 0))
    return sock


def question(number: int, name: str = NAME) -> bytes:
    return wire.encode_query(number, wire.encode_name(name), wire.A)


def received(sock: socket.socket) -> list[tuple[int, int]]:
    """(id, code) of every reply that is there."""
    found = []
    while True:
        try:
            reply = wire.parse_reply(sock.recv(4096))
        except BlockingIOError:
            return found
        found.append((reply.id, reply.rcode))


@WAYS
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_each_client_gets_its_own_replies_whatever_comes_between(way: Way, host: str) -> None:
    dice = random.Random(3)
    with bound(host) as server, bound(host) as left, bound(host) as right:
        drain = way(server, desk(responder()))
        for _turn in range(20):
            wanted: dict[socket.socket, list[tuple[int, int]]] = {left: [], right: []}
            for number in range(dice.randint(1, DATAGRAMS)):
                client = dice.choice((left, right))
                name, code = dice.choice(((NAME, 0), ("nope.gtm.example.com", 3), ("example.org", 5), ("", None)))
                data = question(number, name) if code is not None else dice.randbytes(dice.choice((0, 1, 11)))
                client.sendto(data, server.getsockname())
                if code is not None:
                    wanted[client].append((number, code))
            drain()
            assert {client: received(client) for client in wanted} == wanted


@WAYS
def test_a_datagram_that_is_too_long_gets_silence(way: Way) -> None:
    with bound("127.0.0.1") as server, bound("127.0.0.1") as client:
        drain = way(server, desk(responder()))
        client.sendto(question(1) + bytes(QUESTION_BYTES), server.getsockname())
        client.sendto(question(2), server.getsockname())
        drain()
        assert received(client) == [(2, 0)]


@WAYS
def test_more_than_one_wakeup_can_take_waits_for_the_next(way: Way) -> None:
    with bound("127.0.0.1") as server, bound("127.0.0.1") as client:
        drain = way(server, desk(responder()))
        for number in range(DATAGRAMS + 1):
            client.sendto(question(number), server.getsockname())
        drain()
        assert len(received(client)) == DATAGRAMS
        drain()
        assert received(client) == [(DATAGRAMS, 0)]
        drain()


@WAYS
def test_a_reply_that_cannot_be_sent_is_counted_and_the_others_arrive(way: Way) -> None:
    """Port 0 cannot be sent to: what the loop sees of a firewall's refusal."""
    with bound("127.0.0.1") as server, bound("127.0.0.1") as client:
        here = desk(responder())
        drain = way(server, here)
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP) as raw:
            packet = question(7)
            port = server.getsockname()[1].to_bytes(2, "big")
            raw.sendto(bytes(2) + port + (8 + len(packet)).to_bytes(2, "big") + bytes(2) + packet, ("127.0.0.1", 0))
        client.sendto(question(8), server.getsockname())
        drain()
        drain()
        assert received(client) == [(8, 0)]
        assert here.unsent == 1


@WAYS
def test_several_addresses_take_turns_in_front(way: Way) -> None:
    """G-SC3: what comes first takes strict turns."""
    with bound("127.0.0.1") as server, bound("127.0.0.1") as client:
        drain = way(server, desk(responder("192.0.2.1", "192.0.2.2", "192.0.2.3")))
        for number in range(9):
            client.sendto(question(number), server.getsockname())
        drain()
        assert [wire.parse_reply(client.recv(4096)).answer[0].rdata[3] for _ in range(9)] == [1, 2, 3] * 3


@pytest.mark.netns
@WAYS
def test_each_client_prefix_has_its_own_rate_every_second(way: Way) -> None:
    """Contract section 3: /24 and /56; what gets silence counts for nothing. In a namespace, where a client may have an address not of loopback."""
    command = ["unshare", "--net", sys.executable, "-m", "tests.dns.prefixes", way.__name__]
    seen = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)
    limited = ["whole"] * 4 + ["truncated", "silent"] * 3
    assert seen == {
        "192.0.2.77": limited, "192.0.2.78": ["truncated", "silent"] * 5, "192.0.3.77": limited, "2001:db8::77": limited,
        "2001:db8:0:ff::77": ["truncated", "silent"] * 5, "2001:db8:0:100::77": limited, "127.0.0.1": ["whole"] * 10, "::1": ["whole"] * 10,
        "192.0.2.77 a second later": limited,
    }  # fmt: skip


def test_on_a_wildcard_the_reply_comes_from_the_address_that_was_asked() -> None:
    for wildcard, asked in (("0.0.0.0", "127.5.6.7"), ("0.0.0.0", "127.0.0.1"), ("::", "::1")):
        family = socket.AF_INET6 if ":" in asked else socket.AF_INET
        with bound(wildcard) as server, socket.socket(family, socket.SOCK_DGRAM) as client:
            drain = batched(server, desk(responder()))
            client.settimeout(20)
            for number in range(3):
                client.sendto(question(number), (asked, server.getsockname()[1]))
                client.sendto(b"junk", (asked, server.getsockname()[1]))
                client.sendto(question(number), (asked, server.getsockname()[1]))
                drain()
                for _ in range(2):
                    data, sender = client.recvfrom(4096)
                    assert (wire.parse_reply(data).id, sender[0]) == (number, asked)


@WAYS
async def test_the_event_loop_calls_it(way: Way) -> None:
    loop = asyncio.get_running_loop()
    with bound("127.0.0.1") as server, bound("127.0.0.1") as client:
        loop.add_reader(server.fileno(), way(server, desk(responder())))
        await loop.sock_sendto(client, question(9), server.getsockname())
        assert wire.parse_reply(await loop.sock_recv(client, 4096)).id == 9
        loop.remove_reader(server.fileno())


@WAYS
def test_loopback_is_exempt_from_the_rate_limit(way: Way) -> None:
    with bound("::1") as server, bound("::1") as client:
        drain = way(server, desk(responder(), RateLimit(1)))
        for number in range(20):
            client.sendto(question(number), server.getsockname())
        drain()
        assert len(received(client)) == 20
