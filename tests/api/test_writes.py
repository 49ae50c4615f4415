"""Writing over HTTP: each verb becomes one command; refusals, conflicts and repetitions look as the contract has them."""

from __future__ import annotations

from typing import Any

import pytest

from lbctl.model import commands
from lbctl.model.commands import Code, Reply
from tests.api.conftest import Running
from tests.api.fake import AT

VERBS: list[tuple[str, dict[str, Any], type[commands.Command], dict[str, Any]]] = [
    ("failover", {"to": "core-b", "reason": "fire"}, commands.Failover, {"to": "core-b", "force": False}),
    ("failover", {"to": "core-b", "reason": "fire", "force": True, "accept": ["re-synced"]}, commands.Failover, {"accept": frozenset({"re-synced"})}),
    ("switchover", {"to": "core-b", "drive": True}, commands.Switchover, {"to": "core-b", "drive": True, "drain": False}),
    ("switchover", {}, commands.Switchover, {"to": None}),
    ("resume", {"attest_synced": True, "reason": "restored"}, commands.Resume, {"attest_synced": True, "reason": "restored"}),
    ("swap-roles", {"reason": "stays there"}, commands.SwapRoles, {"attest_synced": False}),
    ("adopt", {}, commands.Adopt, {"member": None}),
    ("adopt", {"member": "core-b", "reason": "it is"}, commands.Adopt, {"member": "core-b"}),
    ("ack", {"reason": "seen", "member": "core-a"}, commands.Ack, {"member": "core-a"}),
    ("hold", {"reason": "audit"}, commands.SetHold, {"reason": "audit"}),
    ("release", {}, commands.Release, {}),
    ("maintenance", {"for": "2h", "reason": "patch"}, commands.MaintenanceOn, {"until": AT + 7200, "since": None}),
    ("maintenance", {"from": "2027-01-15T09:00:00Z", "for": "30m", "reason": "patch"},
     commands.MaintenanceOn, {"since": AT + 3600, "until": AT + 5400}),
    ("maintenance", {"until": "2027-01-15T11:00:00+01:00", "action": "extend"}, commands.MaintenanceExtend, {"until": AT + 7200}),
    ("maintenance", {"action": "off"}, commands.MaintenanceOff, {}),
]


@pytest.mark.parametrize(("verb", "body", "kind", "fields"), VERBS, ids=[f"{v[0]}-{n}" for n, v in enumerate(VERBS)])
async def test_each_verb_is_one_command(
    running: Running, verb: str, body: dict[str, Any], kind: type[commands.Command], fields: dict[str, Any]
) -> None:
    status, answer = await running.post(f"/services/core/{verb}", body)
    (command,) = running.controller.commands
    assert (status, answer["code"], answer["service"]["name"]) == (200, 0, "core")
    assert isinstance(command, kind) and {name: getattr(command, name) for name in fields} == fields


@pytest.mark.parametrize(("verb", "body", "word"), [
    ("failover", {"to": "core-b"}, "reason"),
    ("failover", {"to": "core-b", "reason": "  "}, "reason"),
    ("hold", {"reason": "\x9b31m"}, "reason"), ("hold", {"reason": "a\u202eb"}, "reason"), ("failover", {"to": "core-b", "reason": "a\nb"}, "reason"),
    ("failover", {"to": "core-b", "reason": "x", "accept": ["re-synced"]}, "force"),
    ("failover", {"to": "core-b", "reason": "x", "force": 1}, "force"),
    ("failover", {"to": "core-b", "reason": "x", "forse": True}, "forse"),
    ("resume", {"attest_synced": True}, "reason"),
    ("swap-roles", {}, "reason"),
    ("adopt", {"member": "core-b"}, "reason"), ("ack", {}, "reason"), ("hold", {}, "reason"), ("maintenance", {"reason": "x"}, "for"),
    ("maintenance", {"reason": "x", "for": "2h", "until": "2027-01-15T11:00:00Z"}, "until"), ("maintenance", {"for": "2h"}, "reason"),
    ("maintenance", {"reason": "x", "for": "2 hours"}, "for"), ("maintenance", {"reason": "x", "until": "tomorrow"}, "until"),
    ("maintenance", {"reason": "x", "until": "2027-01-15T11:00:00"}, "offset"),
])
async def test_what_is_missing_or_misspelt_is_named(running: Running, verb: str, body: dict[str, Any], word: str) -> None:
    """H32 (an end is mandatory), H35 (a reason is mandatory)."""
    status, problem = await running.post(f"/services/core/{verb}", body)
    assert status == 422 and word in problem["detail"] and problem["code"] == Code.USAGE
    assert running.controller.commands == []


async def test_a_refusal_names_rule_and_evidence(running: Running) -> None:
    running.controller.replies = [Reply(Code.REFUSED, "core-a is not re-synced", "re-synced", {"member": "core-a"})]
    status, problem = await running.post("/services/core/resume", {})
    assert (status, problem["rule"], problem["evidence"], problem["code"]) == (409, "re-synced", {"member": "core-a"}, 3)


@pytest.mark.parametrize(("code", "status"), [
    (Code.ACCEPTED, 202), (Code.CONFLICT, 412), (Code.NO_QUORUM, 503), (Code.NOT_ALLOWED, 403), (Code.ERROR, 500),
])
async def test_each_outcome_has_its_status_and_exit_code(running: Running, code: Code, status: int) -> None:
    running.controller.replies = [Reply(code, "so it ended")]
    found, answer = await running.post("/services/core/release")
    assert (found, answer["code"]) == (status, code)


async def test_a_stale_revision_is_412_and_a_good_one_acts(running: Running) -> None:
    """H36: the loser learns that somebody was first."""
    status, problem = await running.post("/services/core/release", None, **{"If-Match": '"40"'})
    assert (status, problem["code"]) == (412, Code.CONFLICT) and running.controller.commands == []
    status, _ = await running.post("/services/core/release", None, **{"If-Match": '"41"'})
    assert status == 200 and running.controller.commands[0].revision == 41
    assert (await running.post("/services/core/release", None, **{"If-Match": 'W/"41"'}))[0] == 400


async def test_the_same_key_acts_once_and_gives_the_same_answer(running: Running) -> None:
    """H36: a double click, a retry."""
    first = await running.post("/services/core/release", None, **{"Idempotency-Key": "k1"})
    running.controller.replies = [Reply(Code.ERROR, "not asked again")]
    assert await running.post("/services/core/release", None, **{"Idempotency-Key": "k1"}) == first
    assert len(running.controller.commands) == 1
    assert (await running.post("/services/core/hold", {"reason": "x"}, **{"Idempotency-Key": "k1"}))[0] == 422


async def test_a_server_error_may_be_tried_again(running: Running) -> None:
    running.controller.replies = [Reply(Code.NO_QUORUM, "no leader")]
    assert (await running.post("/services/core/release", None, **{"Idempotency-Key": "k3"}))[0] == 503
    assert (await running.post("/services/core/release", None, **{"Idempotency-Key": "k3"}))[0] == 200


@pytest.mark.parametrize(("raw", "kind", "status"), [
    (b"\xff\xfe", "application/json", 400), (b"{", "application/json", 400), (b"[]", "application/json", 422),
    (b'{"reason":"\\ud800"}', "application/json", 400),
    (b"reason=x", "application/x-www-form-urlencoded", 415), (b'{"reason":"x"}', "text/plain", 415), (b" " * 70_000, "application/json", 413),
], ids=["not-utf8", "not-json", "not-an-object", "lone-surrogate", "form", "text", "large"])
async def test_bad_bodies_are_problems(running: Running, raw: bytes, kind: str, status: int) -> None:
    """H39: a form or plain text, all that a foreign page can send without asking, is refused before it is read."""
    async with running.local.post("/api/v1/services/core/hold", data=raw, headers={"Content-Type": kind}) as answer:
        problem = await answer.json(content_type="application/problem+json")
    assert answer.status == problem["status"] == status and running.controller.commands == []


async def test_approvals_are_answered_by_their_id(running: Running) -> None:
    """H10: bound to what was asked; one that is gone is 404."""
    running.controller.services["core"]["approvals"] = [{"id": "core-9", "to": "core-dr"}]
    async with running.local.get("/api/v1/approvals") as answer:
        assert (await answer.json())["approvals"] == [{"service": "core", "id": "core-9", "to": "core-dr"}]
    assert (await running.post("/approvals/core-9/approve"))[0] == 200
    assert (await running.post("/approvals/core-8/deny"))[0] == 404
    (command,) = running.controller.commands
    assert isinstance(command, commands.Approve) and (command.service, command.approval) == ("core", "core-9")


async def test_reload_that_would_move_traffic_is_refused_unless_allowed(running: Running) -> None:
    """H37."""
    status, problem = await running.post("/reload")
    assert (status, problem["code"], problem["rule"]) == (409, 3, "allow-switch")
    assert (await running.post("/reload", {"allow_switch": True}))[0] == 200


async def test_plan_names_every_mistake_with_its_place(running: Running) -> None:
    status, problem = await running.post("/plan", {"text": "typo", "name": "new.yaml"})
    assert (status, problem["code"], problem["errors"][0]["at"]) == (422, 7, "new.yaml:3:5")
    assert await running.post("/plan", {"text": "services: {}"}) == (200, {"changes": [], "moves": []})
