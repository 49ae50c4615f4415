"""`lbctl maintenance on|off|extend|list`: automatic moves off, measuring on, always with an end (H32)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any

import click

from lbctl.api.times import short
from lbctl.cli.client import Client
from lbctl.cli.complete import service_names
from lbctl.cli.failure import USAGE, Failure
from lbctl.cli.moves import many, reason_optional, reason_required
from lbctl.cli.options import Globals, global_options
from lbctl.cli.show import ATTENTION, clean, columns, day, emit, left, moment, paint
from lbctl.clock import SystemClock

services_argument = click.argument("services", metavar="SERVICE…", nargs=-1, shell_complete=service_names)
all_option = click.option("--all", "every", is_flag=True, help="Every service.")
for_option = click.option("--for", "length", metavar="2h", help="How long: 90m, 2h, 1d.")
until_option = click.option("--until", metavar="TIME", help="Until when: 18:30 (here, the next one), 2026-11-23T18:30, …Z.")


@click.group("maintenance")
@global_options
def maintenance(**_: Any) -> None:
    """Automatic moves off, with an end. Measuring goes on; what would have happened is recorded."""


def end(length: str | None, until: str | None) -> dict[str, str | None]:
    """Exactly one of --for and --until; a usage error otherwise."""
    if length and until:
        raise Failure(USAGE, "--for and --until are two ends: give one of them")
    if not length and not until:
        raise Failure(USAGE, "maintenance needs an end: --for 2h or --until 18:30")
    return {"for": length, "until": when(until) if until else None}


def when(text: str, now: datetime | None = None) -> str:
    """A local clock time (its next coming), a local date and time, or one with an offset, as the API takes it."""
    now = now or datetime.fromtimestamp(SystemClock().now(), UTC).astimezone()
    try:
        if len(text) <= 5:
            found = datetime.combine(now.date(), time.fromisoformat(text.zfill(5)), now.tzinfo)
            found += timedelta(days=1) if found <= now else timedelta()
        else:
            found = datetime.fromisoformat(text)
    except ValueError:
        raise Failure(USAGE, f"{text!r} is not a time: write 18:30, 2026-11-23T18:30 or 2026-11-23T18:30:00Z") from None
    return found.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@maintenance.command("on")
@global_options
@services_argument
@all_option
@for_option
@until_option
@click.option("--from", "begin", metavar="TIME", help="When it begins; now by default.")
@reason_required
@click.pass_obj
def on(options: Globals, services: tuple[str, ...], every: bool, length: str | None, until: str | None, begin: str | None, reason: str) -> None:
    """Begin it, now or later."""
    body = {"action": "on", **end(length, until), "from": when(begin) if begin else None, "reason": reason}
    many(options, "maintenance", services, every, body, said)


@maintenance.command("off")
@global_options
@services_argument
@all_option
@reason_optional
@click.pass_obj
def off(options: Globals, services: tuple[str, ...], every: bool, reason: str | None) -> None:
    """End it; the service is armed again after clean rounds."""
    many(options, "maintenance", services, every, {"action": "off", "reason": reason})


@maintenance.command("extend")
@global_options
@services_argument
@all_option
@for_option
@until_option
@reason_optional
@click.pass_obj
def extend(options: Globals, services: tuple[str, ...], every: bool, length: str | None, until: str | None, reason: str | None) -> None:
    """A later end: --for counts from now."""
    many(options, "maintenance", services, every, {"action": "extend", **end(length, until), "reason": reason}, said)


@maintenance.command("list")
@global_options
@click.pass_obj
def list_(options: Globals) -> None:
    """All that is on or planned."""
    client = Client(options)
    known = client.get("services", brief="true")["services"]
    found = [{"service": shown["name"], **shown["maintenance"]} for shown in known if shown["maintenance"]["until"]]
    rows = [(entry["service"], *span(entry, client.now), entry["by"], clean(entry["reason"])) for entry in found]
    emit(options, {"maintenance": found}, columns(rows, head=("SERVICE", "IS", "UNTIL", "BY", "REASON")) if rows else ["no maintenance"])


def span(entry: Mapping[str, Any], now: float) -> tuple[str, str]:
    """Whether it is on, or when it begins; and its end. The date where it is not today's."""
    if entry["on"]:
        return paint("on", ATTENTION), left(entry["until"], now)
    begin = moment(entry["since"]) or now
    return f"from {day(entry['since'], now)} (in {short(begin - now)})", day(entry["until"], now)


def said(answer: Mapping[str, Any], now: float) -> str:
    """What follows the answer: from when until when it is."""
    entry = answer["service"]["maintenance"]
    if not entry["until"]:
        return ""
    begin, end = span(entry, now)
    return f"  until {end}" if entry["on"] else f"  {begin} until {end}"


