"""`lbctl status`: one line a service, or everything about one; live with --watch; for Nagios with --exit-code."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from lbctl.cli.client import Client
from lbctl.cli.complete import service_names
from lbctl.cli.failure import Failure
from lbctl.cli.options import Globals, verb
from lbctl.cli.service import sheet
from lbctl.cli.show import ATTENTION, BAD, GOOD, MARKS, QUIET, STRONG, clean, columns, cut, emit, left, level, paint

NAGIOS = {GOOD: (0, "OK"), ATTENTION: (1, "WARNING"), BAD: (2, "CRITICAL")}
REFRESH_S = 1.0

Shown = Mapping[str, Any]


@verb
@click.argument("service", required=False, shell_complete=service_names)
@click.option("-w", "--watch", is_flag=True, help="Stay and repaint, until Ctrl-C.")
@click.option("--exit-code", is_flag=True, help="End with 0 OK, 1 warning, 2 critical, 3 unknown, as monitoring plugins do.")
def status(options: Globals, service: str | None, watch: bool, exit_code: bool) -> None:
    """One line a service; with a name: members, gate, actuators."""
    try:
        client = Client(options)
        if watch:
            _watch(client, service)
            return
        found = _ask(client, service, whole=options.output != "table")
    except Failure as failure:
        if not exit_code:
            raise
        click.echo(f"UNKNOWN: {failure.message}")
        sys.exit(3)
    services = [found] if service else found["services"]
    if exit_code and options.output == "table":
        click.echo(verdict(services))
    emit(options, found, lines(services, client.now, one=service is not None))
    if exit_code:
        sys.exit(max((NAGIOS[level(shown)][0] for shown in services), default=3))


def _ask(client: Client, service: str | None, *, whole: bool = False) -> Any:
    return client.get("services", service) if service else client.get("services", brief=None if whole else "true")


def lines(services: Sequence[Shown], now: float, *, one: bool) -> list[str]:
    """The table, or one service's sheet."""
    if one:
        return list(sheet(services[0], now))
    if not services:
        return ["no services are configured"]
    return columns([line(shown, now) for shown in services], head=("", "SERVICE", "STATE", "TRAFFIC TO", "MEMBERS", "ATTENTION"))


def line(shown: Shown, now: float) -> tuple[str, ...]:
    """One service in one line, the serious first to be seen."""
    seriousness = level(shown)
    traffic = ", ".join(shown.get("answering") or [shown["active"] or "nobody"])
    members = ", ".join(says(member) for member in shown["members"])
    return (paint(MARKS[seriousness], seriousness), paint(shown["name"], STRONG), paint(shown["state"], seriousness), traffic, members,
            "; ".join(attention(shown, now)))


def says(member: Mapping[str, Any]) -> str:
    """A member in two words: its name and what its page says, or why it fails."""
    failed = member["verdict"] in ("failed", "unknown")
    word = member["reason"] if failed else member["verdict"]
    return f"{member['name']} {paint(word, BAD if failed else QUIET)}"


def attention(shown: Shown, now: float) -> Iterator[str]:
    """What is not as it should be for ever."""
    span, held = shown["maintenance"], shown["held"]
    if span["on"]:
        yield f"maintenance until {left(span['until'], now)} by {span['by']}"
    elif span["until"]:
        yield f"maintenance planned by {span['by']}"
    if held:
        yield f"held by {held['by']}"
    if shown["automation"] != "on":
        yield f"automation: {shown['automation']}"
    if shown["locked_out_until"]:
        yield f"locked out until {left(shown['locked_out_until'], now)}"
    if shown["resume_pending"]:
        yield "resume pending"
    if shown["approvals"]:
        yield "waiting for approval: " + ", ".join(str(entry["id"]) for entry in shown["approvals"])
    if any(not actuator["in_sync"] for actuator in shown["actuators"]):
        yield "not published everywhere"
    yield from (entry["kind"] for entry in shown.get("alerts", ()) if entry["kind"] != "ApprovalPending")


def verdict(services: Sequence[Shown]) -> str:
    """One line for a monitoring plugin: the worst first."""
    if not services:
        return "UNKNOWN: no services"
    ranked = sorted(services, key=lambda shown: -NAGIOS[level(shown)][0])
    word = NAGIOS[level(ranked[0])][1]
    noted = [shown for shown in ranked if level(shown) != GOOD] or ranked
    told = ", ".join(f"{shown['name']} {shown['state']}, traffic to {shown['active'] or 'nobody'}" for shown in noted[:5])
    return f"{word}: {told}" + (f" and {len(noted) - 5} more" if len(noted) > 5 else "")


def _watch(client: Client, service: str | None) -> None:
    """Repaints in place on a terminal; elsewhere prints one picture after another."""
    import asyncio

    from lbctl.clock import SystemClock

    terminal = sys.stdout.isatty()
    clock = SystemClock()
    if terminal:
        sys.stdout.write("\x1b[?1049h\x1b[?25l")
    try:
        while True:
            _paint(_picture(client, service), terminal)
            asyncio.run(clock.sleep(REFRESH_S))
    except KeyboardInterrupt:
        pass
    finally:
        if terminal:
            sys.stdout.write("\x1b[?25h\x1b[?1049l")
            sys.stdout.flush()


def _picture(client: Client, service: str | None) -> list[str]:
    """A controller that is away for a moment is said so, and asked again."""
    try:
        found = _ask(client, service)
    except Failure as failure:
        if failure.exit_code != 1:
            raise
        return [paint(f"X {clean(failure.message)}", BAD)]
    return lines([found] if service else found["services"], client.now, one=service is not None)


def _paint(picture: list[str], terminal: bool) -> None:
    if not terminal:
        click.echo("\n".join(picture) + "\n")
        return
    width, rows = os.get_terminal_size(sys.stdout.fileno())
    head = paint("lbctl status, live; Ctrl-C ends it", QUIET)
    shown = [head, *picture][: max(rows - 1, 1)]
    sys.stdout.write("\x1b[H" + "".join(f"{cut(row, width)}\x1b[0m\x1b[K\n" for row in shown) + "\x1b[J")
    sys.stdout.flush()
