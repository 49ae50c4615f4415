"""What `lbctl check` prints: all problems, or the audit. One object for both forms: `checked()` makes it, `lines()` writes it for people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from lbctl.config.audit import Audit, Finding, ServiceAudit, Severity
from lbctl.config.build import build
from lbctl.config.drift import drift
from lbctl.config.load import load
from lbctl.config.practices import audit
from lbctl.errors import ConfigError, Problem
from lbctl.model.commands import Code
from lbctl.policy.budget import Budget, Fault, spell

MARKS = {Severity.ERROR: "ERROR", Severity.WARNING: "warning", Severity.NOTE: "note"}
COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "blue"}


class Checked:
    """The outcome of one check. `code` is the exit code (0, or 7), `audit` None where the file is not valid."""

    def __init__(self, file: Path, problems: list[Problem], found: Audit | None) -> None:
        self.file = file
        self.problems = problems
        self.audit = found

    @property
    def code(self) -> Code:
        return Code.DONE if self.audit and self.audit.holds else Code.CONFIG_INVALID

    def object(self) -> dict[str, Any]:
        """The same for machines."""
        found = self.audit
        first = found.change_first if found else None
        made: dict[str, Any] = {
            "file": str(self.file), "valid": self.code is Code.DONE,
            "problems": [asdict(problem) for problem in self.problems],
            "services": [_service_object(row) for row in found.services] if found else [],
            "load": asdict(found.load) if found else None,
            "findings": [asdict(finding) for finding in found.findings] if found else [],
            "change_first": asdict(first) if first else None,
        }
        plain: dict[str, Any] = json.loads(json.dumps(made))  # words of enumerations become plain texts, for YAML too
        return plain


def checked(file: Path, environ: Mapping[str, str] | None = None) -> Checked:
    """Validates a file and judges it; never raises for what stands in it."""
    try:
        config = build(load(file, environ))
    except ConfigError as error:
        return Checked(file, error.problems, None)
    found = audit(config)
    return Checked(file, [], replace(found, findings=(*found.findings, *drift(config))))


def _service_object(row: ServiceAudit) -> dict[str, Any]:
    return {
        "name": row.name, "kind": row.kind, "profile": row.profile, "patience_s": row.patience_s,
        "budget": [
            asdict(one) | {"move_s": one.move_s, "total_s": one.total_s, "sentence": one.sentence} for one in row.budgets
        ],
        "promotion_race": [_finite(asdict(race)) for race in row.races],
        "layers": [asdict(layers) for layers in row.layers],
    }


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    """JSON has no infinity: never is null."""
    return {key: None if value == float("inf") else value for key, value in row.items()}


def lines(result: Checked) -> Iterator[tuple[str, str]]:
    """The text for people, as (line, colour)."""
    if result.audit is None:
        yield from ((str(problem), "") for problem in result.problems)
        count = len(result.problems)
        yield f"{count} problem{'s' if count != 1 else ''}: the configuration is not valid", "red"
        return
    found = result.audit
    count = len(found.services)
    yield f"{result.file}: valid, {count} service{'s' if count != 1 else ''}", "green"
    yield "", ""
    yield from _timing(found)
    yield "", ""
    yield f"probes   {found.load.sentence}", ""
    yield from _races(found)
    yield from _findings(found)
    if first := found.change_first:
        yield "", ""
        yield f"The one setting to change: {first.advice}", "bold"


def _timing(found: Audit) -> Iterator[tuple[str, str]]:
    """Worst case from the fault to the last cache; services that share their figures share the table."""
    groups: dict[tuple[Any, ...], list[ServiceAudit]] = {}
    for row in found.services:
        groups.setdefault((row.kind, row.profile, row.patience_s, row.budgets), []).append(row)
    for rows in groups.values():
        row = rows[0]
        yield f"{_names([one.name for one in rows])}: worst case from the fault on (profile {row.profile})", "bold"
        yield f"  {'':20}{'noticed':>12}{'decided':>12}{'answers changed':>18}{'caches too':>14}", ""
        yield from ((_budget(one), "") for one in row.budgets)
        if row.kind == "failover":
            yield f"  {_patience(row)}", ""


def _budget(one: Budget) -> str:
    decided = spell(one.detect_s + one.decide_s)
    return f"  {one.fault.value:20}{spell(one.detect_s):>12}{decided:>12}{spell(one.move_s):>18}{spell(one.total_s):>14}"


def _patience(row: ServiceAudit) -> str:
    blips = [blip for blip in (1, 3, 10) if blip >= row.patience_s]
    slow = next(one for one in row.budgets if one.fault is Fault.WRONG)
    if not blips:
        return f"costs: up to {spell(slow.move_s)} on the dead member; risks: little, an outage shorter than {spell(row.patience_s)} moves nothing"
    shorter = ", ".join(f"{blip} s" for blip in blips)
    return f"costs: little, {spell(slow.move_s)} at most; risks: a blip of {shorter} may move traffic (shorter than {spell(row.patience_s)}: never)"


def _races(found: Audit) -> Iterator[tuple[str, str]]:
    shown = [(row.name, race.sentence) for row in found.services for race in row.races]
    for name, sentence in shown[:5]:
        yield f"race     {name}: {sentence}", ""
    if len(shown) > 5:
        yield f"         and {len(shown) - 5} more (-o json has all)", ""


def _findings(found: Audit) -> Iterator[tuple[str, str]]:
    """Each rule once for each severity, with the services it is true of."""
    groups: dict[tuple[Severity, str, str], list[Finding]] = {}
    for finding in found.findings:
        shape = finding.text if not finding.service else finding.rule
        groups.setdefault((finding.severity, finding.rule, shape), []).append(finding)
    if groups:
        yield "", ""
    for (severity, rule, _), rows in sorted(groups.items(), key=lambda item: list(Severity).index(item[0][0])):
        first = rows[0]
        services = list(dict.fromkeys(row.service for row in rows if row.service))
        subject = f"{services[0]}: " if services else ""
        more = f" (and {len(services) - 1} more services)" if len(services) > 1 else ""
        yield f"{MARKS[severity]:8} {subject}{first.text}{more} [{rule}]", COLOURS[severity]
        if first.advice:
            yield f"{'':9}-> {first.advice}", ""


def _names(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
