"""Real places for the kinds beyond DNS: an HAProxy, a host in a namespace, a pair of commands."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lbctl.actuators import exec as command
from lbctl.actuators import vip
from lbctl.actuators.base import Actuator
from lbctl.clock import SystemClock
from tests.netns import Host
from tests.peers.dns_servers import free_place

PATIENCE_S = 60.0
APPLY = """
import json, pathlib, sys
file = pathlib.Path(sys.argv[1])
given = json.load(sys.stdin)
if file.exists() and json.loads(file.read_text())["epoch"] > given["epoch"]:
    sys.exit(4)
file.write_text(json.dumps(given))
"""
READ = """
import pathlib, sys
file = pathlib.Path(sys.argv[1])
print(file.read_text() if file.exists() else '{"addresses": []}')
"""
HAPROXY = """
global
  stats socket {socket} level admin
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend front
  bind 127.0.0.1:{port}
  default_backend cores
backend cores
  server a {a} disabled
  server srv-b {b} disabled
"""


def command_on(directory: Path, **more: Any) -> command.Settings:
    """A command that writes what it is given into a file, and one that prints it."""
    (directory / "apply.py").write_text(APPLY)
    (directory / "read.py").write_text(READ)
    words = {verb: (sys.executable, str(directory / f"{verb}.py"), str(directory / "shown.json")) for verb in ("apply", "read")}
    return command.Settings("own", **{**words, "timeout_s": PATIENCE_S, **more})


def make_on(host: Host, settings: vip.Settings, memory: Path | None) -> Actuator:
    """A `vip` whose sockets belong to that host."""
    with host.inside():
        made: Any = vip.Vip(settings, SystemClock(), memory)
        made._holder._opened()
        actuator: Actuator = made
        return actuator


@dataclass
class Haproxy:
    """A running HAProxy: its runtime socket and the port that clients use."""

    socket: Path
    port: int
    process: asyncio.subprocess.Process

    async def stop(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()

    async def say(self, line: str) -> str:
        reader, writer = await asyncio.open_unix_connection(str(self.socket))
        writer.write(line.encode() + b"\n")
        found = await reader.read()
        writer.close()
        return found.decode()


@asynccontextmanager
async def running_haproxy(directory: Path, a: str, b: str) -> AsyncIterator[Haproxy]:
    """Two servers, `a` and `srv-b`, both in maintenance as their file says."""
    program = shutil.which("haproxy", path="/usr/sbin:/usr/bin")
    assert program, "haproxy is missing: deploy/test-servers installs it"
    port = free_place().port
    at = directory / "haproxy.sock"
    (directory / "haproxy.cfg").write_text(HAPROXY.format(socket=at, port=port, a=a, b=b))
    quiet = asyncio.subprocess.DEVNULL
    made = Haproxy(at, port, await asyncio.create_subprocess_exec(program, "-db", "-f", str(directory / "haproxy.cfg"), stdout=quiet, stderr=quiet))
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not at.exists():
                assert made.process.returncode is None, "haproxy ended"
                await asyncio.sleep(0.02)
        yield made
    finally:
        await made.stop()
