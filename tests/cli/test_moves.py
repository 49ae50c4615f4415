"""The verbs that act: what is sent, how it ends, and what is said on the way."""

from __future__ import annotations

from typing import Any

import pytest

from lbctl.model import commands
from lbctl.model.commands import Code, Reply
from lbctl.model.decision import Step
from tests.api.fake import AT, service
from tests.cli.conftest import Terminal
from tests.cli.inpty import inpty, plain

TYPED: list[tuple[str, type[commands.Command], dict[str, Any]]] = [
    ("failover core --to core-b --reason fire", commands.Failover, {"to": "core-b", "force": False, "reason": "fire"}),
    ("failover core --to core-b --reason fire --force --accept re-synced,quorum", commands.Failover, {"accept": frozenset({"re-synced", "quorum"})}),
    ("switchover core --drive --drain", commands.Switchover, {"to": None, "drive": True, "drain": True}),
    ("resume core", commands.Resume, {"drive": False, "attest_synced": False}),
    ("resume core --attest-synced --reason restored", commands.Resume, {"attest_synced": True, "reason": "restored"}),
    ("swap-roles core --reason stays", commands.SwapRoles, {"reason": "stays"}),
    ("adopt core", commands.Adopt, {"member": None}),
    ("adopt core --member core-b --reason seen", commands.Adopt, {"member": "core-b"}),
    ("ack core --member core-a --reason seen", commands.Ack, {"member": "core-a"}),
    ("hold core --reason audit", commands.SetHold, {"reason": "audit"}),
    ("release core", commands.Release, {}),
    ("maintenance on core --for 2h --reason patch", commands.MaintenanceOn, {"reason": "patch"}),
    ("maintenance extend core --for 2h", commands.MaintenanceExtend, {}),
    ("maintenance off core", commands.MaintenanceOff, {}),
]


@pytest.mark.parametrize(("typed", "kind", "fields"), TYPED, ids=[entry[0] for entry in TYPED])
def test_each_verb_sends_its_command_with_the_revision_seen(
    terminal: Terminal, typed: str, kind: type[commands.Command], fields: dict[str, Any]
) -> None:
    """H36: the revision that was seen goes with it."""
    result = terminal.type(*typed.split())
    (command,) = terminal.controller.commands
    assert result.exit_code == 0 and result.stdout.startswith("done: ")
    assert isinstance(command, kind) and command.revision == 41
    assert {name: getattr(command, name) for name in fields} == fields


@pytest.mark.parametrize("typed", [
    "failover core --to core-b",
    "failover core --reason x",
    "failover core --to core-b --reason x --force",
    "swap-roles core",
    "ack core",
    "hold core",
    "failover core --to core-b --reason x --accept quorum",
    "resume core --attest-synced",
    "adopt core --member core-b",
    "maintenance on core --reason x",
    "maintenance on core --for 2h",
    "maintenance on core --for 2h --until 18:00 --reason x",
    "maintenance on --for 2h --reason x",
    "release",
    "release core --all",
    "maintenance on core --for soon --reason x",
    "maintenance on core --until soon --reason x",
    "failover core --to core-x --reason x",
    "hold cor --reason x",
    "maintenance extend core",
    "approve core-1",
    "status --typo",
    "maintenance",
])
def test_usage_errors_end_with_2_and_send_nothing(terminal: Terminal, typed: str) -> None:
    """H32, H35: no reason, no end, no such member: nothing is sent."""
    result = terminal.type(*typed.split())
    assert result.exit_code == 2 and terminal.controller.commands == [], result.output


def test_a_refusal_ends_with_3_and_says_rule_and_evidence(terminal: Terminal) -> None:
    text = "resume refused by re-synced: core-a wrote last; opened by a sync from core-b"
    terminal.controller.replies = [Reply(Code.REFUSED, text, "re-synced", {"rules": {"re-synced": "core-a wrote last"}})]
    result = terminal.type("resume", "core")
    assert result.exit_code == 3 and "refused by re-synced" in result.stderr and "opened by a sync from core-b" in result.stderr


@pytest.mark.parametrize(("typed", "words"), [
    ("maintenance on core --for soon --reason x", "for: expected a duration with its unit, such as 90m or 2h"),
    ("maintenance on core --for 2h --until 18:00 --reason x", "--for and --until are two ends: give one of them"),
    ("maintenance on core --reason x", "maintenance needs an end: --for 2h or --until 18:30"),
    ("hold core --reason \t", "reason: expected one line of text that says something"),
])
def test_a_usage_error_says_what_to_type_and_shows_no_pattern(terminal: Terminal, typed: str, words: str) -> None:
    result = terminal.type(*typed.split(" "))
    assert result.exit_code == 2 and words in result.stderr and "pattern" not in result.stderr


def test_evidence_that_the_message_has_told_is_not_told_again(terminal: Terminal) -> None:
    """Lists of names stand below their own name, never as a program would print them."""
    told = "refused by drive-configured: no drive: for core-a"
    terminal.controller.replies = [
        Reply(Code.REFUSED, told, "drive-configured", {"bare": ["core-a"]}),
        Reply(Code.REFUSED, told, "drive-configured", {"shown": {"nothing": ["dns:core"]}, "rules": {"re-synced": "no sync"}}),
    ]
    assert terminal.type("resume", "core").stderr == f"lbctl: {told}\n"
    assert terminal.type("resume", "core").stderr == f"lbctl: {told}\n  nothing:\n    dns:core\n  also re-synced: no sync\n"


def test_a_refusal_as_json_is_the_problem_document(terminal: Terminal) -> None:
    terminal.controller.replies = [Reply(Code.REFUSED, "no", "re-synced", {"x": 1})]
    found = terminal.json("resume", "core")
    assert (found["rule"], found["evidence"], found["status"]) == ("re-synced", {"x": 1}, 409)


@pytest.mark.parametrize("code", [Code.CONFLICT, Code.NO_QUORUM, Code.NOT_ALLOWED, Code.ERROR])
def test_exit_codes_are_the_contract_s(terminal: Terminal, code: Code) -> None:
    terminal.controller.replies = [Reply(code, "so it ended")]
    result = terminal.type("release", "core")
    assert result.exit_code == code and "so it ended" in result.stderr


def test_accepted_and_seen_in_time_is_done(terminal: Terminal) -> None:
    terminal.controller.replies = [Reply(Code.ACCEPTED, "traffic moves")]
    assert terminal.type("failover", "core", "--to", "core-b", "--reason", "x").exit_code == 0


def test_accepted_and_not_seen_in_time_ends_with_6_and_says_where_it_hangs(terminal: Terminal) -> None:
    behind = {"id": "rfc2136:core", "wanted": 8, "applied": 8, "verified": 7, "in_sync": False, "error": "192.0.2.53 timed out"}
    terminal.controller.services["core"] = service("core", actuators=[behind])
    terminal.controller.replies = [Reply(Code.ACCEPTED, "traffic moves")]
    result = terminal.type("failover", "core", "--to", "core-b", "--reason", "x", "--wait", "0")
    assert result.exit_code == 6 and "rfc2136:core: wanted 8, applied 8, verified 7: 192.0.2.53 timed out" in result.stdout


def test_what_waits_for_a_second_person_is_accepted_and_not_done(terminal: Terminal) -> None:
    """H39: dual control."""
    waits = "failover waits for a second person: `lbctl approve core-3`"
    terminal.controller.replies = [Reply(Code.ACCEPTED, waits, evidence={"approval": "core-3"})]
    result = terminal.type("failover", "core", "--to", "core-b", "--reason", "x")
    assert result.exit_code == 6 and "lbctl approve core-3" in result.stdout and "--watch" not in result.stdout


RUN = {"kind": "resume", "step": "last-sync", "failed": None}


@pytest.mark.parametrize(("after", "code", "words"), [
    ({"active": "core-a", "run": None}, 1, "traffic is still on core-a"),
    ({"active": "core-b", "run": None}, 0, "done"),
    ({"active": "core-a", "run": RUN}, 6, "accepted"),
    ({"active": "core-a", "run": {**RUN, "failed": "no route to host"}}, 1, "resume stopped at last-sync: no route to host"),
], ids=["undone", "done", "open", "failed"])
def test_a_driven_run_ends_by_what_it_did(terminal: Terminal, after: dict[str, Any], code: int, words: str) -> None:
    """A run that was undone has no open step and nothing out of sync: only the active member tells."""
    terminal.controller.replies = [Reply(Code.ACCEPTED, "switchover is under way on the Cores", evidence={"run": "core-4"})]
    terminal.controller.after = {"core": service("core", **after)}
    result = terminal.type("switchover", "core", "--drive", "--wait", "0.5")
    assert result.exit_code == code and words in result.stdout


def test_the_gap_of_a_driven_run_is_announced_before_and_reported_after(terminal: Terminal) -> None:
    """SEMANTICS section 8."""
    gap = Step(AT, "core", "gap", "switchover: clients were refused for 1.5 s", "root", 8, 42, {"seconds": 1.5}, 1)
    terminal.controller.journal.append(gap)
    terminal.controller.replies = [Reply(Code.ACCEPTED, "clients are refused while the Cores change roles", evidence={"run": "core-4"})]
    terminal.controller.after = {"core": service("core", active="core-b", run=None)}
    result = terminal.type("switchover", "core", "--drive")
    assert "clients are refused while" in result.stderr
    assert result.stdout == "done: traffic of core is on core-b, seen everywhere; clients were refused for 1.5 s\n"


def test_several_services_are_checked_before_any_is_told(terminal: Terminal) -> None:
    assert terminal.type("release", "core", "sentri").exit_code == 2 and terminal.controller.commands == []
    assert terminal.type("maintenance", "on", "--all", "--for", "1h", "--reason", "patch").exit_code == 0
    assert [command.service for command in terminal.controller.commands] == ["core", "sentry"]


def test_one_of_several_that_is_refused_does_not_hide_the_others(terminal: Terminal) -> None:
    terminal.controller.replies = [Reply(Code.REFUSED, "no", "not-held"), Reply(Code.DONE, "released")]
    result = terminal.type("release", "--all")
    assert result.exit_code == 3 and "core: no" in result.stderr and "done: released" in result.stdout


def test_approvals_are_listed_and_answered(terminal: Terminal) -> None:
    """H10."""
    waiting = {"id": "core-9", "to": "core-dr", "expires": "2099-01-15T08:30:00Z", "rules": ["no-approval-needed"], "reason": "both are down"}
    terminal.controller.services["core"]["approvals"] = [waiting]
    assert "core-9  core     core-dr" in terminal.type("approvals").stdout
    result = terminal.type("approve", "core-8")
    assert result.exit_code == 2 and "did you mean 'core-9'" in result.stderr
    assert terminal.type("approve", "core-9").exit_code == 0 and terminal.type("deny", "core-9").exit_code == 0
    assert [type(command) for command in terminal.controller.commands] == [commands.Approve, commands.Deny]


def test_maintenance_list_says_who_until_when_and_why(terminal: Terminal) -> None:
    assert terminal.type("maintenance", "list").stdout == "no maintenance\n"
    span = {"on": True, "by": "vera", "reason": "patch", "until": "2099-01-15T10:00:00Z", "since": None}
    terminal.controller.services["core"]["maintenance"] = span
    assert terminal.type("maintenance", "list").stdout.splitlines()[1].split()[:3] == ["core", "on", "10:00Z"]


def test_reload_that_would_move_traffic_is_refused(terminal: Terminal) -> None:
    """H37."""
    assert terminal.type("reload").exit_code == 3
    assert terminal.type("reload", "--allow-switch").exit_code == 0
    assert [allowed for _, allowed in terminal.administration.reloads] == [False, True]


def test_plan_prints_every_mistake_with_its_place(terminal: Terminal) -> None:
    file = terminal.directory / "new.yaml"
    file.write_text("typo")
    result = terminal.type("plan", str(file))
    assert result.exit_code == 7 and f"{file}:3:5" in result.stderr and "did you mean 'members'" in result.stderr
    file.write_text("services: {}")
    assert terminal.type("plan", str(file)).stdout == "nothing would change\n"


def test_on_a_terminal_a_refusal_is_folded_at_words_and_what_opens_it_stands_alone(terminal: Terminal) -> None:
    """Read at night, at 80 columns: the rule, what was seen, and below it what to do."""
    text = ("resume refused by primary-serving: core-a status: refused (connection refused), core-a hastatus: refused (connection refused); "
            "opened by core-a says status OK and Mode: Primary (`failover mode primary` on core-a once it is synced)")
    terminal.controller.replies = [Reply(Code.REFUSED, text, "primary-serving", {})]
    with inpty("--api", f"unix:{terminal.socket}", "resume", "core", columns=80) as it:
        assert it.rest() == 3
        lines = plain(it.seen).splitlines()
    assert max(map(len, lines)) <= 80 and [line for line in lines if line.startswith("  opens with: core-a says status OK and Mode: Primary")]
    assert " ".join(" ".join(lines).split()) == "lbctl: " + text.replace("; opened by ", " opens with: ")
