"""The processes of a story, each on a host of its own, and what may be done to each. Everything may be done at any time and twice: who is dead stays
dead, who runs is not started again. Everything is gone when the `with` ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from lbctl.core.control import NotRunning, ask
from tests.chaos.plan import CORES, Plan
from tests.chaos.record import Asked, Record
from tests.chaos.wire import Wire
from tests.core.cores import Process
from tests.netns import Host, network
from tests.outside.site import Site

PROBE = {"profile": "standard", "interval": "1s", "fast_interval": "200ms", "timeout": "1s", "fall": 3}
TIMEOUT_S, INTERVAL_S = 1.0, 1.0
QUICK_HEARTBEAT = {"if_failure_detected": "promote", "heartbeat_interval": 0.5, "heartbeat_failures": 4, "recheck_interval": 0.3}
DISK = "24m"
COMMAND_S = 60.0
"""A command's time: its own waiting (15 s at most here) and the 30 s after which a client gives up a silent lbctl."""
START_S = 150.0
"""Of a Core: hundreds of stories are told beside other work."""


class Stage(Site):
    """`hosts` by name, `wire` between them, `record` of all that is done."""

    def __init__(self, base: Path, plan: Plan, hosts: dict[str, Host], wire: Wire, record: Record) -> None:
        self.plan, self.hosts, self.wire, self.record = plan, hosts, wire, record
        self.disk = base / "disk"
        super().__init__(base, drive=plan.driven, service=plan.service, probe=PROBE, ha_b=QUICK_HEARTBEAT if plan.promotes_itself else None,
                         at=(hosts["core-a"].ip4, hosts["core-b"].ip4, hosts["lbctl"].ip4))
        self.cores: dict[str, Process] = {"core-a": self.a, "core-b": self.b}
        self.addresses = {"core-a": self.host_a, "core-b": self.host_b}
        for name, core in self.cores.items():
            core.within = [*hosts[name].command(), "sh", "-c", f'exec "$@" 2>>{base}/{name}.err', "sh"]
            core.patience_s = START_S
        self.lbctl.within = hosts["lbctl"].command()
        self._turns = {name: asyncio.Lock() for name in (*CORES, "lbctl")}
        self._alive = dict.fromkeys((*CORES, "lbctl"), False)

    def config(self) -> dict[str, Any]:
        made = super().config()
        made["controller"]["state"] = str(self.disk / "state.db")
        made["api"]["listen"] = "127.0.0.1:9653"
        return made

    def _member(self, name: str, host: str, role: str) -> dict[str, Any]:
        made = super()._member(name, host, role)
        if "freshness" in made:
            made["freshness"]["every"] = "2s"
        return made

    async def start(self) -> None:
        """All is well, and the Standby has a first copy."""
        self.disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "chaos", str(self.disk)], check=True, timeout=60)
        await super().start()
        self._alive = dict.fromkeys((*CORES, "lbctl"), True)
        await self.until_settled()
        copied = await self.administer("core-b", "failover", "sync")
        assert copied.code == 0, copied

    async def until_answer(self, wanted: str) -> None:
        """The reader outside sees it; `Site` asks from a network that is none of these hosts'."""

    # What is done to processes.

    async def kill(self, name: str, number: int) -> None:
        """A signal that ends it, and its end; one that does not end in time is a finding of its own."""
        async with self._turns[name]:
            if not self._alive[name]:
                return
            self._alive[name] = False
            await (self.lbctl if name == "lbctl" else self.cores[name]).end(number)

    async def revive(self, name: str) -> None:
        async with self._turns[name]:
            if not self._alive[name]:
                await (self.lbctl.start() if name == "lbctl" else self.cores[name].start())
                self._alive[name] = True

    def signal(self, name: str, number: int) -> None:
        """SIGSTOP or SIGCONT; nothing to somebody who is dead. Also to somebody who is ending: SIGTERM waits for SIGCONT."""
        with contextlib.suppress(ProcessLookupError, AssertionError):
            (self.lbctl if name == "lbctl" else self.cores[name]).signal(number)

    async def fault(self, name: str, kind: str) -> None:
        """As `lbctl core fault`. A Core that is dead or stopped does not hear of it."""
        with contextlib.suppress(NotRunning, TimeoutError):
            async with asyncio.timeout(2.0):
                await ask(self.cores[name].directory, {"fault": kind, "do": "fault"})

    def fill(self) -> None:
        """Not one byte is left for the state."""
        with contextlib.suppress(OSError), (self.disk / "ballast").open("ab") as ballast:
            while True:
                ballast.write(b"\0" * 65536)
                ballast.flush()
        with contextlib.suppress(OSError):
            descriptor = os.open(self.disk / "ballast", os.O_WRONLY | os.O_APPEND)
            try:
                while os.write(descriptor, b"\0" * 4096):
                    pass
            finally:
                os.close(descriptor)

    def clear(self) -> None:
        (self.disk / "ballast").unlink(missing_ok=True)

    # What people do.

    async def command(self, *words: str) -> Asked:
        """One verb of lbctl, on its host."""
        return await self._typed(words, [*self.hosts["lbctl"].command(), sys.executable, "-m", "lbctl.cli", "-c", str(self.lbctl.file), *words])

    async def administer(self, name: str, *words: str) -> Asked:
        """A line on a Core's own command line, over SSH from the client's host. `failover sync` is told from whom."""
        peer = self.addresses["core-b" if name == "core-a" else "core-a"]
        line = (*words, peer) if words == ("failover", "sync") else words
        return await self._typed((name, *line), [*self.hosts["client"].command(), sys.executable, "-m", "lbctl.cli", "core", "ssh",
                                                 str(self.cores[name].file), "--", *line])

    async def _typed(self, words: tuple[str, ...], command: list[str]) -> Asked:
        """One that does not end in time is asked where it is, and ended."""
        began, environ = time.time(), {**os.environ, "PYTHONFAULTHANDLER": "1"}
        made = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=environ)
        reading = asyncio.create_task(made.communicate())
        done, _ = await asyncio.wait({reading}, timeout=COMMAND_S)
        where = "" if done else f"{_where(made.pid)}\n"
        if not done and made.returncode is None:
            made.send_signal(signal.SIGABRT)
        out, _ = await reading
        return Asked(words, began, time.time(), made.returncode if done else None, where + out.decode(errors="replace").strip())

    async def seen(self) -> dict[str, Any]:
        """The service object; empty where lbctl does not answer soon."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(3.0):
                return await self.lbctl.seen()
        return {}

    # And how it ends.

    async def heal(self) -> None:
        """Everything that is broken is mended; what people have decided stays."""
        self.wire.mend_all()
        self.clear()
        for name in (*CORES, "lbctl"):
            self.signal(name, signal.SIGCONT)
        await asyncio.gather(*(self.revive(name) for name in (*CORES, "lbctl")))
        for name in CORES:
            await self.fault(name, "none")

    async def close(self) -> None:
        for name in (*CORES, "lbctl"):
            self.signal(name, signal.SIGCONT)
        try:
            await super().close()
        finally:
            # What was on it stays beside the rest of the evidence.
            with contextlib.suppress(OSError):
                self.clear()
                shutil.copytree(self.disk, self.disk.with_name("kept"))
            subprocess.run(["umount", "-l", str(self.disk)], check=False, timeout=60, stderr=subprocess.DEVNULL)


def _where(pid: int) -> str:
    """What the kernel says a process is doing."""
    try:
        return " ".join(Path(f"/proc/{pid}/{name}").read_text().strip() for name in ("wchan", "syscall", "stat"))
    except OSError as error:
        return str(error)


@contextlib.asynccontextmanager
async def stage(base: Path, plan: Plan, record: Record) -> AsyncIterator[Stage]:
    """A running site; processes, hosts and disk are gone afterwards."""
    with network() as net:
        hosts = {name: net.host(short) for name, short in (("core-a", "a"), ("core-b", "b"), ("lbctl", "lb"), ("client", "cl"))}
        made = Stage(base, plan, hosts, Wire(net), record)
        try:
            await made.start()
            yield made
        finally:
            await made.close()
