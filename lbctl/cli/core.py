"""`lbctl core …`: the reference Core. It is a product of its own: nothing here reads the controller's configuration."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lbctl.errors import ConfigError, LbctlError

if TYPE_CHECKING:
    from collections.abc import Callable

    from lbctl.core.client import Login
    from lbctl.core.settings import CoreSettings

FILE = click.option("-c", "--config", "file", required=True, type=click.Path(path_type=Path), help="The Core's own file, such as core-a.yaml.")


@click.group()
def core() -> None:
    """The reference Core: does what the vendor's guide says a Core does."""


@core.command()
@FILE
def serve(file: Path) -> None:
    """Run one Core in the foreground. SIGTERM ends it in good order."""
    settings = _settings(file)
    try:
        asyncio.run(_serve(settings))
    except (LbctlError, OSError) as error:
        raise click.ClickException(str(error)) from None


@core.command()
@FILE
@click.argument("kind")
def fault(file: Path, kind: str) -> None:
    """Make a running Core fail in the way KIND, or heal it with `clear`. A KIND that does not exist lists them all."""
    from lbctl.core.control import ask
    from lbctl.core.faults import MEANINGS, Fault

    settings = _settings(file)
    kind = "none" if kind == "clear" else kind
    if kind not in set(Fault):
        kinds = ((("clear" if one is Fault.NONE else one), text) for one, text in MEANINGS.items())
        raise click.UsageError("KIND is one of\n" + "\n".join(f"  {name:20} {text}" for name, text in kinds))
    try:
        reply = asyncio.run(ask(settings.directory, {"do": "fault", "fault": kind}))
    except LbctlError as error:
        raise click.ClickException(str(error)) from None
    if not reply["ok"]:
        raise click.ClickException(reply["error"])
    click.echo(f"{settings.name}: {reply['meaning']}")


@core.command()
@FILE
def status(file: Path) -> None:
    """What a running Core of this machine says of itself, as JSON."""
    import json

    from lbctl.core.control import ask

    try:
        reply = asyncio.run(ask(_settings(file).directory, {"do": "status"}))
    except LbctlError as error:
        raise click.ClickException(str(error)) from None
    click.echo(json.dumps(reply["status"], indent=1))


@core.command()
@FILE
@click.option("--devices", type=click.IntRange(min=1), default=1000, show_default=True)
@click.option("--start", type=click.IntRange(min=1), default=1, show_default=True, help="The first device's number; a later one makes a Core grow.")
def fill(file: Path, devices: int, start: int) -> None:
    """Give a Core devices, users and all that belongs to them; for demonstrations."""
    import sqlite3

    from lbctl.core.database import Database
    from lbctl.core.fill import fill as fill_with

    settings = _settings(file)
    settings.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    database = Database(settings.directory / "portal.db")
    try:
        asyncio.run(fill_with(database, devices=devices, start=start))
    except sqlite3.IntegrityError:
        raise click.ClickException("it has devices of these numbers already: choose a later --start") from None
    finally:
        database.close()


@core.command()
@click.option("--devices", type=click.IntRange(min=1), default=1000, show_default=True, help="How many the Primary has.")
@click.option("--directory", type=click.Path(path_type=Path, file_okay=False), help="Keep everything there; it must not exist yet.")
def acceptance(devices: int, directory: Path | None) -> None:
    """The guide's set-up (steps 1-7) and test plan (tasks 1-5) on two fresh Cores, from outside, step by step."""
    from lbctl.clock import SystemClock
    from lbctl.core.acceptance.run import accept

    if directory:
        directory.mkdir(parents=True)
        directory = directory.resolve()
    sys.exit(0 if asyncio.run(accept(SystemClock(), click.echo, devices=devices, directory=directory)) else 1)


PATH = click.Path(path_type=Path, exists=True, dir_okay=False)


@core.command(context_settings={"ignore_unknown_options": True})
@click.argument("host")
@click.argument("command", nargs=-1, required=True)
@click.option("--user", default="admin", show_default=True, help="The System Manager's local user.")
@click.option("--key-file", type=PATH, help="A private key; without one the password is asked for.")
@click.option("--password-file", type=PATH)
@click.option("--known-hosts-file", type=click.Path(path_type=Path), default="~/.ssh/known_hosts", show_default=True)
@click.option("--enable-secret-file", type=PATH, help="Where the Core asks for a secret before `enable`.")
def ssh(
    host: str, command: tuple[str, ...], user: str, key_file: Path | None, password_file: Path | None,
    known_hosts_file: Path, enable_secret_file: Path | None,
) -> None:
    """Run COMMAND on the command line of a Core, under `enable`; its exit code becomes ours.

    HOST is HOST[:PORT], or the file of a Core on this machine, whose address, key and password are then known:
    `lbctl core ssh configs/core-b.yaml -- failover mode primary`.
    """
    from lbctl.core.client import Login, local, run

    if host.endswith((".yaml", ".yml")):
        login = _local_login(Path(host), local)
    else:
        name, _, port = host.partition(":") if host.count(":") == 1 else (host, "", "")
        password = password_file.read_text().strip() if password_file else None
        if password is None and key_file is None:
            password = click.prompt("Password", hide_input=True, err=True)
        login = Login(name, int(port or 22), user, password, key_file, known_hosts_file.expanduser())
    secret = enable_secret_file.read_text().strip() if enable_secret_file else ""
    try:
        sys.exit(asyncio.run(run(login, "enable; " + " ".join(command), click.echo, secret=secret)))
    except LbctlError as error:
        raise click.ClickException(str(error)) from None


def _local_login(file: Path, local: Callable[[CoreSettings], Login]) -> Login:
    try:
        return local(_settings(file))
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}; was this Core ever started?") from None


def _settings(file: Path) -> CoreSettings:
    """The Core's file; all its mistakes at once and exit code 7 where it has any."""
    from lbctl.core.settings import load

    try:
        return load(file)
    except ConfigError as error:
        click.echo(str(error), err=True)
        sys.exit(7)


async def _serve(settings: CoreSettings) -> None:
    from lbctl.clock import SystemClock
    from lbctl.core.node import Node

    node = Node(settings, SystemClock())
    end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end.set)
    try:
        await node.start()
        click.echo(f"{node.listening()}")
        sys.stdout.flush()
        node.failed.add_done_callback(lambda _: end.set())
        await end.wait()
        if node.failed.done():
            node.failed.result()
    finally:
        await node.stop()
