"""Real name servers on loopback ports of their own, started by the test that needs them and ended by it. None needs to be root.

BIND listens only on addresses that an interface has, so the ports differ and not the addresses.
"""

from __future__ import annotations

import asyncio
import base64
import random
import shutil
import socket
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import dns.asyncquery
import dns.flags
import dns.message
import dns.opcode
import dns.tsig

from lbctl.dns import wire
from lbctl.dns.client import Unanswered, ask
from lbctl.dns.settings import Endpoint, TsigKey

ZONE = "example.com"
NAME = "core.example.com"
KEY = TsigKey("lbctl", b"0123456789abcdef0123456789abcdef")
RECORDS = f"""$ORIGIN {ZONE}.
@ 3600 IN SOA ns1 hostmaster 1 3600 600 1209600 30
@ 3600 IN NS ns1
ns1 3600 IN A 192.0.2.53
www 3600 IN A 192.0.2.80
"""
START_S = 60


@dataclass
class Peer:
    """A running server. `log` is what it has said so far."""

    place: Endpoint
    process: asyncio.subprocess.Process
    directory: Path
    log: list[str] = field(default_factory=list)

    async def serial(self, zone: str) -> int | None:
        """The zone's serial there; None where it does not answer for it."""
        try:
            [reply] = await ask(self.place, [(wire.encode_name(zone), wire.SOA)], timeout_s=1)
        except Unanswered:
            return None
        return next((wire.soa_serial(record.rdata) for record in reply.answer if record.rtype == wire.SOA), None)

    async def stop(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


def free_place() -> Endpoint:
    """A port that is free for UDP and TCP, below those that the system hands out by itself."""
    while True:
        place = Endpoint("127.0.0.1", random.SystemRandom().randint(10_000, 32_000))
        try:
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                with socket.socket(socket.AF_INET, kind) as sock:
                    sock.bind(place)
        except OSError:
            continue
        return place


def program(name: str) -> str:
    """Where a server's program is; a missing one fails the test and names what to install."""
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    assert found, f"{name} is missing: deploy/test-servers installs it"
    return found


@asynccontextmanager
async def running(place: Endpoint, directory: Path, zone: str, *command: str, wait: bool = True) -> AsyncIterator[Peer]:
    """A server in the foreground, ready when it answers for `zone` (where `wait`)."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(program(command[0]), *command[1:], stdout=pipe, stderr=asyncio.subprocess.STDOUT, cwd=directory)
    peer = Peer(place, process, directory)
    reader = asyncio.create_task(_keep_log(peer))
    try:
        async with asyncio.timeout(START_S):
            while wait and await peer.serial(zone) is None:
                assert process.returncode is None, "".join(peer.log)
                await asyncio.sleep(0.05)
        yield peer
    finally:
        await peer.stop()
        await reader


async def _keep_log(peer: Peer) -> None:
    assert peer.process.stdout is not None
    async for line in peer.process.stdout:
        peer.log.append(line.decode(errors="replace"))
        del peer.log[:-500]


def secret(key: TsigKey) -> str:
    return base64.b64encode(key.secret).decode()


def bind_key(key: TsigKey) -> str:
    return f'key "{key.name}" {{ algorithm {key.algorithm}; secret "{secret(key)}"; }};\n'


@asynccontextmanager
async def bind(
    directory: Path, zones: str, *, zone: str = ZONE, key: TsigKey = KEY, place: Endpoint | None = None, wait: bool = True
) -> AsyncIterator[Peer]:
    """BIND with these `zone` clauses."""
    place = place or free_place()
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "named.conf").write_text(
        f"options {{ directory \"{directory}\"; listen-on port {place.port} {{ {place.host}; }}; listen-on-v6 {{ none; }}; pid-file none; "
        f"session-keyfile none; recursion no; dnssec-validation no; notify no; allow-transfer {{ none; }}; "
        f"zero-no-soa-ttl no; min-refresh-time 1; min-retry-time 1; "
        f"query-source address {place.host}; transfer-source {place.host}; }};\ncontrols {{ }};\n{bind_key(key)}{zones}"
    )
    async with running(place, directory, zone, "named", "-g", "-4", "-n", "1", "-U", "1", "-c", str(directory / "named.conf"), wait=wait) as peer:
        yield peer


@asynccontextmanager
async def knot(
    directory: Path, sections: str, *, zone: str = ZONE, key: TsigKey = KEY, place: Endpoint | None = None, wait: bool = True
) -> AsyncIterator[Peer]:
    """Knot with these further sections."""
    place = place or free_place()
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "knot.conf").write_text(
        f"server:\n  rundir: {directory}\n  listen: {place.host}@{place.port}\n  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 2\n"
        f"database:\n  storage: {directory}\n  journal-db-max-size: 20M\n"
        f"  timer-db-max-size: 5M\n  kasp-db-max-size: 20M\n  catalog-db-max-size: 5M\n"
        f"log:\n  - target: stderr\n    any: info\n"
        f"key:\n  - id: {key.name}.\n    algorithm: {key.algorithm}\n    secret: {secret(key)}\n{sections}"
    )
    async with running(place, directory, zone, "knotd", "-c", str(directory / "knot.conf"), wait=wait) as peer:
        yield peer


@asynccontextmanager
async def bind_primary(directory: Path, *, key: TsigKey = KEY, hidden: bool = False) -> AsyncIterator[Peer]:
    """A zone that the key may change in the narrowest way (deploy/dns/named.conf). `hidden`: others may take it, with the key; it tells nobody of
    changes, so that a test says when they hear."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "zone").write_text(RECORDS)
    policy = f'grant {key.name} name {NAME} A AAAA CNAME; grant {key.name} name _lbctl.{NAME} TXT;'
    clause = f'zone "{ZONE}" {{ type primary; file "{directory}/zone"; update-policy {{ {policy} }}; '
    clause += f'allow-transfer {{ key "{key.name}"; }}; }};' if hidden else "};"
    async with bind(directory, clause, key=key) as peer:
        yield peer


@asynccontextmanager
async def knot_primary(directory: Path, *, key: TsigKey = KEY) -> AsyncIterator[Peer]:
    """The same (deploy/dns/knot.conf)."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "zone").write_text(RECORDS)
    acl = f"acl:\n  - id: lbctl\n    key: {key.name}.\n    action: update\n    update-type: [A, AAAA, CNAME, TXT]\n    update-owner: name\n"
    acl += f"    update-owner-match: equal\n    update-owner-name: [{NAME}., _lbctl.{NAME}.]\n"
    zone = f"zone:\n  - domain: {ZONE}\n    file: {directory}/zone\n    zonefile-sync: -1\n    journal-content: all\n    acl: lbctl\n"
    async with knot(directory, acl + zone, key=key) as peer:
        yield peer


@asynccontextmanager
async def powerdns_primary(directory: Path, *, key: TsigKey = KEY, policy: bool = False) -> AsyncIterator[Peer]:
    """The same (deploy/dns/pdns.conf); its key may change the whole zone unless there is a policy script, which then is all that guards it."""
    directory.mkdir(parents=True, exist_ok=True)
    powerdns_database(directory / "pdns.sqlite3", ZONE, RECORDS, key)
    (directory / "policy.lua").write_text(POWERDNS_POLICY)
    place = free_place()
    options = {
        "config-dir": directory, "daemon": "no", "guardian": "no", "launch": "gsqlite3", "gsqlite3-database": directory / "pdns.sqlite3",
        "local-address": place.host, "local-port": place.port, "socket-dir": directory, "dnsupdate": "yes", "allow-dnsupdate-from": "127.0.0.0/8",
        **({"lua-dnsupdate-policy-script": directory / "policy.lua"} if policy else {}),
        "receiver-threads": 1, "distributor-threads": 1, "security-poll-suffix": "",
    }  # fmt: skip
    async with running(place, directory, ZONE, "pdns_server", *(f"--{name}={value}" for name, value in options.items())) as peer:
        yield peer


POWERDNS_POLICY = (Path(__file__).parents[2] / "deploy/dns/pdns-policy.lua").read_text()
POWERDNS_SCHEMA = Path("/usr/share/doc/pdns-backend-sqlite3/schema.sqlite3.sql")


def powerdns_database(path: Path, zone: str, text: str, key: TsigKey) -> None:
    """What `pdnsutil load-zone`, `import-tsig-key` and `set-meta` write."""
    database = sqlite3.connect(path)
    database.executescript(POWERDNS_SCHEMA.read_text())
    database.execute("INSERT INTO domains (id, name, type) VALUES (1, ?, 'NATIVE')", (zone,))
    for line in text.splitlines()[1:]:
        owner, ttl, _, rtype, *content = line.split()
        name = zone if owner == "@" else f"{owner}.{zone}"
        value = " ".join(content).replace("ns1", f"ns1.{zone}").replace("hostmaster", f"hostmaster.{zone}")
        database.execute("INSERT INTO records (domain_id, name, type, content, ttl, auth) VALUES (1, ?, ?, ?, ?, 1)", (name, rtype, value, ttl))
    database.execute("INSERT INTO tsigkeys (name, algorithm, secret) VALUES (?, ?, ?)", (key.name, key.algorithm, secret(key)))
    database.execute("INSERT INTO domainmetadata (domain_id, kind, content) VALUES (1, 'TSIG-ALLOW-DNSUPDATE', ?)", (key.name,))
    database.commit()
    database.close()


PRIMARIES: dict[str, Callable[..., AbstractAsyncContextManager[Peer]]] = {"bind": bind_primary, "knot": knot_primary, "powerdns": powerdns_primary}


async def notify(primary: TsigKey, zone: str, place: Endpoint) -> None:
    """Tells a secondary that the zone has changed (RFC 1996), signed with the key of its primary."""
    message = dns.message.make_query(zone, "SOA")
    message.set_opcode(dns.opcode.NOTIFY)
    message.flags |= dns.flags.AA
    message.use_tsig(dns.tsig.Key(primary.name, primary.secret, f"{primary.algorithm}."))
    await dns.asyncquery.udp(message, place.host, port=place.port, timeout=5)


async def until(condition: Callable[[], Awaitable[bool]], *, seconds: float = 60) -> None:
    """Waits for something that a server does in its own time."""
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.05)


@asynccontextmanager
async def bind_secondary(directory: Path, zone: str, primary: Endpoint, place: Endpoint, *, wait: bool = True) -> AsyncIterator[Peer]:
    """Takes `zone` from `primary` (deploy/dns/secondary-named.conf)."""
    clause = f'zone "{zone}" {{ type secondary; file "{directory}/copy"; masterfile-format text; '
    clause += f'primaries {{ {primary.host} port {primary.port} key "{KEY.name}"; }}; allow-notify {{ key "{KEY.name}"; }}; }};'
    async with bind(directory, clause, zone=zone, place=place, wait=wait) as peer:
        yield peer


@asynccontextmanager
async def knot_secondary(
    directory: Path, zone: str, primary: Endpoint, place: Endpoint, *, signing: bool = False, wait: bool = True
) -> AsyncIterator[Peer]:
    """The same (deploy/dns/secondary-knot.conf), signing what it takes where `signing`."""
    sections = f"remote:\n  - id: lbctl\n    address: {primary.host}@{primary.port}\n    key: {KEY.name}.\n"
    sections += f"acl:\n  - id: lbctl\n    key: {KEY.name}.\n    action: notify\n"
    sections += "policy:\n  - id: lbctl\n    algorithm: ecdsap256sha256\n    rrsig-lifetime: 14d\n    rrsig-refresh: 7d\n    dnskey-ttl: 300\n"
    sections += f"zone:\n  - domain: {zone}\n    master: lbctl\n    acl: lbctl\n"
    sections += "    zonefile-load: none\n    zonefile-sync: -1\n    journal-content: all\n"
    sections += "    dnssec-signing: on\n    dnssec-policy: lbctl\n" if signing else ""
    async with knot(directory, sections, zone=zone, place=place, wait=wait) as peer:
        yield peer


@asynccontextmanager
async def nsd_secondary(directory: Path, zone: str, primary: Endpoint, place: Endpoint, *, wait: bool = True) -> AsyncIterator[Peer]:
    """The same (deploy/dns/secondary-nsd.conf)."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "nsd.conf").write_text(
        f'server:\n  ip-address: {place.host}@{place.port}\n  server-count: 1\n  username: ""\n  pidfile: "{directory}/pid"\n  database: ""\n'
        f'  zonesdir: "{directory}"\n  xfrdir: "{directory}"\n  xfrdfile: "{directory}/xfrd"\n  zonelistfile: "{directory}/zones"\n'
        f"  xfrd-reload-timeout: 0\nremote-control:\n  control-enable: no\n"
        f'key:\n  name: "{KEY.name}"\n  algorithm: {KEY.algorithm}\n  secret: "{secret(KEY)}"\n'
        f'zone:\n  name: "{zone}"\n  zonefile: "copy"\n  request-xfr: {primary.host}@{primary.port} {KEY.name}\n'
        f"  allow-notify: {primary.host} {KEY.name}\n"
    )
    async with running(place, directory, zone, "nsd", "-d", "-c", str(directory / "nsd.conf"), wait=wait) as peer:
        yield peer


SECONDARIES: dict[str, Callable[..., AbstractAsyncContextManager[Peer]]] = {"bind": bind_secondary, "knot": knot_secondary, "nsd": nsd_secondary}
