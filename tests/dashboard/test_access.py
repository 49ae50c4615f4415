"""The page for everybody: by keyboard alone, on a narrow screen, in both themes, read aloud (issue 5, item 2)."""

from __future__ import annotations

from itertools import pairwise

import pytest
from playwright.async_api import Browser, expect

from tests.dashboard import shown
from tests.dashboard.stage import Stage, tab

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.peer("chromium")]
expect.set_options(timeout=60_000)


async def test_everything_can_be_reached_by_keyboard(browser: Browser, api: Stage) -> None:
    for name in ("one", "two", "three"):
        api.put("normal", name)
    async with tab(browser, api.url, token="t") as page:
        await expect(page.locator("h1")).to_have_text("one")
        await page.keyboard.press("j")
        await page.keyboard.press("j")
        await expect(page.locator("h1")).to_have_text("three")
        await page.keyboard.press("k")
        await expect(page.locator("h1")).to_have_text("two")
        await page.keyboard.press("/")
        await page.keyboard.type("thr")
        await expect(page.locator(".row .name")).to_have_text(["three"])
        await page.keyboard.press("Escape")
        await page.keyboard.press("m")
        await expect(page.locator("dialog[open] h2")).to_have_text("Maintenance of two")
        assert await page.evaluate("document.activeElement.dataset.field") == "reason"
        await page.keyboard.press("Escape")
        await expect(page.locator("dialog[open]")).to_have_count(0)
        await page.keyboard.press("?")
        await expect(page.locator("dialog[open] h2")).to_have_text("Keys")


async def test_a_narrow_screen_shows_the_list_then_one_service_without_scrolling_sideways(browser: Browser, api: Stage) -> None:
    api.put("normal", "web")
    api.put("down", "core")
    async with tab(browser, api.url, width=360, height=740) as page:
        await expect(page.locator(".row .name")).to_have_text(["core", "web"])
        await expect(page.locator("#depth")).to_be_hidden()
        await page.click(".row[data-key=core]")
        await expect(page.locator("h1")).to_have_text("core")
        await expect(page.locator("#services")).to_be_hidden()
        inside = "document.querySelectorAll('.service *:not(table):not(table *):not(.offscreen)')"
        beyond = f"[...{inside}].filter((e) => e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.className)"
        assert await page.evaluate(beyond) == []
        await page.click(".back")
        await expect(page.locator("#services")).to_be_visible()


async def test_a_telephone_opens_the_only_service_at_once(browser: Browser, api: Stage) -> None:
    """At 3 a.m. nothing is to be tapped before it is seen what happened; the list is one step back."""
    api.put("down", "core")
    async with tab(browser, api.url, width=360, height=740) as page:
        await expect(page.locator("h1")).to_have_text("core")
        await page.click(".back")
        await expect(page.locator("#services")).to_be_visible()
        await expect(page.locator("#depth")).to_be_hidden()


AUDIT = """() => {
  const wrong = [], all = (what) => [...document.querySelectorAll(what)], shown = (e) => e.getClientRects().length > 0;
  const by = (e) => document.getElementById(e.getAttribute("aria-labelledby") || "")?.textContent;
  const own = (e) => (e.labels?.length ? e.labels[0].textContent : e.matches("input, select") ? "" : e.textContent);
  const name = (e) => (e.ariaLabel || by(e) || own(e)).trim();
  const say = (what, e) => wrong.push(`${what}: ${e.outerHTML.slice(0, 90)}`);
  all("button, a, input, select, summary, dialog[open], nav, section, [role=img]").forEach((e) => shown(e) && !name(e) && say("no name", e));
  const ids = all("[id]").map((e) => e.id);
  ids.filter((id, at) => ids.indexOf(id) !== at).forEach((id) => wrong.push(`twice: #${id}`));
  for (const key of ["aria-labelledby", "aria-describedby", "for"])
    all(`[${key}]`).forEach((e) => document.getElementById(e.getAttribute(key)) || say("points nowhere", e));
  all("[tabindex]").forEach((e) => e.tabIndex > 0 && say("an order of its own", e));
  all("th").forEach((e) => e.scope || say("the head of no column", e));
  all("svg:not([role=img])").forEach((e) => e.getAttribute("aria-hidden") === "true" || say("a picture without words", e));
  all(".badge, .chip, .word, .verdict b, .rules li > b").forEach((e) => shown(e) && !e.textContent.trim() && say("colour alone", e));
  all(".rules li").forEach((e) => e.querySelector(".offscreen")?.textContent.trim() || say("a sign that is not said", e));
  return wrong;
}"""


async def test_every_state_can_be_read_in_both_themes_and_aloud(browser: Browser, api: Stage) -> None:
    """WCAG 1.4.3: a contrast of 4.5 for every text against the ground it stands on; a name for every control and picture; no colour alone."""
    for story in shown.STORIES:
        api.put(story, story)
    async with tab(browser, api.url, token="t") as page:
        for story in shown.STORIES:
            await page.click(f".row[data-key={story}]")
            await expect(page.locator("h1")).to_have_text(story)
            await expect(page.locator(".part.members")).to_be_visible()
            if story in OPENED:
                await page.click(f".service [data-verb={OPENED[story]}]")
            for scheme in ("light", "dark"):
                await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                assert await page.evaluate(CONTRAST) == [], f"{story}, {scheme}"
            assert await page.evaluate(AUDIT) == [], story
            if story in OPENED:
                await page.keyboard.press("Escape")


OPENED = {"down": "failover", "failed-over": "ack", "normal": "maintenance"}
"""The form that is read as well."""


CONTRAST = """() => {
  const rgb = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const linear = (c) => (c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => .2126 * linear(r / 255) + .7152 * linear(g / 255) + .0722 * linear(b / 255);
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const c = rgb(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || e.closest(".offscreen, noscript, script, .skip") || !e.getClientRects().length) continue;
    const [a, b] = [light(rgb(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
    const ratio = (a + .05) / (b + .05);
    if (ratio < 4.5) poor.push(`${e.className || e.tagName} ${e.textContent.slice(0, 30)} ${ratio.toFixed(2)}`);
  }
  return [...new Set(poor)];
}"""


async def test_each_urgency_has_a_word_and_a_sign_of_its_own(browser: Browser, api: Stage) -> None:
    for story in ("stranded", "failed-over", "normal"):
        api.put(story, story)
    async with tab(browser, api.url, token="t") as page:
        await expect(page.locator(".row .word")).to_have_text(["Stranded", "Failed over", "Normal"])
        signs = "[...document.querySelectorAll('.row > .line > .icon path')].map((e) => e.getAttribute('d'))"
        assert len(set(await page.evaluate(signs))) == 3


async def test_headings_are_in_order(browser: Browser, api: Stage) -> None:
    api.put("stranded")
    async with tab(browser, api.url, token="t") as page:
        await expect(page.locator(".steps li").first).to_be_visible()
        levels = await page.evaluate("[...document.querySelectorAll('main h1, main h2, main h3')].map((e) => Number(e.tagName[1]))")
        assert levels[0] == 1 and levels.count(1) == 1 and all(b - a <= 1 for a, b in pairwise(levels))


async def test_a_move_is_made_by_keyboard_alone_and_focus_is_always_seen(browser: Browser, api: Stage) -> None:
    seen = "document.activeElement.matches(':focus-visible') && getComputedStyle(document.activeElement).outlineStyle !== 'none'"
    api.put("normal")
    async with tab(browser, api.url, token="t") as page:
        await expect(page.locator("[data-verb=switchover]")).to_be_visible()
        for _ in range(30):
            await page.keyboard.press("Tab")
            assert await page.evaluate(seen)
            if await page.evaluate("document.activeElement.dataset.verb") == "switchover":
                break
        await page.keyboard.press("Enter")
        assert await page.evaluate("document.activeElement.dataset.field") == "reason" and await page.evaluate(seen)
        await page.keyboard.type("network work")
        await page.keyboard.press("Enter")
        await expect(page.locator(".answer.done")).to_be_visible()
        await page.keyboard.press("Escape")
        assert await page.evaluate("document.activeElement.dataset.verb") == "switchover", "back where it was"
    ((path, body, _),) = api.asked
    assert path.endswith("/switchover") and body["reason"] == "network work"


async def test_nothing_moves_for_who_does_not_want_motion(browser: Browser, api: Stage) -> None:
    api.put("normal")
    moving = "[...document.querySelectorAll('*')].map(getComputedStyle).filter((s) => s.animationName !== 'none' || s.transitionDuration !== '0s')"
    async with tab(browser, api.url) as page:
        await page.emulate_media(reduced_motion="reduce")
        await expect(page.locator(".badge").first).to_be_visible()
        assert await page.evaluate(f"{moving}.length") == 0
