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
