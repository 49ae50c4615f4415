"""The guide's tables as a machine: every role that any history can reach is one of the table's rows and shows pages that a probe can read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from lbctl.core import state
from lbctl.core.state import SENTENCES, Mode, Role, State
from lbctl.model.looks import Verdict
from lbctl.statuspage import parse_hastatus, parse_status, render_hastatus, render_status

PRIMARY = state.save(Role(), enabled=True, mode=Mode.PRIMARY, active=False, standby_tomcat=False)
SECONDARY = state.save(Role(), enabled=True, mode=Mode.SECONDARY, active=False, standby_tomcat=False)

STEPS: dict[str, Callable[[Role], Role]] = {
    "promote": state.promote,
    "demote": lambda role: state.demote(role, standby_tomcat=False),
    "demote, tomcat kept": lambda role: state.demote(role, standby_tomcat=True),
    "tomcat on": lambda role: state.with_services(role, tomcat=True),
    "tomcat off": lambda role: state.with_services(role, tomcat=False),
    "clients on": lambda role: state.with_services(role, clients=True),
    "clients off": lambda role: state.with_services(role, clients=False),
    "HA on": lambda role: state.enable(role, True),
    "HA off": lambda role: state.enable(role, False),
} | {
    f"save {mode} {active} {enabled}": lambda role, mode=mode, active=active, enabled=enabled: state.save(
        role, enabled=enabled, mode=mode, active=active, standby_tomcat=False)
    for mode in Mode for active in (False, True) for enabled in (False, True)
}


def reachable() -> set[Role]:
    """Every role that any sequence of steps leads to."""
    found, left = {Role()}, [Role()]
    while left:
        role = left.pop()
        for step in STEPS.values():
            if (after := step(role)) not in found:
                found.add(after)
                left.append(after)
    return found


def test_every_reachable_role_is_a_row_of_the_table_and_renders_pages_that_parse() -> None:
    """G-ST, G-PG: the role table against the grammar that the probes read with."""
    roles = reachable()
    assert len(roles) == 40, "a new kind of role must be looked at by a person"
    for role in roles:
        assert (role.mode, role.state) in SENTENCES
        assert role.sentence
        status, hastatus = parse_status(render_status(role.status_ok)), parse_hastatus(render_hastatus(role.shown_mode))
        assert (status.verdict is Verdict.OK) == role.tomcat
        assert hastatus.verdict is (Verdict.STANDBY if role.state is State.STANDBY else Verdict.PRIMARY)


def test_no_reachable_role_both_takes_work_and_replicates() -> None:
    """G-SY1: a system in Primary mode, and a Secondary that is Active, do not replicate; nor do they watch anybody."""
    for role in reachable():
        assert bool(state.may_sync(role)) == (role.state is State.ACTIVE)
        assert not (role.writable and role.standby)
        assert not (role.state is State.ACTIVE and (role.scheduler or role.beating))
        assert not (not role.ha_enabled and (role.scheduler or role.beating))


def test_a_core_on_its_own_is_an_active_primary_with_ha_disabled() -> None:
    """G-HA: the default is Disable."""
    role = Role()
    assert (role.ha_enabled, role.mode, role.state, role.shown_mode, role.status_ok) == (False, Mode.PRIMARY, State.ACTIVE, "Primary", True)


@pytest.mark.parametrize("role", sorted(reachable(), key=repr)[::5], ids=lambda role: f"{role.mode}-{role.state}")
def test_mode_primary_is_always_allowed_and_repeats_with_the_same_result(role: Role) -> None:
    """G-CLI: not limited by any other command or state; the same effect as an automatic failover."""
    once = state.promote(role)
    assert once.state is State.ACTIVE
    assert once.tomcat or not role.standby
    assert state.promote(once) == once


def test_mode_secondary_does_not_restart_the_scheduler() -> None:
    """G-CLI, the guide's table 5; the portal's Save does restart it."""
    promoted = state.promote(SECONDARY)
    assert SECONDARY.scheduler
    assert not promoted.scheduler
    back = state.demote(promoted, standby_tomcat=False)
    assert back.standby
    assert not back.scheduler
    assert state.save(back, enabled=True, mode=Mode.SECONDARY, active=False, standby_tomcat=False).scheduler


def test_the_three_scenarios_of_table_1() -> None:
    """G-ST: Primary up; Primary down and the Secondary promoted; Primary up again, synced by hand, roles swapped back."""
    assert [(r.mode, r.state) for r in (PRIMARY, SECONDARY)] == [(Mode.PRIMARY, State.ACTIVE), (Mode.SECONDARY, State.STANDBY)]
    promoted = state.promote(SECONDARY)
    assert (promoted.mode, promoted.state) == (Mode.SECONDARY, State.ACTIVE)
    syncing_back = state.demote(PRIMARY, standby_tomcat=False)
    assert not state.may_sync(syncing_back)
    assert state.may_sync(promoted)
    returned, rested = state.promote(syncing_back), state.demote(promoted, standby_tomcat=False)
    assert (returned, rested.mode, rested.state) == (PRIMARY, Mode.SECONDARY, State.STANDBY)


def test_ha_enable_and_disable_start_and_stop_the_scheduler_and_nothing_else() -> None:
    """G-HA: mode and state stay as last set."""
    off = state.enable(SECONDARY, False)
    assert not off.scheduler
    assert replace(off, ha_enabled=True, scheduler=True) == SECONDARY == state.enable(off, True)
    assert not state.enable(state.promote(SECONDARY), True).scheduler


def test_disabling_client_connections_leaves_mode_state_and_pages_alone() -> None:
    """G-CLI: it prevents new device connections."""
    off = state.with_services(PRIMARY, clients=False)
    assert not off.writable
    assert replace(off, clients=True) == PRIMARY
    assert off.status_ok


@pytest.mark.parametrize("kept", [False, True])
def test_a_setting_says_whether_tomcat_goes_on_on_standby(kept: bool) -> None:
    """SEMANTICS section 1: 503, or OK if its tomcat was started by hand."""
    assert state.demote(PRIMARY, standby_tomcat=kept).status_ok is kept
    by_hand = state.with_services(SECONDARY, tomcat=True)
    assert by_hand.status_ok
    assert by_hand.shown_mode == "Standby"
    assert state.demote(by_hand, standby_tomcat=False).status_ok


@pytest.mark.parametrize("wrong", [
    {"state": State.STANDBY}, {"mode": Mode.PRIMARY, "set_up_as": Mode.SECONDARY}, {"scheduler": True},
], ids=["Primary/Standby", "a Secondary in Primary mode", "a scheduler without HA"])
def test_a_role_outside_the_table_cannot_be_made(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="Core"):
        Role(**wrong)  # type: ignore[arg-type]
