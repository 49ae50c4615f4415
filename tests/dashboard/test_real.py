"""The page over a whole lbctl: what a person sees and does while a pair fails over, without a reload of the page."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.dashboard.real import real
from tests.dashboard.stage import tab

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.peer("chromium")]
TIMEOUT = 60_000


async def test_a_failover_is_seen_live_and_a_resume_from_the_page_is_refused_with_its_rule(browser: Browser, tmp_path: Path) -> None:
    """G-LB3, G-LB4 and the story of SEMANTICS section 9, as the people on call see it."""
    async with real(tmp_path) as lbctl, tab(browser, lbctl.url, token=lbctl.token) as page:
        await expect(page.locator(".badge").first).to_have_text("Normal", timeout=TIMEOUT)
        await expect(page.locator(".candidate")).to_contain_text("ready: waits for the active member to fail", timeout=TIMEOUT)
        await lbctl.a.stop()
        await expect(page.locator(".badge").first).to_have_text("Failed over", timeout=TIMEOUT)
        await expect(page.locator(".where")).to_contain_text("Clients are sent to core-b", timeout=TIMEOUT)
        await expect(page.locator(".steps")).to_contain_text("moves from core-a to core-b", timeout=TIMEOUT)
        lbctl.b.mode = "Primary"
        await lbctl.a.start()
        await expect(page.locator(".alerts")).to_contain_text("OldPrimaryReturned", timeout=TIMEOUT)
        await lbctl.until(lambda seen: seen["members"][0]["monitors"]["status"]["verdict"] == "ok", "the old primary serves again")
        await page.click("[data-verb=resume]")
        await page.fill("[data-field=reason]", "back home")
        await page.click("[data-go]")
        await expect(page.locator(".answer.refused")).to_contain_text("Refused by a safety rule: active-standby", timeout=TIMEOUT)
        assert lbctl.seen()["active"] == "core-b"


async def test_an_operator_sets_maintenance_from_the_page_and_his_name_and_reason_stand_in_the_journal(browser: Browser, tmp_path: Path) -> None:
    """H32, H39: with an end, with a reason, by the token's name."""
    async with real(tmp_path) as lbctl, tab(browser, lbctl.url, token=lbctl.token) as page:
        await page.click("[data-verb=maintenance]", timeout=TIMEOUT)
        await page.fill("[data-field=reason]", "change 4711")
        await page.click("[data-go]")
        await expect(page.locator(".answer.done")).to_be_visible(timeout=TIMEOUT)
        await page.keyboard.press("Escape")
        await expect(page.locator(".keep")).to_contain_text("change 4711 · by alice", timeout=TIMEOUT)
        maintenance = lbctl.seen()["maintenance"]
        assert maintenance["on"] and maintenance["by"] == "alice" and maintenance["reason"] == "change 4711" and maintenance["until"]
