"""The auditor: what a valid configuration comes to, and what somebody who has been woken at night would change in it.

Errors are what must not run (H12, H23); warnings are the guide's and experience's best practices; notes are what is worth knowing. All rows
stand in `practices.PRACTICES`, in the order of their weight, so that *the one setting to change* is the first advice of the worst finding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from lbctl.config.tree import BuiltActuator, BuiltService, Config
from lbctl.model.settings import Heartbeat, ServiceSettings
from lbctl.policy import budget
from lbctl.policy.budget import Budget, Layers, Load, Race

PUBLISH_S: Mapping[str, float] = MappingProxyType({"authoritative": 0.01, "vip": 0.2, "haproxy": 1.0})
"""The longest that one write takes where all is well; other kinds have a deadline of their own."""


class Severity(StrEnum):
    """What a finding asks for: an error refuses, a warning advises, a note tells."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One row of the audit. `rule` is a fixed word; `advice` the setting to change, empty where there is none."""

    severity: Severity
    rule: str
    service: str
    text: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class ServiceAudit:
    """The figures of one service. `patience_s`: an outage shorter than this never moves traffic."""

    name: str
    kind: str
    profile: str
    patience_s: float
    budgets: tuple[Budget, ...]
    races: tuple[Race, ...]
    layers: tuple[Layers, ...]


@dataclass(frozen=True, slots=True)
class Audit:
    """Everything that `lbctl check` says of a valid configuration."""

    services: tuple[ServiceAudit, ...]
    load: Load
    findings: tuple[Finding, ...]

    @property
    def holds(self) -> bool:
        """No finding that must not run."""
        return all(finding.severity is not Severity.ERROR for finding in self.findings)

    @property
    def change_first(self) -> Finding | None:
        """The one setting to change; None where nothing is worth it."""
        weights = {Severity.ERROR: 0, Severity.WARNING: 1}
        open_ones = [finding for finding in self.findings if finding.advice and finding.severity in weights]
        return min(open_ones, key=lambda finding: weights[finding.severity], default=None)


def figures(config: Config) -> tuple[ServiceAudit, ...]:
    """The timing of every service."""
    inner = inner_moves(config)
    return tuple(_figures(service, inner) for service in config.services.values())


def _figures(service: BuiltService, inner: Mapping[str, tuple[str, float]]) -> ServiceAudit:
    settings = service.settings
    probe = settings.member(settings.primary).probe
    races: tuple[Race, ...] = ()
    if settings.kind == "failover" and settings.monitor.modes:
        races = tuple(
            budget.race(settings, name, Heartbeat(beat.interval_s, beat.failures, beat.recheck_s, beat.promotes))
            for name, beat in service.heartbeats.items() if name != settings.primary
        )
    return ServiceAudit(
        settings.name, settings.kind, probe.profile, budget.earliest_s(probe),
        budget.budgets(settings, [publication(actuator) for actuator in service.actuators]), races, _layers(service, inner),
    )


def publication(actuator: BuiltActuator) -> budget.Publication:
    """An actuator as the budget sees it."""
    takes_s = PUBLISH_S.get(actuator.kind, float(actuator.settings.get("timeout_s", 1.0)))
    if actuator.settings.get("agents") and not actuator.settings.get("forward"):
        takes_s += float(actuator.settings["lease_s"])  # a host that is gone is waited for as long as the address may be lent to it
    return budget.Publication(actuator.id, takes_s, actuator.ttl_s)


def inner_moves(config: Config) -> dict[str, tuple[str, float]]:
    """Virtual address -> the service that moves it and how long its own failover takes."""
    found: dict[str, tuple[str, float]] = {}
    for name, service in config.services.items():
        for actuator in service.actuators:
            if actuator.kind == "vip":
                rows = budget.budgets(service.settings, [publication(actuator)])
                found[str(actuator.settings["address"]).split("/")[0]] = (name, max(row.move_s for row in rows))
    return found


def _layers(service: BuiltService, inner: Mapping[str, tuple[str, float]]) -> tuple[Layers, ...]:
    """The layers below this service: sites that tell how long they take, and services of the same file whose address is a member here."""
    settings = service.settings
    rows = [budget.layers(settings, time, name) for name, time in _below(settings, inner)]
    if service.monitor.inner_failover_s is not None:
        rows.append(budget.layers(settings, service.monitor.inner_failover_s, "the site's own lbctl"))
    return tuple(rows)


def _below(settings: ServiceSettings, inner: Mapping[str, tuple[str, float]]) -> list[tuple[str, float]]:
    addresses = {address for member in settings.members for view in member.address.values() for address in view}
    return [found for address, found in inner.items() if address in addresses and found[0] != settings.name]


def total_load(config: Config) -> Load:
    """All looks of this controller."""
    return budget.load(
        (member.probe, len(service.settings.monitor.pages), service.targets[member.name].url.startswith("https:"))
        for service in config.services.values() for member in service.settings.members
        for _ in range(service.targets[member.name].looks)
    )
