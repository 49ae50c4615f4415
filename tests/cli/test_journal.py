"""`history` tells decisions with cause, people and stages; `events` every line, and goes on."""

from __future__ import annotations

import http.server
import json
import socketserver
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from lbctl.cli.client import Client
from lbctl.cli.journal import followed
from lbctl.cli.options import Globals
from lbctl.model.decision import Step
from tests.api.fake import AT
from tests.cli.conftest import Terminal
from tests.cli.inpty import inpty


def write(terminal: Terminal, kind: str, text: str, after: float = 0.0, epoch: int = 8, by: str = "", **data: Any) -> None:
    journal = terminal.controller.journal
    journal.append(Step(AT + after, "core", kind, text, by, epoch, 42, data, len(journal) + 1))


def failover(terminal: Terminal) -> None:
    write(terminal, "look", "core-a status: failed (refused)", epoch=7)
    write(terminal, "moved", "failover: traffic of core moves from core-a to core-b: core-a is down", 0.0, page=True,
          evidence={"source": "core-a", "rules": {"active-down": "core-a status: refused", "candidate-standby": "core-b: OK (Mode: Standby)"}})
    write(terminal, "applied", "authoritative:core took epoch 8", 0.004)
    write(terminal, "read-back", "authoritative:core shows epoch 8 everywhere", 0.012)
    write(terminal, "command", "Resume: refused", 5, by="otto", code=3, rule="re-synced")
    write(terminal, "command", "SetHold: done", 6, by="otto", code=0)


def test_history_tells_decisions_with_evidence_and_stages(terminal: Terminal) -> None:
    failover(terminal)
    lines = terminal.type("history", "core").stdout.splitlines()
    assert lines[0] == "2027-01-15" and "traffic of core moves from core-a to core-b" in lines[1]
    text = "\n".join(lines)
    assert "all 2 rules held" in text
    assert "epoch 8: written after 0.004 s, seen from outside after 0.012 s" in text
    assert "Resume: refused  by otto" in text and "SetHold" not in text and "shows epoch" not in text


def test_history_names_what_a_person_accepted_all_the_same(terminal: Terminal) -> None:
    """H35."""
    rules = {"active-down": "core-a status: OK, up", "candidate-standby": "core-b: OK (Mode: Standby)"}
    told = "failover: traffic of core moves from core-a to core-b: drill"
    write(terminal, "moved", told, by="otto", evidence={"rules": rules, "accepted": ["active-down"]})
    assert "1 of 2 rules held, accepted all the same: active-down" in terminal.type("history", "core").stdout


def test_an_instant_in_the_evidence_is_told_as_a_time(terminal: Terminal) -> None:
    write(terminal, "maintenance", "maintenance of core is on: x", by="otto", evidence={"since": AT, "until": AT + 3600.5, "revision": 2})
    told = terminal.type("history", "core").stdout
    assert "since     08:00:00Z" in told and "until     09:00:00Z" in told and "revision  2" in told


def test_history_goes_back_past_what_is_only_evidence(terminal: Terminal) -> None:
    failover(terminal)
    for _ in range(2500):
        write(terminal, "look", "core-b status: ok")
    told = terminal.type("history", "core").stdout
    assert "traffic of core moves" in told and told.count("Resume: refused") == 1


def test_history_of_nothing_says_so(terminal: Terminal) -> None:
    assert terminal.type("history").stdout == "nothing has been decided yet\n"
    assert terminal.type("history", "sentri").exit_code == 2


def test_only_what_wakes_somebody_is_coloured(terminal: Terminal) -> None:
    """Of a look, `page` is the name of the page."""
    write(terminal, "look", "core-a status: ok", page="status")
    write(terminal, "failed-over", "core is failed-over")
    write(terminal, "OldPrimaryReturned", "core-a is back", page=True)
    with inpty("--api", f"unix:{terminal.socket}", "events", columns=120) as it:
        assert it.rest() == 0
    assert "look                core-a status: ok" in it.seen and "failed-over         core is failed-over" in it.seen
    assert "\x1b[33mcore-a is back" in it.seen


def test_events_are_every_line(terminal: Terminal) -> None:
    failover(terminal)
    lines = terminal.type("events", "--last", "2").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["5", "6"]
    assert len(terminal.json("events", "--since", "1")["events"]) == 5


def test_following_prints_what_comes(terminal: Terminal) -> None:
    failover(terminal)
    words = [sys.executable, "-m", "lbctl.cli", "--api", f"unix:{terminal.socket}", "-o", "json", "events", "--follow", "--last", "1"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["seq"] == 6
        terminal.type("release", "core")
        assert json.loads(process.stdout.readline())["kind"] == "release"
        process.send_signal(2)
        assert process.wait(20) == 0


class Streamer:
    """A stream that ends after each line, as a controller that restarts does; `asked` is what was asked to be resumed after."""

    def __init__(self, path: Path) -> None:
        self.asked: list[str] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                after = self.headers["Last-Event-ID"]
                outer.asked.append(after)
                line = {"seq": int(after) + 1, "text": "x"}
                self.send_response(200)
                self.end_headers()
                self.wfile.write(f"id: {line['seq']}\ndata: {json.dumps(line)}\n\n".encode())

            def address_string(self) -> str:
                return "unix"

            def log_message(self, *_: object) -> None:
                pass

        self.server = socketserver.UnixStreamServer(str(path), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def end(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def test_following_goes_on_after_a_restart_where_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The lines that were written meanwhile are not lost, and the outage is told once."""
    path = tmp_path / "s"
    first = Streamer(path)
    found = followed(Client(Globals(api=f"unix:{path}")), None, 7)
    assert next(found)["seq"] == 8
    first.end()
    path.unlink()
    streams: list[Streamer] = []
    again = threading.Timer(0.5, lambda: streams.append(Streamer(path)))
    again.start()
    assert next(found)["seq"] == 9
    again.join()
    streams[0].end()
    assert first.asked == ["7"] and streams[0].asked[0] == "8"
    assert capsys.readouterr().err.count("waiting for it") == 1
