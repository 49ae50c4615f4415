"""The embedded server's counters in /metrics: from the first scrape, with bounded labels, clean for promtool (contract section 5, H54)."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from lbctl.actuators.base import Place
from lbctl.clock import SystemClock
from lbctl.dns import figures
from lbctl.dns.server import Server
from lbctl.metrics import FAMILIES, Metrics, read_back
from tests.dns.served import NAME, ZONE, ask, serving
from tests.peers.dns_servers import free_place
from tests.policy.stage import Stage
from tests.test_metrics import Source


def values(server: Server) -> dict[tuple[str, frozenset[str]], float]:
    found = [(name, frozenset(pairs.values()), value) for name, pairs, value in figures.rows(server)]
    assert len({row[:2] for row in found}) == len(found)
    return {(name, pairs): value for name, pairs, value in found}


async def test_every_series_is_there_before_anybody_asks(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        first = values(server)
        server.register.publish(NAME, ["192.0.2.10"], 1)
        await ask(server, NAME)
        await ask(server, NAME, tcp=True)
        await ask(server, "www.example.org")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"no question", server.endpoints[0])
        async with asyncio.timeout(20):
            while values(server)["lbctl_dns_malformed_total", frozenset()] == 0:
                await asyncio.sleep(0.01)
        after = values(server)
    assert set(after) == set(first)
    assert after["lbctl_dns_answers_total", frozenset({"udp", "NOERROR"})] == 1
    assert after["lbctl_dns_answers_total", frozenset({"tcp", "NOERROR"})] == 1
    assert after["lbctl_dns_answers_total", frozenset({"udp", "REFUSED"})] == 1
    assert after["lbctl_dns_serial", frozenset({ZONE.name})] > first["lbctl_dns_serial", frozenset({ZONE.name})]


async def test_a_secondary_that_does_not_hear_is_counted(tmp_path: Path) -> None:
    """H50."""
    deaf = free_place()
    async with serving(tmp_path, zones=(replace(ZONE, also_notify=(deaf,)),)) as server:
        labels = frozenset({ZONE.name, str(deaf)})
        assert values(server)["lbctl_dns_notify_failures_total", labels] == 0
        server.register.publish(NAME, ["192.0.2.10"], 1)
        async with asyncio.timeout(20):
            while values(server)["lbctl_dns_notify_failures_total", labels] == 0:
                await asyncio.sleep(0.01)
        assert values(server)["lbctl_dns_notify_unheard", labels] == 1


@pytest.mark.peer("promtool")
async def test_promtool_finds_nothing(tmp_path: Path) -> None:
    places = [("core", "rfc2136:core.example.com", Place("192.0.2.53:53", frozenset(), serial=4, behind=1, signed_until=1e9))]
    async with serving(tmp_path, zones=(replace(ZONE, also_notify=(free_place(),)),)) as server:
        metrics = Metrics(Source([Stage()]), SystemClock(), lambda: True, rows=(lambda: read_back(places), lambda: figures.rows(server)))
        text = await metrics.render()
        told = {name for name, *_ in (*figures.rows(server), *read_back(places))}
    assert told == {name for name in FAMILIES if name.startswith(("lbctl_dns_", "lbctl_actuator_s"))}
    done = await asyncio.to_thread(subprocess.run, ["promtool", "check", "metrics"], input=text, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
