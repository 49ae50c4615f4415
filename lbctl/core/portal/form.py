"""The HA Configuration form: fields as text to settings or to a message per field. Pure.

A field that the chosen Mode does not show (table 2 of the guide) is not judged: it keeps the value that is in effect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from lbctl.core.heartbeat import Reaction
from lbctl.core.schedule import Unit
from lbctl.core.settings import HaSettings
from lbctl.core.state import Mode, Role, State

Fields = Mapping[str, str]

CHOICES: Mapping[str, tuple[str, ...]] = {
    "enabled": ("yes", "no"),
    "mode": tuple(Mode),
    "node_status": tuple(State),
    "run_every_unit": tuple(Unit),
    "if_failure_detected": tuple(Reaction),
}

SECONDARY_FIELDS = (
    "primary_host", "start_time", "run_every", "run_every_unit", "heartbeat_interval", "heartbeat_failures", "recheck_interval",
    "if_failure_detected", "email",
)
TICKS = ("notify_sync_completion", "notify_failure")

MESSAGES: Mapping[str, str] = {
    "enabled": "Select Enable or Disable.",
    "mode": "Select Primary or Secondary.",
    "node_status": "Select Standby or Active.",
    "primary_host": "Select one of the trusted hosts.",
    "start_time": "Select a time of day in GMT, such as 01:00.",
    "run_every": "Enter a whole number from 1 to 100000.",
    "run_every_unit": "Select minutes, hours or days.",
    "heartbeat_interval": "Enter seconds, from 0.01 to 31622400.",
    "heartbeat_failures": "Enter a whole number from 1 to 1000.",
    "recheck_interval": "Enter seconds, from 0.01 to 31622400.",
    "if_failure_detected": "Select Keep in Standby or Promote to Primary.",
    "email": "Enter a valid e-mail address, such as operations@example.com.",
}

RECOMMENDED_MINUTES = 60
_MINUTES = {Unit.MINUTES: 1, Unit.HOURS: 60, Unit.DAYS: 1440}


@dataclass(frozen=True, slots=True)
class Reading:
    """What a form said. `settings` is None where `errors` has a message for a field; `active` is the Node Status that was chosen."""

    settings: HaSettings | None
    active: bool
    errors: Mapping[str, str]


def shown(ha: HaSettings, role: Role) -> dict[str, str]:
    """The fields as they are in effect. The Mode is the one that the Core has now: `failover mode secondary` changes it too (table 5)."""
    return {
        "enabled": "yes" if ha.enabled else "no", "mode": role.mode, "node_status": role.state if role.mode is Mode.SECONDARY else State.STANDBY,
        "primary_host": ha.primary_host, "start_time": ha.start_time, "run_every": str(ha.run_every), "run_every_unit": ha.run_every_unit,
        "heartbeat_interval": f"{ha.heartbeat_interval_s:g}", "heartbeat_failures": str(ha.heartbeat_failures),
        "recheck_interval": f"{ha.recheck_interval_s:g}", "if_failure_detected": ha.if_failure_detected, "email": ha.email,
        "notify_sync_completion": "yes" if ha.notify_sync_completion else "", "notify_failure": "yes" if ha.notify_failure else "",
    }


def read(fields: Fields, current: HaSettings, trusted: Sequence[str]) -> Reading:
    """Judges what was sent; `current` is in effect, `trusted` are the hosts of the drop-down menu."""
    errors = {name: MESSAGES[name] for name in ("enabled", "mode") if fields.get(name) not in CHOICES[name]}
    if errors:
        return Reading(None, False, errors)
    secondary = fields["mode"] == Mode.SECONDARY
    values: dict[str, Any] = {**current.model_dump(by_alias=True), "enabled": fields["enabled"] == "yes", "mode": fields["mode"]}
    if secondary:
        values |= {name: fields.get(name, "").strip() for name in SECONDARY_FIELDS} | {name: fields.get(name) == "yes" for name in TICKS}
        errors = _secondary_errors(fields, trusted)
    settings, wrong = _settings(values)
    errors |= wrong
    return Reading(None if errors else settings, secondary and fields.get("node_status") == State.ACTIVE, errors)


def advice(fields: Fields) -> dict[str, str]:
    """Best practices of the guide that a form does not follow, by field. They never stop a Save."""
    if fields.get("mode") != Mode.SECONDARY:
        return {}
    found = {}
    every, unit = fields.get("run_every", ""), fields.get("run_every_unit", "")
    # Digits as `int` has them, and not more of them than it takes: "²" is a digit too, and any text can be sent.
    if every.isdecimal() and len(every) < 10 and unit in CHOICES["run_every_unit"] and int(every) * _MINUTES[Unit(unit)] < RECOMMENDED_MINUTES:
        found["run_every"] = "Best practice: not more often than every 60 minutes."
    if not fields.get("primary_host"):
        found["primary_host"] = "Without a Primary there is no heartbeat and no sync."
    if not fields.get("email"):
        found["email"] = "Best practice: configure all notifications on the Secondary."
    return found


def _secondary_errors(fields: Fields, trusted: Sequence[str]) -> dict[str, str]:
    errors = {}
    if fields.get("node_status") not in CHOICES["node_status"]:
        errors["node_status"] = MESSAGES["node_status"]
    if fields.get("primary_host", "") not in ("", *trusted):
        errors["primary_host"] = MESSAGES["primary_host"]
    if any(fields.get(name) == "yes" for name in TICKS) and not fields.get("email", "").strip():
        errors["email"] = "Enter the e-mail address that the selected notifications go to."
    return errors


def _settings(values: Mapping[str, Any]) -> tuple[HaSettings | None, dict[str, str]]:
    try:
        return HaSettings.model_validate(values), {}
    except ValidationError as error:
        return None, {str(one["loc"][0]): MESSAGES.get(str(one["loc"][0]), one["msg"]) for one in error.errors()}
