"""The portal in a real Chromium: the guide's steps 2 to 7 as two administrators click them, on two real Cores (G-PO, G-TP).

Anything that the browser complains of (an error of the script, a request that the security policy blocked) fails the test.
Set LBCTL_SCREENSHOTS to a directory to keep a picture of every step.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from lbctl.core.fill import fill
from lbctl.core.node import Node
from lbctl.core.state import State
from tests.core import cores
from tests.core.portal.visitor import PASSWORD, with_password

ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-proxy-server", "--disable-background-networking"]
PATIENCE_MS = 60_000.0
expect.set_options(timeout=PATIENCE_MS)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    program = shutil.which("chromium")
    assert program, "apt-get install chromium"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def administrator(browser: Browser, node: Node, *, script: bool = True) -> AsyncIterator[Page]:
    """Somebody logged in to the System Manager of this Core."""
    context = await browser.new_context(ignore_https_errors=True, java_script_enabled=script, viewport={"width": 1280, "height": 900})
    page = await context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" and "422" not in message.text else None)
    page.on("request", lambda request: None if request.url.startswith("https://127.0.0.1:") else wrong.append(request.url))
    await page.goto(f"https://127.0.0.1:{node.endpoints()['portal'].port}/mics")
    await page.get_by_label("User Name").fill("admin")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign In").click()
    await expect(page.get_by_role("heading", name="HA Configuration")).to_be_visible()
    yield page
    await context.close()
    assert wrong == []


async def picture(page: Page, name: str) -> None:
    if directory := os.environ.get("LBCTL_SCREENSHOTS"):
        await page.screenshot(path=Path(directory) / f"{name}.png", full_page=True)


async def enable(page: Page, mode: str) -> None:
    """Steps 2 and 3."""
    await page.get_by_role("radio", name="Enable").check()
    await page.get_by_role("radio", name=mode, exact=True).check()
    if mode == "Secondary":
        await page.get_by_role("radio", name="Standby (Passive)").check()
    await apply(page)


async def apply(page: Page) -> None:
    await page.get_by_role("button", name="Save", exact=True).last.click()
    await expect(page.get_by_text("Click Apply to put the changes into effect.")).to_be_visible()
    await page.get_by_role("button", name="Apply").click()
    await expect(page.get_by_text("The changes are in effect.")).to_be_visible()
    await page.get_by_role("link", name="OK").click()


async def add_key(page: Page, of: Page, other: Node) -> None:
    """Step 4, one direction: the key is copied from the one window and pasted into the other."""
    for tab in (page, of):
        await tab.get_by_role("main").get_by_role("link", name="Manage Trusted Hosts").or_(
            tab.get_by_role("navigation").get_by_role("link", name="Manage Trusted Hosts")).last.click()
    key = await of.get_by_label("Local Server SSH Key").input_value()
    await page.get_by_label("Hostname/IP").fill("127.0.0.1")
    await page.get_by_label("SSH Key", exact=True).fill(key)
    await page.get_by_text("Ports that differ from this server's").click()
    for name, label in (("https", "Port 443"), ("portal", "Port 8443"), ("ssh", "Port 22")):
        await page.get_by_label(label).fill(str(other.endpoints()[name].port))
    await page.get_by_role("button", name="Add SSH Key").click()


async def see_the_test_succeed(page: Page) -> None:
    await page.get_by_role("button", name="Test Connection").click()
    await expect(page.get_by_text("Test was successful")).to_be_visible()
    await picture(page, "test-connectivity")
    await page.get_by_role("link", name="OK").click()


@asynccontextmanager
async def two_cores(base: Path) -> AsyncIterator[tuple[Node, Node]]:
    """Fresh Cores, as after installation: HA is disabled."""
    more = with_password(base)
    async with cores.running(cores.settings(base, "core-a", **more)) as a, cores.running(cores.settings(base, "core-b", **more)) as b:
        yield a, b


@pytest.mark.peer("chromium")
async def test_a_pair_is_set_up_and_tested_in_the_browser_as_the_guide_says(tmp_path: Path) -> None:
    """Steps 2 to 7 of the set-up, tasks 1, 2, 3 and 5 of the test plan."""
    async with two_cores(tmp_path) as (a, b), chromium() as browser:
        await fill(a.replication.database, devices=300)
        async with administrator(browser, a) as primary, administrator(browser, b) as secondary:
            await expect(secondary.get_by_role("radio", name="Disable")).to_be_checked()
            await enable(primary, "Primary")
            await enable(secondary, "Secondary")
            assert (a.role.ha_enabled, b.role.ha_enabled, b.role.standby) == (True, True, True)

            await expect(primary.get_by_role("heading", name="HA Status")).to_be_visible()
            await expect(primary.get_by_role("heading", name="Secondary Configuration")).to_be_hidden()
            await expect(secondary.get_by_role("heading", name="HA Status")).to_be_hidden()
            await expect(secondary.get_by_role("heading", name="Fail Over Controls")).to_be_visible()

            await add_key(secondary, primary, a)
            await add_key(primary, secondary, b)
            await see_the_test_succeed(primary)
            await see_the_test_succeed(secondary)

            await secondary.get_by_role("navigation").get_by_role("link", name="HA Configuration").click()
            await secondary.get_by_label("Hostname/IP").select_option("127.0.0.1")
            await secondary.get_by_role("button", name="Run Sync Now").click()
            await expect(secondary.locator("#last-sync")).to_contain_text("Success")
            await picture(secondary, "ha-secondary")
            await secondary.get_by_role("main").get_by_role("link", name="Sync History").click()
            await expect(secondary.get_by_role("cell", name="Failed")).to_have_count(0)
            await expect(secondary.get_by_role("cell", name="Verify and apply")).to_be_visible()
            await picture(secondary, "sync-history")
            assert await b.replication.database.count("devices") == 300

            await secondary.get_by_role("navigation").get_by_role("link", name="HA Configuration").click()
            await secondary.get_by_label("StartTime (GMT)").select_option("13:00")
            await secondary.get_by_label("Run Every").fill("2")
            await secondary.locator("#run_every_unit").select_option("hours")
            await secondary.get_by_role("radio", name="Promote to Primary").check()
            await secondary.get_by_label("Email").fill("operations@example.com")
            await secondary.get_by_label("Failure / This server becomes primary").check()
            await apply(secondary)
            ha = b.record.ha
            assert (ha.start_time, ha.run_every, ha.run_every_unit, ha.if_failure_detected) == ("13:00", 2, "hours", "promote")
            assert (ha.primary_host, ha.email, ha.notify_failure) == ("127.0.0.1", "operations@example.com", True)

            await cores.until(lambda: "heartbeat" in "".join(b.log.tail("HighAvailability")), "a heartbeat")
            await secondary.get_by_role("link", name="Logs").click()
            await secondary.get_by_label("View Module Logs").select_option("HighAvailability")
            await secondary.get_by_role("button", name="Apply").click()
            await expect(secondary.locator("#module-log")).to_contain_text("heartbeat")
            await picture(secondary, "logs")

            await primary.get_by_role("navigation").get_by_role("link", name="HA Configuration").click()
            await expect(primary.get_by_text("core-b")).to_be_visible()
            await picture(primary, "ha-primary")


@pytest.mark.peer("chromium")
async def test_mistakes_are_marked_at_their_fields_and_active_promotes_without_any_script(tmp_path: Path) -> None:
    """Everything works with JavaScript switched off; the Mode shows its own sections by style alone."""
    async with two_cores(tmp_path) as (_, b), chromium() as browser, administrator(browser, b, script=False) as page:
        await page.get_by_role("radio", name="Secondary", exact=True).check()
        await expect(page.get_by_role("heading", name="Fail Over Controls")).to_be_visible()
        await page.get_by_label("Run Every").fill("often")
        await page.get_by_label("Run Every").press("Enter")
        await expect(page.get_by_text("Nothing was changed")).to_be_visible()
        await expect(page.locator("#run_every-error")).to_have_text("Enter a whole number from 1 to 100000.")
        await picture(page, "mistakes")
        await page.get_by_label("Run Every").fill("90")
        await page.get_by_label("Run Every").press("Enter")
        await expect(page.get_by_text("Saved. Click Apply")).to_be_visible()
        await page.get_by_role("radio", name="Active", exact=True).check()
        await expect(page.get_by_text("Active promotes this server")).to_be_visible()
        await page.get_by_role("button", name="Apply").click()
        await expect(page.get_by_text("The changes are in effect.")).to_be_visible()
        assert b.role.state is State.ACTIVE and b.record.ha.run_every == 90
