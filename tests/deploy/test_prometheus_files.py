"""Rules, their unit tests, runbooks, dashboard and Alertmanager example: each relation between them is checked (issue 5, item 4)."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from lbctl.notifiers.words import WORDS
from tests.deploy.contract import IF_CONFIGURED, METRICS, STATES, VERBS

DEPLOY = Path(__file__).parents[2] / "deploy"
PROMETHEUS, RUNBOOKS = DEPLOY / "prometheus", DEPLOY / "runbooks"
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((PROMETHEUS / "lbctl.rules.yml").read_text())["groups"] for rule in group["rules"]
]
KNOWN = {**METRICS, **IF_CONFIGURED}
ALERTS = {rule["alert"]: rule for rule in RULES}
DASHBOARD = json.loads((DEPLOY / "grafana" / "lbctl.json").read_text())
SELECTOR = re.compile(r"\b(lbctl_[a-z_]+)(?:\{([^}]*)\})?")
HEADINGS = ["## Meaning", "## Look", "## Do", "## Undo"]


def expressions() -> dict[str, str]:
    """Every PromQL expression of the dashboard, with Grafana's variables filled in."""
    found = {f"{panel['title']} {target['refId']}": target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]}
    found |= {annotation["name"]: annotation["expr"] for annotation in DASHBOARD["annotations"]["list"]}
    return {name: expr.replace("$service", "core").replace("$__rate_interval", "1m") for name, expr in found.items()}


def run(*command: str, cwd: Path = PROMETHEUS) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.peer("promtool")
def test_the_rules_parse() -> None:
    done = run("promtool", "check", "rules", "lbctl.rules.yml")
    assert done.returncode == 0 and f"{len(RULES)} rules found" in done.stdout, done.stdout + done.stderr


@pytest.mark.peer("promtool")
@pytest.mark.parametrize("file", sorted(file.name for file in PROMETHEUS.glob("*.test.yml")))
def test_the_rules_do_what_their_unit_tests_say(file: str) -> None:
    """Fires, does not fire, resolves; a planned switchover never pages; maintenance mutes what it explains, never that the active is down."""
    done = run("promtool", "test", "rules", file)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.peer("promtool")
@pytest.mark.parametrize(("expression", "caught"), [("vector(0) > 1", "exp: {"), ("vector(1)", "exp: nil")], ids=["never", "always"])
def test_the_unit_tests_catch_a_rule_that_never_or_always_fires(tmp_path: Path, expression: str, caught: str) -> None:
    rules = [{"alert": name, "expr": expression, "labels": rule["labels"]} for name, rule in ALERTS.items()]
    (tmp_path / "lbctl.rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "broken", "rules": rules}]}))
    missed = set(ALERTS)
    for file in PROMETHEUS.glob("*.test.yml"):
        # What never changes needs no look every 30 s: that is most of promtool's work.
        (tmp_path / file.name).write_text(re.sub(r"^evaluation_interval: .*$", "evaluation_interval: 5m", file.read_text(), flags=re.MULTILINE))
        done = run("promtool", "test", "rules", file.name, cwd=tmp_path)
        for failure in re.split(r"(?=expr: \")", done.stdout + done.stderr):
            if caught in failure and (named := re.search(r'alertname=\\"(\w+)\\"', failure)):
                missed.discard(named[1])
    assert missed == set()


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_every_alert_says_how_urgent_it_is_and_what_to_do(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}
    assert rule["annotations"]["summary"].startswith(("{{ $labels", "lbctl", "No lbctl"))


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_every_alert_has_a_runbook_with_meaning_look_do_and_undo(name: str) -> None:
    text = (RUNBOOKS / f"{ALERTS[name]['annotations']['runbook']}.md").read_text()
    assert [line for line in text.splitlines() if line.startswith("## ")] == HEADINGS
    for heading, part in zip(HEADINGS, re.split(r"^## .*$", text, flags=re.MULTILINE)[1:], strict=True):
        assert len(part.strip()) > 10, heading


def test_no_runbook_is_left_without_an_alert_and_every_notice_has_an_alert() -> None:
    named = {rule["annotations"]["runbook"] for rule in RULES}
    assert {file.stem for file in RUNBOOKS.glob("*.md")} - {"README"} == named
    assert {words.runbook for words in WORDS.values()} - {""} <= named


@pytest.mark.parametrize("file", sorted(RUNBOOKS.glob("*.md")), ids=lambda file: file.stem)
def test_every_command_of_a_runbook_exists(file: Path) -> None:
    used = set(re.findall(r"`?\blbctl ([a-z][a-z0-9-]+)", "\n".join(re.findall(r"`[^`]*`|^```.*?^```", file.read_text(), re.MULTILINE | re.DOTALL))))
    assert used <= VERBS


@pytest.mark.parametrize("source", [*(f"alert {name}" for name in sorted(ALERTS)), *(f"panel {name}" for name in sorted(expressions()))])
def test_every_metric_and_label_that_is_asked_for_exists(source: str) -> None:
    kind, _, name = source.partition(" ")
    expression = ALERTS[name]["expr"] if kind == "alert" else expressions()[name]
    for metric, selector in SELECTOR.findall(expression):
        known = KNOWN.get(metric) if metric in KNOWN else KNOWN[re.sub(r"_(sum|count|bucket)$", "", metric)]
        assert known is not None
        labels = dict(re.findall(r'([a-z_]+)\s*=~?\s*"([^"]*)"', selector))
        assert set(labels) <= known, f"{metric} has no such label"
        if "state" in labels:
            assert set(labels["state"].split("|")) <= STATES


def test_every_state_that_needs_somebody_has_an_alert() -> None:
    asked = {state for rule in RULES for state in re.findall(r'state="([a-z-]+)"', rule["expr"])}
    assert STATES - asked == {"normal", "partial"}, "partial is judged by the ledger, which no other state hides"


@pytest.mark.peer("promtool")
def test_every_expression_of_the_dashboard_parses(tmp_path: Path) -> None:
    rules = [{"record": f"panel:{number}", "expr": expr} for number, expr in enumerate(expressions().values())]
    (tmp_path / "panels.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    done = run("promtool", "check", "rules", "panels.yml", cwd=tmp_path)
    assert done.returncode == 0 and f"{len(rules)} rules found" in done.stdout, done.stdout + done.stderr


def test_the_dashboard_is_whole() -> None:
    """Ids and places are unique, every panel is titled and none lies on another."""
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert panel["title"] and place["x"] + place["w"] <= 24 and not cells & taken, panel["title"]
        taken |= cells
    assert {variable["name"] for variable in DASHBOARD["templating"]["list"]} == {"datasource", "service"}


@pytest.mark.peer("promtool")
def test_the_examples_are_valid() -> None:
    for command in (("promtool", "check", "config", "prometheus.example.yml"), ("amtool", "check-config", "alertmanager.example.yml")):
        done = run(*command)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.peer("amtool")
@pytest.mark.parametrize(("severity", "receiver"), [("page", "on-call"), ("ticket", "tickets")])
def test_a_page_reaches_the_people_on_call_and_a_ticket_does_not(severity: str, receiver: str) -> None:
    done = run("amtool", "config", "routes", "test", "--config.file=alertmanager.example.yml", f"severity={severity}", "service=core")
    assert done.stdout.strip() == receiver, done.stdout + done.stderr


def test_inhibitions_name_alerts_that_exist() -> None:
    text = (PROMETHEUS / "alertmanager.example.yml").read_text()
    named = {name for names in re.findall(r'alertname=~?"([^"]+)"', text) for name in names.split("|")}
    assert named and named <= set(ALERTS)
