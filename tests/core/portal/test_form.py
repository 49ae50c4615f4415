"""The HA Configuration form: every field of the guide, judged on the server, a message per field (G-PO)."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lbctl.core.heartbeat import Reaction
from lbctl.core.portal import form
from lbctl.core.schedule import Unit
from lbctl.core.settings import HaSettings
from lbctl.core.state import Mode, Role, State

GOOD = {
    "enabled": "yes", "mode": "Secondary", "node_status": "Standby", "primary_host": "core-a", "start_time": "13:00", "run_every": "2",
    "run_every_unit": "hours", "heartbeat_interval": "60", "heartbeat_failures": "3", "recheck_interval": "20.5", "if_failure_detected": "promote",
    "email": "operations@example.com", "notify_sync_completion": "yes", "notify_failure": "",
}
NOW = HaSettings(primary_host="core-z", run_every=7, email="old@example.com")
HOSTS = ["core-a", "core-b"]


def test_the_fields_of_the_window_become_the_settings() -> None:
    """G-HA, G-SY2, G-HB, G-NT."""
    reading = form.read(GOOD, NOW, HOSTS)
    assert reading.errors == {} and not reading.active
    assert reading.settings == HaSettings(
        enabled=True, mode=Mode.SECONDARY, primary_host="core-a", start_time="13:00", run_every=2, run_every_unit=Unit.HOURS,
        heartbeat_interval=60, heartbeat_failures=3, recheck_interval=20.5, if_failure_detected=Reaction.PROMOTE, email="operations@example.com",
        notify_sync_completion=True, notify_failure=False,
    )


WRONG = {
    "enabled": ["", "maybe"], "mode": ["", "Tertiary", "secondary"], "node_status": ["", "Dead"], "primary_host": ["evil.example.com"],
    "start_time": ["", "24:00", "1:00", "now"], "run_every": ["", "0", "-1", "1.5", "x", "100001", "9" * 400], "run_every_unit": ["", "weeks"],
    "heartbeat_interval": ["", "0", "-5", "nan", "inf", "1e99", "often"], "heartbeat_failures": ["", "0", "1001", "2.5"],
    "recheck_interval": ["", "0", "x"], "if_failure_detected": ["", "panic"],
    "email": ["nobody", "a b@example.com", "a@b@c", "x@example.com,y@example.com", ""],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values],
                         ids=lambda word: repr(word[:12]) if isinstance(word, str) else None)
def test_a_wrong_field_has_a_message_of_its_own_and_nothing_is_used(name: str, value: str) -> None:
    reading = form.read({**GOOD, name: value}, NOW, HOSTS)
    assert reading.settings is None and list(reading.errors) == [name] and reading.errors[name].endswith(".")


def test_all_mistakes_are_told_at_once() -> None:
    reading = form.read({**GOOD, "run_every": "x", "email": "x", "primary_host": "x", "heartbeat_failures": "x"}, NOW, HOSTS)
    assert set(reading.errors) == {"run_every", "email", "primary_host", "heartbeat_failures"}


def test_a_primary_has_no_secondary_fields_and_keeps_what_they_were() -> None:
    """Table 2: those sections are shown for a Secondary only."""
    reading = form.read({"enabled": "yes", "mode": "Primary", "run_every": "rubbish", "node_status": "Active"}, NOW, HOSTS)
    assert reading.errors == {} and not reading.active
    assert reading.settings == NOW.model_copy(update={"enabled": True, "mode": Mode.PRIMARY})


def test_the_active_button_of_a_secondary_is_heard() -> None:
    """G-HA."""
    assert form.read({**GOOD, "node_status": "Active"}, NOW, HOSTS).active


def test_a_secondary_may_be_set_up_before_it_has_a_primary() -> None:
    """Steps 3 and 4 of the guide come before step 5."""
    assert form.read({**GOOD, "primary_host": ""}, NOW, []).errors == {}


def test_what_is_shown_reads_back_as_it_was() -> None:
    ha = form.read(GOOD, NOW, HOSTS).settings
    assert ha is not None
    role = Role(set_up_as=Mode.SECONDARY, mode=Mode.SECONDARY, state=State.STANDBY, ha_enabled=True, tomcat=False)
    assert form.shown(ha, role) == GOOD
    assert form.read(form.shown(ha, role), NOW, HOSTS).settings == ha


def test_a_primary_that_was_made_secondary_on_the_command_line_is_shown_as_one() -> None:
    """Saving the window must not promote it by accident (table 5)."""
    role = Role(set_up_as=Mode.PRIMARY, mode=Mode.SECONDARY, state=State.STANDBY)
    shown = form.shown(HaSettings(mode=Mode.PRIMARY), role)
    assert (shown["mode"], shown["node_status"]) == ("Secondary", "Standby")


def test_best_practices_are_advice_and_never_an_error() -> None:
    """G-BP: not under 60 minutes, notifications configured."""
    fields = {**GOOD, "run_every": "59", "run_every_unit": "minutes", "email": "", "notify_sync_completion": "", "primary_host": ""}
    assert set(form.advice(fields)) == {"run_every", "email", "primary_host"}
    assert form.read(fields, NOW, HOSTS).errors == {}
    assert form.advice({**GOOD, "run_every": "1", "run_every_unit": "hours"}) == {}
    assert form.advice({**fields, "mode": "Primary"}) == {}


@example({"run_every": "²"})
@example({"run_every": "9" * 5000})
@given(st.dictionaries(st.sampled_from(sorted(GOOD)), st.text(max_size=30)))
def test_any_text_in_any_field_is_settings_or_messages(sent: dict[str, str]) -> None:
    reading = form.read({**GOOD, **sent}, NOW, HOSTS)
    assert (reading.settings is None) == bool(reading.errors)
    assert set(reading.errors) <= set(GOOD)
    form.advice({**GOOD, **sent})
