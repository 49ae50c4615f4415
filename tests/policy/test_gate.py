"""The gate's truth table: each row closed alone, everything else open, and nothing moves; all open, and it moves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from lbctl.model import commands as ask
from lbctl.model.events import Around
from lbctl.model.looks import Reason
from lbctl.model.settings import Freshness, ServiceSettings
from lbctl.model.state import Hold, Maintenance, Saved
from lbctl.policy import gate
from tests.policy.stage import T0, Stage

Closing = Callable[[Stage], None]


def _saved(**changes: object) -> Closing:
    def close(stage: Stage) -> None:
        stage.state = replace(stage.state, saved=replace(stage.state.saved, **changes))  # type: ignore[arg-type]

    return close


def _settings(change: Callable[[ServiceSettings], ServiceSettings]) -> Closing:
    def close(stage: Stage) -> None:
        stage.settings = change(stage.settings)

    return close


def _b(**changes: object) -> Closing:
    return _settings(lambda s: replace(s, members=(s.members[0], replace(s.members[1], **changes))))  # type: ignore[arg-type]


def _around(**changes: object) -> Closing:
    def close(stage: Stage) -> None:
        stage.around = replace(stage.around, **changes)  # type: ignore[arg-type]

    return close


def _cut(stage: Stage) -> None:
    stage.settings = replace(stage.settings, members=(replace(stage.settings.members[0], site="dc1"), stage.settings.members[1]))
    stage.around = replace(stage.around, sites_cut=frozenset({"dc1"}))


def _stalled(stage: Stage) -> None:
    stage.look("b", "hastatus", reason=Reason.TIMEOUT, void="stall")


CLOSED: dict[str, Closing] = {
    "not-latched": _saved(latched=frozenset({"b"})),
    "re-synced": _saved(needs_resync=frozenset({"b"})),
    "no-approval-needed": _b(manual_approval=True),
    "fresh-enough": _b(freshness=Freshness(60.0, unknown_blocks=True)),
    "follows-active": _b(syncs_from="b"),
    "not-locked-out": _saved(lockout_until=T0 + 1000),
    "not-in-maintenance": _saved(maintenance=Maintenance("ann", "x", T0, T0 + 1000)),
    "not-held": _saved(hold=Hold("ann", "x", T0)),
    "automation-on": _settings(lambda s: replace(s, observe=True)),
    "armed": _saved(rearming=True),
    "quorum": _settings(lambda s: replace(s, quorum=2)),
    "site-not-cut": _cut,
    "within-mass-move": _around(mass="hold"),
    "no-stall": _stalled,
}

ELSEWHERE = {
    "active-down": "test_normal_is_blocked_by_active_down_alone",
    "candidate-standby": "test_b_promoted_first_is_stranded_and_asked_for",
    "candidate-confirmed": "test_a_confirming_look_is_asked_for_at_once",
    "not-blind": "stories h03",
    "no-common-mode": "stories h20",
    "not-dual-primary": "stories h08",
}


def nearly() -> Stage:
    """One failed look away from a failover."""
    stage = Stage(around=Around(proofs=1, watched=1)).normal()
    stage.rounds(2, a="fail", b="503/standby")
    return stage


def test_every_row_is_in_the_table() -> None:
    assert set(gate.NAMES) == CLOSED.keys() | ELSEWHERE.keys()


def test_with_every_row_open_traffic_moves() -> None:
    """G-LB3."""
    stage = nearly()
    stage.rounds(1, a="fail", b="503/standby")
    assert stage.active == "b"


@pytest.mark.parametrize("rule", CLOSED)
def test_one_closed_row_stops_it_and_is_named(rule: str) -> None:
    """H1, H4, H6, H10, H24, H32, H53: each row alone is enough."""
    stage = nearly()
    CLOSED[rule](stage)
    stage.look("a", "status", reason=Reason.TIMEOUT)
    if rule != "no-stall":
        stage.look("b", "standby")
    assert stage.active == "a"
    assert rule in stage.view["blocked_by"]
    (candidate,) = stage.why["candidates"]
    row = next(r for r in candidate["rules"] if r["rule"] == rule)
    assert not row["holds"] and row["evidence"] and row["opens"]


@pytest.mark.parametrize("rule", sorted(gate.WAIVED & CLOSED.keys()))
def test_an_operators_word_replaces_what_is_waived(rule: str) -> None:
    """SEMANTICS 3: `failover` is checked against every row except these."""
    stage = nearly()
    CLOSED[rule](stage)
    stage.look("a", "status", reason=Reason.TIMEOUT)
    stage.look("b", "standby")
    assert stage.ask(ask.Failover(service="core", by="ann", to="b", reason="x")).code == ask.Code.ACCEPTED


@pytest.mark.parametrize("rule", ["re-synced", "fresh-enough", "follows-active", "quorum"])
def test_what_is_not_waived_is_overridden_only_by_name(rule: str) -> None:
    """H35: --force needs the rule's name."""
    stage = nearly()
    CLOSED[rule](stage)
    stage.look("a", "status", reason=Reason.TIMEOUT)
    stage.look("b", "standby")
    plain = ask.Failover(service="core", by="ann", to="b", reason="x")
    assert stage.ask(plain).rule == rule
    assert stage.ask(replace(plain, force=True, accept=frozenset({"active-down"}))).rule == rule
    assert stage.ask(replace(plain, accept=frozenset({rule}))).code is ask.Code.USAGE
    assert stage.ask(replace(plain, force=True, accept=frozenset({rule}))).code is ask.Code.ACCEPTED


def test_a_confirming_look_is_asked_for_at_once() -> None:
    """`candidate-confirmed`: a look started after the failure that completed active-down."""
    stage = nearly()
    stage.look("a", "status", reason=Reason.TIMEOUT)
    assert stage.active == "a" and stage.view["blocked_by"] == ["candidate-confirmed"]
    assert ("b", "hastatus") in stage.looks
    stage.look("b", "standby")
    assert stage.active == "b"


def test_a_stale_vote_counts_for_nobody() -> None:
    """H4: older than two intervals."""
    stage = nearly()
    stage.look("a", "status", reason=Reason.TIMEOUT)
    stage.wait(30)
    stage.look("b", "standby")
    assert stage.active == "a" and "active-down" in stage.view["blocked_by"]


def test_restarted_controller_counts_anew() -> None:
    """H29: nothing moves before `fall` real looks of this life."""
    stage = nearly()
    stage.restart("a", saved=Saved("core", epoch=1, active="a", primary="a", file_primary="a"))
    stage.rounds(2, a="fail", b="503/standby")
    assert stage.active == "a"
