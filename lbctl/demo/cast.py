"""The processes of the demo and the questions asked of them: real programs, real signals, real DNS queries."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import dns.asyncquery
import dns.exception
import dns.message
import dns.rcode

from lbctl.clock import Clock
from lbctl.demo.files import NAME, Stage
from lbctl.errors import LbctlError

LBCTL = (sys.executable, "-m", "lbctl.cli")
ASK_S = 0.02
END_S = 10.0


class Unseen(LbctlError):
    """A step of the story was not observed."""


@dataclass
class Done:
    """What a command came to."""

    code: int
    out: str
    err: str


@dataclass
class Cast:
    """All processes of one demo; `end()` leaves none behind."""

    stage: Stage
    clock: Clock
    tell: Callable[[str], None]
    _processes: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)

    async def start(self, name: str) -> None:
        """`core-a`, `core-b` or `controller`, each with its own log in the directory."""
        words = ("-c", str(self.stage.config), "run") if name == "controller" else ("core", "serve", "-c", str(self.stage.core(name)))
        log = os.open(self.stage.directory / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            self._processes[name] = await asyncio.create_subprocess_exec(
                *LBCTL, *words, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        finally:
            os.close(log)

    def pid(self, name: str) -> int:
        return self._processes[name].pid

    async def kill(self, name: str) -> float:
        """SIGKILL, as a power failure would; the moment of it."""
        process = self._processes[name]
        process.kill()
        at = self.clock.now()
        await process.wait()
        return at

    def check(self) -> None:
        """`Unseen` with the end of its log where a process has ended by itself."""
        for name, process in self._processes.items():
            if process.returncode is not None and process.returncode != -signal.SIGKILL:
                raise Unseen(f"{name} ended with {process.returncode}:\n{self.log(name)}")

    def log(self, name: str) -> str:
        """The last lines of its log."""
        text = (self.stage.directory / f"{name}.log").read_text(errors="replace")
        return "\n".join(f"    {line}" for line in text.splitlines()[-15:])

    async def end(self) -> None:
        """All of them, the controller first, gently and then not."""
        for name in sorted(self._processes, key=lambda known: known != "controller"):
            process = self._processes[name]
            if process.returncode is None:
                process.terminate()
                try:
                    async with asyncio.timeout(END_S):
                        await process.wait()
                except TimeoutError:
                    process.kill()
                    await process.wait()

    async def lbctl(self, *words: str) -> Done:
        """A command as a user types it, with the demo's configuration."""
        environment = {**os.environ, "LBCTL_CONFIG": str(self.stage.config), "NO_COLOR": "1"}
        environment.pop("LBCTL_API", None)
        process = await asyncio.create_subprocess_exec(
            *LBCTL, *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment)
        out, err = await process.communicate()
        return Done(process.returncode or 0, out.decode(), err.decode())

    async def core(self, name: str, command: str) -> Done:
        """A command on a Core's own command line, over SSH."""
        return await self.lbctl("core", "ssh", str(self.stage.core(name)), "--", *command.split())

    async def answer(self) -> str:
        """Whom a client is sent to, asked of the DNS server over UDP: a member, or the word of a refusal."""
        query = dns.message.make_query(NAME, "A")
        try:
            reply = await dns.asyncquery.udp(query, "127.0.0.1", port=self.stage.dns_port, timeout=1.0)
        except (dns.exception.DNSException, OSError):
            return "silence"
        found = sorted(item.address for rrset in reply.answer for item in rrset)
        return "+".join(self.stage.member(address) for address in found) or dns.rcode.to_text(reply.rcode())

    async def until(self, wished: str, limit_s: float, waiting: str) -> float:
        """Asks until a client would be sent to `wished`; the moment of that answer. `Unseen` after `limit_s`."""
        start, told = self.clock.now(), 0.0
        answer = ""
        while self.clock.now() - start < limit_s:
            answer = await self.answer()
            if answer == wished:
                return self.clock.now()
            self.check()
            told = self._progress(start, told, f"{waiting} (a client is sent to {answer})")
            await self.clock.sleep(ASK_S)
        raise Unseen(f"waited {limit_s:.0f} s for {wished}, clients were still sent to {answer}")

    async def stays(self, wished: str, length_s: float) -> int:
        """Asks for `length_s` seconds; how often. `Unseen` at the first other answer."""
        start, asked = self.clock.now(), 0
        while self.clock.now() - start < length_s:
            answer = await self.answer()
            if answer != wished:
                raise Unseen(f"a client was sent to {answer} instead of {wished}, {self.clock.now() - start:.1f} s into the wait")
            asked += 1
            await self.clock.sleep(ASK_S)
        return asked

    async def until_says(self, member: str, page: str, verdict: str, limit_s: float, waiting: str) -> None:
        """Until the controller reads this on a member's page."""
        start, told = self.clock.now(), 0.0
        while self.clock.now() - start < limit_s:
            done = await self.lbctl("status", "core", "-o", "json")
            if done.code == 0 and f'"{verdict}"' in _said(done.out, member, page):
                return
            self.check()
            told = self._progress(start, told, waiting)
            await self.clock.sleep(0.3)
        raise Unseen(f"{member} did not say {verdict} on its {page} page within {limit_s:.0f} s")

    def _progress(self, start: float, told: float, text: str) -> float:
        """A line every three seconds, so that nobody wonders."""
        waited = self.clock.now() - start
        if waited - told < 3.0:
            return told
        self.tell(f"           … {text}, {waited:.0f} s")
        return waited


def _said(out: str, member: str, page: str) -> str:
    """What the JSON of `status` says of one page, as text."""
    for found in json.loads(out)["members"]:
        if found["name"] == member:
            return json.dumps(found["monitors"][page]["verdict"])
    return ""
