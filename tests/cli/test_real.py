"""The command line against the real controller, a process of its own: two status pages, the embedded DNS server, one configuration file."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from lbctl.cli.client import Client
from lbctl.cli.conflict import send
from lbctl.cli.failure import Failure
from lbctl.cli.options import Globals
from lbctl.cli.root import cli
from tests.controller.pages import Pages

FILE = """
controller: {{name: test, state: state.db}}
api: {{socket: s, listen: ["127.0.0.1:0"]}}
authoritative:
  listen: ["127.0.0.1:0"]
  zones: {{gtm.example.com: {{ns: {{ns1.gtm.example.com: [192.0.2.1]}}}}}}
services:
  core:
    probe: {{profile: standard, interval: 500ms, fast_interval: 50ms, timeout: 500ms, fall: 2, min_outage: 0s}}
    members:
      - {{name: core-a, role: primary, address: {a}, url: "{url_a}"}}
      - {{name: core-b, role: secondary, address: 192.0.2.12, url: "{url_b}", syncs_from: core-a}}
    actuators:
      - authoritative: {{name: core.gtm.example.com, ttl: {ttl}}}
"""


@dataclass
class Site:
    """A running controller and a terminal beside it."""

    directory: Path
    loop: asyncio.AbstractEventLoop
    pages: dict[str, Pages]

    def write(self, a: str = "192.0.2.11", ttl: int = 30) -> Path:
        text = FILE.format(a=a, ttl=ttl, url_a=self.pages["core-a"].url, url_b=self.pages["core-b"].url)
        (self.directory / "lbctl.yaml").write_text(text)
        return self.directory / "lbctl.yaml"

    def type(self, *words: str) -> Result:
        env = {"LBCTL_CONFIG": str(self.directory / "lbctl.yaml"), "LBCTL_API": None}
        return CliRunner(env=env).invoke(cli, list(words), prog_name="lbctl", catch_exceptions=False)

    def json(self, *words: str) -> Any:
        """{} where there is no answer yet."""
        return json.loads(self.type("-o", "json", *words).stdout or "{}")

    def until(self, holds: Callable[[Any], bool]) -> None:
        deadline = time.monotonic() + 60
        while not holds(self.json("status", "core")):
            assert time.monotonic() < deadline, self.type("status", "core").output + (self.directory / "log").read_text()
            time.sleep(0.1)

    def on_loop(self, story: Any) -> None:
        asyncio.run_coroutine_threadsafe(story, self.loop).result(60)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    found = Site(tmp_path, loop, {"core-a": Pages("Primary"), "core-b": Pages("Standby")})
    for pages in found.pages.values():
        found.on_loop(pages.start())
    words = [sys.executable, "-m", "lbctl.cli", "-c", str(found.write()), "run"]
    with (tmp_path / "log").open("w") as log, subprocess.Popen(words, stdout=log, stderr=log) as process:
        try:
            found.until(lambda shown: shown.get("state") == "normal")
            yield found
        finally:
            process.terminate()
            assert process.wait(60) == 0
            for pages in found.pages.values():
                found.on_loop(pages.stop())
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()


def test_an_operator_s_day(site: Site) -> None:
    """Status, explain, maintenance, a refusal, a failover by force, the way back refused: every shape is the real one."""
    assert site.type("status", "--exit-code").stdout.startswith("OK: core normal, traffic to core-a")
    site.until(lambda _: "core-b is ready" in site.type("status", "core").stdout)
    assert "If core-a failed now, traffic would move to core-b." in site.type("explain", "core").stdout
    assert site.type("maintenance", "on", "core", "--for", "1h", "--reason", "patch").exit_code == 0
    assert "patch" in site.type("maintenance", "list").stdout and "maintenance until" in site.type("status").stdout
    assert site.type("maintenance", "off", "core").exit_code == 0
    site.until(lambda shown: shown["state"] == "normal" and shown["members"][1]["health"] == "up")
    refused = site.type("failover", "core", "--to", "core-b", "--reason", "drill")
    assert refused.exit_code == 3 and "refused by active-down" in refused.stderr
    moved = site.type("failover", "core", "--to", "core-b", "--reason", "drill", "--force", "--accept", "active-down")
    assert moved.exit_code == 0 and "seen everywhere" in moved.stdout, moved.output
    back = site.type("resume", "core")
    assert back.exit_code in (0, 3)
    told = site.type("history", "core").stdout
    assert "traffic of core moves from core-a to core-b: drill" in told and "seen from outside after" in told
    assert site.json("events", "-n", "5")["events"][-1]["seq"] > 0
    assert site.type("audit", "verify").exit_code == 0


def test_an_automatic_failover_is_told_with_its_cause(site: Site) -> None:
    """G-LB3, G-LB4: and the primary's return moves nothing."""
    began = time.monotonic()
    site.until(lambda _: time.monotonic() - began > 3.0)  # six rounds of quiet: a replay lays looks out evenly, so it needs a history to begin with
    site.on_loop(site.pages["core-a"].stop())
    site.until(lambda shown: shown["active"] == "core-b" and shown["state"] == "failed-over")
    assert "core-a is down" in site.type("history", "core").stdout
    status = site.type("status", "--exit-code")
    assert status.exit_code == 1 and "resume pending" in status.stdout and "locked out until" in status.stdout
    site.on_loop(site.pages["core-a"].start())
    back = {"status": "ok", "hastatus": "primary"}  # both, so that the journal tells how many looks each outage had
    site.until(lambda shown: all(shown["members"][0]["monitors"][page]["verdict"] == said for page, said in back.items()))
    assert site.json("status", "core")["active"] == "core-b"
    history_decided_again(site)


def test_a_command_in_the_moment_in_which_an_incident_opens_is_no_conflict(site: Site) -> None:
    """H36: nobody else has commanded, and traffic is where it was; of two people the second still conflicts."""
    assert site.type("hold", "core", "--reason", "audit").exit_code == 0
    client = Client(Globals(api=f"unix:{site.directory / 's'}"))
    seen = client.get("services", "core")
    site.on_loop(site.pages["core-a"].stop())
    site.until(lambda shown: shown["revision"] > seen["revision"] and shown["state"] == "down")
    assert send(client, seen, "hold", {"reason": "still at it"})["service"]["held"]["reason"] == "still at it"
    with pytest.raises(Failure, match=": core is held: still at it") as refused:
        send(client, seen, "release", {})
    assert refused.value.exit_code == 4
    client.close()


def history_decided_again(site: Site) -> None:
    """What was recorded, under other settings; from the controller and from an export of its journal."""
    assert "nothing would have been different" in site.type("replay", "core", "--set", "fall=2").stdout
    other = site.type("replay", "core", "--set", "min_outage=10m")
    assert other.exit_code == 0 and "core: with `min_outage=10m`: 1 fewer failover." in other.stdout, other.output
    file = site.directory / "journal.jsonl"
    assert site.type("audit", "export", "--to", str(file)).exit_code == 0
    again = site.type("--api", "unix:/nowhere", "replay", "core", "--journal", str(file), "--set", "min_outage=10m")
    assert again.stdout.splitlines()[0] == other.stdout.splitlines()[0]
    assert site.type("replay", "core", "--journal", str(site.directory / "lbctl.yaml"), "--set", "fall=3").exit_code == 2
    assert site.type("replay", "core", "--since", "often", "--set", "fall=3").exit_code == 2


def test_a_reload_that_would_move_traffic_is_planned_refused_and_allowed(site: Site) -> None:
    """H37."""
    assert "nothing would change" in site.type("plan", str(site.directory / "lbctl.yaml")).stdout
    file = site.write(a="192.0.2.99")
    planned = site.type("plan", str(file))
    assert planned.exit_code == 0 and "MOVES TRAFFIC" in planned.stdout and "192.0.2.99" in planned.stdout
    refused = site.type("reload")
    assert refused.exit_code == 3 and "would move traffic" in refused.stderr
    assert site.type("reload", "--allow-switch").exit_code == 0
    site.until(lambda shown: shown["members"][0]["address"] == {"": ["192.0.2.99"]} and shown["state"] == "normal")
    file.write_text("api: {socket: s}\nservices: {core: {membres: []}}\n")
    broken = site.type("reload")
    assert broken.exit_code == 7 and "membres" in broken.stderr and f"{file}:2:" in broken.stderr
