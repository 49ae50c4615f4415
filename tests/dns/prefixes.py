"""Run in a fresh network namespace: `python -m tests.dns.prefixes WAY` lets clients of several prefixes ask ten times each, and prints what they got.

The clock of the rate limit stands still, so that how long it takes changes nothing.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys

from lbctl.dns import datagrams
from lbctl.dns.datagrams import Desk
from lbctl.dns.limit import RateLimit
from tests.dns.test_answers import responder
from tests.dns.test_datagrams import Way, bound, question

CLIENTS = ("192.0.2.77", "192.0.2.78", "192.0.3.77", "2001:db8::77", "2001:db8:0:ff::77", "2001:db8:0:100::77", "127.0.0.1", "::1")


def outcome(server: socket.socket, drain: Way, host: str) -> list[str]:
    """What became of ten questions from `host`, with noise between them."""
    found = []
    with bound(host) as client:
        for number in range(10):
            for data in (b"noise", question(number)):
                client.sendto(data, server.getsockname()[:2])
            drain()  # type: ignore[call-arg]
            try:
                found.append("truncated" if client.recv(4096)[2] & 2 else "whole")
            except BlockingIOError:
                found.append("silent")
    return found


def main(way: Way) -> dict[str, list[str]]:
    made, now, limit = responder(), [5.0], RateLimit(4)
    here = Desk(made.templates, made.respond, made.truncated, lambda: now[0], limit)
    with bound("192.0.2.1") as four, bound("2001:db8::1") as six:
        drains = {four: way(four, here), six: way(six, here)}
        with bound("127.0.0.1") as four_inside, bound("::1") as six_inside:
            drains |= {four_inside: way(four_inside, here), six_inside: way(six_inside, here)}
            inside = {"127.0.0.1": four_inside, "::1": six_inside}
            servers = {host: inside.get(host) or (six if ":" in host else four) for host in CLIENTS}
            found = {host: outcome(server, drains[server], host) for host, server in servers.items()}
        now[0] = 6.0
        found["192.0.2.77 a second later"] = outcome(four, drains[four], "192.0.2.77")
    return found


if __name__ == "__main__":
    for command in ("ip link set lo up", "ip addr add 192.0.2.1/24 dev lo", "ip addr add 2001:db8::1/64 dev lo nodad"):
        subprocess.run(command.split(), check=True)
    for host in CLIENTS[:6]:
        subprocess.run(f"ip addr add {host}/{'128' if ':' in host else '32'} dev lo {'nodad' if ':' in host else ''}".split(), check=True)
    print(json.dumps(main(getattr(datagrams, sys.argv[1]))))
