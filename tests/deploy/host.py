"""A user's host as the manual speaks of it: lbctl installed from the package, two Cores and two Sentries in reach, and somebody who types.

All in one machine of its own (machine.py), at the addresses of the manual's examples. The Cores are reference Cores; Sentries are bare sockets.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncssh

from tests.api.certificates import Authority
from tests.deploy.machine import Machine, Ran, machine

ROOT = Path(__file__).parents[2]
LOOK_S = 30.0
CONFIGURATION = "/etc/lbctl/lbctl.yaml"
CORES = {"core-a": "192.0.2.10", "core-b": "192.0.2.11"}
SENTRIES = {"sentry-1": "192.0.2.20", "sentry-2": "192.0.2.21"}
LBCTL, CANARY = "192.0.2.1", "192.0.2.254"
FILE = """\
controller: {name: lbctl, state: /var/lib/lbctl/state.db}
api:
  socket: /run/lbctl/lbctl.sock
  listen: 127.0.0.1:9653
authoritative:
  listen: ["192.0.2.1:53"]
  zones: {gtm.example.com: {ns: {ns1.gtm.example.com: 192.0.2.1}}}
safety: {canaries: ["192.0.2.20:443", "192.0.2.21:443", "192.0.2.254:443"]}
notify:
  - syslog: {host: 192.0.2.254}
services:
  core:
    probe: {profile: standard, interval: 2s, timeout: 2s}
    members:
      - {name: core-a, role: primary, MEMBER 192.0.2.10}
      - {name: core-b, role: secondary, syncs_from: core-a, MEMBER 192.0.2.11}
    actuators:
      - authoritative: {name: core.gtm.example.com, ttl: 5}
  sentry:
    monitor: {tcp: {port: 443}}
    probe: {profile: standard}
    members:
      - {name: sentry-1, role: primary, address: 192.0.2.20}
      - {name: sentry-2, role: secondary, address: 192.0.2.21}
    actuators:
      - authoritative: {name: sentry.gtm.example.com, ttl: 5}
"""
AGENTS = ('{address: 192.0.2.9/32, interface: trial0, lease: 3s, agents: {core-a: "192.0.2.10:9654", core-b: "192.0.2.11:9654"}, '
          'cert_file: /etc/lbctl/lbctl.example.com.crt, key_file: /etc/lbctl/lbctl.example.com.key, ca_file: /etc/lbctl/vip-ca.crt}')
"""An address that is held on the active member's host; core-b's has no agent, so it could not go there."""
SOCKET = "[Socket]\nListenDatagram=\nListenStream=\nListenDatagram=192.0.2.1:53\nListenStream=192.0.2.1:53\n"
"""What the installation page says to `systemctl edit`."""
PROGRAMS = {
    "sudo": '#!/bin/sh\ncase "$*" in "systemctl edit "*) exec script -qec "$*" /dev/null ;; esac\nexec "$@"\n',
    "sudoedit": '#!/bin/sh\ncat /root/mine.yaml > "$1"\n', "editor": '#!/bin/sh\ncat /root/mine.conf > "$1"\n',
}
"""What the host has besides: `sudo` (already root; a terminal for what insists on one) and the reader's hands in two editors."""
TERMINAL = {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "COLUMNS": "140", "HOME": "/root", "NO_COLOR": "1",
            "EDITOR": "/usr/local/bin/editor"}
MEMBER = re.compile(r"name: (\S+), (.*), MEMBER ([\d.]+)")
DRIVEN = (r'name: \1, \2, address: \3, url: "https://\3", tls: {ca_file: /etc/lbctl/cores-ca.pem}, '
          r'drive: {ssh: "\3:22", user: admin, key_file: /etc/lbctl/\1.key, known_hosts_file: /etc/lbctl/known_hosts}, '
          r'freshness: {source: ssh, max_staleness: 90m, every: 1s}')
CORE = """\
name: {name}
directory: /srv/state/{name}
listen: {{https: "{here}:443", portal: "{here}:8443", ssh: "{here}:22"}}
tls: {{ca_directory: /srv/state/ca, names: [{name}.example.com]}}
trusted_hosts: [{{host: {there}, key_file: /srv/state/{other}/ssh/local_key.pub}}]
ha: {{enabled: true, mode: {mode}, primary_host: {there}, if_failure_detected: keep-standby}}
"""


def written(text: str = FILE) -> str:
    """The configuration with the members' keys spelt out."""
    return MEMBER.sub(DRIVEN, text)


class Host:
    """The machine and what stands around it."""

    def __init__(self, inner: Machine, path: Path) -> None:
        self.machine, self.path = inner, path
        self._servers: list[asyncio.Server] = []

    async def furnish(self) -> None:
        """Addresses and names, `sudo`, and a checkout at /root/lbctl with the package in dist/."""
        addresses = (LBCTL, CANARY, *CORES.values(), *SENTRIES.values())
        names = "192.0.2.1 lbctl.example.com\n192.0.2.10 core-a.example.com\n192.0.2.11 core-b.example.com\n"
        await self.machine.shell("\n".join((
            *(f"ip addr add {address}/32 dev lo" for address in addresses),
            f"printf '{names}' >> /etc/hosts",
            *(f"cat > /usr/local/bin/{name} <<'END'\n{text}END\nchmod 755 /usr/local/bin/{name}" for name, text in PROGRAMS.items()),
            "mkdir -p /root/lbctl/configs /root/lbctl/dist",
        )))
        for file in (ROOT / "configs").glob("*.yaml"):
            await self.machine.write(f"/root/lbctl/configs/{file.name}", file.read_text())

    async def start_cores(self) -> None:
        """Both, with the keys by which lbctl may command them, and the Secondary synced once."""
        for name, mode in (("core-a", "Primary"), ("core-b", "Secondary")):
            other = "core-b" if name == "core-a" else "core-a"
            text = CORE.format(name=name, here=CORES[name], there=CORES[other], other=other, mode=mode)
            await self.machine.write(f"/srv/{name}.yaml", text)
            await self.machine.write(f"/run/systemd/system/{name}.service", f"[Service]\nExecStart=/usr/bin/lbctl core serve -c /srv/{name}.yaml\n")
        await self.machine.run("systemctl", "daemon-reload")
        for name, address in CORES.items():
            await self.machine.run("systemctl", "start", name)
            await self.machine.until(lambda name=name: self.exists(f"/srv/state/{name}/ssh/admin_key"), f"{name} is there")  # type: ignore[misc]
            await self.machine.shell(
                f"install -m 0640 -g lbctl /srv/state/{name}/ssh/admin_key /etc/lbctl/{name}.key\n"
                f"printf '%s ' {address} >> /etc/lbctl/known_hosts; cat /srv/state/{name}/ssh/local_key.pub >> /etc/lbctl/known_hosts\n")
        await self.machine.run("install", "-m", "0644", "/srv/state/ca/ca.pem", "/etc/lbctl/cores-ca.pem")
        await self.machine.until(lambda: self.on_core("core-b", f"failover sync {CORES['core-a']}"), "the first sync")

    @staticmethod
    def addresses(names: str) -> list[str]:
        """Of these members; of all of them and of what else answers, without names."""
        known = {**CORES, **SENTRIES, "canary": CANARY}
        return [known[name] for name in names.split() or known]

    async def exists(self, place: str) -> bool:
        return (await self.machine.tried("test", "-e", place)).code == 0

    async def on_core(self, name: str, command: str) -> str:
        """What an administrator types on a Core; empty where it failed. From here, because a program of its own would be started each time."""
        try:
            with self.machine.network():
                sock = socket.create_connection((CORES[name], 22), timeout=5)
            sock.setblocking(False)
            key = str(self.machine.inside(f"/srv/state/{name}/ssh/admin_key"))
            async with asyncio.timeout(LOOK_S), asyncssh.connect(
                    sock=sock, username="admin", client_keys=[key], known_hosts=None, config=[], agent_path=None) as connection:
                ran = await connection.run(f"enable; {command}")
        except (OSError, TimeoutError, asyncssh.Error):
            return ""
        return str(ran.stdout) if ran.exit_status == 0 else ""

    async def start_sentries(self) -> None:
        for address in (*SENTRIES.values(), CANARY):
            with self.machine.network():
                listening = socket.create_server((address, 443), backlog=64)
            self._servers.append(await asyncio.start_server(lambda _, writer: writer.close(), sock=listening))

    async def certificates(self) -> None:
        """Those that the security page names, and a token's file."""
        authority = Authority(self.path)
        cert, key = authority.issue("lbctl.example.com", address=LBCTL)
        for place, file, mode in (("lbctl/api.pem", cert, "0644"), ("lbctl/api.key", key, "0640"), ("lbctl/clients-ca.pem", authority.file, "0644"),
                                  ("ssl/lbctl-ca.pem", authority.file, "0644")):
            await self.machine.write(f"/etc/{place}", Path(file).read_text(), mode=mode, owner="root:lbctl")

    async def lease(self) -> None:
        """An interface, and the certificates of an agent and of a controller, of an authority for this alone."""
        await self.machine.shell("ip link add trial0 type veth peer name trial1; ip link set trial1 up; ip link set trial0 up")
        authority = Authority(self.path)
        agent, controller = authority.issue("vip", address=CORES["core-a"]), authority.issue("lbctl.example.com", address=LBCTL)
        for file in (*agent, *controller):
            await self.machine.write(f"/etc/lbctl/{Path(file).name}", Path(file).read_text(), mode="0640", owner="root:lbctl")
        await self.machine.write("/etc/lbctl/vip-ca.crt", Path(authority.file).read_text(), mode="0640", owner="root:lbctl")

    async def has_address(self) -> bool:
        return "192.0.2.9/32" in await self.machine.run("ip", "-o", "addr", "show", "dev", "trial0")

    async def configure(self, text: str = FILE) -> None:
        await self.machine.write(CONFIGURATION, written(text), mode="0640", owner="root:lbctl")

    async def seen(self, name: str = "core") -> dict[str, Any]:
        """The service object."""
        try:
            async with asyncio.timeout(LOOK_S):
                reader, writer = await asyncio.open_unix_connection(self.machine.inside("/run/lbctl/lbctl.sock"))
                writer.write(f"GET /api/v1/services/{name} HTTP/1.0\r\nHost: lbctl\r\n\r\n".encode())
                reply = await reader.read()
                writer.close()
        except (OSError, TimeoutError):
            return {}
        head, _, body = reply.partition(b"\r\n\r\n")
        return dict(json.loads(body)) if head.split(maxsplit=2)[1:2] == [b"200"] else {}

    async def until(self, what: str, name: str = "core", **wanted: object) -> dict[str, Any]:
        """Until the service's keys have these values."""
        async def look() -> dict[str, Any]:
            shown = await self.seen(name)
            return shown if shown and all(shown.get(key) == value for key, value in wanted.items()) else {}
        return await self.machine.until(look, f"{what}: {wanted}; {await self.seen(name)}")

    async def type(self, command: str) -> Ran:
        """As root in the checkout, in a terminal of 140 columns."""
        return await self.machine.tried("bash", "-c", f"cd /root/lbctl && {command}", environ=TERMINAL)

    async def close(self) -> None:
        for server in self._servers:
            server.close()


@contextlib.asynccontextmanager
async def host(path: Path, package: Path | None = None) -> AsyncIterator[Host]:
    """Furnished; with `package`: installed, the Cores and Sentries up, lbctl running and content."""
    async with machine(path) as inner:
        made = Host(inner, path)
        try:
            await made.furnish()
            if package is not None:
                await inner.install(package)
                await asyncio.gather(made.start_cores(), made.start_sentries())
                await made.configure()
                await inner.write("/etc/systemd/system/lbctl-dns.socket.d/override.conf", SOCKET)
                await inner.run("systemctl", "daemon-reload")
                await inner.run("systemctl", "enable", "--now", "lbctl-dns.socket", "lbctl")
                await made.until("all is well", state="normal", promoted=True)
            yield made
        finally:
            await made.close()
