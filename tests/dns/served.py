"""An embedded server on free loopback ports, and ways to ask it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.message
import dns.rdatatype

from lbctl.clock import SystemClock
from lbctl.dns.server import Server
from lbctl.dns.settings import Endpoint, ServerSettings, ZoneSettings

ZONE = ZoneSettings("gtm.example.com", {"ns1.gtm.example.com": ("192.0.2.1", "2001:db8::1"), "ns2.example.net": ("198.51.100.1",)})
NAME = "core.gtm.example.com"
ANY4 = Endpoint("127.0.0.1", 0)


def settings(directory: Path, **more: Any) -> ServerSettings:
    return replace(ServerSettings((ANY4,), (ZONE,), directory / "answers.copy", None), **more)


@asynccontextmanager
async def serving(directory: Path, *, names: tuple[str, ...] = (NAME,), **more: Any) -> AsyncIterator[Server]:
    server = Server(settings(directory, **more), SystemClock())
    for name in names:
        server.register.declare(name, 30)
    await server.start()
    try:
        yield server
    finally:
        await server.close()


async def ask(server: Server, name: str, qtype: str = "A", *, tcp: bool = False, place: int = 0, **more: Any) -> dns.message.Message:
    query = dns.message.make_query(name, qtype, **more)
    return await send(server, query, tcp=tcp, place=place)


async def send(server: Server, query: dns.message.Message, *, tcp: bool = False, place: int = 0, timeout_s: float = 20) -> dns.message.Message:
    way = dns.asyncquery.tcp if tcp else dns.asyncquery.udp
    where = server.endpoints[place]
    return await way(query, where.host, port=where.port, timeout=timeout_s)


def texts(reply: dns.message.Message, section: str = "answer") -> list[str]:
    """`name ttl type rdata` of each record of a section."""
    found = []
    for rrset in getattr(reply, section):
        found += [f"{rrset.name} {rrset.ttl} {dns.rdatatype.to_text(rrset.rdtype)} {rdata}" for rdata in rrset]
    return found


async def run(*command: str, stdin: bytes = b"") -> str:
    """The standard output of a program, whatever its exit code."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.STDOUT)
    output, _ = await process.communicate(stdin)
    return output.decode()
