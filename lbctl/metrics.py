"""/metrics: every series of the contract (section 5) from the first scrape on, so that `increase()` sees the first event.

Text is written directly: at ten thousand members a scrape is some hundred thousand lines, and a library's objects for each would hold up the
looks. For the same reason rendering lets the loop go after each `TURN` services. Labels come from the configuration and from fixed lists, never
from what a server says (H54). Above `MEMBERS_MAX` members the per-reason and per-rule series appear on first use, and stay.

What is not known is 0 for a timestamp (`> 0` in a rule leaves it out) and NaN for a measured length (no comparison with it holds).
"""

from __future__ import annotations

import math
import platform
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import permutations
from typing import Protocol

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

from lbctl import __version__
from lbctl.actuators.base import Host, Place
from lbctl.clock import Clock
from lbctl.controller.counts import BUCKETS_S, Counts, Histogram
from lbctl.model.looks import ProbeResult, Reason, Verdict
from lbctl.net import EVENTS
from lbctl.notifiers.queue import OUTCOMES
from lbctl.policy import gate
from lbctl.policy.case import Case
from lbctl.policy.conditions import STATES, alerts, conditions
from lbctl.probes.describe import PHASES

MEMBERS_MAX = 500
TURN, ROWS = 50, 500
"""So many services, and so many rows of other parts, are rendered before the loop may do something else."""
TRIGGERS = ("auto", "operator", "adopt")
REASONS = tuple(reason.value for reason in Reason if reason is not Reason.OK)
ACTUATOR_REASONS = ("drift", "internal", "superseded", "timeout", "unread", "unverified")
"""Reasons that every actuator can have; those of one kind join on first use, out of that kind's own list."""

ALERTS = (
    "TrafficOnUnpromoted", "OldPrimaryReturned", "RunFailed", "NoEligibleStandby", "Rogue", "StandbyDown", "UnknownMode", "SelfPromotedNotAdopted",
    "RolesSwappedOutside", "MemberDown", "PoolShort", "FollowNotPossible", "ApprovalPending", "MaintenanceEnding", "NotArmed", "HeldLong",
    "MassMoveHeld", "NotSaved", "UpgradeUnfinished", "FamilyWithheld", "WrongServer",
    "ClientPathDown", "PathsDisagree",
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
    "lbctl_family_published": (GAUGE, "1 where clients may be told this address family of a member, 0 while it is withheld: a dead path."),
    "lbctl_probe_duration_seconds": (GAUGE, "Of the last look, by phase."),
    "lbctl_probe_failures_total": (COUNTER, "Failed looks by reason."),
    "lbctl_probe_last_run_timestamp_seconds": (GAUGE, "End of the last look; 0 before the first."),
    "lbctl_tls_not_after_timestamp_seconds": (GAUGE, "End of the member's certificate, also when it does not verify; 0 where there is none."),
    "lbctl_member_clock_skew_seconds": (GAUGE, "The member's clock against ours; NaN where not known."),
    "lbctl_replica_staleness_seconds": (GAUGE, "Age of the member's last sync; NaN where not known."),
    "lbctl_readiness": (GAUGE, "1 for a best practice that is kept, 0 for one that is not, NaN where nobody can tell; where a drive is configured."),
    "lbctl_actuator_epoch": (GAUGE, "Epoch wanted, applied and verified."),
    "lbctl_vip_holds": (GAUGE, "1 for the host that has the virtual address, when it was last heard of."),
    "lbctl_vip_host_ready": (GAUGE, "1 for a host that has the virtual address or could have it at once; NaN before it was asked."),
    "lbctl_vip_events_total": (COUNTER, "What happened to the virtual address on a host: announced, removed by somebody, claimed by another."),
    "lbctl_actuator_serial_lag": (GAUGE, "By how many versions a name server is behind the one that is written, when it was last read back."),
    "lbctl_actuator_signed_until_timestamp_seconds": (GAUGE, "When the first signature of the answer expires there; only where it is signed."),
    "lbctl_actuator_errors_total": (COUNTER, "Attempts of an actuator that failed, by reason."),
    "lbctl_convergence_seconds": (HISTOGRAM, "From the decision to the last verified place."),
    "lbctl_resolver_convergence_seconds": (HISTOGRAM, "From the decision until a configured resolver told the new answer."),
    "lbctl_resolver_late": (GAUGE, "1 while a resolver tells something else than the new answer, although the TTL is over."),
    "lbctl_stage_seconds": (HISTOGRAM, "Stages of moves: decide, save, apply, verify."),
    "lbctl_looks_total": (COUNTER, "Looks by how they ended."),
    "lbctl_dropped_total": (COUNTER, "What a full queue let go of."),
    "lbctl_notices_total": (COUNTER, "Tries to tell people, by way and how they ended."),
    "lbctl_notices_waiting": (GAUGE, "Notices that have not arrived yet, over all ways."),
    "lbctl_dns_answers_total": (COUNTER, "Answers of the embedded DNS server, by transport and reply code."),
    "lbctl_dns_limited_total": (COUNTER, "Answers that the rate limit dropped, or truncated so that honest clients come by TCP."),
    "lbctl_dns_malformed_total": (COUNTER, "Packets that were no DNS question and got silence."),
    "lbctl_dns_unsent_total": (COUNTER, "Answers that could not be sent: no route back, or a firewall."),
    "lbctl_dns_tcp_connections": (GAUGE, "Open DNS connections over TCP."),
    "lbctl_dns_serial": (GAUGE, "The serial of a zone of the embedded DNS server."),
    "lbctl_dns_transfers_total": (COUNTER, "Zone transfers to secondaries: the whole zone, or what differs."),
    "lbctl_dns_notify_failures_total": (COUNTER, "Notifies of a change that a secondary did not answer."),
    "lbctl_dns_notify_unheard": (GAUGE, "1 while a secondary has not answered the last notify."),
    "lbctl_leader": (GAUGE, "1 on the lbctl that decides."),
    "lbctl_store_up": (GAUGE, "1 while state can be saved."),
    "lbctl_event_loop_lag_seconds": (GAUGE, "How late the event loop is."),
    "lbctl_config_last_reload_successful": (GAUGE, "1 if the last reading of the configuration was taken."),
    "lbctl_build_info": (GAUGE, "Which lbctl this is."),
}

BOUNDS = (*map(repr, BUCKETS_S), "+Inf")
NO_COUNTS = (0,) * len(BOUNDS)
VERDICTS = tuple(verdict.value for verdict in Verdict)

KEPT: Mapping[str, float] = {"yes": 1, "no": 0, "unknown": math.nan}

Lines = dict[str, list[str]]
Readiness = Callable[[], Mapping[str, Mapping[str, str]]]
"""Service → practice → yes, no or unknown, as last audited."""
Failures = dict[tuple[str, str], int]
Rows = Callable[[], Iterable[tuple[str, Mapping[str, str], float | Histogram | None]]]
"""Series of a part of its own: family, labels, value; None is a histogram of nothing."""


class Source(Protocol):
    """What is read on each scrape (`controller.Controller`)."""

    counts: Counts

    def cases(self) -> Iterable[Case]:
        """Every service with its settings, state and surroundings now."""
        ...

    def health(self) -> Mapping[str, object]:
        """Of lbctl itself."""
        ...


class Notices(Protocol):
    """What is told of the notices (`notifiers.queue.NoticeQueue`)."""

    counts: Counter[tuple[str, str]]

    @property
    def ids(self) -> tuple[str, ...]: ...

    @property
    def waiting(self) -> int: ...


def labels(**pairs: str) -> str:
    """`{a="b"}` with what the text format wants escaped."""
    return "{" + ",".join(_pair(name, value) for name, value in pairs.items()) + "}"


def _pair(name: str, value: str) -> str:
    escaped = value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'{name}="{escaped}"'


def read_back(places: Iterable[tuple[str, str, Place]]) -> Iterator[tuple[str, Mapping[str, str], float]]:
    """Rows of what name servers showed when they were last read back (service, actuator, place): serials and signatures (H50, H51)."""
    for service, actuator, place in places:
        pairs = {"service": service, "actuator": actuator, "server": place.name}
        if place.behind is not None:
            yield "lbctl_actuator_serial_lag", pairs, place.behind
        if place.signed_until is not None:
            yield "lbctl_actuator_signed_until_timestamp_seconds", pairs, place.signed_until


def held(hosts: Iterable[tuple[str, str, Host]]) -> Iterator[tuple[str, Mapping[str, str], float]]:
    """Rows of the hosts that may hold a virtual address (service, actuator, host), as they were last heard of (H45, H46, H47)."""
    for service, actuator, host in hosts:
        pairs = {"service": service, "actuator": actuator, "host": host.name}
        yield "lbctl_vip_holds", pairs, float(host.holds)
        yield "lbctl_vip_host_ready", pairs, math.nan if host.ready is None else float(host.ready)
        for event in EVENTS:
            yield "lbctl_vip_events_total", {**pairs, "event": event.removeprefix("address-")}, host.tally.get(event, 0)


class Metrics:
    """Renders /metrics. `config_ok` tells whether the last reload was taken."""

    def __init__(self, source: Source, clock: Clock, config_ok: Callable[[], bool], notices: Notices | None = None,
                 readiness: Readiness = dict, rows: Iterable[Rows] = ()) -> None:
        self._source = source
        self._clock = clock
        self._config_ok = config_ok
        self._notices = notices
        self._readiness = readiness
        self._rows = tuple(rows)
        self._blocked: dict[tuple[str, str], set[str]] = {}
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)

    async def render(self) -> bytes:
        """The whole text. Lets other work go on between services."""
        lines: Lines = {name: [] for name in FAMILIES}
        cases = list(self._source.cases())
        full = sum(len(case.settings.members) for case in cases) <= MEMBERS_MAX
        failures = self._failures()
        for number, case in enumerate(cases):
            head = "{" + _pair("service", case.settings.name)
            _service(lines, case, head)
            self._counted(lines, case, head)
            for name in case.settings.names:
                both = f"{head},{_pair('member', name)}"
                _member(lines, case, name, both)
                _failures_of(lines, case, name, both, failures, full=full)
                if case.settings.kind != "pool":
                    self._gate(lines, case, name, both, full=full)
            if number % TURN == TURN - 1:
                await self._clock.sleep(0)
        self._whole(lines, cases)
        await self._others(lines)
        return _text(lines).encode() + generate_latest(self._process)

    def _failures(self) -> Mapping[tuple[str, str], Failures]:
        """Failed looks by service and member, then by (page, reason)."""
        found: dict[tuple[str, str], Failures] = {}
        for (service, member, page, reason), count in self._source.counts.probe_failures.items():
            found.setdefault((service, member), {})[page, reason] = count
        return found

    def _gate(self, lines: Lines, case: Case, name: str, both: str, *, full: bool) -> None:
        shut = gate.failing(case, name) if name != case.active else frozenset()
        lines["lbctl_gate_open"].append(f"{both}}} {int(not shut and name != case.active)}")
        known = self._blocked.setdefault((case.settings.name, name), set())
        known |= shut
        lines["lbctl_gate_blocked"] += [f'{both},rule="{rule}"}} {int(rule in shut)}' for rule in gate.NAMES if full or rule in known]

    def _counted(self, lines: Lines, case: Case, head: str) -> None:
        counts, service, names = self._source.counts, case.settings.name, case.settings.names
        lines["lbctl_would_failover_total"].append(f"{head}}} {counts.would_failover[service]}")
        moves = lines["lbctl_failovers_total"]
        for source, target in permutations(names, 2) if case.settings.kind != "pool" else ():
            move = f"{head},{_pair('from', source)},{_pair('to', target)}"
            moves += [f'{move},trigger="{trigger}"}} {counts.failovers[service, source, target, trigger]}' for trigger in TRIGGERS]
        lines["lbctl_convergence_seconds"] += _histogram(counts.convergence.get(service), head)

    def _whole(self, lines: Lines, cases: Iterable[Case]) -> None:
        """What is of lbctl and not of a service."""
        counts, health = self._source.counts, self._source.health()
        for service, practices in self._readiness().items():
            lines["lbctl_readiness"] += [f"{labels(service=service, practice=name)} {_number(KEPT[holds])}" for name, holds in practices.items()]
        actuators = {actuator for case in cases for actuator in case.settings.actuators}
        known = {(actuator, reason) for actuator in actuators for reason in ACTUATOR_REASONS} | set(counts.actuator_errors)
        lines["lbctl_actuator_errors_total"] = [f"{labels(actuator=a, reason=r)} {counts.actuator_errors[a, r]}" for a, r in sorted(known)]
        for stage in ("decide", "save", "apply", "verify"):
            lines["lbctl_stage_seconds"] += _histogram(counts.stages.get(stage), "{" + _pair("stage", stage))
        lines["lbctl_looks_total"] = [f"{labels(result=result)} {counts.looks[result]}" for result in ("good", "bad", "void")]
        dropped = {"inbox": 0, "journal": 0, **counts.dropped}
        lines["lbctl_dropped_total"] = [f"{labels(what=what)} {value}" for what, value in sorted(dropped.items())]
        if self._notices is not None:
            ends = [(way, outcome) for way in self._notices.ids for outcome in OUTCOMES]
            lines["lbctl_notices_total"] = [f"{labels(way=way, outcome=outcome)} {self._notices.counts[way, outcome]}" for way, outcome in ends]
            lines["lbctl_notices_waiting"].append(f" {self._notices.waiting}")
        lines["lbctl_leader"].append(f" {int(bool(health['leader']))}")
        lines["lbctl_store_up"].append(f" {int(bool(health['store_up']))}")
        lines["lbctl_event_loop_lag_seconds"].append(f" {health['loop_lag_s']}")
        lines["lbctl_config_last_reload_successful"].append(f" {int(self._config_ok())}")
        lines["lbctl_build_info"].append(f"{labels(version=__version__, python=platform.python_version())} 1")

    async def _others(self, lines: Lines) -> None:
        """What other parts count for themselves."""
        for number, (name, pairs, value) in enumerate(row for rows in self._rows for row in rows()):
            if number % ROWS == ROWS - 1:
                await self._clock.sleep(0)
            if FAMILIES[name][0] == HISTOGRAM:
                lines[name] += _histogram(value if isinstance(value, Histogram) else None, labels(**pairs).removesuffix("}"))
            elif isinstance(value, float | int):
                lines[name].append(f"{labels(**pairs) if pairs else ''} {_number(value)}")


def _service(lines: Lines, case: Case, head: str) -> None:
    """One service's levels."""
    saved, state = case.saved, conditions(case)[0]
    lines["lbctl_service_state"] += [f'{head},state="{known}"}} {int(known == state)}' for known in STATES]
    told = {kind for kind, _, _ in alerts(case)}
    lines["lbctl_alert"] += [f'{head},alert="{kind}"}} {int(kind in told)}' for kind in ALERTS]
    pending = bool(saved.active) and saved.active != saved.primary and saved.primary in saved.latched
    lines["lbctl_resume_pending"].append(f"{head}}} {int(pending)}")
    lines["lbctl_maintenance"].append(f"{head}}} {int(case.in_maintenance())}")
    lines["lbctl_maintenance_expires_timestamp_seconds"].append(f"{head}}} {saved.maintenance.until if saved.maintenance else 0}")
    for actuator in case.settings.actuators:
        ledger = case.state.actuators.get(actuator)
        epochs = {"wanted": saved.epoch, "applied": ledger.applied if ledger else 0, "verified": ledger.verified if ledger else 0}
        series = f"{head},{_pair('actuator', actuator)}"
        lines["lbctl_actuator_epoch"] += [f'{series},kind="{kind}"}} {epoch}' for kind, epoch in epochs.items()]


def _member(lines: Lines, case: Case, name: str, both: str) -> None:
    """One member's levels, out of its pages' last looks."""
    judged, sight = case.judged(name).last, case.sight(name)
    answering = case.saved.answering if case.settings.kind == "pool" else (case.active,)
    lines["lbctl_active"].append(f"{both}}} {int(name in answering)}")
    says = judged.verdict if judged is not None else Verdict.UNKNOWN
    lines["lbctl_member_verdict"] += [f'{both},verdict="{verdict}"}} {int(verdict == says)}' for verdict in VERDICTS]
    looks = {page: case.page(name, page).last for page in case.settings.monitor.pages}
    for page, look in looks.items():
        _page(lines, f'{both},monitor="{page}"', look)
    lines["lbctl_family_published"] += [
        f'{both},family="ipv{way}"}} {int(f"{name}/{way}" not in case.saved.withheld)}' for way, _ in case.judged(name).ways if way in "46"
    ]
    ends = next((look.not_after for look in looks.values() if look is not None and look.not_after is not None), 0)
    skew = next((look.skew_s for look in looks.values() if look is not None and look.skew_s is not None), math.nan)
    stale = case.now - sight.sync_started if sight.sync_started is not None else math.nan
    lines["lbctl_tls_not_after_timestamp_seconds"].append(f"{both}}} {ends}")
    lines["lbctl_member_clock_skew_seconds"].append(f"{both}}} {_number(skew)}")
    lines["lbctl_replica_staleness_seconds"].append(f"{both}}} {_number(stale)}")


def _page(lines: Lines, series: str, look: ProbeResult | None) -> None:
    good, ended, phases = (look.good, look.ended, look.phases) if look is not None else (False, 0, {})
    lines["lbctl_probe_success"].append(f"{series}}} {int(good)}")
    lines["lbctl_probe_last_run_timestamp_seconds"].append(f"{series}}} {ended}")
    lines["lbctl_probe_duration_seconds"] += [f'{series},phase="{phase}"}} {phases.get(phase, 0)}' for phase in PHASES]


def _failures_of(lines: Lines, case: Case, name: str, both: str, failures: Mapping[tuple[str, str], Failures], *, full: bool) -> None:
    counted = failures.get((case.settings.name, name), {})
    if full:
        counted = {(page, reason): counted.get((page, reason), 0) for page in case.settings.monitor.pages for reason in REASONS}
    lines["lbctl_probe_failures_total"] += [f'{both},monitor="{page}",reason="{reason}"}} {count}' for (page, reason), count in counted.items()]


def _number(value: float) -> str:
    return "NaN" if math.isnan(value) else repr(value)


def _histogram(found: Histogram | None, head: str) -> Iterator[str]:
    """Cumulative buckets, sum and count; the suffix stands where `_text` puts the family's name before it."""
    running = 0
    for bound, count in zip(BOUNDS, found.counts if found is not None else NO_COUNTS, strict=True):
        running += count
        yield f'_bucket{head},le="{bound}"}} {running}'
    yield f"_sum{head}}} {found.sum_s if found is not None else 0}"
    yield f"_count{head}}} {running}"


def _text(lines: Lines) -> str:
    parts: list[str] = []
    for name, (kind, told) in FAMILIES.items():
        parts += (f"# HELP {name} {told}", f"# TYPE {name} {kind}")
        parts += [name + line for line in lines[name]]
    return "\n".join(parts) + "\n"
