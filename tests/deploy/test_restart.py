"""A restart of the service loses no DNS query, because systemd holds the sockets (deploy/systemd/lbctl-dns.socket; issue 5, item 10).

Here without a systemd, for machines on which one is not root; test_service.py has the real one.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from tests.controller.pages import Pages
from tests.deploy.crowd import ask, crowd

FILE = """
controller: {{name: test, state: {path}/state.db}}
api: {{socket: null, listen: []}}
authoritative:
  listen: ["127.0.0.1:{port}"]
  zones: {{gtm.example.com: {{ns: {{ns1.gtm.example.com: [192.0.2.1]}}}}}}
services:
  core:
    probe: {{profile: standard, interval: 500ms, fast_interval: 50ms, timeout: 500ms}}
    members:
      - {{name: core-a, role: primary, address: 192.0.2.10, url: "{a}"}}
      - {{name: core-b, role: secondary, address: 198.51.100.10, url: "{b}", syncs_from: core-a}}
    actuators:
      - authoritative: {{name: core.gtm.example.com, ttl: 30}}
"""
AS_SYSTEMD = """
import os, sys
for target, given in enumerate(sys.argv[1].split(","), 3):
    os.dup2(int(given), target)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="2", LISTEN_FDNAMES="dns:dns")
os.execv(sys.argv[2], sys.argv[2:])
"""
"""sd_listen_fds(3), the giving side."""


def sockets() -> tuple[socket.socket, socket.socket]:
    """UDP and TCP on the same free port of loopback, as the socket unit would hold them."""
    for _ in range(50):
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", 0))
        try:
            return udp, socket.create_server(udp.getsockname())
        except OSError:
            udp.close()
    raise AssertionError("no port is free for UDP and TCP")


@asynccontextmanager
async def service(path: Path, udp: socket.socket, tcp: socket.socket) -> AsyncIterator[asyncio.subprocess.Process]:
    """`lbctl run` with the passed sockets, at descriptors that cannot be in each other's way."""
    given = [os.dup(udp.fileno()), os.dup(tcp.fileno())]
    high = [os.dup(fd) for fd in given]
    command = [sys.executable, "-c", AS_SYSTEMD, ",".join(map(str, high)), sys.executable, "-m", "lbctl.cli", "-c", str(path / "lbctl.yaml"), "run"]
    with (path / "log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(*command, pass_fds=high, stderr=log)
    for fd in (*given, *high):
        os.close(fd)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(30):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def test_no_query_is_lost_over_a_restart_and_the_answer_stays(tmp_path: Path) -> None:
    a, b = await Pages("Primary").start(), await Pages("Standby").start()
    udp, tcp = sockets()
    port = udp.getsockname()[1]
    (tmp_path / "lbctl.yaml").write_text(FILE.format(path=tmp_path, a=a.url, b=b.url, port=port))
    try:
        async with service(tmp_path, udp, tcp) as first:
            async with asyncio.timeout(60):
                while await ask("127.0.0.1", port) != "192.0.2.10":
                    assert first.returncode is None, (tmp_path / "log").read_text()
                    await asyncio.sleep(0.1)
            clients = AsyncExitStack()
            counted = await clients.enter_async_context(crowd("127.0.0.1", port))
        async with service(tmp_path, udp, tcp):
            await clients.aclose()
    finally:
        for held in (udp, tcp):
            held.close()
        await a.stop()
        await b.stop()
    assert set(counted.answers) == {"192.0.2.10"}
    print(f"{counted.asked} queries over a restart, none lost, the slowest took {counted.slowest_s:.2f} s")
