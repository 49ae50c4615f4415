"""`probe`, `notify test`, `audit verify`, `version`, completion: the verbs beside the moves."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from lbctl.cli.root import VERBS, cli
from tests.cli.conftest import Terminal


class Standby(BaseHTTPRequestHandler):
    """A Core on standby: 503 on one page, Mode: Standby on the other."""

    def do_GET(self) -> None:
        standby = self.path == "/hastatus.html"
        self.send_response(200 if standby else 503)
        self.end_headers()
        self.wfile.write(b"MOBILEIRON-STATUS: OK (Mode: Standby)" if standby else b"")

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def core() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Standby) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield "http://{}:{}".format(*server.server_address[:2])
        server.shutdown()
        thread.join()


def test_a_probe_of_a_url_shows_both_pages_phase_by_phase(core: str) -> None:
    result = CliRunner().invoke(cli, ["probe", core])
    assert result.exit_code == 0
    for words in ("status: failed (status)", "HTTP status 503", "hastatus: standby", "connect", "firstbyte"):
        assert words in result.stdout


def test_a_probe_of_a_member_looks_as_the_configuration_has_it(core: str, tmp_path: Path) -> None:
    file = tmp_path / "lbctl.yaml"
    file.write_text(f"""
services:
  core:
    members:
      - {{name: core-a, role: primary, address: 192.0.2.1, url: "{core}"}}
      - {{name: core-b, role: secondary, address: 192.0.2.2, url: "{core}"}}
    actuators: [{{authoritative: {{name: core.gtm.example.com}}}}]
authoritative: {{listen: ["127.0.0.1:5300"], zones: {{gtm.example.com: {{ns: {{ns1.gtm.example.com: [192.0.2.1]}}}}}}}}
""")
    result = CliRunner().invoke(cli, ["-c", str(file), "-o", "json", "probe", "core/core-b"])
    assert [look["verdict"] for look in json.loads(result.stdout)["looks"]] == ["failed", "standby"]
    shown = yaml.safe_load(CliRunner().invoke(cli, ["-c", str(file), "-o", "yaml", "probe", "core/core-b"]).stdout)
    assert [look["verdict"] for look in shown["looks"]] == ["failed", "standby"]
    for typed, near in (("cor/core-b", "core"), ("core/core-c", "core-")):
        result = CliRunner().invoke(cli, ["-c", str(file), "probe", typed])
        assert result.exit_code == 2 and f"did you mean '{near}" in result.stderr


@pytest.mark.parametrize(("what", "code"), [("http://127.0.0.1:9", 1), ("ftp://x", 2), ("http://u@x", 2)])
def test_a_probe_that_finds_nothing_good(what: str, code: int) -> None:
    assert CliRunner().invoke(cli, ["probe", what]).exit_code == code


def test_a_test_notice_says_how_each_way_ended(terminal: Terminal) -> None:
    result = terminal.type("notify", "test")
    assert result.exit_code == 0 and "email  delivered  0.05 s" in result.stdout
    terminal.administration.deliveries[0] |= {"outcome": "failed", "detail": "421 try later"}
    result = terminal.type("notify", "test")
    assert result.exit_code == 1 and "421 try later" in result.stdout
    terminal.administration.deliveries = []
    assert terminal.type("notify", "test").exit_code == 1


def test_a_journal_that_was_changed_is_told(terminal: Terminal) -> None:
    """H39: the record of who did what."""
    assert terminal.type("audit", "verify").exit_code == 0
    terminal.controller.broken_at = 17
    result = terminal.type("audit", "verify")
    assert result.exit_code == 1 and "broken at line 17" in result.stdout


def test_a_long_journal_is_followed_to_its_end(terminal: Terminal) -> None:
    """A part at a time; the fake follows ten lines a go."""
    for number in range(35):
        terminal.controller.write("note", str(number))
    found = terminal.json("audit", "verify")
    assert (found["whole"], found["checked"], found["lines"], found["next"]) == (True, 35, 35, None)
    terminal.controller.broken_at = 33
    assert terminal.type("audit", "verify").exit_code == 1


def test_a_journal_is_exported_a_line_each_and_never_over_another_file(terminal: Terminal) -> None:
    for number in range(2500):
        terminal.controller.write("note", str(number), service="core" if number % 2 else "sentry")
    lines = terminal.type("audit", "export", "core").stdout.splitlines()
    assert [json.loads(line)["text"] for line in lines] == [str(number) for number in range(1, 2500, 2)]
    file = terminal.directory / "journal.jsonl"
    told = terminal.type("audit", "export", "--since", "2400", "--to", str(file))
    assert told.exit_code == 0 and "100 lines written" in told.stdout and len(file.read_text().splitlines()) == 100
    again = terminal.type("audit", "export", "--to", str(file))
    assert again.exit_code == 1 and "left alone" in again.stderr and len(file.read_text().splitlines()) == 100
    assert terminal.type("audit", "export", "cor").exit_code == 2
    assert terminal.type("events", "--since", "2498").stdout.count("\n") == 2


def test_every_verb_has_help_and_its_own_module() -> None:
    for name in VERBS:
        result = CliRunner().invoke(cli, [name, "--help"])
        assert result.exit_code == 0 and result.output.startswith("Usage: cli"), name


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_written_for_the_shell(shell: str, tmp_path: Path) -> None:
    result = CliRunner(env={"SHELL": f"/bin/{shell}", "XDG_DATA_HOME": str(tmp_path)}).invoke(cli, ["--install-completion"])
    assert result.exit_code == 0, result.output
    (written,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert "_LBCTL_COMPLETE" in written.read_text()


def test_completion_for_a_shell_that_is_not_known_says_so() -> None:
    assert CliRunner(env={"SHELL": "/bin/csh"}).invoke(cli, ["--install-completion"]).exit_code == 2


def test_services_and_members_are_completed(terminal: Terminal) -> None:
    env = {"_LBCTL_COMPLETE": "bash_complete", "COMP_WORDS": "lbctl status se", "COMP_CWORD": "2"}
    assert "sentry" in terminal.type(env=env).stdout
    env |= {"COMP_WORDS": "lbctl failover core --to core-", "COMP_CWORD": "4"}
    assert {"plain,core-a", "plain,core-b"} <= set(terminal.type(env=env).stdout.split())


def test_version() -> None:
    assert CliRunner().invoke(cli, ["version"]).stdout.startswith("lbctl ")


PAIR = """
services:
  core:
    probe: {{profile: standard, fall: {fall}}}
    members:
      - {{name: core-a, role: primary, address: 192.0.2.1}}
      - {{name: core-b, role: secondary, address: 192.0.2.2, syncs_from: core-a}}
"""


def test_replay_takes_the_new_configuration_as_the_contract_has_it(terminal: Terminal, tmp_path: Path) -> None:
    """`lbctl [-c RUNNING] replay -c NEW`: the file after the verb is the one to decide by."""
    running, new = tmp_path / "running.yaml", tmp_path / "new.yaml"
    running.write_text(PAIR.format(fall=3))
    new.write_text(PAIR.format(fall=9))
    both = terminal.type("-c", str(running), "replay", "-c", str(new))
    assert both.exit_code == 0 and both.stdout.startswith(f"core: with `{new}`: nothing would have been different.")
    by_environment = terminal.type("replay", "-c", str(new), env={"LBCTL_CONFIG": str(running)})
    assert by_environment.stdout == both.stdout
    alone = terminal.type("-c", str(running), "replay")
    assert alone.exit_code == 2 and "-c NEW.yaml" in alone.stderr
    assert terminal.type("replay", "-c", str(running), "--set", "fall=2").stdout.startswith("core: with `fall=2`:")


def test_what_one_cause_hides_is_told_once_and_does_not_bury_what_is_wrong(terminal: Terminal) -> None:
    """G-BP: a dozen practices that only a drive could tell are one line, behind those that are not kept."""
    rows = [{"practice": str(number), "text": f"practice {number}", "holds": "unknown", "evidence": "no drive: is configured", "advice": "",
             "urgent": False} for number in range(12)]
    wrong = {"practice": "p", "text": "it would take over", "holds": "no", "evidence": "core-a is latched", "advice": "`lbctl explain SERVICE`",
             "urgent": True}

    async def readiness(name: str) -> dict[str, Any]:
        return {"service": name, "ready": False, "kept": 0, "of": 13, "practices": [*rows, wrong]}

    terminal.administration.readiness = readiness  # type: ignore[method-assign]
    told = terminal.type("readiness", "core").stdout.splitlines()
    assert told[1].split() == ["NO", "it", "would", "take", "over:", "core-a", "is", "latched"] and told[2].strip() == "do: `lbctl explain core`"
    assert len(told) == 4 and told[3].startswith("  ?   12 are not known (no drive: is configured): practice 0; practice 1; ")
