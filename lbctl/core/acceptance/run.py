"""Starts the two Cores, walks the steps, shows each as it passes, and takes everything down again."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import yaml

from lbctl.clock import Clock
from lbctl.core.acceptance.administrator import Administrator, Place
from lbctl.core.acceptance.mailbox import Mailbox
from lbctl.core.acceptance.steps import STEPS, Failed, Stage
from lbctl.core.certificates import Certificates, server_context
from lbctl.core.database import Database
from lbctl.core.fill import fill
from lbctl.core.settings import CoreSettings
from lbctl.errors import LbctlError

USER = "admin"
START_S = 60.0
END_S = 20.0
COMMAND = "from lbctl.cli.core import core; core()"


async def accept(clock: Clock, show: Callable[[str], None], *, devices: int = 1000, directory: Path | None = None) -> bool:
    """The whole run; true when every step passed. `directory` is kept, otherwise nothing is left behind."""
    async with contextlib.AsyncExitStack() as exits:
        base = directory or Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="lbctl-acceptance-")))
        stage = await _set(exits, base, clock, devices)
        show(f"Two Cores of {devices} and no devices: primary {stage.primary.place.host}, secondary {stage.secondary.place.host}")
        for step in STEPS:
            begun = clock.now()
            try:
                seen = await step.run(stage)
            except (Failed, LbctlError, aiohttp.ClientError, OSError, ValueError, KeyError) as error:
                show(f"FAILED  {step.row}: {step.title}\n        {error}")
                return False
            show(f"passed  {step.row}: {step.title} ({clock.now() - begun:.1f} s)\n        {seen}")
    show("All steps of the set-up and all tasks of the test plan passed.")
    return True


async def _set(exits: contextlib.AsyncExitStack, base: Path, clock: Clock, devices: int) -> Stage:
    """Mailbox, data and Cores, each with its end put on the stack."""
    password = base / "password"
    password.write_text(secrets.token_urlsafe(12))
    nowhere = {"host": "127.0.0.1", "port": 0}
    own = CoreSettings.model_validate({
        "name": "mailbox", "directory": base / "mailbox", "listen": {"https": nowhere, "portal": nowhere, "ssh": nowhere},
        "tls": {"ca_directory": base / "ca"},
    })
    certificates = Certificates(own, clock.now())
    mailbox = Mailbox(server_context(certificates.cert, certificates.key))
    await mailbox.open()
    exits.callback(mailbox.close)
    await _fill(base / "core-a", devices)
    sides = []
    for name, host in (("core-a", "127.0.0.1"), ("core-b", "127.0.0.2")):
        place = await exits.enter_async_context(_core(base, name, host, mailbox.port))
        side = Administrator(place, USER, password.read_text(), base / "ca" / "ca.pem")
        exits.push_async_callback(side.close)
        sides.append(side)
    return Stage(sides[0], sides[1], mailbox, clock)


async def _fill(directory: Path, devices: int) -> None:
    """The Primary has been in use for a while."""
    database = _database(directory)
    try:
        await fill(database, devices=devices)
    finally:
        database.close()


def _database(directory: Path) -> Database:
    directory.mkdir(parents=True, mode=0o700)
    return Database(directory / "portal.db")


@contextlib.asynccontextmanager
async def _core(base: Path, name: str, host: str, mail_port: int) -> AsyncIterator[Place]:
    """One Core as a process, as it comes out of the box: HA is disabled, nobody is trusted."""
    file = base / f"{name}.yaml"
    file.write_text(yaml.safe_dump({
        "name": name, "directory": name, "listen": dict.fromkeys(("https", "portal", "ssh"), f"{host}:0"), "tls": {"ca_directory": "ca"},
        "admin": {"user": USER, "password_file": "password"},
        "mail": {"host": "127.0.0.1", "port": mail_port, "ca_file": str(base / "ca" / "ca.pem"), "sender": f"{name}@example.com"},
    }))
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", COMMAND, "serve", "-c", str(file), stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        async with asyncio.timeout(START_S):
            line = (await process.stdout.readline()).decode().strip()
        if not line:
            raise Failed(f"{name} did not start")
        yield _place(line, host, (base / name / "ssh" / "local_key.pub").read_text())
    finally:
        await _ended(process)


def _place(line: str, host: str, key: str) -> Place:
    """The ports, from the line in which a Core says where it listens."""
    ports = dict(part.split(" ") for part in line.partition("): ")[2].split(", "))
    https, portal, ssh = (int(ports[name].rpartition(":")[2]) for name in ("https", "portal", "ssh"))
    return Place(host, https, portal, ssh, key)


async def _ended(process: asyncio.subprocess.Process) -> None:
    """In good order, or not."""
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(END_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
