"""Reference Cores for tests: in this process on free ports, or as processes of their own; trust exchanged the way an administrator does it."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import secrets
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from lbctl.clock import SystemClock
from lbctl.core.client import local, run
from lbctl.core.control import NotRunning, ask
from lbctl.core.node import Node
from lbctl.core.settings import CoreSettings, load

WAIT_S = 60.0
Fields = dict[str, Any]
FAST = {"heartbeat_interval": 0.05, "heartbeat_failures": 2, "recheck_interval": 0.05}
"""Fail Over Controls for tests that want to see a failover now."""


def settings(base: Path, name: str, *, ha: dict[str, Any] | None = None, host: str = "127.0.0.1", **more: Any) -> CoreSettings:
    """A Core on free ports; the Cores under one `base` share an authority."""
    anywhere = {"host": host, "port": 0}
    return CoreSettings.model_validate({
        "name": name, "directory": base / name, "listen": {"https": anywhere, "portal": anywhere, "ssh": anywhere},
        "tls": {"ca_directory": base / "ca"}, "ha": ha or {}, **more,
    })


@contextlib.asynccontextmanager
async def running(config: CoreSettings, **more: Any) -> AsyncIterator[Node]:
    """A Core in this process."""
    node = Node(config, SystemClock(), **more)
    try:
        await node.start()
        yield node
    finally:
        await node.stop()


def trust(node: Node, other: Node, host: str = "127.0.0.1") -> None:
    """Step 4 of the set-up, one direction: `node` is given `other`'s Local Server SSH Key."""
    ports = {name: endpoint.port for name, endpoint in other.endpoints().items()}
    node.trust.add(host, other.trust.local_key, **ports)


@contextlib.asynccontextmanager
async def pair(base: Path, *, ha_a: Fields | None = None, ha_b: Fields | None = None, **more: Any) -> AsyncIterator[tuple[Node, Node]]:
    """A Primary and a Secondary that trust each other; each calls the other 127.0.0.1."""
    primary = {"enabled": True, "mode": "Primary", "primary_host": "127.0.0.1", **(ha_a or {})}
    secondary = {"enabled": True, "mode": "Secondary", "primary_host": "", **(ha_b or {})}
    async with running(settings(base, "core-a", ha=primary, **more)) as a, running(settings(base, "core-b", ha=secondary, **more)) as b:
        trust(a, b)
        trust(b, a)
        await b.save_ha(b.record.ha.model_copy(update={"primary_host": "127.0.0.1"}), active=False, cause="test")
        yield a, b


async def until(condition: Callable[[], Any], what: str = "the condition") -> None:
    """Waits until it holds; fails with `what` long after it should have."""
    try:
        async with asyncio.timeout(WAIT_S):
            while not condition():
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"not seen within {WAIT_S:g} s: {what}") from None


async def page(node: Node, path: str, *, port: str = "https", timeout_s: float = 10.0) -> tuple[int, bytes]:
    """One page with the certificate verified, on a connection of its own."""
    return await get(node.endpoints()[port].port, path, Path(str(node.certificates.ca)), timeout_s=timeout_s)


async def get(port: int, path: str, ca: Path, *, host: str = "127.0.0.1", timeout_s: float = 10.0, **more: Any) -> tuple[int, bytes]:
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=str(ca)), force_close=True)
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    url, method = f"https://{host}:{port}{path}", more.pop("method", "GET")
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session, session.request(method, url, **more) as response:
        return response.status, await response.read()


class Process:
    """A Core as `lbctl core serve` runs it."""

    def __init__(self, base: Path, name: str, ha: dict[str, Any], *, host: str = "127.0.0.1", **more: Any) -> None:
        """On free ports of `host`; on an address of its own (`hosts`) the ports are the same for all."""
        self.name = name
        self.host = host
        self.directory = base / name
        self.file = base / f"{name}.yaml"
        self.base = base
        self.ports = {"https": 0, "portal": 0, "ssh": 0} if host == "127.0.0.1" else {"https": 4443, "portal": 8443, "ssh": 2222}
        self.patience_s = WAIT_S
        """How long a start and an end may take."""
        self.within: list[str] = []
        """The words before the program's own, such as those that put it on another host."""
        self._config = {"name": name, "directory": str(self.directory), "tls": {"ca_directory": str(base / "ca")}, "ha": ha, **more}
        self._process: asyncio.subprocess.Process | None = None

    def configure(self, **more: Any) -> None:
        """What its file says from the next start on."""
        self._config.update(more)

    async def start(self, *arguments: str) -> str:
        """Starts it and waits for the line that says where it listens; the ports are kept for the next start."""
        self._config["listen"] = {name: f"{self.host}:{port}" for name, port in self.ports.items()}
        self.file.write_text(yaml.safe_dump(self._config))
        command = "import sys; sys.argv[0] = 'lbctl'; from lbctl.cli.core import core; core()"
        self._process = await asyncio.create_subprocess_exec(
            *self.within, sys.executable, "-c", command, *(arguments or ("serve", "-c", str(self.file))), stdout=asyncio.subprocess.PIPE)
        assert self._process.stdout is not None
        async with asyncio.timeout(self.patience_s):
            line = (await self._process.stdout.readline()).decode().strip()
        for part in line.split("): ")[-1].split(", "):
            kind, _, place = part.partition(" ")
            if kind in self.ports:
                self.ports[kind] = int(place.rpartition(":")[2])
        return line

    async def end(self, number: int = signal.SIGTERM) -> int:
        """Sends a signal and waits for the end."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)
        async with asyncio.timeout(self.patience_s):
            code = await self._process.wait()
        self._process = None
        return code

    async def close(self) -> None:
        if self._process is not None:
            await self.end(signal.SIGKILL)

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def status(self) -> dict[str, Any]:
        """What it says of itself; empty while it does not run."""
        try:
            return dict((await ask(self.directory, {"do": "status"}))["status"])
        except (NotRunning, OSError):
            return {}

    async def page(self, path: str) -> tuple[int, bytes]:
        return await get(self.ports["https"], path, self.base / "ca" / "ca.pem", host=self.host)

    async def enroll(self, uuid: str) -> int:
        """A device registers; the HTTP status."""
        ca = self.base / "ca" / "ca.pem"
        return (await get(self.ports["https"], "/mifs/enroll", ca, host=self.host, method="POST", json={"uuid": uuid}))[0]

    async def type(self, line: str) -> tuple[int, str]:
        """A line on its command line, under enable, over SSH."""
        lines: list[str] = []
        login = dataclasses.replace(local(load(self.file)), port=self.ports["ssh"])
        return await run(login, f"enable; {line}", lines.append), "\n".join(lines)

    async def until(self, **fields: Any) -> dict[str, Any]:
        """Waits until its status has these values, and returns it."""
        status: dict[str, Any] = {}
        try:
            async with asyncio.timeout(WAIT_S):
                while not status or any(status[name] != value for name, value in fields.items()):
                    await asyncio.sleep(0.02)
                    status = await self.status()
        except TimeoutError:
            raise AssertionError(f"{self.name} was not {fields} within {WAIT_S:g} s, but {status}") from None
        return status

    def saved(self) -> dict[str, Any]:
        """Its state file."""
        return dict(json.loads((self.directory / "state.json").read_bytes()))


def hosts(count: int) -> list[str]:
    """Loopback addresses that nobody else uses."""
    return [f"127.{secrets.randbelow(200) + 20}.{secrets.randbelow(256)}.{secrets.randbelow(250) + 2}" for _ in range(count)]


def trusted(base: Path, **others: str) -> list[dict[str, str]]:
    """`trusted_hosts` by file: name to address."""
    return [{"host": host, "key_file": str(base / name / "ssh" / "local_key.pub")} for name, host in others.items()]
