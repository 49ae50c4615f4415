"""The steps and tasks as rows, in the guide's order and words. Each does what the guide says and returns what it saw; `Failed` says what not."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lbctl.clock import Clock
from lbctl.core.acceptance.administrator import Administrator, Page
from lbctl.core.acceptance.mailbox import Mailbox
from lbctl.errors import LbctlError
from lbctl.statuspage import HASTATUS_PATH, STATUS_PATH

HOSTS = "/ha/trusted-hosts"
HISTORY = "/ha/sync-history"
EMAIL = "operations@example.com"
SUCCESSFUL = "Test was successful"
SYNC_MAX_S = 1800.0


class Failed(LbctlError):
    """A step did not show what the guide expects; the message says what was seen instead."""


@dataclass(slots=True)
class Stage:
    """The two Cores as their administrator has them before him."""

    primary: Administrator
    secondary: Administrator
    mailbox: Mailbox
    clock: Clock


@dataclass(frozen=True, slots=True)
class Step:
    """One row; `row` is its number in the guide."""

    row: str
    title: str
    run: Callable[[Stage], Awaitable[str]]


async def _network(stage: Stage) -> str:
    names, versions = set(), set()
    for side in (stage.primary, stage.secondary):
        for path in (STATUS_PATH, HASTATUS_PATH):
            expect("MOBILEIRON-STATUS" in (await side.status_page(path))[1], f"{side.place.host}: no status page at {path}")
        code, text = await side.type("show version json")
        expect(code == 0, f"{side.place.host}: SSH: {text}")
        facts = json.loads(text)
        names.add(facts["name"])
        versions.add(facts["version"])
        expect((await side.log_in()).status == 200, f"{side.place.host}: the portal does not let the administrator in")
    expect(len(names) == 2, f"host names are not unique: {names}")
    expect(len(versions) == 1, f"software versions differ: {versions}")
    return f"443, 8443 and 22 answer on {' and '.join(sorted(names))}, both {versions.pop()}"


async def _enable_primary(stage: Stage) -> str:
    page = await _apply(stage.primary, enabled="yes", mode="Primary")
    return _said(page, "This Primary is active")


async def _enable_secondary(stage: Stage) -> str:
    page = await _apply(stage.secondary, enabled="yes", mode="Secondary", node_status="Standby")
    shown = (await stage.secondary.status_page(HASTATUS_PATH))[1]
    expect(shown == "MOBILEIRON-STATUS: OK (Mode: Standby)", f"the Secondary says {shown}")
    return _said(page, "This Secondary is on standby")


async def _exchange_keys(stage: Stage) -> str:
    for mine, other in ((stage.primary, stage.secondary), (stage.secondary, stage.primary)):
        key = (await other.see(HOSTS)).fields["local-key"]
        place = other.place
        ports = {"https": str(place.https), "portal": str(place.portal), "ssh": str(place.ssh)}
        _said(await mine.click(HOSTS, "add", host=place.host, key=key, **ports), "was added")
    tested = await _test_both(stage)
    await _apply(stage.primary)
    await _apply(stage.secondary, primary_host=stage.primary.place.host)
    return tested


async def _test_sync(stage: Stage) -> str:
    page = await stage.secondary.click("/ha", "run-sync", primary_host=stage.primary.place.host)
    if "is running" in page.text:  # the portal answers before a long one is over
        await _end_of_sync(stage)
    else:
        _said(page, "completed: Success")
    history = await stage.secondary.see(HISTORY)
    expect("Failed" not in history.text, "Sync History shows a task that failed")
    last = await stage.secondary.see("/ha")
    expect("Success" in last.text, f"Last Sync Status is no success: {last.text[:400]}")
    return _said(last, "Completed", "Last Sync Status: Started, Completed, Result Success")


async def _end_of_sync(stage: Stage) -> None:
    until = stage.clock.now() + SYNC_MAX_S
    while json.loads((await stage.secondary.type("show failover status json"))[1])["sync_running"]:
        expect(stage.clock.now() < until, f"the sync is still running after {SYNC_MAX_S / 60:g} min")
        await stage.clock.sleep(1.0)


async def _schedule(stage: Stage) -> str:
    await _apply(
        stage.secondary, primary_host=stage.primary.place.host, start_time="01:00", run_every="60", run_every_unit="minutes",
        if_failure_detected="promote", email=EMAIL, notify_sync_completion="yes", notify_failure="yes",
    )
    code, text = await stage.secondary.type("show failover status json")
    status = json.loads(text) if code == 0 else {}
    expect(bool(status.get("scheduler") and status.get("next_sync")), "the scheduler does not run")
    _, text = await stage.secondary.type("show failover config json")
    config = json.loads(text)
    expect(config["email"] == EMAIL and config["notify_failure"], "the Notification Settings were not kept")
    _, text = await stage.secondary.type("show failover status")
    when = next(line for line in text.splitlines() if line.startswith("next sync"))
    return f"{when}, every {config['run_every']} {config['run_every_unit']}; failovers and syncs are told to {EMAIL}"


async def _test_both(stage: Stage) -> str:
    for mine, other in ((stage.primary, stage.secondary), (stage.secondary, stage.primary)):
        _said(await mine.click(HOSTS, "test", host=other.place.host), SUCCESSFUL)
    return f"{SUCCESSFUL}, on both servers"


async def _standby_updated(stage: Stage) -> str:
    code, text = await stage.secondary.type("enable; service tomcat start")
    expect(code == 0, f"service tomcat start: {text}")
    there, here = await stage.primary.device_count(), await stage.secondary.device_count()
    expect(there is not None and there == here, f"the Primary has {there} devices, the Secondary {here}")
    await stage.secondary.type("enable; service tomcat stop")
    return f"{here} devices on both"


async def _test_mail(stage: Stage) -> str:
    _said(await stage.secondary.click("/ha", "test-mail", email=EMAIL), "A test e-mail was sent")
    expect(any(message["To"] == EMAIL for message in stage.mailbox.messages), "no mail arrived")
    return f"arrived for {EMAIL} over STARTTLS: {stage.mailbox.messages[-1]['Subject']}"


async def _heartbeat(stage: Stage) -> str:
    return _said(await stage.secondary.see("/logs?module=HighAvailability"), "heartbeat ok", "heartbeat ok, in the HighAvailability log")


STEPS = (
    Step("Step 1", "Set up network components", _network),
    Step("Step 2", "Enable HA on Primary server", _enable_primary),
    Step("Step 3", "Enable HA on Secondary server", _enable_secondary),
    Step("Step 4", "Exchange SSH keys between servers", _exchange_keys),
    Step("Step 5", "Configure and test HA sync on Secondary Core server", _test_sync),
    Step("Step 6", "Configure sync schedule and notifications", _schedule),
    Step("Step 7, task 1", "Check System Connectivity", _test_both),
    Step("Step 7, task 2", "Sync systems manually", _test_sync),
    Step("Step 7, task 3", "Verify Standby Core updated correctly", _standby_updated),
    Step("Step 7, task 4", "Test Email Notification", _test_mail),
    Step("Step 7, task 5", "Confirm Heartbeat Process", _heartbeat),
)


def expect(holds: bool, otherwise: str) -> None:
    """Raises `Failed` with what was seen instead."""
    if not holds:
        raise Failed(otherwise)


def _said(page: Page, words: str, seen: str = "") -> str:
    """The sentence of the page in which the words stand. Raises `Failed` with the page's beginning."""
    expect(words in page.text, f"'{words}' is not on the page (HTTP {page.status}): {page.text[:400]}")
    if seen:
        return seen
    start = page.text.index(words)
    return page.text[start:].split(". ")[0][:120]


async def _apply(side: Administrator, **changes: str) -> Page:
    """Save, then Apply, of the HA Configuration window."""
    saved = await side.click("/ha", "save", **changes)
    expect(saved.status == 200, f"Save was refused: {saved.text[:400]}")
    return await side.click("/ha", "apply")
