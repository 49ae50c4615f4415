"""The guide's best practices, each a row: its name, its check, and what to do where it is not kept (G-BP; the guide's list on page 4, steps 6 and 7).

PURE. A row says yes, no or unknown, with the evidence that it rests on. A new practice is a new row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lbctl.model.settings import Heartbeat
from lbctl.policy import budget
from lbctl.policy.explain import what_if
from lbctl.readiness.facts import Audit, Found, Holds, judged, no, unknown, yes

SKEW_MAX_S = 2.0
"""Clocks farther apart than this are not "the exact same"; the Date header has a grain of one second."""
RUN_EVERY_MIN_S = 3600.0
"""The guide: not more frequently than 60 minutes."""
REVIEWED_RUNS = 20
UNITS_S = {"minutes": 60.0, "hours": 3600.0, "days": 86400.0}
DEFAULTS: dict[str, Any] = {"heartbeat_interval_s": 60.0, "heartbeat_failures": 5, "recheck_interval_s": 30.0}
"""The Fail Over Controls' defaults, which the guide recommends to keep."""


@dataclass(frozen=True, slots=True)
class Practice:
    """One row. `urgent`: without it the standby may not take over, or must not."""

    name: str
    text: str
    check: Callable[[Audit], Found]
    advice: str
    urgent: bool = False


def _takes_over(audit: Audit) -> Found:
    found = what_if(audit.case)
    # No row of the gate: a dead active is left all the same, for other actuators may follow. But clients of the address would stand before nothing.
    if why := audit.unable.get(found.get("moves_to") or ""):
        return no(f"{found['text']}, but its address could not: {why}")
    if found.get("moves_to") and not found.get("asks"):
        return yes(found["text"])
    return no(found["text"])


def _roles(audit: Audit) -> Found:
    case = audit.case
    wrong = [f"{name} does not say Mode: Standby" for name in case.others() if not case.standby(name)]
    if not case.active:
        return no("no active member is known")
    if case.modes and not case.primary(case.active):
        wrong.append(f"{case.active} does not say Mode: Primary")
    if case.active != case.saved.primary:
        wrong.append(f"{case.active} has the traffic in the place of {case.saved.primary}")
    return judged(wrong, "modes and roles are as configured")


def _versions(audit: Audit) -> Found:
    known = {core.member: core.version for core in audit.known()} | dict(audit.case.state.versions)
    if len(known) < len(audit.case.settings.names):
        return unknown(audit.silence() or "not every version is known")
    told = ", ".join(f"{name} {version}" for name, version in known.items())
    return yes(told) if len(set(known.values())) == 1 else no(told)


def _clocks(audit: Audit) -> Found:
    skews = {core.member: core.skew_s for core in audit.known()}
    for name in audit.case.settings.names:
        headers = [p.last.skew_s for p in audit.case.sight(name).pages.values() if p.last is not None and p.last.skew_s is not None]
        if name not in skews and headers:
            skews[name] = headers[-1]
    if len(skews) < len(audit.case.settings.names):
        return unknown("not every clock could be read")
    told = ", ".join(f"{name} {skew:+.1f} s" for name, skew in skews.items())
    return yes(told) if max(skews.values()) - min(skews.values()) <= SKEW_MAX_S else no(told)


def _resources(audit: Audit) -> Found:
    known = {core.member: (core.resources.get("cpus"), core.resources.get("memory_mib")) for core in audit.known()}
    if len(known) < len(audit.case.settings.names):
        return unknown(audit.silence())
    told = ", ".join(f"{name} {cpus} CPUs {memory} MiB" for name, (cpus, memory) in known.items())
    return yes(told) if len(set(known.values())) == 1 else no(told)


def _enabled(audit: Audit) -> Found:
    known = audit.known()
    if len(known) < len(audit.case.settings.names):
        return unknown(audit.silence())
    return judged([f"HA is disabled on {core.member}" for core in known if not core.ha_enabled], "HA is enabled on every Core")


def _on_standbys(check: Callable[[Audit, str, Mapping[str, Any]], str], right: str) -> Callable[[Audit], Found]:
    """A check of each standby's HA Configuration; `check` says what is wrong, "" where nothing is."""

    def judge(audit: Audit) -> Found:
        names = audit.standbys()
        known = audit.known(*names)
        wrong = [text for core in known if (text := check(audit, core.member, core.config))]
        if len(known) < len(names) and not wrong:
            return unknown(audit.silence(*names))
        return judged(wrong, right)

    return judge


def _every_s(config: Mapping[str, Any]) -> float:
    return float(config.get("run_every", 0)) * UNITS_S.get(str(config.get("run_every_unit")), 60.0)


def _interval(audit: Audit, name: str, config: Mapping[str, Any]) -> str:
    every = _every_s(config)
    return "" if every >= RUN_EVERY_MIN_S else f"{name} syncs every {every / 60:g} minutes"


def _overlap(audit: Audit, name: str, config: Mapping[str, Any]) -> str:
    """Longest of the reviewed syncs against Run Every: half of it should be idle."""
    spans = [run["completed"] - run["started"] for run in audit.cores[name].runs[:REVIEWED_RUNS] if run.get("completed")]
    every, longest = _every_s(config), max(spans, default=0.0)
    return "" if longest <= every / 2 else f"a sync of {name} took {longest / 60:.0f} of the {every / 60:.0f} minutes between two"


def _controls(audit: Audit, name: str, config: Mapping[str, Any]) -> str:
    changed = [f"{key} {config.get(key)} instead of {value}" for key, value in DEFAULTS.items() if config.get(key) != value]
    return f"{name}: {', '.join(changed)}" if changed else ""


def _notifications(audit: Audit, name: str, config: Mapping[str, Any]) -> str:
    lacks = [text for key, text in (("email", "no e-mail address"), ("notify_failure", "no notice of failures"),
                                    ("notify_sync_completion", "no notice of completed syncs")) if not config.get(key)]
    return f"{name}: {', '.join(lacks)}" if lacks else ""


def _race(audit: Audit, name: str, config: Mapping[str, Any]) -> str:
    beat = Heartbeat(
        float(config.get("heartbeat_interval_s", 60.0)), int(config.get("heartbeat_failures", 5)), float(config.get("recheck_interval_s", 30.0)),
        config.get("if_failure_detected") == "promote")
    race = budget.race(audit.case.settings, name, beat)
    return "" if race.winner in (budget.Winner.LBCTL, budget.Winner.NONE) else race.sentence


def _history(audit: Audit, name: str, config: Mapping[str, Any]) -> str:
    runs = [run for run in audit.cores[name].runs[:REVIEWED_RUNS] if run["result"] != "Running"]
    if not runs:
        return f"{name} has never synced"
    failed = [run for run in runs if run["result"] != "Success"]
    return f"{len(failed)} of the last {len(runs)} syncs of {name} failed, last: {failed[0].get('reason') or 'no reason'}" if failed else ""


def _next_run(audit: Audit, name: str, config: Mapping[str, Any]) -> str:
    """G-SY2's trap: saving any setting after today's StartTime puts the next sync off until tomorrow."""
    core = audit.cores[name]
    if core.next_sync is None:
        return f"{name} has no next sync: its scheduler does not run"
    wait = core.next_sync - core.skew_s - audit.case.now
    return "" if wait <= _every_s(config) else f"the next sync of {name} is {wait / 3600:.1f} h away: was a setting saved after its StartTime?"


def _network(audit: Audit, name: str, config: Mapping[str, Any]) -> str:
    """What can be read of "the same network access": the standby reaches its source, as its own heartbeat tells."""
    beat = audit.cores[name].heartbeat
    if not beat.get("running"):
        return f"{name} sends no heartbeat"
    return f"{name} does not reach its source: {beat['failures']} heartbeats in a row failed ({beat.get('last')})" if beat.get("failures") else ""


def _not_syncing(audit: Audit) -> Found:
    known = audit.known(*audit.standbys())
    busy = [core.member for core in known if core.runs and core.runs[0]["result"] == "Running"]
    if len(known) < len(audit.standbys()):
        return unknown(audit.silence(*audit.standbys()))
    return judged([f"{name} is syncing: do not power down either server" for name in busy], "no sync is running")


def _age(audit: Audit) -> Found:
    """H1: a page that says Standby says nothing of its copy."""
    wrong: list[str] = []
    told: list[str] = []
    missing: list[str] = []
    for name in audit.standbys():
        started, rule = audit.case.sight(name).sync_started, audit.case.member(name).freshness
        if started is None:
            missing.append(f"the sync age of {name} is not known")
            continue
        age, limit = audit.case.now - started, rule.max_staleness_s if rule is not None else 2 * RUN_EVERY_MIN_S
        (told if age <= limit else wrong).append(f"the copy of {name} is {age / 60:.0f} minutes old, limit {limit / 60:.0f}")
    if missing and not wrong:
        return unknown("; ".join(missing))
    return judged(wrong, "; ".join(told) or "no standby")


def _names(audit: Audit) -> Found:
    names = [core.member for core in audit.known()]
    hosts = [str(audit.cores[name].config.get("name") or name) for name in names]
    return judged([] if len(set(hosts)) == len(hosts) else ["two Cores have the same hostname"], "every Core has a name of its own")


def _told_people(audit: Audit) -> Found:
    return yes(f"{audit.notified} ways") if audit.notified else no("lbctl itself tells nobody: `notify:` is empty")


def _certificates(audit: Audit) -> Found:
    soon = []
    for name in audit.case.settings.names:
        ends = [p.last.not_after for p in audit.case.sight(name).pages.values() if p.last is not None and p.last.not_after is not None]
        if ends and min(ends) - audit.case.now < 14 * 86400:
            soon.append(f"the certificate of {name} ends in {(min(ends) - audit.case.now) / 86400:.0f} days")
    return judged(soon, "no certificate ends within 14 days")


def _alone(audit: Audit) -> Found:
    latched = sorted(audit.case.saved.latched)
    return judged([f"{name} lost the traffic and was not taken back" for name in latched], "nobody is latched")


_LOOK = "lbctl readiness SERVICE shows the evidence; the HA Configuration window changes it"

PRACTICES: tuple[Practice, ...] = (
    Practice("would-take-over", "the standby would take over if the active failed now", _takes_over, "`lbctl explain SERVICE` names the rule", True),
    Practice("modes-as-expected", "HA status and modes match the configuration", _roles, "set the modes right, or `lbctl swap-roles`", True),
    Practice("nobody-latched", "every member may be chosen", _alone, "`lbctl resume`, `lbctl swap-roles`, or `lbctl ack --member`", True),
    Practice("copy-is-fresh", "the standby's copy is recent", _age, "run a sync; look at Sync History for failures", True),
    Practice("same-version", "all Cores run the same software", _versions, "`lbctl upgrade SERVICE plan`: different versions do not sync", True),
    Practice("ha-enabled", "High Availability is enabled", _enabled, "HA Configuration > High Availability > Enable, Save and Apply", True),
    Practice("promotion-race", "lbctl decides before the standby promotes itself", _on_standbys(_race, "lbctl is first, or nobody promotes"),
             "more heartbeat failures, a faster probe profile, or `on_self_promoted`"),
    Practice("syncs-succeed", "the last syncs succeeded", _on_standbys(_history, "all of them succeeded"), "address every failure in Sync History"),
    Practice("next-sync-known", "the next sync is where it belongs", _on_standbys(_next_run, "the next sync is due in time"), "review StartTime"),
    Practice("interval-an-hour", "Run Every is 60 minutes or more", _on_standbys(_interval, "60 minutes or more"), _LOOK),
    Practice("syncs-do-not-overlap", "adequate idle time between syncs", _on_standbys(_overlap, "half of the time is idle"), "a longer Run Every"),
    Practice("not-while-syncing", "no sync is running that a power-down would cut", _not_syncing, "wait for it to end"),
    Practice("network-access", "every standby reaches its source", _on_standbys(_network, "every heartbeat arrives"),
             "Manage Trusted Hosts > Test Connection; ports 8443, 443 and 22 both ways"),
    Practice("same-clock", "all Cores have the same clock time", _clocks, "NTP on every Core"),
    Practice("same-resources", "all Cores have the same resources", _resources, "the same CPUs and memory on each"),
    Practice("failover-controls", "Fail Over Controls are at their defaults", _on_standbys(_controls, "the guide's defaults"), _LOOK),
    Practice("core-notifications", "every standby notifies of syncs and failures", _on_standbys(_notifications, "all notices are on"), _LOOK),
    Practice("unique-hostnames", "every Core has a hostname of its own", _names, "rename one of them"),
    Practice("lbctl-notifies", "lbctl has somebody to tell", _told_people, "`notify:` in lbctl.yaml, then `lbctl notify test`"),
    Practice("certificates", "no certificate is about to end", _certificates, "renew it"),
)
"""In the order in which an operator should read them."""

CORE_ONLY = frozenset(p.name for p in PRACTICES) - {"would-take-over", "nobody-latched", "lbctl-notifies", "certificates"}
"""Rows that say nothing where the monitor knows no modes (a Sentry)."""


def audit_rows(audit: Audit) -> list[dict[str, Any]]:
    """Every row that applies, as plain values: the object of `lbctl readiness`."""
    rows = []
    for practice in PRACTICES:
        if practice.name in CORE_ONLY and not audit.case.modes:
            continue
        found = practice.check(audit)
        rows.append({"practice": practice.name, "text": practice.text, "holds": str(found.holds), "evidence": found.evidence,
                     "advice": "" if found.holds is Holds.YES else practice.advice, "urgent": practice.urgent})
    return rows
