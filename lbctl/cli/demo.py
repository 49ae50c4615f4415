"""`lbctl demo`: two reference Cores, the controller and the page on this machine; to play with, or playing its story by itself."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lbctl.api import tokens
from lbctl.cli.options import Globals, verb
from lbctl.clock import SystemClock
from lbctl.demo.cast import Unseen
from lbctl.demo.files import DNS_PORT, NAME, PAGE_PORT, prepare
from lbctl.demo.story import Story

if TYPE_CHECKING:
    from lbctl.demo.files import Stage


@verb
@click.option("--act", is_flag=True, help="Play the whole story without a terminal; 0 only if every step was seen from outside.")
@click.option("--directory", type=click.Path(path_type=Path), help="Where its files go, and stay; a temporary one by default.")
def demo(options: Globals, act: bool, directory: Path | None) -> None:
    """A failover of two reference Cores, seen from outside."""
    place = directory or Path(tempfile.mkdtemp(prefix="lbctl-demo-"))
    place.mkdir(parents=True, exist_ok=True)
    try:
        click.get_current_context().exit(asyncio.run(_run(place, act)))
    finally:
        if directory is None:
            shutil.rmtree(place, ignore_errors=True)


async def _run(place: Path, act: bool) -> int:
    """The exit code: 0 where all was seen."""
    clock = SystemClock()
    stage = prepare(place)
    told, text = tokens.create("demo", tokens.Role.OPERATOR, now=clock.now(), lifetime_s=86400)
    tokens.save(place / "tokens.yaml", tokens.Tokens(tokens=[told]))
    _taken(stage)
    story = Story(stage, clock, click.echo)
    ending = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    playing = asyncio.create_task(story.play() if act else _linger(stage, story, text))
    try:
        await _until_either(playing, ending)
        return _outcome(playing, act)
    finally:
        await story.cast.end()


async def _until_either(playing: asyncio.Task[None], ending: asyncio.Event) -> None:
    """The story's end or the user's. Asked to end again and again: `wait_for` of Python 3.11 loses a cancellation that meets an answer."""
    told = asyncio.create_task(ending.wait())
    await asyncio.wait({playing, told}, return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    while not playing.done():
        playing.cancel()
        await asyncio.wait({playing}, timeout=0.2)


def _outcome(playing: asyncio.Task[None], act: bool) -> int:
    if playing.cancelled():
        click.echo("\nstopping")
        return 1 if act else 0
    try:
        playing.result()
    except Unseen as unseen:
        click.echo(f"NOT SEEN: {unseen}", err=True)
        return 1
    click.echo("every step was seen from outside")
    return 0


async def _linger(stage: Stage, story: Story, token: str) -> None:
    await story.rise()
    _invite(stage, story, token)
    await _stay(story)


async def _stay(story: Story) -> None:
    """Until Ctrl-C; says so when clients are sent to somebody else."""
    before = await story.cast.answer()
    while True:
        await story.clock.sleep(0.2)
        answer = await story.cast.answer()
        if answer != before:
            story.step(f"clients are sent to {answer} (before: {before})")
            before = answer


def _taken(stage: Stage) -> None:
    if stage.dns_port != DNS_PORT:
        click.echo(f"port {DNS_PORT} is taken: DNS answers at {stage.dns_port}")
    if stage.page_port != PAGE_PORT:
        click.echo(f"port {PAGE_PORT} is taken: the page is at {stage.page_port}")


def _invite(stage: Stage, story: Story, token: str) -> None:
    """Where to look, and what to try."""
    lbctl = _here("lbctl")
    click.echo(f"""
  ask     dig +short @127.0.0.1 -p {stage.dns_port} {NAME}
  page    http://127.0.0.1:{stage.page_port}/        to act from it, this token: {token}
  lbctl   {lbctl} --api unix:{stage.socket} status core

  try     kill -9 {story.cast.pid('core-a')}                      the primary dies: the answer moves
          {lbctl} core serve -c {stage.core('core-a')}   (another terminal) it returns: the answer stays
          {lbctl} --api unix:{stage.socket} explain core
          {lbctl} --api unix:{stage.socket} resume core   refused, and why

Ctrl-C ends it. `make demo ACT=1` plays the whole story by itself.
""")


def _here(name: str) -> str:
    """The command as one would type it here."""
    beside = Path(sys.executable).parent / name
    if shutil.which(name) == str(beside) or not beside.exists():
        return name
    return str(beside.relative_to(Path.cwd())) if beside.is_relative_to(Path.cwd()) else str(beside)
