"""`lbctl probe URL|SERVICE/MEMBER`: one look, now, from here, phase by phase. It needs no running controller and changes nothing."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Iterable
from dataclasses import asdict

import click

from lbctl.cli.failure import CONFIG_INVALID, ERROR, OK, USAGE, Failure
from lbctl.cli.options import Globals, verb
from lbctl.cli.show import BAD, GOOD, clean, emit, paint
from lbctl.clock import SystemClock
from lbctl.config import Config, read
from lbctl.errors import ConfigError
from lbctl.model.looks import ProbeResult
from lbctl.probes.base import Probe, Target, Tls
from lbctl.probes.describe import aims_of, describe
from lbctl.probes.engine import Engine
from lbctl.wiring import probe_of, targets_of


@verb
@click.argument("what", metavar="URL|SERVICE/MEMBER")
@click.option("--connect", metavar="IP[:PORT]", help="Look there, with the url's Host and SNI.")
@click.option("--ca-file", type=click.Path(exists=True, dir_okay=False), help="The authority of its certificate.")
@click.option("--insecure", is_flag=True, help="Do not verify its certificate.")
@click.option("--timeout", "timeout_s", type=click.FloatRange(0.01, 60), default=3.0, show_default=True, metavar="SECONDS", help="For a url.")
def probe(options: Globals, what: str, connect: str | None, ca_file: str | None, insecure: bool, timeout_s: float) -> None:
    """One look at each page, verbose; 0 if every page that decides was good."""
    looks = asyncio.run(_look(options, what, connect, Tls(verify=not insecure, ca_file=ca_file), timeout_s))
    emit(options, {"looks": [{**asdict(look), "way": target.way} for target, look in looks]}, _told(looks))
    click.get_current_context().exit(OK if any(look.good for _, look in looks) else ERROR)


async def _look(options: Globals, what: str, connect: str | None, tls: Tls, timeout_s: float) -> list[tuple[Target, ProbeResult]]:
    engine = Engine(SystemClock())
    try:
        aims = _aims_of_url(what, engine, connect, tls, timeout_s) if "://" in what else _aims_of_member(options, what, engine)
        return [(target, await one.look(target)) for one, target in aims]
    finally:
        engine.close()


def _aims_of_url(url: str, engine: Engine, connect: str | None, tls: Tls, timeout_s: float) -> Iterable[tuple[Probe, Target]]:
    try:
        return aims_of(url, engine, connect=connect, tls=tls, timeout_s=timeout_s)
    except ValueError as error:
        raise Failure(USAGE, str(error)) from None


def _aims_of_member(options: Globals, what: str, engine: Engine) -> Iterable[tuple[Probe, Target]]:
    """As the configuration has it: its url, its certificate's rules, its timeout."""
    name, _, member = what.partition("/")
    config = _config(options)
    if name not in config.services:
        raise _unknown("service", name, config.services)
    built = config.services[name]
    if not member:
        raise Failure(USAGE, f"say which member: {', '.join(f'{name}/{one.name}' for one in built.settings.members)}")
    if member not in built.settings.names:
        raise _unknown("member", member, built.settings.names)
    one = probe_of(built.monitor, engine)
    return [(one, way) for target in targets_of(built, one.pages) if target.member == member for way in target.ways or (target,)]


def _config(options: Globals) -> Config:
    try:
        return read(options.config_path)
    except ConfigError as error:
        raise Failure(CONFIG_INVALID, str(error)) from None
    except OSError as error:
        raise Failure(USAGE, f"{options.config_path}: {error.strerror}; write a url, or name the configuration with -c") from None


def _unknown(kind: str, name: str, names: Iterable[str]) -> Failure:
    known = list(names)
    near = difflib.get_close_matches(name, known, 1, 0.5)
    return Failure(USAGE, f"no {kind} is called {name!r}" + (f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known[:20])}"))


def _told(looks: Iterable[tuple[Target, ProbeResult]]) -> Iterable[str]:
    for target, look in looks:
        first, *rest = describe(look, target.way)
        yield paint(clean(first), GOOD if look.good else BAD)
        yield from (clean(line) for line in rest)
