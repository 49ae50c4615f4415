"""Run in a fresh network namespace: `python -m tests.dns.flood HOST DIRECTORY` floods a server on HOST and prints what came back."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from pathlib import Path

import dns.message

from lbctl.dns.settings import Endpoint
from tests.dns.served import NAME, ask, serving

QUESTIONS = 200


async def main(host: str, directory: Path) -> None:
    async with serving(directory, listen=(Endpoint(host, 0),), rate_limit=40) as server:
        server.register.publish(NAME, ["192.0.2.10"], 1)
        place = server.endpoints[0]
        data = dns.message.make_query(NAME, "A").to_wire()
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect((place.host, place.port))
            sock.setblocking(False)
            for _ in range(QUESTIONS):
                sock.send(data)
            while sum(server.statistics().answers.values()) < QUESTIONS:  # a limited answer is counted as the answer it would have been
                await asyncio.sleep(0.01)
            await asyncio.sleep(0)
            replies = drain(sock)
        counts = server.statistics()
        print(json.dumps({
            "whole": sum(not reply[2] & 2 for reply in replies), "truncated": sum(bool(reply[2] & 2) for reply in replies),
            "silent": QUESTIONS - len(replies), "counted_truncated": counts.rate_truncated, "counted_dropped": counts.rate_dropped,
            "tcp": len((await ask(server, NAME, tcp=True)).answer),
        }))  # fmt: skip


def drain(sock: socket.socket) -> list[bytes]:
    found = []
    while True:
        try:
            found.append(sock.recv(4096))
        except BlockingIOError:
            return found


if __name__ == "__main__":
    for command in ("ip link set lo up", "ip addr add 192.0.2.77/24 dev lo", "ip addr add 2001:db8::77/64 dev lo nodad"):
        subprocess.run(command.split(), check=True)
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
