"""/metrics: every series from the first scrape, bounded labels, values as the policy sees them, clean for promtool (contract section 5)."""

from __future__ import annotations

import asyncio
import math
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lbctl.clock import SystemClock
from lbctl.controller.counts import Counts
from lbctl.metrics import ALERTS, FAMILIES, Metrics, labels
from lbctl.model.commands import MaintenanceOn
from lbctl.model.events import SyncSeen
from lbctl.model.settings import ServiceSettings
from lbctl.model.state import Saved
from lbctl.policy.case import Case
from tests.deploy.contract import METRICS
from tests.policy import stage
from tests.policy.stage import Stage


@dataclass
class Source:
    """Stages in the place of a controller."""

    stages: list[Stage]
    counts: Counts = field(default_factory=Counts)
    state: dict[str, Any] = field(default_factory=lambda: {"leader": True, "store_up": True, "loop_lag_s": 0.002})

    def cases(self) -> Iterator[Case]:
        return (Case(one.settings, one.state, one.now, one.around) for one in self.stages)

    def health(self) -> dict[str, Any]:
        return self.state


Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scrape(source: Source, metrics: Metrics | None = None) -> Samples:
    text = asyncio.run((metrics or Metrics(source, SystemClock(), lambda: True)).render()).decode()
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, f"twice: {key}"
            found[key] = sample.value
    return found


def value(found: Samples, name: str, **pairs: str) -> float:
    return found[name, frozenset((key.rstrip("_"), text) for key, text in pairs.items())]


def many(count: int) -> list[Stage]:
    return [Stage(ServiceSettings(f"s{n}", stage.pair().members, actuators=(f"x{n}",))) for n in range(count)]


def test_every_series_of_the_contract_is_there_before_anything_has_happened() -> None:
    """`increase()` must see the first event."""
    found = scrape(Source([Stage()]))
    for name, wanted in METRICS.items():
        series = [dict(pairs) for known, pairs in found if known.removesuffix("_count") == name]
        assert series, name
        assert all(wanted <= set(one) for one in series), name
    assert value(found, "lbctl_failovers_total", service="core", from_="a", to="b", trigger="auto") == 0
    assert value(found, "lbctl_probe_failures_total", service="core", member="b", monitor="hastatus", reason="tls") == 0


def test_no_series_comes_or_goes_with_what_happens() -> None:
    """A series that appears late is an event that `increase()` misses."""
    quiet, busy = scrape(Source([Stage()])), Stage().failed_over()
    busy.ask(MaintenanceOn(service="core", by="vera", reason="x", until=busy.now + 60))
    assert set(scrape(Source([busy]))) == set(quiet)


def test_a_normal_pair() -> None:
    one = Stage().normal()
    one.verify()
    found = scrape(Source([one]))
    assert [value(found, "lbctl_active", service="core", member=m) for m in "ab"] == [1, 0]
    assert value(found, "lbctl_service_state", service="core", state="normal") == 1
    assert sum(v for (name, pairs), v in found.items() if name == "lbctl_service_state") == 1
    assert value(found, "lbctl_member_verdict", service="core", member="b", verdict="standby") == 1
    assert value(found, "lbctl_gate_blocked", service="core", member="b", rule="active-down") == 1
    assert value(found, "lbctl_gate_open", service="core", member="b") == 0
    assert value(found, "lbctl_probe_success", service="core", member="b", monitor="hastatus") == 1
    assert value(found, "lbctl_probe_success", service="core", member="b", monitor="status") == 0
    assert value(found, "lbctl_probe_last_run_timestamp_seconds", service="core", member="a", monitor="status") == pytest.approx(one.now, abs=1)
    assert value(found, "lbctl_actuator_epoch", service="core", actuator="x", kind="verified") == 1


def test_a_failed_over_pair() -> None:
    found = scrape(Source([Stage().failed_over()]))
    assert value(found, "lbctl_active", service="core", member="b") == 1
    assert value(found, "lbctl_service_state", service="core", state="failed-over") == 1
    assert value(found, "lbctl_resume_pending", service="core") == 1
    taken_back = Stage().failed_over()
    taken_back.state = replace(taken_back.state, saved=replace(taken_back.state.saved, latched=frozenset()))
    assert value(scrape(Source([taken_back])), "lbctl_resume_pending", service="core") == 0, "it waits for the latch, not for the place (SEMANTICS 5)"
    assert value(found, "lbctl_alert", service="core", alert="NoEligibleStandby") == 1
    assert value(found, "lbctl_gate_blocked", service="core", member="a", rule="not-latched") == 1


def test_maintenance_and_its_end() -> None:
    """H32."""
    one = Stage().normal()
    one.ask(MaintenanceOn(service="core", by="vera", reason="x", until=one.now + 60))
    found = scrape(Source([one]))
    assert value(found, "lbctl_maintenance", service="core") == 1
    assert value(found, "lbctl_maintenance_expires_timestamp_seconds", service="core") == one.now + 60


def test_what_is_not_known_triggers_nothing() -> None:
    found = scrape(Source([Stage()]))
    assert value(found, "lbctl_tls_not_after_timestamp_seconds", service="core", member="a") == 0
    assert math.isnan(value(found, "lbctl_member_clock_skew_seconds", service="core", member="a"))
    assert math.isnan(value(found, "lbctl_replica_staleness_seconds", service="core", member="b"))


def test_the_age_of_a_copy() -> None:
    one = Stage().normal()
    one.hear(SyncSeen("b", "a", one.now - 90, one.now - 80))
    assert value(scrape(Source([one])), "lbctl_replica_staleness_seconds", service="core", member="b") == pytest.approx(90)


def test_counters_are_the_controller_s() -> None:
    source = Source([Stage()])
    source.counts.failovers["core", "a", "b", "auto"] = 2
    source.counts.actuator_errors["x", "refused"] = 3
    source.counts.converged("core", 0.003)
    source.counts.converged("core", 1e9)
    found = scrape(source)
    assert value(found, "lbctl_failovers_total", service="core", from_="a", to="b", trigger="auto") == 2
    assert value(found, "lbctl_actuator_errors_total", actuator="x", reason="refused") == 3
    assert value(found, "lbctl_convergence_seconds_count", service="core") == 2
    assert value(found, "lbctl_convergence_seconds_bucket", service="core", le="0.005") == 1


def test_above_500_members_bounded_series_appear_on_first_use_and_stay() -> None:
    """H54: ten thousand members do not make ten thousand times twenty rules."""
    big = ServiceSettings("big", tuple(replace(stage.member("a"), name=f"m{n}") for n in range(500)), kind="pool")
    source = Source([*many(4), Stage(big, saved=Saved("big"), shown="nothing")])
    metrics = Metrics(source, SystemClock(), lambda: True)
    key = ("lbctl_probe_failures_total", frozenset({"service": "s3", "member": "a", "monitor": "status", "reason": "tls"}.items()))
    blocked = ("lbctl_gate_blocked", frozenset({"service": "s3", "member": "b", "rule": "active-down"}.items()))
    first = scrape(source, metrics)
    assert key not in first and first[blocked] == 1
    source.counts.probe_failures["s3", "a", "status", "tls"] = 1
    assert scrape(source, metrics)[key] == 1
    source.stages[3].normal().rounds(4, a="fail", b="503/standby")
    assert scrape(source, metrics)[blocked] == 0


def test_labels_are_escaped() -> None:
    assert labels(a='x"y\\z\n', b="c") == '{a="x\\"y\\\\z\\n",b="c"}'


def test_what_a_server_says_never_becomes_a_label_or_a_value() -> None:
    """H54: canary strings in a hostile page's details."""
    one = Stage().normal()
    pages = one.state.members["a"].pages
    told = {page: replace(sight, last=replace(sight.last, detail="canary-secret")) for page, sight in pages.items() if sight.last is not None}
    one.state = replace(one.state, members={**one.state.members, "a": replace(one.state.members["a"], pages=told)})
    assert b"canary" not in asyncio.run(Metrics(Source([one]), SystemClock(), lambda: True).render())


def test_alert_words_are_the_policy_s() -> None:
    text = Path("lbctl/policy/conditions.py").read_text()
    assert set(re.findall(r'yield "(\w+)"', text)) == set(ALERTS)


def test_every_family_has_help_and_its_name_says_its_type() -> None:
    for name, (kind, told) in FAMILIES.items():
        assert told.endswith(".") and (kind == "counter") == name.endswith("_total"), name


@pytest.mark.peer("promtool")
def test_promtool_finds_nothing() -> None:
    text = asyncio.run(Metrics(Source([Stage().failed_over()]), SystemClock(), lambda: False).render())
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_how_notices_end_is_counted_by_way_from_the_first_scrape() -> None:
    """Silence of a way to tell people must be visible elsewhere."""
    @dataclass
    class Queue:
        counts: Counter[tuple[str, str]]
        ids: tuple[str, ...]
        waiting: int

    queue = Queue(Counter({("email:ops", "given-up"): 2}), ("email:ops",), 3)
    found = scrape(Source([Stage()]), Metrics(Source([Stage()]), SystemClock(), lambda: True, queue))
    assert value(found, "lbctl_notices_total", way="email:ops", outcome="given-up") == 2
    assert value(found, "lbctl_notices_total", way="email:ops", outcome="delivered") == 0
    assert value(found, "lbctl_notices_waiting") == 3


def test_readiness_says_what_nobody_can_tell_as_that() -> None:
    """G-BP: each practice a series: kept, not kept, or NaN."""
    metrics = Metrics(Source([Stage()]), SystemClock(), lambda: True, readiness=lambda: {"core": {"same-version": "no", "same-clock": "unknown"}})
    text = asyncio.run(metrics.render()).decode()
    assert 'lbctl_readiness{service="core",practice="same-version"} 0' in text
    assert 'lbctl_readiness{service="core",practice="same-clock"} NaN' in text
