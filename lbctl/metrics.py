"""/metrics: every series of the contract (section 5) from the first scrape on, so that `increase()` sees the first event.

Text is written directly: at ten thousand members a scrape is some hundred thousand lines, and a library's objects for each would hold up the
looks. For the same reason rendering lets the loop go after each `TURN` services. Labels come from the configuration and from fixed lists, never
from what a server says (H54). Above `MEMBERS_MAX` members the per-reason and per-rule series appear on first use, and stay.

What is not known is 0 for a timestamp (`> 0` in a rule leaves it out) and NaN for a measured length (no comparison with it holds).
"""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

from lbctl import __version__
from lbctl.clock import Clock
from lbctl.controller.counts import BUCKETS_S, Counts, Histogram
from lbctl.model.looks import ProbeResult, Reason, Verdict
from lbctl.policy import gate
from lbctl.policy.case import Case
from lbctl.policy.conditions import STATES, alerts, conditions
from lbctl.probes.describe import PHASES

MEMBERS_MAX = 500
TURN = 50
TRIGGERS = ("auto", "operator", "adopt")
REASONS = tuple(reason.value for reason in Reason if reason is not Reason.OK)
ACTUATOR_REASONS = ("drift", "internal", "superseded", "timeout", "unread", "unverified")
"""Reasons that every actuator can have; those of one kind join on first use, out of that kind's own list."""

ALERTS = (
    "TrafficOnUnpromoted", "OldPrimaryReturned", "RunFailed", "NoEligibleStandby", "Rogue", "StandbyDown", "UnknownMode", "SelfPromotedNotAdopted",
    "RolesSwappedOutside", "ApprovalPending", "MaintenanceEnding", "NotArmed", "HeldLong", "MassMoveHeld", "NotSaved",
)
"""The words of `policy.conditions.alerts`."""

GAUGE, COUNTER, HISTOGRAM = "gauge", "counter", "histogram"
FAMILIES: Mapping[str, tuple[str, str]] = {
    "lbctl_active": (GAUGE, "1 for the member that traffic is sent to."),
    "lbctl_service_state": (GAUGE, "1 for the state that the service is in."),
    "lbctl_alert": (GAUGE, "1 while lbctl itself says so; the words of explain and of notices."),
    "lbctl_member_verdict": (GAUGE, "1 for what the member's decisive page says."),
    "lbctl_failovers_total": (COUNTER, "Moves of traffic."),
    "lbctl_would_failover_total": (COUNTER, "Automatic moves that maintenance, a hold or automation: observe kept from happening."),
    "lbctl_gate_open": (GAUGE, "1 where every rule for an automatic move to this member holds."),
    "lbctl_gate_blocked": (GAUGE, "1 for a rule that keeps traffic from moving to this member."),
    "lbctl_resume_pending": (GAUGE, "1 while the primary waits for an operator's resume."),
    "lbctl_maintenance": (GAUGE, "1 while automatic moves are off."),
    "lbctl_maintenance_expires_timestamp_seconds": (GAUGE, "When maintenance ends; 0 without one."),
    "lbctl_probe_success": (GAUGE, "1 if the last look at this page was good."),
    "lbctl_probe_duration_seconds": (GAUGE, "Of the last look, by phase."),
    "lbctl_probe_failures_total": (COUNTER, "Failed looks by reason."),
    "lbctl_probe_last_run_timestamp_seconds": (GAUGE, "End of the last look; 0 before the first."),
    "lbctl_tls_not_after_timestamp_seconds": (GAUGE, "End of the member's certificate, also when it does not verify; 0 where there is none."),
    "lbctl_member_clock_skew_seconds": (GAUGE, "The member's clock against ours; NaN where not known."),
    "lbctl_replica_staleness_seconds": (GAUGE, "Age of the member's last sync; NaN where not known."),
    "lbctl_actuator_epoch": (GAUGE, "Epoch wanted, applied and verified."),
    "lbctl_actuator_errors_total": (COUNTER, "Attempts of an actuator that failed, by reason."),
    "lbctl_convergence_seconds": (HISTOGRAM, "From the decision to the last verified place."),
    "lbctl_stage_seconds": (HISTOGRAM, "Stages of moves: decide, save, apply, verify."),
    "lbctl_looks_total": (COUNTER, "Looks by how they ended."),
    "lbctl_dropped_total": (COUNTER, "What a full queue let go of."),
    "lbctl_leader": (GAUGE, "1 on the lbctl that decides."),
    "lbctl_store_up": (GAUGE, "1 while state can be saved."),
    "lbctl_event_loop_lag_seconds": (GAUGE, "How late the event loop is."),
    "lbctl_config_last_reload_successful": (GAUGE, "1 if the last reading of the configuration was taken."),
    "lbctl_build_info": (GAUGE, "Which lbctl this is."),
}

Lines = dict[str, list[str]]


class Source(Protocol):
    """What is read on each scrape (`controller.Controller`)."""

    counts: Counts

    def cases(self) -> Iterable[Case]:
        """Every service with its settings, state and surroundings now."""
        ...

    def health(self) -> Mapping[str, object]:
        """Of lbctl itself."""
        ...


def labels(**pairs: str) -> str:
    """`{a="b"}` with what the text format wants escaped. A trailing underscore keeps Python's keywords apart."""
    escaped = (f'{name.rstrip("_")}="{_escape(value)}"' for name, value in pairs.items())
    return "{" + ",".join(escaped) + "}"


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n") if not text.isalnum() else text


class Metrics:
    """Renders /metrics. `config_ok` tells whether the last reload was taken."""

    def __init__(self, source: Source, clock: Clock, config_ok: Callable[[], bool]) -> None:
        self._source = source
        self._clock = clock
        self._config_ok = config_ok
        self._seen: set[str] = set()
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)

    async def render(self) -> bytes:
        """The whole text. Lets other work go on between services."""
        lines: Lines = {name: [] for name in FAMILIES}
        cases = list(self._source.cases())
        full = sum(len(case.settings.members) for case in cases) <= MEMBERS_MAX
        for number, case in enumerate(cases):
            _service(lines, case)
            self._counted(lines, case, full=full)
            for name in case.settings.names:
                _member(lines, case, name)
                self._gate(lines, case, name, full=full)
            if number % TURN == TURN - 1:
                await self._clock.sleep(0)
        self._whole(lines, cases)
        return _text(lines).encode() + generate_latest(self._process)

    def _first_use(self, series: str, value: float, *, full: bool) -> bool:
        """Whether a bounded but many-valued series is shown."""
        if full or series in self._seen:
            return True
        if value:
            self._seen.add(series)
        return bool(value)

    def _gate(self, lines: Lines, case: Case, name: str, *, full: bool) -> None:
        if case.settings.kind == "pool":
            return
        shut = gate.failing(case, name) if name != case.active else frozenset()
        lines["lbctl_gate_open"].append(f"{labels(service=case.settings.name, member=name)} {int(not shut and name != case.active)}")
        for rule in gate.NAMES:
            series = labels(service=case.settings.name, member=name, rule=rule)
            if self._first_use(series, rule in shut, full=full):
                lines["lbctl_gate_blocked"].append(f"{series} {int(rule in shut)}")

    def _counted(self, lines: Lines, case: Case, *, full: bool) -> None:
        counts, service, names = self._source.counts, case.settings.name, case.settings.names
        lines["lbctl_would_failover_total"].append(f"{labels(service=service)} {counts.would_failover[service]}")
        for source in names if case.settings.kind != "pool" else ():
            for target in names:
                for trigger in TRIGGERS if source != target else ():
                    series = labels(service=service, from_=source, to=target, trigger=trigger)
                    lines["lbctl_failovers_total"].append(f"{series} {counts.failovers[service, source, target, trigger]}")
        for member in names:
            for page in case.settings.monitor.pages:
                for reason in REASONS:
                    value = counts.probe_failures[service, member, page, reason]
                    series = labels(service=service, member=member, monitor=page, reason=reason)
                    if self._first_use(series, value, full=full):
                        lines["lbctl_probe_failures_total"].append(f"{series} {value}")
        lines["lbctl_convergence_seconds"] += _histogram(counts.convergence.get(service), service=service)

    def _whole(self, lines: Lines, cases: Iterable[Case]) -> None:
        """What is of lbctl and not of a service."""
        counts, health = self._source.counts, self._source.health()
        actuators = {actuator for case in cases for actuator in case.settings.actuators}
        known = {(actuator, reason) for actuator in actuators for reason in ACTUATOR_REASONS} | set(counts.actuator_errors)
        lines["lbctl_actuator_errors_total"] = [f"{labels(actuator=a, reason=r)} {counts.actuator_errors[a, r]}" for a, r in sorted(known)]
        for stage in ("decide", "save", "apply", "verify"):
            lines["lbctl_stage_seconds"] += _histogram(counts.stages.get(stage), stage=stage)
        lines["lbctl_looks_total"] = [f"{labels(result=result)} {counts.looks[result]}" for result in ("good", "bad", "void")]
        dropped = {"inbox": 0, "journal": 0, **counts.dropped}
        lines["lbctl_dropped_total"] = [f"{labels(what=what)} {value}" for what, value in sorted(dropped.items())]
        lines["lbctl_leader"].append(f" {int(bool(health['leader']))}")
        lines["lbctl_store_up"].append(f" {int(bool(health['store_up']))}")
        lines["lbctl_event_loop_lag_seconds"].append(f" {health['loop_lag_s']}")
        lines["lbctl_config_last_reload_successful"].append(f" {int(self._config_ok())}")
        lines["lbctl_build_info"].append(f"{labels(version=__version__, python=platform.python_version())} 1")


def _service(lines: Lines, case: Case) -> None:
    """One service's levels."""
    saved, name, state = case.saved, case.settings.name, conditions(case)[0]
    only = labels(service=name)
    for known in STATES:
        lines["lbctl_service_state"].append(f"{labels(service=name, state=known)} {int(known == state)}")
    told = {kind for kind, _, _ in alerts(case)}
    for kind in (*ALERTS, *sorted(told.difference(ALERTS))):
        lines["lbctl_alert"].append(f"{labels(service=name, alert=kind)} {int(kind in told)}")
    pending = bool(saved.active) and saved.active != saved.primary and saved.primary in saved.latched
    lines["lbctl_resume_pending"].append(f"{only} {int(pending)}")
    lines["lbctl_maintenance"].append(f"{only} {int(case.in_maintenance())}")
    lines["lbctl_maintenance_expires_timestamp_seconds"].append(f"{only} {saved.maintenance.until if saved.maintenance else 0}")
    for actuator in case.settings.actuators:
        ledger = case.state.actuators.get(actuator)
        epochs = {"wanted": saved.epoch, "applied": ledger.applied if ledger else 0, "verified": ledger.verified if ledger else 0}
        for kind, epoch in epochs.items():
            lines["lbctl_actuator_epoch"].append(f"{labels(service=name, actuator=actuator, kind=kind)} {epoch}")


def _member(lines: Lines, case: Case, name: str) -> None:
    """One member's levels, out of its pages' last looks."""
    service, judged, sight = case.settings.name, case.judged(name).last, case.sight(name)
    both = labels(service=service, member=name)
    answering = case.saved.answering if case.settings.kind == "pool" else (case.active,)
    lines["lbctl_active"].append(f"{both} {int(name in answering)}")
    says = judged.verdict if judged is not None else Verdict.UNKNOWN
    for verdict in Verdict:
        lines["lbctl_member_verdict"].append(f"{labels(service=service, member=name, verdict=verdict)} {int(verdict is says)}")
    looks = {page: case.page(name, page).last for page in case.settings.monitor.pages}
    for page, look in looks.items():
        _page(lines, labels(service=service, member=name, monitor=page), look)
    ends = next((look.not_after for look in looks.values() if look is not None and look.not_after is not None), 0)
    skew = next((look.skew_s for look in looks.values() if look is not None and look.skew_s is not None), math.nan)
    stale = case.now - sight.sync_started if sight.sync_started is not None else math.nan
    lines["lbctl_tls_not_after_timestamp_seconds"].append(f"{both} {ends}")
    lines["lbctl_member_clock_skew_seconds"].append(f"{both} {_number(skew)}")
    lines["lbctl_replica_staleness_seconds"].append(f"{both} {_number(stale)}")


def _page(lines: Lines, series: str, look: ProbeResult | None) -> None:
    good, ended = (look.good, look.ended) if look is not None else (False, 0)
    lines["lbctl_probe_success"].append(f"{series} {int(good)}")
    lines["lbctl_probe_last_run_timestamp_seconds"].append(f"{series} {ended}")
    for phase in PHASES:
        taken = look.phases.get(phase, 0) if look is not None else 0
        lines["lbctl_probe_duration_seconds"].append(f'{series[:-1]},phase="{phase}"}} {taken}')


def _number(value: float) -> str:
    return "NaN" if math.isnan(value) else repr(value)


def _histogram(found: Histogram | None, **pairs: str) -> Iterator[str]:
    """Cumulative buckets, sum and count; the suffix stands where `_text` puts the family's name before it."""
    counts = found.counts if found is not None else [0] * (len(BUCKETS_S) + 1)
    running = 0
    for bound, count in zip((*BUCKETS_S, math.inf), counts, strict=True):
        running += count
        yield f"_bucket{labels(**pairs, le='+Inf' if math.isinf(bound) else repr(bound))} {running}"
    yield f"_sum{labels(**pairs)} {found.sum_s if found is not None else 0}"
    yield f"_count{labels(**pairs)} {running}"


def _text(lines: Lines) -> str:
    parts: list[str] = []
    for name, (kind, told) in FAMILIES.items():
        parts += (f"# HELP {name} {told}", f"# TYPE {name} {kind}")
        parts += [name + line for line in lines[name]]
    return "\n".join(parts) + "\n"
