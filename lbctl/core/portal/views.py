"""The other pages: login, trusted hosts and their test, Sync History, services, logs. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lbctl.core.connectivity import Tested
from lbctl.core.portal.frame import ROOT, badge, bare, button, facts, form, gmt, radios, result_badge, row, section, select, table, text
from lbctl.core.portal.ha_view import progress_line
from lbctl.core.portal.markup import Child, Html, join, tag
from lbctl.core.sync.history import RunRecord, TaskRecord
from lbctl.core.sync.transfer import Progress
from lbctl.core.trust import Trusted

PORTS = (("https", "443"), ("portal", "8443"), ("ssh", "22"))


def login(core: str, name: str, problem: str) -> str:
    """The page before all others."""
    fields = tag(
        "form", tag("p", problem, class_="note bad", role="alert") if problem else None,
        row("User Name", text("user", name, autocomplete="username", autofocus=True, required=True), for_="user"),
        row("Password", text("password", "", kind="password", autocomplete="current-password", required=True), for_="password"),
        tag("div", tag("button", "Sign In", type="submit", class_="main"), class_="bar"), method="post", action=f"{ROOT}/login",
    )
    brand = tag("div", tag("span", class_="mark", aria_hidden="true"), tag("h1", "System Manager"), tag("p", core), class_="brand")
    return bare(f"Sign in - {core}", tag("div", brand, fields, class_="card"))


def trusted_hosts(local_key: str, hosts: Sequence[Trusted], sent: Mapping[str, str], problem: str, csrf: str) -> Html:
    """*Manage Trusted Hosts*: what step 4 of the set-up needs, on one page."""
    return join((
        section(
            "Local Server SSH Key", tag("p", "Paste this key into the SSH Key field of the other server.", class_="lead"),
            tag("textarea", local_key, id="local-key", rows=3, readonly=True, aria_label="Local Server SSH Key"),
            tag("div", tag("button", "Copy", type="button", id="copy-key", hidden=True), class_="buttons"),
        ),
        _add_host(sent, problem, csrf),
        section("Trusted Hosts", table(
            ("Hostname/IP", "Key fingerprint", "Ports", ""), [_host_row(host, csrf) for host in hosts],
            "No host is trusted yet: nobody can replicate.",
        )),
        tag("p", tag("a", "Back to HA Configuration", href=f"{ROOT}/ha")),
    ))


def _add_host(sent: Mapping[str, str], problem: str, csrf: str) -> Html:
    ports = (
        row(f"Port {usual}", text(name, sent.get(name, ""), inputmode="numeric", size=6),
            tag("span", f"its number in place of {usual}", class_="hint"), for_=name)
        for name, usual in PORTS
    )
    return section("Add Trusted Host", form(
        csrf, "/ha/trusted-hosts",
        row("Hostname/IP", text("host", sent.get("host", ""), size=36), for_="host"),
        row("SSH Key", tag("textarea", sent.get("key", ""), name="key", id="key", rows=4, spellcheck="false"), for_="key", error=problem),
        tag("details", tag("summary", "Ports that differ from this server's"), ports, open=any(sent.get(name) for name, _ in PORTS)),
        tag("div", button("Add SSH Key", "add", kind="main"), class_="bar"),
    ))


def _host_row(host: Trusted, csrf: str) -> tuple[Child, ...]:
    numbers = ((usual, {"https": host.https, "portal": host.portal, "ssh": host.ssh}[name]) for name, usual in PORTS)
    ports = [tag("div", f"{usual} is {number}") for usual, number in numbers if number is not None] or "the same as here"
    chosen = tag("input", type="hidden", name="host", value=host.host)
    buttons = form(csrf, "/ha/trusted-hosts", chosen, button("Test Connection", "test"), button("Remove", "remove", kind="plain"), class_="inline")
    return host.host, tag("code", host.fingerprint), ports, buttons


def tested(result: Tested) -> Html:
    """The *HA - Test Connectivity* window."""
    checks = [(check.name, badge("OK", "good") if check.ok else badge("Failed", "bad"), check.detail) for check in result.checks]
    return tag(
        "div", tag("h2", "HA - Test Connectivity"), tag("p", result.message, class_=f"note {'good' if result.ok else 'bad'}", role="status"),
        table(("Port", "Result", "Seen"), checks, "Nothing was tested."),
        tag("div", tag("a", "OK", href=f"{ROOT}/ha/trusted-hosts", class_="button main"), class_="bar"),
        class_="dialog", role="dialog", aria_label="HA - Test Connectivity",
    )


def confirmed(sentence: str) -> Html:
    """What Apply has done, with the guide's OK."""
    return tag(
        "div", tag("h2", "HA Configuration"), tag("p", "The changes are in effect.", class_="note good", role="status"), tag("p", sentence),
        tag("div", tag("a", "OK", href=f"{ROOT}/ha", class_="button main"), class_="bar"),
        class_="dialog", role="dialog", aria_label="HA Configuration",
    )


def sync_history(runs: Sequence[RunRecord], progress: Progress | None) -> Html:
    """*Sync History*: every run with every task of it, newest first."""
    if not runs:
        return tag("p", "This server has never synchronized.", class_="empty")
    refresh = tag("div", tag("a", "Refresh", href=f"{ROOT}/ha/sync-history", class_="button"),
                  tag("a", "Back to HA Configuration", href=f"{ROOT}/ha"), class_="buttons")
    return join((refresh, tag("div", (_run(run, number == 0, progress) for number, run in enumerate(runs)), class_="runs")))


def _run(run: RunRecord, newest: bool, progress: Progress | None) -> Html:
    size = f"{run.completed - run.started:.1f} s, {run.received_bytes / 1e6:,.2f} MB" if run.completed is not None else ""
    title = tag("summary", tag("strong", gmt(run.started)), result_badge(run.result), tag("span", f"from {run.source}"),
                tag("span", size, class_="hint"))
    tasks = table(("Task", "Result", "GMT", "Seconds", "Detail"), [_task(task) for task in run.tasks], "No task was begun.")
    where = tag("p", progress_line(progress)) if newest and progress and run.completed is None else None
    reason = tag("p", run.reason, class_="note bad" if run.result == "Failed" else "note info") if run.reason else None
    return tag("details", title, facts([("Started", gmt(run.started)), ("Completed", gmt(run.completed))]), reason, where, tasks, open=newest)


def _task(task: TaskRecord) -> tuple[Child, ...]:
    seconds = f"{task.completed - task.started:.2f}" if task.completed is not None else "–"
    return task.name, result_badge(task.result), gmt(task.started)[11:19], seconds, task.detail


def services(atlas: bool, tomcat: bool, clients: bool, core: bool, csrf: str) -> Html:
    """*Settings > Services*: Atlas can be switched here (G-AT); the others are shown."""
    shown: list[tuple[str, Child]] = [
        ("Core", badge("Enabled", "good") if core else badge("Atlas-only server", "plain")),
        ("tomcat", badge("Running", "good") if tomcat else badge("Stopped", "plain")),
        ("New device connections", badge("Enabled", "good") if clients else badge("Disabled", "plain")),
    ]
    return join((
        section("Services", facts(shown)),
        section("Atlas", form(
            csrf, "/services",
            row("Atlas", radios("atlas", {"yes": "Enable", "no": "Disable"}, "yes" if atlas else "no"),
                advice="Atlas data is replicated only when Atlas is enabled on both the Primary and the Secondary."),
            tag("div", button("Apply", "apply", kind="main"), class_="bar"),
        )),
    ))


def logs(modules: Sequence[str], chosen: str, lines: Sequence[str]) -> Html:
    """*Troubleshooting > Logs*: MICS, View Module Logs."""
    names = {module: module for module in modules}
    pick = tag(
        "form", row("Logs", select("log", {"MICS": "MICS"}, "MICS"), for_="log"),
        row("View Module Logs", select("module", names, chosen), for_="module"),
        tag("div", tag("button", "Apply", type="submit", class_="main"), class_="bar"), method="get", action=f"{ROOT}/logs",
    )
    body = tag("pre", "\n".join(lines), id="module-log", tabindex=0) if lines else tag("p", "This module has written nothing yet.", class_="empty")
    return join((section("MICS", pick), section(chosen, body)))
