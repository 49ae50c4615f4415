"""Worst-case timing: how long a fault can last for clients, who wins the promotion race, whether two layers trip over one another.

All bounds follow from how the policy judges (`policy.health`): `fall` bad looks in a row, an outage proven by looks that started at least
`timeout` apart and span `min_outage`, then one fresh look at the candidate. They are upper bounds: the looks of a controller that is healthy
and not stalled. Every result has its sentence, because a number that nobody can read moves nobody.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from lbctl.model.settings import Heartbeat, ProbeSettings, ServiceSettings

EARLY = 0.9
"""Jitter shortens an interval by at most a tenth (SEMANTICS section 2)."""
LATE = 1 / 3
"""Part of the timeout after which a look is late at the latest, so that the next ones start beside it."""
ABREAST = 4
"""Looks at one page that may be under way together."""
SAVE_S = 0.01
"""One durable save."""
PLAIN_LOOK_S = 0.00015
TLS_LOOK_S = 0.00135
KEPT_LOOK_S = 0.00008
"""CPU seconds of a look on one core: plain and TLS with a fresh connection, and over one that is kept open."""
LOAD_MAX = 0.8
"""Part of one core that looks may take; above it they come late, and late looks are wrong looks."""
MARGIN_S = 1.0
"""What an outer layer leaves an inner one beyond its worst case (H12)."""


class Fault(StrEnum):
    """What goes wrong with the active member."""

    KILLED = "killed"
    DROPPED = "packets dropped"
    WRONG = "503 or wrong text"


@dataclass(frozen=True, slots=True)
class Publication:
    """One actuator as the budget sees it: the longest it takes to write, and how long caches keep what it said before."""

    id: str
    publish_s: float
    ttl_s: float


@dataclass(frozen=True, slots=True)
class Budget:
    """The longest way from a fault to the last client, in seconds. `decide_s` holds the candidate's fresh look and the durable save."""

    fault: Fault
    detect_s: float
    decide_s: float
    publish_s: float
    ttl_s: float

    @property
    def move_s(self) -> float:
        """From the fault to the changed answer."""
        return self.detect_s + self.decide_s + self.publish_s

    @property
    def total_s(self) -> float:
        """From the fault until no cache has the old answer."""
        return self.move_s + self.ttl_s

    @property
    def sentence(self) -> str:
        cached = f", and caches keep the old answer up to {spell(self.ttl_s)}" if self.ttl_s else ""
        return f"{self.fault}: noticed within {spell(self.detect_s)}, answers changed within {spell(self.move_s)}{cached}"


def detect_s(probe: ProbeSettings, fault: Fault) -> float:
    """The longest time from the fault to `active-down`.

    A killed member ends the connection that is kept open between looks, so that the first look begins at once; any other fault is first seen
    by the next look of the schedule. Looks at a member that drops packets last as long as `timeout`, but those after the first do not wait for
    its end once it is late by the member's own history, a third of the timeout at most.
    """
    if fault is Fault.DROPPED:
        gap = max(probe.timeout_s, probe.fast_interval_s)
        last = max(_silent_fall_s(probe), max(probe.min_outage_s + gap, probe.timeout_s + gap) if probe.min_outage_s else 0.0)
        return probe.interval_s + last + probe.timeout_s
    # A whole interval: the fault may come just after a look that was good.
    wait = 0.0 if fault is Fault.KILLED else probe.interval_s
    return wait + max((probe.fall - 1) * probe.fast_interval_s, _outage_s(probe))


def _silent_fall_s(probe: ProbeSettings) -> float:
    """From the start of the first silent look to that of the last that `fall` needs."""
    # Without looks abreast each waits for the end of the one before it.
    one_by_one = (probe.fall - 1) * max(probe.fast_interval_s, probe.timeout_s)
    hurried = probe.timeout_s * LATE + (probe.fall - 2) * probe.fast_interval_s
    return hurried if 2 <= probe.fall <= ABREAST and hurried < probe.timeout_s else one_by_one


def _outage_s(probe: ProbeSettings) -> float:
    """From the start of the first failed look to that of the one that proves `min_outage`: looks closer than `timeout` count as one, and jitter
    may put the one that counts a whole step after the moment at which it is wanted."""
    # Without it `fall` alone decides, and looks that are close together count each.
    if not probe.min_outage_s:
        return 0.0
    # Only looks closer than `timeout` are joined; then the one that counts may be a whole timeout later.
    close = probe.fast_interval_s * EARLY < probe.timeout_s
    return probe.min_outage_s + probe.fast_interval_s + (probe.timeout_s if close else 0.0)


def earliest_s(probe: ProbeSettings) -> float:
    """The shortest time from a fault to `active-down`: the looks come at once and as early as jitter allows."""
    return max((probe.fall - 1) * probe.fast_interval_s * EARLY, probe.min_outage_s)


def budgets(service: ServiceSettings, publications: Sequence[Publication]) -> tuple[Budget, ...]:
    """One row for each fault of the primary."""
    active = service.member(service.primary).probe
    others = [member.probe.timeout_s for member in service.members if member.name != service.primary]
    # The slowest candidate's own timeout: its confirming look is what a decision may wait for.
    decide = (max(others) if others and service.kind == "failover" else 0.0) + SAVE_S
    # The slowest place: traffic has moved when the last of them answers anew.
    publish = max((one.publish_s for one in publications), default=0.0)
    ttl = max((one.ttl_s for one in publications), default=0.0)
    return tuple(Budget(fault, detect_s(active, fault), decide, publish, ttl) for fault in Fault)


class Winner(StrEnum):
    """Who acts first when the Primary dies."""

    LBCTL = "lbctl"
    CORE = "core"
    OPEN = "open"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Race:
    """The promotion race of one candidate: lbctl must decide while it still says Standby (G-LB3). `failures_needed` would let lbctl win."""

    member: str
    winner: Winner
    decided_s: float
    earliest_s: float
    failures_needed: int
    sentence: str


def race(service: ServiceSettings, member: str, heartbeat: Heartbeat) -> Race:
    """Who is first, in the worst case of the slowest fault."""
    # Without publishing: the race is about what the candidate says at the decision, not about when clients notice.
    rows = budgets(service, ())
    decided = max(row.detect_s + row.decide_s for row in rows)
    soonest = min(earliest_s(service.member(service.primary).probe), decided)
    # The least number of failures whose re-checks take longer than we do: (n - 1) re-checks before a promotion.
    needed = math.floor(decided / heartbeat.recheck_s) + 2
    if not heartbeat.promotes:
        text = f"{member} keeps in Standby: it never promotes itself, so somebody must, by hand or by `on_failover: {{promote: drive}}`"
        return Race(member, Winner.NONE, decided, math.inf, needed, text)
    first = heartbeat.earliest_s
    if decided < first:
        text = f"lbctl decides within {spell(decided)}, {member} promotes itself after {spell(first)} at the earliest: lbctl is first"
        return Race(member, Winner.LBCTL, decided, first, needed, text)
    # Even our best case against its worst: then it is no race, and `check` says so.
    if soonest > heartbeat.latest_s:
        text = (
            f"{member} promotes itself within {spell(heartbeat.latest_s)}, lbctl decides after {spell(soonest)} at the earliest: "
            f"traffic is stranded on every failure"
        )
        return Race(member, Winner.CORE, decided, first, needed, text)
    text = (
        f"lbctl decides within {spell(decided)}, {member} may promote itself after {spell(first)}: "
        f"where it is first, traffic is stranded until a person says yes"
    )
    return Race(member, Winner.OPEN, decided, first, needed, text)


@dataclass(frozen=True, slots=True)
class Layers:
    """An outer layer over an inner one (H12): the outer must not move before the inner one had its time. `min_outage_needed_s` would do."""

    holds: bool
    inner_s: float
    outer_s: float
    min_outage_needed_s: float
    sentence: str


def layers(outer: ServiceSettings, inner_move_s: float, inner: str) -> Layers:
    """Whether `outer` waits for `inner`, whose own failover takes up to `inner_move_s`."""
    # Its fastest member: any of them may be the one that is active when the fault comes.
    soonest = min(earliest_s(member.probe) for member in outer.members)
    # Whole seconds: a number that somebody will type into a file.
    needed = float(math.ceil(inner_move_s + MARGIN_S))
    holds = soonest > inner_move_s + MARGIN_S
    verb = "waits at least" if holds else "may move after only"
    text = f"{inner} moves within {spell(inner_move_s)}; {outer.name} {verb} {spell(soonest)}"
    text += "" if holds else ", so both would react to one fault"
    return Layers(holds, inner_move_s, soonest, needed, text)


@dataclass(frozen=True, slots=True)
class Load:
    """All looks together (H23). `share` is the part of one core that they take while all is well, `failing_per_s` the rate when all members fail."""

    looks_per_s: float
    failing_per_s: float
    share: float
    sentence: str

    @property
    def holds(self) -> bool:
        return self.share <= LOAD_MAX


def load(probes: Iterable[tuple[ProbeSettings, int, bool]]) -> Load:
    """`probes`: for each member its settings, how many pages of it are watched, and whether over TLS."""
    rate = failing = cpu = 0.0
    for probe, pages, tls in probes:
        # The mean of an interval that jitter shortens by up to a tenth.
        looks = pages / (probe.interval_s * (1 + EARLY) / 2)
        cost = KEPT_LOOK_S if probe.connection == "keep" else TLS_LOOK_S if tls else PLAIN_LOOK_S
        rate += looks
        failing += pages / probe.fast_interval_s
        cpu += looks * cost
    text = f"{rate:,.1f} looks a second, about {cpu:.1%} of one core; {failing:,.0f} a second at most when every member fails"
    return Load(rate, failing, cpu, text)


def spell(seconds: float) -> str:
    """A duration as people say it: `40 ms`, `4.5 s`, `29 s`, `3 min 30 s`."""
    if seconds == math.inf:
        return "never"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    # Rounded up: a bound that is told smaller than it is would be a promise.
    whole = math.ceil(seconds)
    if whole < 120:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h" if hours else "", f"{minutes} min" if minutes else "", f"{rest} s" if rest and not hours else ""]
    return " ".join(part for part in parts if part)
