"""The page over a whole lbctl: what a person sees and does while a pair fails over, without a reload of the page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from lbctl.api.tokens import Certificate, Role
from tests.api.certificates import Authority
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
        await lbctl.until(lambda seen: seen["promoted"] and seen["incident"] is None, "all is still: a form must not be overtaken")
        await expect(page.locator(".steps")).to_contain_text("answers as Primary and serves", timeout=TIMEOUT)
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


async def test_a_restart_is_said_with_the_time_of_what_is_shown_and_overcome_by_itself(browser: Browser, tmp_path: Path) -> None:
    """H56's neighbour: old figures are never shown as new ones, and the lines of the time between are not missing."""
    async with real(tmp_path) as lbctl, tab(browser, lbctl.url) as page:
        await expect(page.locator("#link")).to_have_text("live", timeout=TIMEOUT)
        await expect(page.locator(".steps li").first).to_be_visible(timeout=TIMEOUT)

        async def away() -> None:
            await expect(page.locator("#link")).to_have_text(re.compile(r"stale since \d\d:\d\d:\d\dZ"), timeout=TIMEOUT)
            await expect(page.locator("#notice")).to_contain_text("It is asked again by itself")
            await expect(page.locator(".where")).to_contain_text("Clients are sent to core-a")

        await lbctl.restart(away)
        await expect(page.locator("#link")).to_have_text("live", timeout=TIMEOUT)
        await expect(page.locator("#notice")).to_be_hidden()
        await expect(page.locator(".steps")).to_contain_text("started", timeout=TIMEOUT)


@pytest.mark.parametrize(("role", "may"), [(Role.OPERATOR, True), (Role.VIEWER, False)], ids=["operator", "viewer"])
async def test_a_client_certificate_says_who_is_at_the_page(browser: Browser, tmp_path: Path, role: Role, may: bool) -> None:
    """Without any token: what is offered follows from the certificate's role, and its name stands in the journal."""
    authority = Authority(tmp_path)
    certificate, key = authority.issue("lbctl.example.com")
    mine, my_key = authority.issue("olga")
    tls = f", tls: {{cert_file: {certificate}, key_file: {key}, client_ca_file: {authority.file}}}"
    async with real(tmp_path, tls=tls, certificates=[Certificate(name="olga", role=role)]) as lbctl:
        login = [{"origin": lbctl.url, "certPath": mine, "keyPath": my_key}]
        async with tab(browser, lbctl.url, ignore_https_errors=True, client_certificates=login) as page:
            await expect(page.locator("#token")).to_have_text(f"olga · {role.name.lower()}", timeout=TIMEOUT)
            if not may:
                await expect(page.locator(".reader")).to_contain_text("You are olga, a viewer: you may look.")
                return
            await page.click("[data-verb=hold]")
            await page.fill("[data-field=reason]", "cabling")
            await page.click("[data-go]")
            await expect(page.locator(".answer.done")).to_be_visible(timeout=TIMEOUT)
            held = lbctl.seen()["held"]
            assert (held["by"], held["reason"]) == ("olga", "cabling")
            foreign = await page.context.new_page()
            await foreign.goto("about:blank")
            for mode, kind in (("no-cors", "text/plain"), ("cors", "text/plain"), ("cors", "application/json")):
                await foreign.evaluate(RIDE, [f"{lbctl.url}/api/v1/services/core/release", mode, kind])
            assert lbctl.seen()["held"] == held, "a foreign page may not ride on the certificate (H39)"


async def test_a_drain_counts_down_on_the_page_and_can_be_called_off(browser: Browser, tmp_path: Path) -> None:
    """H49: a resume that waits for caches is seen to wait, and a person may think better of it."""
    async with real(tmp_path) as lbctl, tab(browser, lbctl.url, token=lbctl.token) as page:
        await lbctl.a.stop()
        await lbctl.until(lambda seen: seen["active"] == "core-b", "the failover")
        await expect(page.locator(".alone")).to_contain_text("Clients are not served yet: core-b has the traffic", timeout=TIMEOUT)
        await lbctl.a.start()
        await expect(page.locator(".part.next")).to_contain_text("lbctl resume core", timeout=TIMEOUT)
        await page.click("[data-verb=resume]")
        await page.check("[data-field=drain]")
        await page.check("[data-field=attest_synced]")  # on a slow machine a gap between looks leaves that to a person (SEMANTICS 3, iii)
        await page.fill("[data-field=reason]", "back home")
        await page.click("[data-go]")
        await expect(page.locator(".answer.done")).to_be_visible(timeout=TIMEOUT)
        await page.keyboard.press("Escape")
        drain = page.locator(".keep[data-key=drain]")
        await expect(drain).to_contain_text(re.compile(r"Drain: traffic moves to core-a in [12]?\d s"), timeout=TIMEOUT)
        await expect(drain).to_contain_text("The resume was asked for by alice")
        await page.click("[data-verb=drain-end]")
        await page.fill("[data-field=reason]", "not now")
        await page.click("[data-go]")
        await expect(page.locator(".answer.done")).to_be_visible(timeout=TIMEOUT)
        await expect(drain).to_have_count(0, timeout=TIMEOUT)
        assert lbctl.seen()["drain"] is None and lbctl.seen()["active"] == "core-b" and lbctl.seen()["held"]["by"] == "alice"


RIDE = """([url, mode, kind]) => fetch(url, { method: "POST", mode, credentials: "include", headers: { "Content-Type": kind }, body: "{}" })
  .catch(() => "refused by the browser")"""
