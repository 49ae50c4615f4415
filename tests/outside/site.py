"""A site of real processes: two reference Cores, one `lbctl run`, and a client that asks the DNS server.

Everything stands on loopback addresses of its own, so that sites run side by side; every process is ended by its pid.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import dns.asyncquery
import dns.exception
import dns.message
import dns.rcode
import yaml

from lbctl.core.users import ADMIN_KEY
from tests.core.cores import Process, hosts, trusted

PATIENCE_S = 120.0
ASK_S, POLL_S = 10.0, 1.0
"""How long a client waits for one answer, for who gets no turn on a busy machine is not silent; and where it is asked again anyway."""
NAME = "core.gtm.example.com"
PATIENT = {"profile": "standard", "interval": "1s", "fast_interval": "100ms", "timeout": "1s", "fall": 3}
"""For tests in which a busy machine must not look like a failing Core."""
QUICK = {"profile": "standard", "interval": "500ms", "fast_interval": "100ms", "timeout": "500ms", "fall": 3}


class Lbctl:
    """`lbctl run` as a process of its own, and the other verbs against it."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.within: list[str] = []
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        log = self.file.with_suffix(".log").open("ab")
        self._process = await asyncio.create_subprocess_exec(
            *self.within, sys.executable, "-m", "lbctl.cli", "-c", str(self.file), "run", stdout=log, stderr=log)
        log.close()

    async def end(self, number: int = signal.SIGTERM) -> int:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)
        async with asyncio.timeout(PATIENCE_S):
            code = await self._process.wait()
        self._process = None
        return code

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def close(self) -> None:
        if self._process is not None:
            await self.end(signal.SIGKILL)

    async def say(self, *words: str) -> tuple[int, str]:
        """One verb; its exit code and everything it prints."""
        made = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "lbctl.cli", "-c", str(self.file), *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
        async with asyncio.timeout(PATIENCE_S):
            out, _ = await made.communicate()
        return made.returncode or 0, out.decode()

    async def service(self) -> dict[str, Any]:
        code, text = await self.say("-o", "json", "status", "core")
        return dict(json.loads(text)) if code == 0 else {}

    async def get(self, path: str) -> tuple[int, str]:
        """One GET over the socket: what a verb prints, without starting a program for it. (0, "") while nobody answers."""
        connector = aiohttp.UnixConnector(str(self.file.with_suffix(".sock")))
        try:
            async with aiohttp.ClientSession(connector=connector) as session, session.get(f"http://lbctl{path}") as response:
                return response.status, await response.text()
        except aiohttp.ClientError:
            return 0, ""

    async def seen(self) -> dict[str, Any]:
        """The service object now."""
        status, text = await self.get("/api/v1/services/core")
        return dict(json.loads(text)) if status == 200 else {}

    @property
    def log(self) -> str:
        return self.file.with_suffix(".log").read_text()


class Site:
    """Cores a and b, lbctl, and what a client reads. `at`: the addresses of the three."""

    def __init__(self, base: Path, *, drive: bool = False, service: dict[str, Any] | None = None, probe: dict[str, Any] | None = None,
                 ha_b: dict[str, Any] | None = None, at: tuple[str, str, str] | None = None) -> None:
        self.host_a, self.host_b, self.host = at or hosts(3)
        self.a = self._core(base, "core-a", self.host_a, {"mode": "Primary", "primary_host": self.host_b}, {"core-b": self.host_b})
        self.b = self._core(base, "core-b", self.host_b, {"mode": "Secondary", "primary_host": self.host_a, **(ha_b or {})}, {"core-a": self.host_a})
        self.base = base
        self.lbctl = Lbctl(base / "lbctl.yaml")
        self._service, self._probe, self._drive, self._ha_b = service or {}, probe or QUICK, drive, ha_b or {}

    def _core(self, base: Path, name: str, host: str, ha: dict[str, Any], others: dict[str, str]) -> Process:
        ha = {"enabled": True, "if_failure_detected": "keep-standby", **ha}
        return Process(base, name, ha, host=host, trusted_hosts=trusted(base, **others))

    async def start(self) -> None:
        if self._ha_b.get("if_failure_detected") == "promote":  # whose heart beats before the Primary is up would be Primary first
            await self.a.start()
            await self.b.start()
        else:
            await asyncio.gather(self.a.start(), self.b.start())
        self.lbctl.file.write_text(yaml.safe_dump(self.config()))
        await self.lbctl.start()
        await self.until_answer(self.host_a)

    def config(self) -> dict[str, Any]:
        members = [self._member("core-a", self.host_a, "primary"), self._member("core-b", self.host_b, "secondary")]
        service = {"probe": self._probe, "members": members, "actuators": [{"authoritative": {"name": NAME, "ttl": 5}}], **self._service}
        return {
            "controller": {"name": "test", "state": str(self.base / "state.db")},
            "api": {"socket": str(self.base / "lbctl.sock"), "listen": f"{self.host}:9653"},
            "authoritative": {"listen": [f"{self.host}:5300"], "zones": {"gtm.example.com": {"ns": {"ns1.gtm.example.com": self.host}}}},
            "services": {"core": service},
        }

    def _member(self, name: str, host: str, role: str) -> dict[str, Any]:
        core = self.a if name == "core-a" else self.b
        member: dict[str, Any] = {"name": name, "role": role, "address": host, "url": f"https://{host}:4443",
                                  "tls": {"ca_file": str(self.base / "ca" / "ca.pem")}}
        if role == "secondary":
            member["syncs_from"] = "core-a"
        if self._drive:
            known = self.base / f"{name}.known"
            key = (core.directory / "ssh" / "local_key.pub").read_text().strip()
            known.write_text(f"[{host}]:2222 {key}\n")
            member["drive"] = {"ssh": f"{host}:2222", "user": "admin", "key_file": str(core.directory / ADMIN_KEY), "known_hosts_file": str(known)}
            member["freshness"] = {"source": "ssh", "max_staleness": "90m", "unknown": "allow", "every": "1s"}
        return member

    async def answer(self, patience_s: float = ASK_S) -> str:
        """What a client is told: an address, a refusal's name, or `silence`."""
        try:
            reply = await dns.asyncquery.udp(dns.message.make_query(NAME, "A"), self.host, port=5300, timeout=patience_s)
        except (dns.exception.Timeout, OSError):
            return "silence"
        if reply.rcode() != dns.rcode.NOERROR:
            return dns.rcode.to_text(reply.rcode())
        return ",".join(sorted(item.address for answer in reply.answer for item in answer))

    async def serial(self) -> int:
        """The zone's serial as a client reads it: every write raises it."""
        reply = await dns.asyncquery.udp(dns.message.make_query("gtm.example.com", "SOA"), self.host, port=5300, timeout=PATIENCE_S)
        return int(reply.answer[0][0].serial)

    async def until_answer(self, wanted: str) -> None:
        await self._until(lambda: self.answer(POLL_S), lambda seen: seen == wanted, f"the answer {wanted}")

    async def until_service(self, what: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        seen = await self._until(self.lbctl.seen, lambda seen: bool(seen) and holds(seen), what)
        return dict(seen)

    async def until_settled(self) -> None:
        """Both members are known to be well, and the active as Primary."""
        await self.until_service("all well", lambda s: s["state"] == "normal" and s["promoted"] and all(m["health"] == "up" for m in s["members"]))

    async def go_back(self, *attested: str) -> None:
        """The healed Primary gets its traffic only by a person (G-LB4); the Standby was never promoted (SEMANTICS 3 iii).

        On a starved machine a gap between looks leaves that to the person's word: `attested` are the words that give it.
        """
        await self.until_service("the Primary serves", serves_as_primary)
        assert await self.answer() == self.host_b
        await self.accepted("resume", "core", *attested)
        await self.until_answer(self.host_a)
        await self.until_settled()

    async def accepted(self, *words: str) -> str:
        """Typed until it is taken: what is refused for an old or a late look is typed again a moment later. What it printed."""
        seen = await self._until(lambda: self.lbctl.say(*words), lambda seen: seen[0] in (0, 6), f"{' '.join(words)} is taken")
        return str(seen[1])

    async def stays(self, wanted: str, seconds: float) -> None:
        """Asks all the time; every answer is this one."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while loop.time() < until:
            assert await self.answer() == wanted
            await asyncio.sleep(0.05)

    async def _until(self, ask: Callable[[], Any], holds: Callable[[Any], bool], what: str) -> Any:
        seen: Any = None
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    seen = await ask()
                    if holds(seen):
                        return seen
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"not seen within {PATIENCE_S:g} s: {what}; last: {seen}\n{self.lbctl.log[-3000:]}") from None

    async def close(self) -> None:
        await self.lbctl.close()
        await self.a.close()
        await self.b.close()


def serves_as_primary(seen: dict[str, Any]) -> bool:
    """Both pages of the Primary, each by a look since it is well again."""
    pages = seen["members"][0]["monitors"]
    return bool(pages["status"]["health"] == "up" and pages["status"]["verdict"] == "ok" and pages["hastatus"]["verdict"] == "primary")


@contextlib.asynccontextmanager
async def site(base: Path, **more: Any) -> AsyncIterator[Site]:
    """A running site, everything ended afterwards."""
    made = Site(base, **more)
    try:
        await made.start()
        yield made
    finally:
        await made.close()
