"""`lbctl status`: a line a service, all about one, Nagios codes, JSON as the API has it, nothing that steers the terminal."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from lbctl.cli.show import columns, cut, short
from tests.api.fake import member, service
from tests.cli.conftest import Terminal


def test_one_line_a_service_aligned(terminal: Terminal) -> None:
    head, core, sentry = terminal.type("status").stdout.splitlines()
    assert head.split() == ["SERVICE", "STATE", "TRAFFIC", "TO", "MEMBERS", "ATTENTION"]
    assert core.split()[:3] == ["core", "normal", "core-a"] and "core-b standby" in core
    assert core.index("normal") == sentry.index("normal") == head.index("STATE")


def test_what_needs_attention_is_in_the_line(terminal: Terminal) -> None:
    terminal.controller.services["core"] = service(
        "core", state="failed-over", active="core-b", resume_pending=True, held={"by": "otto", "reason": "audit", "since": None},
        approvals=[{"id": "core-9", "to": "core-a"}], locked_out_until="2099-01-15T08:20:00Z", automation="observe",
        maintenance={"on": True, "by": "vera", "reason": "patch", "until": "2099-01-15T10:00:00Z"})
    line = terminal.type("status").stdout.splitlines()[1]
    assert line.startswith("! ")
    for words in ("failed-over", "held by otto", "maintenance until 10:00Z", "by vera", "resume pending", "core-9", "locked out", "observe"):
        assert words in line


def test_one_service_in_depth(terminal: Terminal) -> None:
    rule = {"rule": "not-held", "holds": False, "evidence": "held by otto", "opens": "release"}
    failed = member("core-b", "secondary", health="down", verdict="failed", reason="refused", latched=True, needs_resync=True)
    terminal.controller.services["core"] = service(
        "core", reason="core-a has the traffic and serves", gate=[{"member": "core-b", "open": False, "rules": [rule]}],
        members=[member("core-a", "primary"), failed])
    out = terminal.type("status", "core").stdout
    for words in ("core is normal: core-a has the traffic", "> core-a", "failed (refused)", "latched, needs re-sync",
                  "Gate to core-b: shut by 1 of 1 rules", "not-held  held by otto",
                  "authoritative:core.gtm.example.com  7       7        7         in sync"):
        assert words in out


def test_json_is_the_api_s_object(terminal: Terminal) -> None:
    assert terminal.json("status", "core") == terminal.controller.services["core"]
    assert [entry["name"] for entry in terminal.json("status")["services"]] == ["core", "sentry"]


def test_global_options_stand_before_or_after_the_verb(terminal: Terminal) -> None:
    before, after = terminal.type("-o", "json", "status", "core"), terminal.type("status", "core", "-o", "json")
    assert before.stdout == after.stdout and json.loads(after.stdout)["name"] == "core"


@pytest.mark.parametrize(("state", "code", "word"), [
    ("normal", 0, "OK"), ("failed-over", 1, "WARNING"), ("re-arming", 1, "WARNING"), ("down", 2, "CRITICAL"), ("stranded", 2, "CRITICAL"),
    ("uninitialised", 2, "CRITICAL"),
])
def test_exit_codes_for_monitoring_plugins(terminal: Terminal, state: str, code: int, word: str) -> None:
    terminal.controller.services["core"]["state"] = state
    result = terminal.type("status", "--exit-code")
    assert (result.exit_code, result.stdout.split(":")[0]) == (code, word)


def test_an_active_member_that_begins_to_fail_is_no_ok(terminal: Terminal) -> None:
    """H10: for as long as `min_outage` lasts the state is `normal`; a plugin, a glance and `explain` must not be."""
    failed = member("core-a", "primary", health="down", verdict="failed", reason="refused")
    terminal.controller.services["core"] = service("core", members=[failed, member("core-b", "secondary")])
    result = terminal.type("status", "core", "--exit-code")
    assert result.exit_code == 1 and result.stdout.startswith("WARNING: core normal, traffic to core-a, which fails")
    line = next(line for line in terminal.type("status").stdout.splitlines() if " core " in line)
    assert line.startswith("!") and "core-a fails for " in line and "not proven down yet" in line
    assert "Nothing to type yet: core-a fails" in " ".join(terminal.type("explain", "core").stdout.split())


def test_what_helps_is_told_by_status_and_explain_in_the_same_words(terminal: Terminal) -> None:
    """Issue 5: what to type, within seconds, wherever one looks first."""
    rule = {"rule": "not-held", "holds": False, "evidence": "held by alice: x", "opens": "`lbctl release SERVICE`"}
    failed = member("core-a", "primary", health="down", verdict="failed", reason="refused")
    terminal.controller.services["core"] = service("core", state="down", gate=[{"member": "core-b", "open": False, "rules": [rule]}],
                                                   members=[failed, member("core-b", "secondary")])
    for verb in ("status", "explain"):
        told = terminal.type(verb, "core").stdout
        first = told[told.index("What to do"):].splitlines()[1:3]
        assert first[0].strip() == "core-b could take over; what stops lbctl from doing it by itself is not-held. A person may:", verb
        assert first[1].strip() == "lbctl failover core --to core-b --reason …", "a command stands alone in its line, to be copied whole"
    assert "If core-a failed now" not in terminal.type("explain", "core").stdout


def test_a_standby_is_not_called_ready_whose_address_could_not_follow(terminal: Terminal) -> None:
    """With `vip.agents` the pages of a member may be well and its agent silent."""
    rule = {"rule": "active-down", "holds": False, "evidence": "core-a status: OK, up", "opens": "…"}
    [actuator] = service("core")["actuators"]
    silent = {"actuator": "vip", "host": "core-b", "ready": False, "holds": False, "trouble": "no answer within 1 s"}
    holder = {"actuator": "vip", "host": "core-a", "ready": True, "holds": True, "trouble": ""}
    for hosts, words in (([holder], "core-b is ready"), ([holder, silent], "but its address could not follow: no answer within 1 s")):
        terminal.controller.services["core"] = service("core", gate=[{"member": "core-b", "open": False, "rules": [rule]}],
                                                       actuators=[{**actuator, "hosts": hosts}])
        for verb in ("status", "explain"):
            told = " ".join(terminal.type(verb, "core").stdout.split())
            assert words in told, (verb, told)
            assert ("core-b is ready" in told) is (len(hosts) == 1), verb


def test_no_answer_is_unknown_for_a_monitoring_plugin(terminal: Terminal) -> None:
    result = terminal.type("--api", "unix:/nonexistent/s", "status", "--exit-code")
    assert result.exit_code == 3 and result.stdout.startswith("UNKNOWN: no controller answers")
    assert terminal.type("--api", "unix:/nonexistent/s", "status").exit_code == 1


def test_an_unknown_service_is_a_usage_error_with_the_nearest_name(terminal: Terminal) -> None:
    """Issue 2, bad input."""
    result = terminal.type("status", "sentri")
    assert result.exit_code == 2 and "did you mean 'sentry'" in result.stderr


def test_a_misspelt_verb_is_answered_with_the_nearest(terminal: Terminal) -> None:
    result = terminal.type("swichover", "core")
    assert result.exit_code == 2 and "Did you mean 'switchover'?" in result.stderr


def test_a_server_s_text_cannot_steer_the_terminal(terminal: Terminal) -> None:
    """H54's neighbour: what a hostile page says is shown, never obeyed."""
    terminal.controller.services["core"]["members"][1] |= {"verdict": "failed", "detail": "\x1b]0;owned\x07\u202egood"}
    out = terminal.type("status", "core").stdout
    assert "owned" in out and "\x1b" not in out and "\u202e" not in out


def test_status_imports_nothing_slow(terminal: Terminal) -> None:
    """GOALS: `lbctl status` within 0.2 s; what would break that are these imports."""
    slow = {"aiohttp", "pydantic", "asyncssh", "rich", "cryptography", "prometheus_client", "yaml", "asyncio"}
    script = f"import sys; sys.argv = ['lbctl', '--api', 'unix:{terminal.socket}', 'status']; from lbctl.cli.root import cli; "
    script += f"cli(standalone_mode=False); print('slow:', *({slow!r} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True).stdout
    assert out.splitlines()[-1] == "slow:"


def test_watch_repaints_until_it_is_interrupted(terminal: Terminal) -> None:
    words = [sys.executable, "-m", "lbctl.cli", "--api", f"unix:{terminal.socket}", "status", "--watch"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "2 well\n" and "SERVICE" in process.stdout.readline()
        terminal.controller.services["core"]["state"] = "stranded"
        deadline = time.monotonic() + 30
        while "stranded" not in process.stdout.readline():
            assert time.monotonic() < deadline
        process.send_signal(2)
        assert process.wait(20) == 0


@pytest.mark.parametrize(("seconds", "text"), [
    (0, "0s"), (59.9, "59s"), (60, "1m"), (200, "3m20s"), (7500, "2h05m"), (7200, "2h"), (100_000, "1d3h"), (-5, "0s"),
])
def test_lengths_of_time_as_people_say_them(seconds: float, text: str) -> None:
    assert short(seconds) == text


def test_a_line_is_cut_by_what_is_seen_of_it() -> None:
    assert cut("\x1b[31mabcdef\x1b[0m", 4) == "\x1b[31mabc\x1b[0m…" and cut("abc", 3) == "abc"


def test_columns_ignore_colour_codes() -> None:
    assert columns([("\x1b[31mab\x1b[0m", "x"), ("abc", "y")]) == ["\x1b[31mab\x1b[0m   x", "abc  y"]
