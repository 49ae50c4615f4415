"""The *HA Configuration* window: the fields of the guide's table 2 and of its steps 2 to 6, in its words and order. Pure.

Which sections belong to which Mode is decided by the style sheet from the radio button itself, so a change of Mode shows them at once and
without a script; what a hidden section would send is not judged (`form`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lbctl.core.heartbeat import Reaction
from lbctl.core.portal.frame import ROOT, button, facts, form, gmt, radios, result_badge, row, section, select, text
from lbctl.core.portal.markup import Child, Html, join, tag
from lbctl.core.schedule import Unit
from lbctl.core.state import Mode, State
from lbctl.core.statefile import Served
from lbctl.core.sync.history import RunRecord
from lbctl.core.sync.transfer import Progress

PATH = "/ha"


@dataclass(frozen=True, slots=True)
class HaView:
    """What the window shows. `fields` are as edited or as in effect, `drafted`: edited and not applied. Times are UTC seconds."""

    fields: Mapping[str, str]
    errors: Mapping[str, str]
    advice: Mapping[str, str]
    drafted: bool
    trusted: Sequence[str]
    sentence: str
    last: RunRecord | None
    served: Served | None
    next_run: float | None
    progress: Progress | None
    running: bool
    csrf: str


def window(view: HaView) -> Html:
    """The whole window, one form."""
    pressed_by_enter = tag("button", "Save", type="submit", name="action", value="save", class_="unseen", tabindex=-1, aria_hidden="true")
    return form(
        view.csrf, PATH, pressed_by_enter, _drafted(view), _service(view), _ha_status(view), _secondary(view), _controls(view),
        _notifications(view), _buttons(), class_="ha",
    )


def _drafted(view: HaView) -> Html | None:
    if not view.drafted:
        return None
    return tag("p", "Changes on this page are not in effect yet: click Apply. ", button("Discard", "discard", kind="link"), class_="note info")


def _service(view: HaView) -> Html:
    fields, errors = view.fields, view.errors
    node = radios("node_status", {State.STANDBY: "Standby (Passive)", State.ACTIVE: "Active"}, fields.get("node_status", ""))
    warning = tag("p", "Active promotes this server to Primary when applied: it takes the work and stops syncing.", class_="advice promote")
    return section(
        "Service Configuration",
        tag("p", view.sentence, class_="lead"),
        row("High Availability", radios("enabled", {"yes": "Enable", "no": "Disable"}, fields.get("enabled", "")), error=errors.get("enabled", "")),
        row("Mode", radios("mode", {Mode.PRIMARY: "Primary", Mode.SECONDARY: "Secondary"}, fields.get("mode", "")), error=errors.get("mode", "")),
        row("Node Status", node, warning, error=errors.get("node_status", ""), class_="secondary-only"),
        row("SSH keys", tag("a", "Manage Trusted Hosts", href=f"{ROOT}/ha/trusted-hosts", class_="button"), _trusted_hint(view)),
    )


def _trusted_hint(view: HaView) -> Html:
    count = len(view.trusted)
    return tag("span", f"{count or 'No'} trusted host{'' if count == 1 else 's'}", class_="hint")


def _ha_status(view: HaView) -> Html:
    served = view.served
    pairs: list[tuple[str, Child]] = [
        ("Pair", served.host if served else "No Secondary has synchronized with this server yet"),
        ("Status of its last sync", result_badge("Success" if served.result == "Success" else "Failed") if served else "–"),
        ("Last synchronized", gmt(served.at) if served else "–"),
    ]
    if served and served.result != "Success":
        pairs.append(("Reason", served.result))
    return section("HA Status", facts(pairs), class_="primary-only")


def _secondary(view: HaView) -> Html:
    fields, errors, advice = view.fields, view.errors, view.advice
    hosts = {"": "Select…", **{host: host for host in view.trusted}}
    if fields.get("primary_host", "") not in hosts:
        hosts[fields["primary_host"]] = f"{fields['primary_host']} (not trusted)"
    every = join((
        text("run_every", fields.get("run_every", ""), error=errors.get("run_every", ""), inputmode="numeric", size=6),
        select("run_every_unit", {unit: unit for unit in Unit}, fields.get("run_every_unit", "")),
    ))
    start = row("StartTime (GMT)", select("start_time", _times(fields.get("start_time", "")), fields.get("start_time", "")), for_="start_time",
                error=errors.get("start_time", ""), advice="Applying this page starts the schedule anew at the next StartTime." + _next(view))
    return section(
        "Secondary Configuration",
        row("Hostname/IP", select("primary_host", hosts, fields.get("primary_host", "")), button("Run Sync Now", "run-sync", disabled=view.running),
            for_="primary_host", error=errors.get("primary_host", ""), advice=advice.get("primary_host", "")),
        row("Last Sync Status", last_sync(view.last, view.progress), tag("div", tag("a", "Refresh", href=ROOT + PATH, class_="button"),
            tag("a", "Sync History", href=f"{ROOT}/ha/sync-history", class_="button"), class_="buttons")),
        start,
        row("Run Every", every, for_="run_every", error=errors.get("run_every", "") or errors.get("run_every_unit", ""),
            advice=advice.get("run_every", "")),
        class_="secondary-only",
    )


def last_sync(last: RunRecord | None, progress: Progress | None) -> Html:
    """*Last Sync Status*: Started, Completed, Result; the line of a sync under way. The script replaces it as it changes."""
    if last is None:
        return tag("div", tag("p", "This server has never synchronized.", class_="empty"), id="last-sync", data_running="no")
    running = last.completed is None
    pairs: list[tuple[str, Child]] = [
        ("Started", gmt(last.started)), ("Completed", gmt(last.completed)), ("Result", result_badge(last.result)), ("From", last.source),
    ]
    if last.reason:
        pairs.append(("Reason", last.reason))
    if running and progress:
        pairs.append(("Progress", progress_line(progress)))
    return tag("div", facts(pairs), id="last-sync", data_running="yes" if running else "no")


def progress_line(progress: Progress) -> str:
    """Where a long sync is."""
    return f"{progress.task}: {progress.rows:,} of {progress.of:,} rows, {progress.received_bytes / 1e6:,.1f} MB received"


def _controls(view: HaView) -> Html:
    fields, errors = view.fields, view.errors

    def number(label: str, name: str, unit: str) -> Html:
        control = text(name, fields.get(name, ""), error=errors.get(name, ""), inputmode="decimal", size=8)
        return row(label, control, tag("span", unit, class_="hint"), for_=name, error=errors.get(name, ""))

    return section(
        "Fail Over Controls",
        number("Heartbeat Interval", "heartbeat_interval", "seconds"),
        number("Consecutive Heartbeat failures before failover", "heartbeat_failures", "failures"),
        number("Re-check interval", "recheck_interval", "seconds"),
        row("If Failure Detected", radios("if_failure_detected", {Reaction.KEEP_STANDBY: "Keep in Standby", Reaction.PROMOTE: "Promote to Primary"},
            fields.get("if_failure_detected", "")), error=errors.get("if_failure_detected", "")),
        class_="secondary-only",
    )


def _notifications(view: HaView) -> Html:
    fields, errors = view.fields, view.errors

    def tick(name: str, label: str) -> Html:
        return tag("label", tag("input", type="checkbox", name=name, value="yes", id=name, checked=fields.get(name) == "yes"), tag("span", label))

    email = text("email", fields.get("email", ""), kind="email", error=errors.get("email", ""), size=36)
    return section(
        "Notification Settings",
        row("Email", email, button("Test", "test-mail"), for_="email", error=errors.get("email", ""), advice=view.advice.get("email", "")),
        row("Notify On", tag("div", tick("notify_sync_completion", "Sync Completion"),
            tick("notify_failure", "Failure / This server becomes primary"), class_="ticks")),
        class_="secondary-only",
    )


def _buttons() -> Html:
    return tag("div", button("Save", "save"), button("Apply", "apply", kind="main"),
               tag("span", "Save keeps the page for this session; Apply puts it into effect.", class_="hint"), class_="bar")


def _times(chosen: str) -> dict[str, str]:
    times = [f"{hour:02}:{minute:02}" for hour in range(24) for minute in (0, 15, 30, 45)]
    return {time: time for time in sorted({*times, chosen} - {""})}


def _next(view: HaView) -> str:
    return f" Next sync: {gmt(view.next_run)}." if view.next_run is not None else " No sync is scheduled."
