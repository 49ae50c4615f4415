"""A machine of its own with a real systemd as process 1 (machine.sh): the package is installed into it as on a user's host.

    async with machine(tmp_path) as host:
        await host.install(package)
        await host.run("systemctl", "start", "lbctl")
        with host.network():            # sockets made in here belong to the machine
            ...

Needs root. Everything is gone when the `async with` ends, also where the test was killed: process 1 dies with its parent.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.controller.pages import Pages
from tests.netns import within

HERE = Path(__file__).parent
PATIENCE_S = 90.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended, and all that it printed."""

    code: int
    text: str


class Machine:
    """`pid` is process 1 as this machine numbers it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    async def tried(self, *words: str, given: str | bytes = b"", environ: dict[str, str] | None = None) -> Ran:
        """Runs a command as root in the machine."""
        clean = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "SYSTEMD_PAGER": "", "DEBIAN_FRONTEND": "noninteractive"}
        process = await asyncio.create_subprocess_exec(
            "nsenter", "-t", str(self.pid), "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w", *words, env={**clean, **(environ or {})},
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, start_new_session=True)
        try:
            async with asyncio.timeout(PATIENCE_S):
                out, _ = await process.communicate(given.encode() if isinstance(given, str) else given)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise AssertionError(f"{words} does not end") from None
        assert process.returncode is not None
        return Ran(process.returncode, out.decode())

    async def run(self, *words: str, given: str | bytes = b"") -> str:
        """What a command prints that must succeed."""
        ran = await self.tried(*words, given=given)
        assert ran.code == 0, f"{words} ended with {ran.code}\n{ran.text}\n{await self.log()}"
        return ran.text.strip()

    async def shell(self, script: str) -> str:
        """As `run`, for a script of sh."""
        return await self.run("sh", "-eu", given=script)

    async def write(self, place: str, text: str, *, mode: str = "0644", owner: str = "root:root") -> None:
        user, _, group = owner.partition(":")
        await self.run("install", "-D", "-m", mode, "-o", user, "-g", group, "/dev/stdin", place, given=text)

    async def install(self, package: Path) -> str:
        """dpkg -i; what it printed."""
        await self.run("sh", "-c", "cat > /root/lbctl.deb", given=await asyncio.to_thread(package.read_bytes))
        return await self.run("dpkg", "--force-unsafe-io", "-i", "/root/lbctl.deb")

    async def show(self, key: str, unit: str = "lbctl") -> str:
        """A property of a unit."""
        return await self.run("systemctl", "show", "--value", "-p", key, unit)

    async def log(self, *words: str) -> str:
        """The journal's last lines."""
        return (await self.tried("journalctl", "--no-pager", "-o", "cat", "-n", "60", *words)).text

    async def until(self, look: Callable[[], Awaitable[T]], what: str) -> T:
        """The first thing that `look` finds."""
        last: object = None
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not (last := await look()):
                    await asyncio.sleep(0.1)
                return last
        except TimeoutError:
            raise AssertionError(f"not seen: {what}; last {last}\n{await self.log()}") from None

    def inside(self, place: str) -> Path:
        """A file of the machine, as it is seen from here."""
        return Path(f"/proc/{self.pid}/root{place}")

    def network(self) -> AbstractContextManager[None]:
        """The calling thread is in the machine's network: wait for nothing meanwhile."""
        return within(Path(f"/proc/{self.pid}/ns/net"))


class MemberPages(Pages):
    """A member's status pages in the machine, on an address of its own."""

    def __init__(self, host: Machine, address: str, mode: str) -> None:
        super().__init__(mode)
        self.machine, self.host, self.port = host, address, 8080

    async def start(self) -> MemberPages:
        with self.machine.network():
            listening = socket.create_server((self.host, self.port), backlog=64)
        self._server = await asyncio.start_server(self._serve, sock=listening)
        return self


@contextlib.asynccontextmanager
async def pages(host: Machine) -> AsyncIterator[tuple[MemberPages, MemberPages]]:
    """A Primary and its Standby."""
    a, b = MemberPages(host, "127.0.0.11", "Primary"), MemberPages(host, "127.0.0.12", "Standby")
    try:
        yield await a.start(), await b.start()
    finally:
        await a.stop()
        await b.stop()


@contextlib.asynccontextmanager
async def machine(path: Path) -> AsyncIterator[Machine]:
    """A booted one."""
    room = path / "machine"
    room.mkdir()
    outer = await asyncio.create_subprocess_exec(
        "setpriv", "--pdeathsig", "TERM", "unshare", "--mount", "sh", str(HERE / "machine.sh"), str(room),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
    made: Machine | None = None
    try:
        made = await _booted(outer)
        yield made
    finally:
        if made is not None:
            os.kill(made.pid, signal.SIGKILL)
        elif outer.returncode is None:
            outer.terminate()
        await outer.communicate()


async def _booted(outer: asyncio.subprocess.Process) -> Machine:
    """Process 1 is found, and says that all is running."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                assert outer.returncode is None, (await outer.communicate())[0].decode()
                if (pid := _first_process(outer.pid)) is not None:
                    host = Machine(pid)
                    if (await host.tried("systemctl", "is-system-running")).text.strip() == "running":
                        return host
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError("the machine does not boot") from None


def _first_process(outer: int) -> int | None:
    """The descendant that runs systemd."""
    waiting = [outer]
    with contextlib.suppress(OSError):
        while waiting:
            pid = waiting.pop()
            if Path(f"/proc/{pid}/comm").read_text() == "systemd\n":
                return pid
            waiting += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return None

