"""The page in a real Chromium: what it shows in each state, how it stays live, and what an operator can do from it (issue 5, item 2)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.dashboard import shown
from tests.dashboard.stage import Stage, stage, tab

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.peer("chromium")]
expect.set_options(timeout=20_000)


@pytest_asyncio.fixture(loop_scope="session")
async def api() -> AsyncIterator[Stage]:
    async with stage() as made:
        yield made


async def texts(page: Page, selector: str) -> list[str]:
    return [" ".join(text.split()) for text in await page.locator(selector).all_inner_texts()]


@pytest.mark.parametrize(
    ("story", "words"),
    [
        (
            "normal",
            [
                "Normal",
                "Clients are sent to core-a",
                "Traffic would move to core-b",
                "ready: waits for the active member to fail",
                "in sync",
                "2 of 4 best practices",
            ],
        ),
        (
            "failed-over",
            ["Failed over", "Clients are sent to core-b", "OldPrimaryReturned", "latched", "needs resync", "lbctl resume core --drive", "lockout"],
        ),
        (
            "stranded",
            [
                "Stranded",
                "May traffic move to core-b?",
                "candidate-standby",
                "lbctl failover core --to core-b",
                "no answer within 3 s",
                "9× in a row",
            ],
        ),
        ("maintenance", ["Maintenance ends in 1 h", "upgrade to 12.1, change 4711", "alice", "not-in-maintenance"]),
        ("down", ["Down", "Partial", "re-synced", "BADKEY", "behind for"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_each_state_is_told_in_words_with_what_to_do(browser: Browser, api: Stage, story: str, words: list[str]) -> None:
    api.put(story)
    async with tab(browser, api.url) as page:
        for word in words:
            await expect(page.locator(".service")).to_contain_text(re.compile(re.escape(word).replace(r"\ ", r"\s+")))
        assert not await page.locator("text=/undefined|NaN|\\[object/").count()


async def test_what_needs_somebody_stands_first_and_the_title_says_so(browser: Browser, api: Stage) -> None:
    for name, story in (("calm", "normal"), ("moved", "failed-over"), ("urgent", "stranded")):
        api.put(story, name)
    async with tab(browser, api.url) as page:
        await expect(page.locator(".row .name")).to_have_text(["urgent", "moved", "calm"])
        assert await page.title() == "✕ urgent: Stranded – lbctl"
        await expect(page.locator("#summary")).to_have_text(re.compile(r"1 needs you\s*1 to look at\s*1 normal"))


async def test_a_change_is_shown_without_reloading_and_open_evidence_stays_open(browser: Browser, api: Stage) -> None:
    api.put("normal")
    async with tab(browser, api.url) as page:
        await expect(page.locator(".badge").first).to_have_text("Normal")
        await page.locator(".steps summary").first.click()
        api.put("failed-over")
        api.happen("moved", "failover: traffic of core moves from core-a to core-b", page=True)
        await expect(page.locator(".badge").first).to_have_text("Failed over")
        await expect(page.locator(".steps li").first).to_contain_text("failover: traffic of core moves from core-a to core-b")
        assert await page.locator(".steps details[open]").count() == 1
        await expect(page.locator("#told")).to_have_text("core is now Failed over")


async def test_a_cut_stream_is_taken_up_again_where_it_ended(browser: Browser, api: Stage) -> None:
    api.put("normal")
    async with tab(browser, api.url) as page:
        await expect(page.locator("#link")).to_have_text("live")
        api.happen("armed", "the line before the cut")
        await expect(page.locator(".steps li").first).to_contain_text("the line before the cut")
        async with page.expect_request(lambda request: request.url.endswith("/events/stream")) as again:
            api.drop()
        assert (await (await again.value).all_headers())["last-event-id"] == str(api.journal[-1]["seq"])
        await expect(page.locator("#link")).to_have_text("live")


async def test_a_controller_that_is_gone_is_said_and_old_figures_are_not_shown_as_new(browser: Browser, api: Stage) -> None:
    api.put("normal")
    async with tab(browser, api.url) as page:
        await expect(page.locator("#link")).to_have_text("live")
        api.dead = True
        api.drop()
        await expect(page.locator("#notice")).to_contain_text("does not answer")
        await expect(page.locator("#link")).to_have_text("not connected")
        await expect(page.locator("body")).to_have_class(re.compile("old"))
        api.dead = False
        await expect(page.locator("#notice")).to_be_hidden()


async def test_maintenance_asks_for_the_reason_says_the_consequence_and_sends_the_revision(browser: Browser, api: Stage) -> None:
    """H36, H39: the revision that was seen, a key of its own, the token in a header and nowhere else."""
    api.put("normal")
    async with tab(browser, api.url, token="lbctl_secret") as page:
        await page.click("[data-verb=maintenance]")
        await expect(page.locator(".consequence")).to_contain_text("If core-a fails meanwhile, its clients are without service")
        await page.select_option("[data-field=for]", "2h")
        await page.click("[data-go]")
        assert api.asked == [], "without a reason nothing is sent"
        await page.fill("[data-field=reason]", "it's change 4711")
        await expect(page.locator("dialog code")).to_have_text("lbctl maintenance on core --for 2h --reason 'it'\\''s change 4711'")
        await page.click("[data-go]")
        await expect(page.locator(".answer.done")).to_contain_text("done and verified")
    ((path, body, headers),) = api.asked
    assert path == "/api/v1/services/core/maintenance" and body == {"action": "on", "for": "2h", "reason": "it's change 4711"}
    assert headers["If-Match"] == '"41"' and len(headers["Idempotency-Key"]) == 32 and headers["Authorization"] == "Bearer lbctl_secret"


ACTS: dict[str, list[tuple[str, dict[str, str], str, dict[str, str]]]] = {
    "normal": [("switchover", {"to": "core-b"}, "services/core/switchover", {"to": "core-b"}), ("hold", {}, "services/core/hold", {})],
    "failed-over": [
        ("resume", {}, "services/core/resume", {}),
        ("swap-roles", {}, "services/core/swap-roles", {}),
        ("ack", {"member": "core-a"}, "services/core/ack", {"member": "core-a"}),
    ],
    "stranded": [
        ("failover", {}, "services/core/failover", {"to": "core-b"}),
        ("approve", {}, "approvals/core-12/approve", {}),
        ("deny", {}, "approvals/core-12/deny", {}),
    ],
    "maintenance": [
        ("maintenance-off", {}, "services/core/maintenance", {"action": "off"}),
        ("maintenance-extend", {}, "services/core/maintenance", {"action": "extend", "for": "1h"}),
    ],
}


@pytest.mark.parametrize("story", ACTS)
async def test_an_operator_acts_from_the_page(browser: Browser, api: Stage, story: str) -> None:
    api.put(story)
    async with tab(browser, api.url, token="t") as page:
        for verb, fill, _, _ in ACTS[story]:
            await page.click(f"[data-verb={verb}]")
            assert await page.locator(".consequence li").count(), verb
            for field, value in fill.items():
                await page.select_option(f"[data-field={field}]", value)
            await page.fill("[data-field=reason]", "why")
            await page.click("[data-go]")
            await expect(page.locator(".answer.done")).to_be_visible()
            await page.keyboard.press("Escape")
    sent = [(path, body) for path, body, _ in api.asked]
    assert sent == [(f"/api/v1/{path}", {**body, "reason": "why"}) for _, _, path, body in ACTS[story]]


async def test_a_refusal_names_its_rule_and_its_evidence_and_nothing_is_forced(browser: Browser, api: Stage) -> None:
    api.put("failed-over")
    api.refusals.append(
        (
            409,
            {
                "title": "refused by a safety rule",
                "detail": "core-b is not a Standby",
                "rule": "active-standby",
                "evidence": {"core-b": "Mode: Primary"},
            },
        )
    )
    async with tab(browser, api.url, token="t") as page:
        await page.click("[data-verb=resume]")
        await expect(page.locator(".consequence")).to_contain_text("Refused as it is now: active-standby")
        await page.fill("[data-field=reason]", "back home")
        await page.click("[data-go]")
        refused = page.locator(".answer.refused")
        for word in ("Refused by a safety rule: active-standby", "core-b is not a Standby", "Mode: Primary", "lbctl explain core"):
            await expect(refused).to_contain_text(word)
        assert not await page.locator("dialog >> text=/force/i").count()


async def test_somebody_elses_change_is_a_conflict_and_not_an_error(browser: Browser, api: Stage) -> None:
    api.put("normal")
    api.refusals.append((412, {"title": "somebody else changed it first", "detail": "revision 42, not 41"}))
    async with tab(browser, api.url, token="t") as page:
        await page.click("[data-verb=hold]")
        await page.fill("[data-field=reason]", "x")
        await page.click("[data-go]")
        await expect(page.locator(".answer.refused")).to_contain_text("Somebody changed it first")


async def test_a_token_is_tried_at_once_kept_for_the_tab_and_never_shown(browser: Browser, api: Stage) -> None:
    """H54."""
    api.put("normal")
    api.token = "canary-token"
    async with tab(browser, api.url) as page:
        await expect(page.locator("#notice")).to_contain_text("Reading needs a token here")
        await page.click("#token")
        await page.fill("dialog input", "wrong")
        await page.keyboard.press("Enter")
        await expect(page.locator(".answer.refused")).to_contain_text("not known")
        await page.fill("dialog input", "canary-token")
        await page.keyboard.press("Enter")
        await expect(page.locator(".badge").first).to_have_text("Normal")
        assert "canary-token" not in await page.content() and "canary-token" not in page.url
        assert await page.evaluate("localStorage.getItem('lbctl-token') === null && document.cookie === ''")


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


async def test_text_can_be_read_in_light_and_dark(browser: Browser, api: Stage) -> None:
    """WCAG 1.4.3: a contrast of 4.5 for every text, against the ground it really stands on."""
    for story in ("stranded", "failed-over", "maintenance"):
        api.put(story, story)
    async with tab(browser, api.url) as page:
        for story in api.stories:
            await page.click(f".row[data-key={story}]")
            await expect(page.locator("h1")).to_have_text(story)
            await expect(page.locator(".part.members")).to_be_visible()
            for scheme in ("light", "dark"):
                await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
                assert await page.evaluate(CONTRAST) == [], f"{story}, {scheme}"


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


async def test_colour_is_never_the_only_sign(browser: Browser, api: Stage) -> None:
    """Every coloured badge, chip and verdict has a word; every state its own."""
    for story in ("stranded", "failed-over", "normal"):
        api.put(story, story)
    async with tab(browser, api.url, token="t") as page:
        await expect(page.locator(".badge").first).to_be_visible()
        assert all(await texts(page, ".badge, .chip, .word, .verdict b"))
        assert len(set(await texts(page, ".row .word"))) == 3
        assert await page.locator(".badge .icon, .row > .line > .icon").count() >= 4


async def test_every_control_has_a_name_and_headings_are_in_order(browser: Browser, api: Stage) -> None:
    api.put("stranded")
    async with tab(browser, api.url, token="t") as page:
        await expect(page.locator(".steps li").first).to_be_visible()
        controls = "[...document.querySelectorAll('button, a, input, select')]"
        nameless = f"{controls}.filter((e) => !(e.textContent.trim() || e.ariaLabel || e.labels?.length)).map((e) => e.outerHTML)"
        assert await page.evaluate(nameless) == []
        levels = await page.evaluate("[...document.querySelectorAll('main h1, main h2, main h3')].map((e) => Number(e.tagName[1]))")
        assert levels[0] == 1 and levels.count(1) == 1 and all(b - a <= 1 for a, b in pairwise(levels))


async def test_a_way_that_does_not_arrive_is_marked_and_the_log_and_a_test_are_at_hand(browser: Browser, api: Stage) -> None:
    """Issue 5, item 5: delivery visible."""
    api.put("normal")
    one = {"at": shown.at(-60), "key": "k", "service": "core", "kind": "moved", "attempt": 4, "took_s": 0.1}
    api.notices = {"ways": ["email:ops@example.com", "webhook:hooks"], "waiting": 2, "deliveries": [
        {**one, "notifier": "email:ops@example.com", "outcome": "given-up", "detail": "550 no such reader"},
        {**one, "notifier": "webhook:hooks", "outcome": "delivered", "detail": ""},
    ]}
    async with tab(browser, api.url, token="t") as page:
        await expect(page.locator("#notices")).to_have_attribute("title", "does not arrive: email:ops@example.com")
        await page.click("#notices")
        for word in ("2 waiting", "given-up (try 4)", "550 no such reader", "core: moved"):
            await expect(page.locator("dialog")).to_contain_text(word)
        await page.click("[data-verb=notify-test]")
        await expect(page.locator(".answer.done")).to_contain_text("taken by every way")
    assert [path for path, _, _ in api.asked] == ["/api/v1/notify/test"]


async def test_an_open_upgrade_shows_the_nine_steps_and_what_the_due_one_misses(browser: Browser, api: Stage) -> None:
    """G-UP."""
    run = {
        "id": "u1",
        "kind": "upgrade",
        "step": "3",
        "by": "alice",
        "reason": "12.1",
        "began": shown.at(-900),
        "source": "",
        "target": "",
        "failed": None,
        "notes": {},
    }
    api.put("maintenance", run=run)
    async with tab(browser, api.url) as page:
        steps = page.locator(".upgrade li")
        await expect(steps).to_have_count(9)
        await expect(steps.nth(3)).to_contain_text("misses: Last Sync Status is Started, not Completed")
        await expect(page.locator(".upgrade code").last).to_have_text("lbctl upgrade core next")


async def test_looks_are_drawn_over_time_and_failed_ones_are_marked(browser: Browser, api: Stage) -> None:
    api.put("normal")
    async with tab(browser, api.url) as page:
        await expect(page.locator("svg.chart").first).to_be_visible()
        for number in range(4):
            members = shown.normal()["members"]
            members[0]["monitors"]["status"].update(
                {"looked": shown.at(number), "duration_s": 0.01 * (number + 1), "verdict": "ok" if number != 2 else "failed"}
            )
            api.put("normal", members=members)
            api.happen("look", f"look {number}", member="core-a", page="status", verdict="ok")
            await expect(page.locator(".steps li").first).to_contain_text(f"look {number}")
        chart = page.locator(".member[data-key=core-a] .page[data-key=status] svg.chart")
        await expect(chart).to_have_attribute("aria-label", re.compile(r"status: median \d+ ms, slowest 40 ms, 1 failed of \d looks"))
        assert await chart.locator(".failed").count() == 1 and await chart.locator("polyline").count() == 1


async def test_five_hundred_services_stay_usable(browser: Browser, api: Stage) -> None:
    base = shown.normal()
    api.services = [{**base, "name": f"service-{number:03}"} for number in range(500)]
    api.stories = {one["name"]: "normal" for one in api.services}
    api.put("stranded", "service-321")
    async with tab(browser, api.url) as page:
        await expect(page.locator(".row .name").first).to_have_text("service-321")
        await expect(page.locator("#summary")).to_have_text(re.compile(r"1 needs you\s*499 normal"))
        await expect(page.locator(".row")).to_have_count(400)
        await expect(page.locator("#services")).to_contain_text("and 100 more")
        await page.fill("#filter", "service-42")
        await expect(page.locator(".row")).to_have_count(10)


async def test_names_from_outside_are_text_and_never_markup(browser: Browser, api: Stage) -> None:
    """H54 and G-LB1: what a member's page says may be anything."""
    nasty = "<img src=x onerror=window.hit=1><script>window.hit=1</script>"
    members = shown.stranded()["members"]
    members[0]["detail"] = nasty
    api.put("stranded", members=members, reason=nasty)
    api.happen("look", nasty, detail=nasty)
    async with tab(browser, api.url) as page:
        await expect(page.locator(".member .detail").first).to_have_text(nasty)
        assert await page.evaluate("window.hit === undefined && document.querySelectorAll('main img').length === 0")
