"""Those who stand outside: a reader of the DNS, a look at both Cores' pages past every cut, and devices that register at the published address.

All their sockets are made on the client's host. None of them asks lbctl anything but the question that every client asks.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Mapping
from pathlib import Path

import dns.exception
import dns.message
import dns.rcode

from lbctl.errors import LbctlError
from lbctl.statuspage import HASTATUS_PATH, STATUS_PATH
from tests.chaos.record import Answer, Look, Record, Write
from tests.netns import Host
from tests.outside.site import NAME

ASK_S, LOOK_S, WRITE_S = 0.05, 0.35, 0.25
ANSWER_S, LOOK_MAX_S, WRITE_MAX_S = 1.0, 1.0, 3.0
PAGES = {"status": STATUS_PATH, "hastatus": HASTATUS_PATH}
SAID = {"MOBILEIRON-STATUS: OK": "OK", "MOBILEIRON-STATUS: OK (Mode: Standby)": "Standby", "MOBILEIRON-STATUS: OK (Mode: Primary)": "Primary"}
ENROLL = "/mifs/enroll"


class Unanswered(LbctlError):
    """No whole reply came."""


class Outside:
    """`cores`: name to address. `run` until cancelled."""

    def __init__(self, client: Host, lbctl: str, cores: Mapping[str, str], authority: Path, seed: int, record: Record) -> None:
        self._client, self._lbctl, self._cores, self._seed, self._record = client, lbctl, cores, seed, record
        self._names = {address: name for name, address in cores.items()}
        self._trust = ssl.create_default_context(cafile=str(authority))

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read())
            group.create_task(self._write())
            for core in self._cores:
                for page in PAGES:
                    group.create_task(self._watch(core, page))

    async def _read(self) -> None:
        while True:
            began = time.time()
            self._record.heard(Answer(began, *await self._asked()))
            await asyncio.sleep(ASK_S - (time.time() - began))

    async def _asked(self) -> tuple[float, str]:
        with self._client.inside():
            asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with asking:
            asking.setblocking(False)
            query = dns.message.make_query(NAME, "A")
            try:
                asking.connect((self._lbctl, 5300))
                loop = asyncio.get_running_loop()
                async with asyncio.timeout(ANSWER_S):
                    await loop.sock_sendall(asking, query.to_wire())
                    wire = await loop.sock_recv(asking, 4096)
            except (TimeoutError, OSError):
                return time.time(), "silence"
        at = time.time()
        reply = dns.message.from_wire(wire)
        assert query.is_response(reply)
        if reply.rcode() != dns.rcode.NOERROR:
            return at, dns.rcode.to_text(reply.rcode())
        told = sorted(item.address for answer in reply.answer for item in answer)
        return at, "+".join(self._names.get(address, address) for address in told) or "empty"

    async def _watch(self, core: str, page: str) -> None:
        request = f"GET {PAGES[page]} HTTP/1.1\r\nHost: {self._cores[core]}\r\nConnection: close\r\n\r\n"
        while True:
            began = time.time()
            try:
                code, body = await self._exchange(core, request, LOOK_MAX_S)
                text = body.replace("<html><body>", "").replace("</body></html>", "").strip()
                said = SAID.get(text, text[:60]) if code == 200 else str(code)
            except Unanswered as error:
                said = str(error)
            self._record.looks.append(Look(core, page, began, time.time(), said))
            await asyncio.sleep(max(0.05, LOOK_S - (time.time() - began)))

    async def _write(self) -> None:
        number = 0
        while True:
            began = time.time()
            last = self._record.answers[-1] if self._record.answers else None
            # A device keeps no answer for longer than this: what the caches of the world do with an old one is the TTL's matter.
            if last is not None and last.text in self._cores and began - last.at < 1.0:
                number += 1
                await self._register(f"chaos-{self._seed}-{number}", last.text)
            await asyncio.sleep(max(0.05, WRITE_S - (time.time() - began)))

    async def _register(self, uuid: str, core: str) -> None:
        body = f'{{"uuid": "{uuid}"}}'
        request = (f"POST {ENROLL} HTTP/1.1\r\nHost: {self._cores[core]}\r\nConnection: close\r\nContent-Type: application/json\r\n"
                   f"Content-Length: {len(body)}\r\n\r\n{body}")
        began = time.time()
        try:
            code, _ = await self._exchange(core, request, WRITE_MAX_S)
        except Unanswered:
            code = 0
        self._record.writes.append(Write(uuid, core, began, time.time(), code))

    async def _exchange(self, core: str, request: str, limit_s: float) -> tuple[int, str]:
        """One request on a connection of its own. Raises `Unanswered`."""
        with self._client.inside():
            raw = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        raw.setblocking(False)
        writer: asyncio.StreamWriter | None = None
        mine = True
        try:
            async with asyncio.timeout(limit_s):
                await asyncio.get_running_loop().sock_connect(raw, (self._cores[core], 4443))
                # From here on its transport closes it: a second hand would free its number for somebody else, whom the transport then unregisters.
                mine = False
                reader, writer = await asyncio.open_connection(sock=raw, ssl=self._trust, server_hostname=self._cores[core])
                writer.write(request.encode())
                reply = await reader.read(65536)
                while more := await reader.read(65536):
                    reply += more
        except TimeoutError:
            raise Unanswered("timeout") from None
        except ssl.SSLError as error:
            raise Unanswered(f"tls {error.reason}") from None
        except OSError as error:
            raise Unanswered(type(error).__name__) from None
        finally:
            if writer is not None:
                writer.transport.abort()
            elif mine:
                raw.close()
        head, _, body = reply.decode().partition("\r\n\r\n")
        with contextlib.suppress(IndexError, ValueError):
            return int(head.split()[1]), body
        raise Unanswered("cut short")
