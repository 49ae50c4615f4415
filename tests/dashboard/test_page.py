"""The page in a real Chromium: what it shows in each state, and how it stays live (issue 5, item 2)."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Browser, expect

from tests.dashboard import shown
from tests.dashboard.stage import Stage, tab

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.peer("chromium")]
expect.set_options(timeout=60_000)


TOLD: dict[str, list[str]] = {
    "normal": [
        "Normal", "Clients are sent to core-a", "Traffic would move to core-b", "ready: waits for the active member to fail", "in sync",
        "2 of 4 best practices",
    ],
    "failed-over": [
        "Failed over", "Clients are sent to core-b", "OldPrimaryReturned", "latched", "needs resync", "lbctl resume NAME --drive",
        "lockout",
    ],
    "suspect": ["Suspect", "core-a fails", "is not proven down yet", "Nothing to type yet", "connection refused"],
    "stranded": [
        "Stranded", "May traffic move to core-b?", "candidate-standby", "Make sure that core-a takes no writes",
        "lbctl approve core-12", "no answer within 3 s",
        "9× in a row",
    ],
    "maintenance": ["Maintenance ends in 1 h", "upgrade to 12.1, change 4711", "alice", "not-in-maintenance"],
    "down": [
        "Down", "Partial", "core-b may not take over, re-synced: core-b was active until yesterday", "lbctl explain NAME --to core-b",
        "BADKEY", "behind for",
    ],
    "unpromoted": [
        "Clients are not served yet", "core-b has the traffic and still is a Standby", "What happened: failover: traffic of core",
        "(by itself)", "failover mode primary", "not promoted yet",
    ],
    "all-down": ["All down", "No member answers as it should. What is published stays."],
    "partial": ["Partial", "rfc2136:core.example.com does not show what was decided: 192.0.2.53: BADKEY"],
    "uninitialised": ["nobody that lbctl knows of", "showed nothing at the start", "lbctl adopt NAME --member MEMBER --reason …"],
    "draining": ["Drain: traffic moves to core-b in", "asked for by alice", "Caches may hold the old answer"],
    "running": ["resume on the Cores", "under way: demote", "done: last-sync", "Success, 512 rows", "to come: promote", "Wait for its end"],
    "pool": ["Clients are sent to sentry-a, sentry-b", "If a member failed now", "shows 2 members"],
}
"""What must stand on the page in each state; NAME is the service's."""


async def test_each_state_is_told_in_words_with_what_to_do(browser: Browser, api: Stage) -> None:
    assert set(TOLD) == set(shown.STORIES)
    for story in TOLD:
        api.put(story, story)
    async with tab(browser, api.url) as page:
        for story, words in TOLD.items():
            await page.click(f".row[data-key={story}]")
            await expect(page.locator(".service h1")).to_have_text(story)
            for word in words:
                pattern = re.escape(word.replace("NAME", story)).replace(r"\ ", r"\s+")
                await expect(page.locator(".service"), story).to_contain_text(re.compile(pattern))
            assert not await page.locator("text=/undefined|NaN|\\[object/").count(), story


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
        await expect(page.locator("#link")).to_have_text("live")
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
        await expect(page.locator(".badge").first).to_have_text("Normal")
        api.dead = True
        api.drop()
        await expect(page.locator("#notice")).to_contain_text(re.compile(r"does not answer .* Stale since \d\d:\d\d:\d\dZ"))
        await expect(page.locator("#link")).to_have_text(re.compile(r"stale since \d\d:\d\d:\d\dZ"))
        await expect(page.locator("body")).to_have_class(re.compile("old"))
        api.happen("moved", "what happened while nobody could listen", page=True)
        api.dead = False
        await expect(page.locator("#notice")).to_be_hidden()
        await expect(page.locator("#link")).to_have_text("live")
        await expect(page.locator(".steps li").first).to_contain_text("what happened while nobody could listen")


async def test_a_path_that_has_gone_silent_is_said_before_any_request_gives_up(browser: Browser, api: Stage) -> None:
    """A firewall that drops refuses nothing: a page that waits for an error shows the old picture as a live one."""
    api.put("normal")
    async with tab(browser, api.url) as page:
        await expect(page.locator("#link")).to_have_text("live")
        await page.evaluate("() => { AbortSignal.timeout = () => new AbortController().signal; }")
        await page.route("**/api/v1/services**", lambda _: None)
        await expect(page.locator("#link")).to_have_text(re.compile(r"\d+ s old"))
        await expect(page.locator("#notice")).to_contain_text("what is below may be old")
        await expect(page.locator("body")).to_have_class(re.compile("old"))


async def test_a_page_that_has_read_nothing_yet_does_not_call_itself_live(browser: Browser, api: Stage) -> None:
    """The journal's stream may stand while no reading was ever answered: an empty page that says "live" would say that nothing is wrong."""
    api.put("normal")
    async with tab(browser, f"{api.url}/icon.svg") as page:
        await page.route("**/api/v1/services**", lambda _: None)
        await page.goto(api.url)
        await expect(page.locator("#notice")).to_contain_text("has not answered yet")
        await expect(page.locator("#link")).to_have_text("connecting …")
        await expect(page.locator("body")).to_have_class(re.compile("old"))
        await page.unroute("**/api/v1/services**")
        await page.reload()
        await expect(page.locator("#link")).to_have_text("live")
        await expect(page.locator(".badge").first).to_have_text("Normal")


async def test_a_machine_without_its_network_says_so_and_comes_back_by_itself(browser: Browser, api: Stage) -> None:
    api.put("normal")
    async with tab(browser, api.url) as page:
        await expect(page.locator("#link")).to_have_text("live")
        await expect(page.locator(".badge").first).to_have_text("Normal")
        await page.context.set_offline(True)
        await expect(page.locator("#link")).to_have_text(re.compile(r"stale since"))
        api.put("failed-over")
        await page.context.set_offline(False)
        await expect(page.locator("#link")).to_have_text("live")
        await expect(page.locator(".badge").first).to_have_text("Failed over")


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


COLUMNS = {
    "fastest_s": [None] * 30 + [0.002] * 29 + [None],
    "slowest_s": [None] * 30 + [0.004] * 28 + [0.080, None],
    "good": [None] * 30 + [4] * 29 + [0],
    "failed": [None] * 30 + [0] * 28 + [1, 4],
    "verdict": [None] * 30 + ["ok"] * 28 + ["failed"] * 2,
    "reason": [None] * 30 + ["ok"] * 28 + ["timeout"] * 2,
}
"""Ten minutes without looks, then ten with: the last minute of them is bad."""


async def test_looks_from_before_the_page_was_opened_are_drawn_at_once_with_their_failures(browser: Browser, api: Stage) -> None:
    """Issue 5, item 2: latency over time; the controller's ring, not this visit's memory."""
    api.put("failed-over")
    api.looks["core-a status"] = COLUMNS
    async with tab(browser, api.url) as page:
        chart = page.locator(".member[data-key=core-a] .page[data-key=status] svg.chart")
        words = "status, last 20 minutes: fastest 2.0 ms, slowest 80 ms, 5 failed (timeout) of 121 looks"
        await expect(chart).to_have_attribute("aria-label", words)
        assert await chart.locator("rect.failed").count() == 2 and await chart.locator("polyline").count() == 1
        assert await chart.locator("line.base").count() == 1, "ten minutes without looks are a gap"
        assert await chart.locator("line.moved").count() == 1, "where the traffic moved"
        await expect(page.locator(".member[data-key=core-a] .figures").first).to_contain_text("at most 80 ms")


async def test_a_standby_that_does_not_serve_is_drawn_quietly_and_a_dead_one_is_not(browser: Browser, api: Stage) -> None:
    api.put("normal", "calm")
    api.put("all-down", "dead")
    async with tab(browser, f"{api.url}/#/service/calm") as page:
        standby = page.locator(".member[data-key=core-b] .page[data-key=status]")
        await expect(standby).to_contain_text("as expected of a standby")
        await expect(standby.locator("svg.calm")).to_have_count(1)
        await page.click(".row[data-key=dead]")
        await expect(page.locator("h1")).to_have_text("dead")
        await expect(page.locator("svg.calm")).to_have_count(0)


async def test_readiness_is_read_anew_when_traffic_has_moved(browser: Browser, api: Stage) -> None:
    """An audit of before the failover must not say that the standby would take over."""
    api.put("normal")
    async with tab(browser, api.url) as page:
        await expect(page.locator(".readiness")).to_contain_text(re.compile(r"read \d s ago"))
        async with page.expect_request(lambda request: request.url.endswith("/readiness")):
            api.put("failed-over")
            api.happen("moved", "failover: traffic of core moves from core-a to core-b")


async def test_what_helps_against_a_failure_is_not_advised_half_way_through_an_exchange_of_roles(browser: Browser, api: Stage) -> None:
    """For a moment a driven return looks like the promotion race; `failover` would tear the Cores apart then."""
    api.put("stranded", "race", approvals=[])
    api.put("stranded", "turning", run=shown.running()["run"])
    async with tab(browser, f"{api.url}/#/service/race") as page:
        await expect(page.locator(".part.next")).to_contain_text("lbctl failover race --to core-b")
        await page.click(".row[data-key=turning]")
        await expect(page.locator(".part.next")).to_contain_text("that is no failure. Wait for its end")
        await expect(page.locator(".part.next")).not_to_contain_text("lbctl failover")


async def test_an_active_member_that_begins_to_fail_does_not_look_normal(browser: Browser, api: Stage) -> None:
    """H10's twenty seconds: the state is `normal` until the outage is proven, and nothing of the page may be green meanwhile."""
    api.put("suspect")
    api.put("normal", "other")
    async with tab(browser, f"{api.url}/#/service/core") as page:
        await expect(page.locator(".head .badge")).to_have_text(["Suspect", re.compile(r"core-a fails, \d+ s")])
        await expect(page.locator("#summary")).to_have_text("1 to look at1 normal")
        await expect(page.locator(".row").first).to_have_attribute("data-key", "core")
        await expect(page.locator(".part.next")).to_contain_text("Nothing to type yet: core-a fails, and it is not proven down")
        await expect(page.locator(".part.next")).to_contain_text("20 s needed)). If that goes on, traffic would move to core-b.")
        await expect(page.locator(".part.next")).not_to_contain_text("If the active member failed now")
        await expect(page).to_have_title("△ core: Suspect – lbctl")


async def test_there_is_nothing_below_the_page_to_scroll_into(browser: Browser, api: Stage) -> None:
    """Find-in-page and a reader's focus move a document that is longer than its window, and nothing could move it back."""
    api.put("failed-over")
    async with tab(browser, api.url) as page:
        await expect(page.locator(".readiness")).to_be_visible()
        assert await page.evaluate("document.documentElement.scrollHeight <= innerHeight")


async def test_the_gate_s_hints_can_be_typed_and_long_times_are_not_counted_in_seconds(browser: Browser, api: Stage) -> None:
    api.put("failed-over")
    async with tab(browser, api.url) as page:
        await expect(page.locator(".gate")).to_contain_text("lbctl ack core --member core-a")
        await expect(page.locator(".gate")).to_contain_text("16 min 00 s left")


async def test_the_evidence_of_a_move_is_each_row_as_it_stood_then(browser: Browser, api: Stage) -> None:
    api.put("failed-over")
    rules = {"active-down": "core-a status: refused, down, failing for 31.2 s", "candidate-standby": "core-b hastatus: OK (Mode: Standby), up"}
    moved_by = {"evidence": {"rules": rules, "epoch": 8}}
    api.journal.append({**api.journal[-1], "seq": 900, "kind": "moved", "text": "failover of core", "data": moved_by})
    api.journal.append({**api.journal[-1], "seq": 901, "kind": "converged", "text": "seen", "data": {"stages": {"apply": 0.0205190001}}})
    async with tab(browser, api.url) as page:
        seen, moved = page.locator(".steps li[data-key='901']"), page.locator(".steps li[data-key='900']")
        await moved.locator("summary").click()
        await expect(moved.locator(".weighed li").first).to_contain_text("core-a status: refused, down, failing for 31.2 s")
        await expect(moved.locator(".weighed b")).to_have_text(list(rules))
        assert await moved.locator(".weighed b").first.evaluate("(b) => b.getClientRects().length") == 1, "a rule's name stands on one line"
        await seen.locator("summary").click()
        await expect(seen.locator(".facts")).to_have_text("apply21 ms")


async def test_what_clients_resolvers_tell_stands_in_the_ledger(browser: Browser, api: Stage) -> None:
    """H49: the servers show it, and clients ask caches."""
    one = {"resolver": "192.0.2.53:53", "epoch": 8, "seconds": 4.26, "late": False, "shows": ["198.51.100.10"], "error": None}
    late = {**one, "resolver": "192.0.2.54:53", "seconds": None, "late": True, "shows": ["192.0.2.10"]}
    unasked = {**one, "resolver": "192.0.2.55:53", "epoch": None, "seconds": None}
    api.put("failed-over", actuators=[{**shown.failed_over()["actuators"][0], "resolvers": [one, late, unasked]}])
    async with tab(browser, api.url) as page:
        told = ["resolver 192.0.2.53:53 tells it, 4.3 s after the decision", "resolver 192.0.2.54:53 late, tells 192.0.2.10"]
        await expect(page.locator(".caches li")).to_have_text(told)


async def test_a_large_pool_is_a_table_with_the_failing_first(browser: Browser, api: Stage) -> None:
    pool = shown.pool()
    rows = [{**pool["members"][0], "name": f"sentry-{number:03}"} for number in range(300)]
    rows[222] = {**rows[222], "verdict": "failed", "reason": "timeout", "health": "down", "active": False}
    api.put("pool", members=rows, answering=[row["name"] for row in rows if row["active"]])
    async with tab(browser, api.url) as page:
        await expect(page.locator(".members")).to_contain_text("299 of 300 are up, 299 answer clients")
        await expect(page.locator(".row .dot")).to_have_text(["299 of 300 are up", "sentry-222"])
        assert "sentry-222" in await page.locator(".members tbody tr").first.inner_text() and await page.locator(".members tbody tr").count() == 25
        await page.click(".members button")
        await expect(page.locator(".members tbody tr")).to_have_count(300)
