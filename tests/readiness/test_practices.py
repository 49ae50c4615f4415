"""Each best practice of the guide, kept and not kept (G-BP)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lbctl.clock import SystemClock
from lbctl.drive import Hand
from lbctl.model.events import SyncSeen
from lbctl.model.looks import Reason
from lbctl.model.state import Saved
from lbctl.readiness.facts import Audit, CoreFacts
from lbctl.readiness.gather import gather
from lbctl.readiness.practices import CORE_ONLY, PRACTICES, audit_rows
from tests.core.cores import pair as core_pair
from tests.policy.stage import CAREFUL, Stage, pair
from tests.test_drive import Told, grip, status_with

GOOD = {
    "run_every": 60, "run_every_unit": "minutes", "heartbeat_interval_s": 60.0, "heartbeat_failures": 5, "recheck_interval_s": 30.0,
    "if_failure_detected": "promote", "email": "ops@example.com", "notify_failure": True, "notify_sync_completion": True,
}


def good() -> Audit:
    """A pair that is kept as the guide asks."""
    stage = Stage(pair(CAREFUL)).normal()
    stage.hear(SyncSeen("b", "a", stage.now - 600, stage.now - 590))
    runs = [{"result": "Success", "started": stage.now - 600, "completed": stage.now - 590}]
    cores = {
        name: CoreFacts(name, stage.now, "", "11.3", mode, state, True, 0.1, stage.now + 1800, {**GOOD, "name": name},
                        {"cpus": 4, "memory_mib": 8192}, runs, {"running": True, "failures": 0, "last": "ok"})
        for name, mode, state in (("a", "Primary", "Active"), ("b", "Secondary", "Standby"))
    }
    return Audit(stage.case, cores, notified=1)


def holds(audit: Audit) -> dict[str, str]:
    return {row["practice"]: row["holds"] for row in audit_rows(audit)}


def _core(name: str, **changes: Any) -> Callable[[Audit], Audit]:
    return lambda audit: replace(audit, cores={**audit.cores, name: replace(audit.cores[name], **changes)})


def _config(**changes: Any) -> Callable[[Audit], Audit]:
    return lambda audit: _core("b", config={**audit.cores["b"].config, **changes})(audit)


def _run(result: str, took: float | None = 10.0) -> Callable[[Audit], Audit]:
    def broken(audit: Audit) -> Audit:
        start = audit.case.now - 4000
        return _core("b", runs=[{"result": result, "started": start, "completed": None if took is None else start + took}])(audit)

    return broken


def _stage(change: Callable[[Stage], None]) -> Callable[[Audit], Audit]:
    def broken(audit: Audit) -> Audit:
        stage = Stage(pair(CAREFUL)).normal()
        stage.hear(SyncSeen("b", "a", stage.now - 600, stage.now - 590))
        change(stage)
        return replace(audit, case=stage.case)

    return broken


def _saved(**changes: Any) -> Callable[[Audit], Audit]:
    def latch(stage: Stage) -> None:
        stage.state = replace(stage.state, saved=replace(stage.state.saved, **changes))

    return _stage(latch)


BROKEN: dict[str, Callable[[Audit], Audit]] = {
    "would-take-over": _stage(lambda stage: stage.rounds(4, a="ok/primary", b="refused") and None),
    "modes-as-expected": _stage(lambda stage: stage.look("b", "hastatus", reason=Reason.REFUSED)),
    "nobody-latched": _saved(latched=frozenset({"b"})),
    "copy-is-fresh": _stage(lambda stage: stage.hear(SyncSeen("b", "a", stage.now - 9000, stage.now - 8990))),
    "same-version": _core("b", version="11.2"),
    "ha-enabled": _core("b", ha_enabled=False),
    "promotion-race": _config(heartbeat_interval_s=1.0, heartbeat_failures=1, recheck_interval_s=1.0),
    "syncs-succeed": _run("Failed"),
    "next-sync-known": lambda audit: _core("b", next_sync=audit.case.now + 80000)(audit),
    "interval-an-hour": _config(run_every=15),
    "syncs-do-not-overlap": _run("Success", 3000.0),
    "not-while-syncing": _run("Running", None),
    "network-access": _core("b", heartbeat={"running": True, "failures": 3, "last": "timeout"}),
    "same-clock": _core("b", skew_s=7.0),
    "same-resources": _core("b", resources={"cpus": 2, "memory_mib": 8192}),
    "failover-controls": _config(heartbeat_failures=2),
    "core-notifications": _config(email=""),
    "unique-hostnames": _config(name="a"),
    "lbctl-notifies": lambda audit: replace(audit, notified=0),
    "certificates": lambda audit: audit,
}


def test_a_well_kept_pair_keeps_every_practice() -> None:
    assert {name for name, kept in holds(good()).items() if kept != "yes"} == set()


def test_every_practice_is_shown_to_fail() -> None:
    assert {practice.name for practice in PRACTICES} == BROKEN.keys()


@pytest.mark.parametrize("name", sorted(BROKEN.keys() - {"certificates"}))
def test_a_broken_practice_is_told_with_its_evidence(name: str) -> None:
    """G-BP: each alone."""
    (row,) = [row for row in audit_rows(BROKEN[name](good())) if row["practice"] == name]
    assert row["holds"] == "no" and row["evidence"] and row["advice"]


def test_a_certificate_that_ends_soon_is_told() -> None:
    audit = good()
    sight = audit.case.sight("a")
    page = sight.pages["status"]
    assert page.last is not None
    ending = replace(page, last=replace(page.last, not_after=audit.case.now + 3 * 86400))
    state = replace(audit.case.state, members={**audit.case.state.members, "a": replace(sight, pages={**sight.pages, "status": ending})})
    assert holds(replace(audit, case=audit.case.on(state)))["certificates"] == "no"


def test_what_nobody_can_tell_is_unknown_not_kept() -> None:
    """Without a hand on the Cores most rows cannot be judged."""
    found = holds(replace(good(), cores={}))
    assert found["same-version"] == found["ha-enabled"] == found["syncs-succeed"] == "unknown"
    assert found["would-take-over"] == "yes"


def test_a_standby_whose_address_could_not_follow_would_not_take_over() -> None:
    """`vip.agents`: its pages are well and its agent is silent; traffic would move to a host that has no address."""
    row = next(row for row in audit_rows(replace(good(), unable={"b": "no answer from its agent"})) if row["practice"] == "would-take-over")
    assert (row["holds"], row["evidence"]) == ("no", "traffic would move to b, but its address could not: no answer from its agent")
    assert holds(replace(good(), unable={"a": "no carrier"}))["would-take-over"] == "yes", "the active's own host is another matter"


def test_a_sentry_has_no_rows_of_cores() -> None:
    stage = Stage(pair()).normal()
    case = stage.case
    plain = replace(case, settings=replace(case.settings, monitor=replace(case.settings.monitor, pages=("tcp",), modes=False)))
    assert not {row["practice"] for row in audit_rows(Audit(plain, {}))} & CORE_ONLY


async def test_real_cores_are_asked_over_ssh(tmp_path: Path) -> None:
    """Every fact from the Cores' own command lines."""
    async with core_pair(tmp_path) as (a, b):
        hands = {"a": Hand(grip(a), SystemClock()), "b": Hand(grip(b), SystemClock())}
        await hands["b"].do("last-sync", "failover sync {peer}", peer="127.0.0.1")
        cores = await gather(hands, SystemClock())
    stage = Stage(pair(CAREFUL)).normal()
    rows = {row["practice"]: row for row in audit_rows(Audit(replace(stage.case, now=SystemClock().now()), cores))}
    assert rows["same-version"]["holds"] == rows["ha-enabled"]["holds"] == rows["same-clock"]["holds"] == rows["syncs-succeed"]["holds"] == "yes"
    assert rows["same-resources"]["holds"] == "yes" and rows["interval-an-hour"]["holds"] == "yes"


ANSWERS: dict[str, Any] = {
    "show failover config json": {**GOOD, "saved_at": 1.0}, "show resources json": {"cpus": 4, "memory_mib": 8192},
    "show failover sync history json": {"runs": [{"result": "Success", "started": 5.0, "completed": 6.0, "reason": "", "tasks": []}]},
}
STRANGE: dict[str, tuple[str, Any]] = {
    "a text for a number": ("failover config", {"run_every": "sixty"}),
    "no number": ("failover config", {"heartbeat_interval_s": float("nan")}),
    "an endless number": ("failover config", {"heartbeat_failures": float("inf")}),
    "a number that nobody means": ("failover config", {"run_every": 10**400}),
    "a list for a number": ("resources", {"cpus": [4]}),
    "runs that are none": ("failover sync history", {"runs": 5}),
    "a run that is none": ("failover sync history", {"runs": ["Success"]}),
    "a run without a result": ("failover sync history", {"runs": [{"started": 5.0}]}),
    "a run at no time": ("failover sync history", {"runs": [{"result": "Success", "started": "then"}]}),
    "a heartbeat that is a text": ("failover status", {"heartbeat": "fine"}),
    "a next sync that is a text": ("failover status", {"next_sync": "soon"}),
}


class Answering(Told):
    """A Core that answers each question with what stands here."""

    def __init__(self, **changed: Any) -> None:
        super().__init__("")
        self.changed = changed

    async def say(self, line: str, *, timeout_s: float = 0.0) -> tuple[int, str]:
        what = line.removeprefix("show ").removesuffix(" json")
        told = json.loads(status_with()) if what == "failover status" else ANSWERS[line]
        return 0, json.dumps({**told, **self.changed.get(what, {})})


@pytest.mark.parametrize("name", STRANGE)
async def test_a_core_that_answers_nonsense_is_unknown_and_hides_nobody_else(name: str) -> None:
    what, answer = STRANGE[name]
    cores = await gather({"a": Answering(), "b": Answering(**{what: answer})}, SystemClock())
    audit = replace(good(), cores=cores)
    found = {row["practice"]: row for row in audit_rows(audit)}
    assert found["same-resources"]["holds"] == "unknown" and "b: what it says" in found["same-resources"]["evidence"]
    assert cores["a"].error == "" and cores["a"].runs[0]["result"] == "Success"


def test_a_service_without_an_active_member_is_audited_all_the_same() -> None:
    """At the start, and after a lost memory: the rows that rest on it say no, none falls."""
    settings = pair(CAREFUL)
    told = {row["practice"]: row for row in audit_rows(Audit(Stage(settings, saved=Saved(settings.name)).case, {}, notified=1))}
    assert told["modes-as-expected"]["holds"] == "no" and "no active member" in told["modes-as-expected"]["evidence"]
