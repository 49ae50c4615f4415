"""Two Cores on hosts of their own, `lbctl run` on a third, and a client that asks the virtual address every few milliseconds."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.netns import Host, Network

V4, PORT, KEPT, PAGES = "10.77.0.99", 8443, 8444, 8080
QUICK = {"profile": "fast", "interval": "200ms", "fast_interval": "20ms", "timeout": "200ms"}
PATIENCE_S = 120.0
ONE_AT_A_TIME = pytest.mark.xdist_group("vip")
"""Each site asks hundreds of times a second, and its lbctl believes no look after a stall of 0.1 s: several on two cores starve one another."""
CORE = """
import asyncio, sys
address, name, mode = sys.argv[1:]
async def page(reader, writer):
    try:
        line = (await reader.readuntil(b"\\r\\n\\r\\n")).split(b" ")[1]
    except (EOFError, OSError):
        return writer.close()
    status, body = 200, b"MOBILEIRON-STATUS: OK (Mode: " + mode.encode() + b")"
    if b"hastatus" not in line:
        status, body = (200, b"MOBILEIRON-STATUS: OK") if mode == "Primary" else (503, b"")
    writer.write(b"HTTP/1.1 %d X\\r\\nContent-Length: %d\\r\\nConnection: close\\r\\n\\r\\n%b" % (status, len(body), body))
    writer.close()
async def who(reader, writer):
    writer.write(name.encode())
    writer.close()
async def keep(reader, writer):
    writer.write(name.encode())
    await reader.read()
async def main():
    servers = [await asyncio.start_server(page, address, PAGES), await asyncio.start_server(who, "0.0.0.0", PORT),
               await asyncio.start_server(keep, "0.0.0.0", KEPT)]
    print("ready", flush=True)
    await asyncio.sleep(36000)
asyncio.run(main())
""".replace("PAGES", str(PAGES)).replace("PORT", str(PORT)).replace("KEPT", str(KEPT))
CLIENT = """
import collections, selectors, socket, sys, time
where, every, limit = (sys.argv[1], int(sys.argv[2])), 0.002, 0.05
loop, tries, began, last, before, due = selectors.DefaultSelector(), collections.deque(), time.monotonic(), None, 0.0, 0.0
def end(one, who):
    loop.unregister(one["socket"])
    one["socket"].close()
    one["who"], one["ended"] = who, time.monotonic() - began
while True:
    now = time.monotonic() - began
    if now >= due:
        made = socket.socket()
        made.setblocking(False)
        made.connect_ex(where)
        tries.append({"socket": made, "began": now, "who": None})
        loop.register(made, selectors.EVENT_WRITE, tries[-1])
        due = max(due + every, now)
    for key, ready in loop.select(max(due - (time.monotonic() - began), 0)):
        try:
            if key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                end(key.data, "-")
            elif ready & selectors.EVENT_WRITE:
                loop.modify(key.fileobj, selectors.EVENT_READ, key.data)
            else:
                end(key.data, key.fileobj.recv(1).decode() or "-")
        except OSError:
            end(key.data, "-")
    for one in tries:
        if one["who"] is None and time.monotonic() - began - one["began"] > limit:
            end(one, "-")
    while tries and tries[0]["who"] is not None:
        one = tries.popleft()
        if one["who"] != last:
            print(f"{one['ended']:.4f} {one['who']} {before:.4f}", flush=True)
            last = one["who"]
        if one["who"] != "-":
            before = one["ended"]
"""
"""Begins a connection every 2 ms, whatever became of the ones before, and gives each 50 ms. Told in the order in which they began."""


class Core:
    """A member: its pages, and a port that tells which one it is."""

    def __init__(self, host: Host, name: str, mode: str) -> None:
        self.host, self.name = host, name
        self.process = subprocess.Popen(host.command(sys.executable, "-c", CORE, host.ip4, name, mode), stdout=subprocess.PIPE, text=True)

    def ready(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def stop(self) -> None:
        """It hangs: what was accepted stays open, and nothing is answered."""
        self.process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


class Controller:
    """`lbctl run` on a host."""

    def __init__(self, host: Host, directory: Path, vip: dict[str, Any], cores: list[Core], probe: dict[str, Any]) -> None:
        self.host, self.file = host, directory / f"{host.name}.yaml"
        members = [{"name": core.name, "role": "primary" if core.name == "a" else "secondary", "address": core.host.ip4,
                    "url": f"http://{core.host.ip4}:{PAGES}"} for core in cores]
        members[1]["syncs_from"] = "a"
        self.file.write_text(yaml.safe_dump({
            "controller": {"name": "test", "state": str(self.file.with_suffix(".db"))}, "api": {"socket": None, "listen": "127.0.0.1:9653"},
            "safety": {"stall_limit": "25ms" if probe == {"profile": "fast"} else "100ms"},
            "services": {"core": {"probe": probe, "members": members, "actuators": [{"vip": {"address": f"{V4}/32", "interface": "eth0", **vip}}]}},
        }))
        self.process: subprocess.Popen[bytes] | None = None
        self.program = [sys.executable, "-m", "lbctl.cli"]

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.host.command(*self.program, "-c", str(self.file), "run"), stdout=log, stderr=log)

    def lbctl(self, *words: str) -> str:
        """What the command prints on the controller's own host."""
        return self.host.run(sys.executable, "-m", "lbctl.cli", "--api", "http://127.0.0.1:9653", *words)

    def metric(self, series: str) -> float:
        """The value of one series; its labels in the order in which they are told."""
        said = self.host.run("curl", "-sS", "http://127.0.0.1:9653/metrics")
        return float(next(line for line in said.splitlines() if line.startswith(f"{series} ")).rsplit(" ", 1)[1])

    def end(self, number: int = signal.SIGKILL) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(PATIENCE_S)
            self.process = None

    @property
    def log(self) -> Path:
        return self.file.with_suffix(".log")


class Client:
    """Asks the address all the time; `seen` are its changes: (seconds, who answered, `-` for nobody). Each also knows when the last answer was."""

    def __init__(self, host: Host, directory: Path) -> None:
        self._file = directory / "client.txt"
        with self._file.open("wb") as out:
            self.process = subprocess.Popen(host.command(sys.executable, "-c", CLIENT, V4, str(PORT)), stdout=out)

    @property
    def seen(self) -> list[tuple[float, str]]:
        return [(at, who) for at, who, _ in self._changes()]

    def _changes(self) -> list[tuple[float, str, float]]:
        rows = [line.split() for line in self._file.read_text().splitlines()]
        return [(float(row[0]), row[1], float(row[2])) for row in rows if len(row) == 3]

    @property
    def last(self) -> str:
        return self.seen[-1][1] if self.seen else "-"

    def gap_s(self, since: int = 0, to: str = "b") -> float:
        """From the last answer before the change to `to` up to its first one; of the changes after the first `since`."""
        found = self._changes()[since:]
        at, _, before = next(one for one in reversed(found) if one[1] == to)
        return at - before

    def worst_s(self, since: int) -> float:
        """The longest time without an answer, among the changes after the first `since`."""
        return max((at - before for at, who, before in self._changes()[since:] if who != "-"), default=0.0)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


class Holding:
    """When each of these hosts had the address, as its kernel told it."""

    def __init__(self, hosts: list[Host], directory: Path) -> None:
        self._files = [directory / f"{host.name}.addresses" for host in hosts]
        self._watching: list[subprocess.Popen[bytes]] = []
        for host, file in zip(hosts, self._files, strict=True):
            with file.open("wb") as out:
                self._watching.append(subprocess.Popen(host.command("ip", "-ts", "-o", "monitor", "address"), stdout=out))

    def turns(self) -> list[tuple[str, str, int]]:
        """(from, to, which host) in order; "9" where it still has it."""
        found: list[tuple[str, str, int]] = []
        for number, file in enumerate(self._files):
            since = ""
            for at, gone in re.findall(rf"^\[([^]]+)\] ?(Deleted)?[^\n]* {re.escape(V4)}/", file.read_text(), re.MULTILINE):
                if gone:
                    found.append((since, at, number))
                    since = ""
                else:
                    since = since or at
            if since:
                found.append((since, "9", number))
        return sorted(found)

    def never_two(self) -> bool:
        """Each had it only after the one before was without it."""
        turns = self.turns()
        return all(before[1] <= after[0] for before, after in pairwise(turns))

    def close(self) -> None:
        for process in self._watching:
            process.kill()
            process.wait()


class VipSite:
    """Everything, ended by its pid."""

    def __init__(self, net: Network, directory: Path) -> None:
        self.net, self.directory = net, directory
        self.gate = net.host("gate")
        self.hosts = [net.host("a"), net.host("b")]
        self.cores = [Core(self.hosts[0], "a", "Primary"), Core(self.hosts[1], "b", "Standby")]
        self.client = Client(net.host("client"), directory)
        self.controllers: list[Controller] = []
        for core in self.cores:
            core.ready()

    def controller(self, host: Host, probe: dict[str, Any] = QUICK, **vip: Any) -> Controller:
        self.controllers.append(Controller(host, self.directory, vip, self.cores, probe))
        return self.controllers[-1]

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not holds():
                    await asyncio.sleep(0.02)
        except TimeoutError:
            logs = "\n".join(one.log.read_text()[-3000:] for one in self.controllers if one.log.exists())
            pytest.fail(f"{what}; the client saw {self.client.seen}\n{logs}")

    def close(self) -> None:
        self.client.close()
        for controller in self.controllers:
            controller.end()
        for core in self.cores:
            core.kill()
