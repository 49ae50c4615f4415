"""`lbctl replay`: recorded history decided again under other settings, with a plain answer."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import click

from lbctl.api.times import iso
from lbctl.cli.audit import pages
from lbctl.cli.client import Client
from lbctl.cli.complete import service_names
from lbctl.cli.failure import USAGE, Failure
from lbctl.cli.options import DEFAULT_CONFIG, Globals, verb
from lbctl.cli.show import STRONG, emit, moment, paint
from lbctl.cli.terminal import Progress
from lbctl.config import read
from lbctl.config.quantities import seconds
from lbctl.model.decision import Step
from lbctl.model.settings import ProbeSettings, ServiceSettings
from lbctl.replay import Replayed, compare
from lbctl.replay import replay as decide_again


@verb
@click.argument("service", required=False, shell_complete=service_names)
@click.option("--since", metavar="TIME", help="Only from then on: 2026-11-01T00:00Z.")
@click.option("--set", "changes", metavar="KEY=VALUE", multiple=True, help="fall=2, min_outage=10s, lockout=1h …; may be repeated.")
@click.option("--with", "other", type=click.Path(exists=True), help="Another configuration to decide by.")
@click.option("--journal", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="History from this file (`lbctl audit export`) instead of from the controller.")
def replay(options: Globals, service: str | None, since: str | None, changes: tuple[str, ...], other: str | None, file: Path | None) -> None:
    """Decide recorded history again under other settings: those of --set, or of another configuration (--with NEW, or -c NEW after the verb)."""
    if other is None and (options.config_before or not changes):
        options, other = _newer(options)
    config = read(options.config_path)
    new = read(Path(other)) if other else config
    names = [service] if service else [name for name in config.services if name in new.services]
    begin = instant(since)
    recorded = exported(file, frozenset(names)) if file is not None else None
    found = []
    for name in names:
        if name not in config.services or name not in new.services:
            raise Failure(USAGE, f"there is no service {name!r} in both configurations")
        known = history(Client(options), name) if recorded is None else [line for line in recorded if line.service == name]
        lines = [line for line in known if line.at >= begin]
        old, changed = config.services[name].settings, changed_by(new.services[name].settings, changes)
        found.append(answer(name, lines, _again(name, "as configured", old, lines), _again(name, "with the change", changed, lines)))
    emit(options, {"services": found}, (line for one in found for line in told(one, changes, other)))


def _again(name: str, how: str, settings: ServiceSettings, lines: list[Step]) -> Replayed:
    """A year in a busy journal takes minutes."""
    progress = Progress(f"deciding {name} again {how},")
    found = decide_again(settings, lines, progress.at)
    progress.over()
    return found


def _newer(options: Globals) -> tuple[Globals, str]:
    """`replay -c NEW`: the file after the verb is the one to decide by, beside the one that was named before it or is there by default."""
    running = options.config_before or os.environ.get("LBCTL_CONFIG") or DEFAULT_CONFIG
    if not options.config or Path(options.config) == Path(running) or not Path(running).exists():
        raise Failure(USAGE, "say what should be different: --set fall=2, or another configuration: lbctl -c RUNNING.yaml replay -c NEW.yaml")
    return replace(options, config=running), options.config


def instant(text: str | None) -> float:
    """A time without an offset is meant here."""
    try:
        return moment(text) or 0.0
    except ValueError:
        raise Failure(USAGE, f"--since: {text!r} is not a time: write 2026-11-01 or 2026-11-01T18:30Z") from None


def exported(file: Path, names: frozenset[str]) -> list[Step]:
    """The lines of an exported journal that are about one of these services."""
    try:
        # Line by line: the journal of a thousand services is not held for the sake of one.
        with file.open(encoding="utf-8") as lines:
            return [step(line) for line in map(json.loads, lines) if line["service"] in names]
    except (ValueError, KeyError, TypeError):
        raise Failure(USAGE, f"{file}: this is no exported journal; `lbctl audit export --to FILE` makes one") from None


def step(line: Mapping[str, Any]) -> Step:
    """A line of the journal as the API tells it."""
    at = moment(line["at"]) or 0.0
    return Step(at, line["service"], line["kind"], line["text"], line["by"], line["epoch"], line["revision"], line["data"], line["seq"])


def history(client: Client, name: str) -> Iterator[Step]:
    """The service's journal, page by page."""
    return (step(line) for page in pages(client, name, 0) for line in page["events"])


def changed_by(settings: ServiceSettings, changes: tuple[str, ...]) -> ServiceSettings:
    """The settings with `--set` applied: a probe's key to every member, another one to the service."""
    for change in changes:
        key, eq, text = change.partition("=")
        probe = next((f for f in fields(ProbeSettings) if f.name in (key, f"{key}_s")), None)
        own = next((f for f in fields(ServiceSettings) if f.name in (key, f"{key}_s")), None)
        target = probe or own
        if not eq or target is None or target.name in ("name", "members", "monitor", "actuators", "profile", "connection"):
            raise Failure(USAGE, f"{change!r}: KEY=VALUE with a key of a probe or a service, such as fall=2 or lockout=1h")
        value = _value(target.name, str(target.type), text, change)
        if probe is not None:
            members = tuple(replace(m, probe=replace(m.probe, **{target.name: value})) for m in settings.members)
            settings = replace(settings, members=members)
        else:
            settings = replace(settings, **{target.name: value})
    return settings


def _value(name: str, kind: str, text: str, change: str) -> Any:
    try:
        if name.endswith("_s"):
            return seconds(text)
        return {"int": int, "float": float}.get(kind, str)(text)
    except ValueError as error:
        words = f"expected a whole number, not {text!r}" if kind == "int" else str(error)
        raise Failure(USAGE, f"{change!r}: {words}") from None


def answer(name: str, lines: list[Step], old: Replayed, new: Replayed) -> dict[str, Any]:
    """One service's object."""
    recorded = sum(line.kind == "moved" for line in lines)
    listed = [{"at": iso(m.at), "from": m.source, "to": m.target, "trigger": m.trigger, "recovered_s": m.recovered_s} for m in new.moves]
    return {"service": name, "lines": len(lines), "looks": new.looks, "recorded_moves": recorded, "as_configured_moves": len(old.moves),
            "moves": listed, "would": new.would, "asked": new.asked, "answer": compare(old, new)}


def told(found: dict[str, Any], changes: tuple[str, ...], other: str | None) -> Iterator[str]:
    """A plain answer, then the moves."""
    what = ", ".join(changes) or other
    yield f"{paint(found['service'], STRONG)}: with `{what}`: {found['answer']}."
    yield (f"  {found['lines']} journal lines, {found['looks']} looks; recorded {_moves(found['recorded_moves'])}, replayed as configured "
           f"{found['as_configured_moves']}, with the change {len(found['moves'])}" + (f" and {found['would']} held back" if found["would"] else ""))
    for move in found["moves"]:
        again = "" if move["recovered_s"] is None else f"; {move['from']} was well again {move['recovered_s']:.0f} s later"
        yield f"  {move['at']}  {move['from']} -> {move['to']} ({move['trigger']}){again}"


def _moves(number: int) -> str:
    return "one move" if number == 1 else f"{number} moves"
