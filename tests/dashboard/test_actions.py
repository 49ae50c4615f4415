"""What an operator does from the page: each verb with its consequence before and its reason, offered only to who may (issue 5, item 2; H36, H39)."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from lbctl.policy.gate import NAMES, WAIVED
from tests.dashboard import shown
from tests.dashboard.stage import Stage, tab

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.peer("chromium")]
expect.set_options(timeout=60_000)


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


ACTS: dict[str, list[tuple[str, dict[str, str], str, dict[str, Any]]]] = {
    "normal": [
        ("switchover", {"to": "core-b"}, "services/core/switchover", {"to": "core-b", "drive": True}),
        ("hold", {}, "services/core/hold", {}),
        ("upgrade-start", {}, "services/core/upgrade", {"action": "start"}),
    ],
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
    "uninitialised": [("adopt", {"member": "core-b"}, "services/core/adopt", {"member": "core-b"})],
    "draining": [("drain-end", {}, "services/core/hold", {})],
    "stopped": [
        ("run-on", {}, "services/core/resume", {"drive": True}),
        ("run-abort", {}, "services/core/upgrade", {"action": "abort"}),
    ],
    "upgrading": [
        ("upgrade-next", {}, "services/core/upgrade", {"action": "next"}),
        ("upgrade-abort", {}, "services/core/upgrade", {"action": "abort"}),
    ],
    "held": [("release", {}, "services/core/release", {})],
    "massed": [("release", {}, "services/core/release", {})],
}


UPGRADING = {**shown.running()["run"], "kind": "upgrade", "step": "3", "source": "", "target": "", "doing": None, "notes": {}}
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "stopped": ("running", {"run": {**shown.running()["run"], "doing": None, "failed": "core-b did not answer"}}),
    "upgrading": ("maintenance", {"run": UPGRADING}),
    "held": ("normal", {"held": {"by": "bob", "reason": "cabling", "since": shown.at(-60)}}),
    "massed": ("normal", {"alerts": [{"kind": "MassMoveHeld", "member": None, "text": "many services want to move at once"}]}),
}


async def test_an_operator_acts_from_the_page(browser: Browser, api: Stage) -> None:
    """Each verb of the contract that belongs into a state, one after the other: consequence, reason, what is sent."""
    for story in ACTS:
        base, changes = VARIANTS.get(story, (story, {}))
        api.put(base, story, **changes)
    async with tab(browser, api.url, token="t") as page:
        for story, acts in ACTS.items():
            await page.click(f".row[data-key={story}]")
            await expect(page.locator(".service h1")).to_have_text(story)
            for verb, fill, path, body in acts:
                await page.locator(f".service [data-verb={verb}]").first.click()
                await expect(page.locator(".consequence li").first, verb).to_be_visible()
                for field, value in fill.items():
                    await page.select_option(f"[data-field={field}]", value)
                await page.fill("[data-field=reason]", "why")
                await page.click("[data-go]")
                await expect(page.locator(".answer.done"), verb).to_be_visible()
                await page.keyboard.press("Escape")
                sent, asked, _ = api.asked[-1]
                assert (sent, asked) == (f"/api/v1/{path}".replace("/core/", f"/{story}/"), {**body, "reason": "why"})
    assert len(api.asked) == sum(map(len, ACTS.values()))


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


async def test_an_override_names_each_rule_what_it_costs_and_is_confirmed_by_a_typed_name(browser: Browser, api: Stage) -> None:
    """`failover --force --accept`: the contract's only way to override, and nothing that a slip of the mouse can do."""
    api.put("down")
    async with tab(browser, api.url, token="t") as page:
        await page.click("[data-verb=failover]")
        says = page.locator(".consequence")
        await expect(says).to_contain_text("Refused as it is now: re-synced (core-b was active until yesterday, no sync since)")
        await page.fill("[data-field=reason]", "the copy is good enough")
        await page.check("[data-field='accept re-synced']")
        await expect(says).to_contain_text("core-b lacks what was written since its last sync. Those writes are lost.")
        await expect(says).not_to_contain_text("Refused as it is now")
        await expect(page.locator("dialog code").last).to_have_text(
            "lbctl failover core --to core-b --force --accept re-synced --reason 'the copy is good enough'")
        await expect(page.locator("[data-go]")).to_be_disabled()
        await page.fill("[data-field=typed]", "core-a")
        await page.keyboard.press("Enter")
        await expect(page.locator("[data-go]")).to_be_disabled()
        assert api.asked == [], "neither without the name nor with another one"
        await page.fill("[data-field=typed]", "core-b")
        await page.click("[data-go]")
        await expect(page.locator(".answer.done")).to_be_visible()
    ((path, body, _),) = api.asked
    assert path == "/api/v1/services/core/failover"
    assert body == {"to": "core-b", "reason": "the copy is good enough", "force": True, "accept": ["re-synced"]}


async def test_every_rule_that_a_person_can_meet_says_what_overriding_it_costs(browser: Browser, api: Stage) -> None:
    api.put("normal")
    async with tab(browser, api.url) as page:
        rows = "Object.entries(acts.OVERRIDES).map(([rule, says]) => [rule, says('A', 'B')])"
        told = await page.evaluate(f"import('/static/acts.js').then((acts) => {rows})")
    assert {rule for rule, _ in told} == set(NAMES) - WAIVED | {"not-held"}
    assert all(len(says) > 30 and "undefined" not in says for _, says in told)


async def test_what_changed_under_an_open_form_has_to_be_seen_before_anything_is_sent(browser: Browser, api: Stage) -> None:
    """H36: the consequence that was read is of another moment."""
    api.put("normal")
    async with tab(browser, api.url, token="t") as page:
        await page.click("[data-verb=failover]")
        await page.fill("[data-field=reason]", "x")
        api.put("failed-over")
        api.happen("moved", "failover: traffic of core moves from core-a to core-b")
        await expect(page.locator("dialog [role=alert]")).to_contain_text("it is “Failed over” now, clients are sent to core-b")
        await expect(page.locator("[data-go]")).to_be_disabled()
        await page.click("[data-seen]")
        await expect(page.locator(".consequence")).to_contain_text("instead of core-b")
        assert await page.input_value("[data-field=reason]") == "x"
        await page.select_option("[data-field=to]", "core-a")
        await page.click("[data-go]")
        await expect(page.locator(".answer.done")).to_be_visible()
    ((_, body, headers),) = api.asked
    assert body["to"] == "core-a" and headers["If-Match"] == '"44"'


@pytest.mark.parametrize(
    ("role", "token", "offered"), [("viewer", "t", False), ("operator", "", False), ("operator", "t", True), ("admin", "", True)]
)
async def test_only_who_may_act_is_offered_to(browser: Browser, api: Stage, role: str, token: str, offered: bool) -> None:
    """By the controller's word of who is asking: a token, a client certificate, or nobody."""
    api.role = role
    api.put("stranded")
    async with tab(browser, api.url, token=token) as page:
        await expect(page.locator(".ask")).to_contain_text("May traffic move to core-b?")
        await expect(page.locator("[data-verb=failover]")).to_have_count(int(offered))
        await expect(page.locator("[data-verb=approve]")).to_have_count(int(offered))
        if not offered:
            await expect(page.locator(".reader")).to_contain_text(f"You are {'alice' if token else 'local'}, a viewer: you may look.")
            await expect(page.locator(".ask code")).to_have_text("lbctl approve core-12")
            await page.keyboard.press("m")
            await expect(page.locator("dialog[open]")).to_have_count(0)


async def test_maintenance_can_be_planned_ahead_and_called_off(browser: Browser, api: Stage) -> None:
    """Issue 5, item 6."""
    planned = {"on": False, "by": "alice", "reason": "kernel", "since": shown.at(3600), "until": shown.at(7200)}
    api.put("normal")
    async with tab(browser, api.url, token="t") as page:
        await page.click("[data-verb=maintenance]")
        await page.select_option("[data-field=begins]", "2h")
        await expect(page.locator(".consequence")).to_contain_text(re.compile(r"From \d\d:\d\d:\d\dZ until .* nothing moves by itself"))
        await page.fill("[data-field=reason]", "kernel")
        await page.click("[data-go]")
        await expect(page.locator(".answer.done")).to_be_visible()
        await page.keyboard.press("Escape")
        api.put("normal", maintenance=planned)
        api.happen("maintenance-on", "maintenance of core is planned")
        await expect(page.locator(".keep")).to_contain_text("Maintenance begins in 59 min")
        await page.click(".keep [data-verb=maintenance-off]")
        await expect(page.locator(".consequence")).to_contain_text("The planned maintenance does not take place.")
    ((_, body, _),) = api.asked
    assert body["action"] == "on" and body["for"] == "1h" and re.fullmatch(r"20\d\d-\d\d-\d\dT[\d:.]+Z", body["from"])


async def test_an_open_upgrade_says_how_far_it_is_and_what_the_due_step_waits_for(browser: Browser, api: Stage) -> None:
    """G-UP."""
    api.put("maintenance", run=UPGRADING)
    async with tab(browser, api.url, token="t") as page:
        await expect(page.locator(".upgrade h2")).to_have_text("Upgrade: 3 of 9 steps are done")
        steps = page.locator(".upgrade li")
        await expect(steps).to_have_count(9)
        await expect(steps.nth(3)).to_contain_text("waits for: Last Sync Status is Started, not Completed")
        await expect(page.locator(".upgrade code").last).to_have_text("lbctl upgrade core next")
        await page.click("[data-verb=upgrade-next]")
        await expect(page.locator(".consequence")).to_contain_text("Refused as it is now: Last Sync Status is Started, not Completed.")


async def test_a_second_person_is_told_what_the_first_one_asked_for(browser: Browser, api: Stage) -> None:
    """H39."""
    waits = {**shown.stranded()["approvals"][0], "rules": ["second-person"], "first_yes": "bob", "reason": "failover --force: fire in dc1"}
    api.put("normal", approvals=[waits])
    async with tab(browser, api.url, token="t") as page:
        await expect(page.locator(".ask h2")).to_have_text("A second person's yes is needed")
        await page.click("[data-verb=approve]")
        await expect(page.locator(".consequence")).to_contain_text("bob has asked for: failover --force: fire in dc1")


async def test_many_services_at_once_are_counted_named_and_answered_one_by_one(browser: Browser, api: Stage) -> None:
    """A mass move is released, a site is taken into maintenance: `lbctl release --all`, from the page."""
    for number in range(12):
        api.put("normal", f"dc1-{number:02}", alerts=[{"kind": "MassMoveHeld", "member": None, "text": "many services want to move at once"}])
    api.put("normal", "dc2-00")
    async with tab(browser, api.url, token="t") as page:
        await page.fill("#filter", "dc1")
        await page.click("#together summary")
        await page.click("[data-verb=all-release]")
        await expect(page.locator("dialog h2")).to_have_text("Release 12 services")
        await expect(page.locator(".consequence")).to_contain_text("dc1-07 and 4 more")
        await page.fill("[data-field=reason]", "the link is back")
        await expect(page.locator("[data-go]")).to_be_disabled()
        await page.fill("[data-field=typed]", "12")
        api.refusals.append((412, {"title": "somebody else changed it first", "detail": "revision 42, not 41"}))
        await page.click("[data-go]")
        await expect(page.locator(".answer")).to_contain_text("Done for 11 of 12.")
        await expect(page.locator(".answer li")).to_have_text("dc1-00: revision 42, not 41")
    assert [path for path, _, _ in api.asked] == [f"/api/v1/services/dc1-{number:02}/release" for number in range(12)]
    assert all(body == {"reason": "the link is back"} and headers["If-Match"] == '"41"' for _, body, headers in api.asked)
