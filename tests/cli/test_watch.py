"""`status --watch`, `explain` and `events` on a real terminal: as good as the page (issue 5, item 3)."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from lbctl.cli.client import Client
from lbctl.cli.failure import Failure
from lbctl.cli.looks import rows
from lbctl.cli.options import Globals
from lbctl.cli.watch import Picture
from tests.api.fake import member, service
from tests.cli.conftest import Terminal
from tests.cli.inpty import inpty, plain

EVIDENCE = "core-a status: refused (connection refused), down, failing for 12.3 s, 9 looks in a row, outage not proven (20 s needed)"


def failing(terminal: Terminal) -> None:
    """One service with all that may be in the way at night."""
    rule = {"rule": "candidate-standby", "holds": False, "evidence": EVIDENCE, "opens": "`lbctl ack SERVICE --member MEMBER`"}
    terminal.controller.services["core"] = service(
        "core", state="stranded", reason="traffic stays on core-a: core-b already says Primary",
        gate=[{"member": "core-b", "open": False, "rules": [rule]}],
        members=[member("core-a", "primary", health="down", verdict="failed", reason="refused", detail="connection refused"),
                 member("core-b", "secondary", latched=True, needs_resync=True)])


def watching(terminal: Terminal, *words: str) -> list[str]:
    return ["--api", f"unix:{terminal.socket}", "status", "--watch", *words]


@pytest.mark.parametrize("columns", [80, 120])
def test_nothing_is_cut_off_that_somebody_must_read(terminal: Terminal, columns: int) -> None:
    failing(terminal)
    with inpty(*watching(terminal, "core"), columns=columns, lines=50) as it:
        it.until("in sync")
        it.until("\x1b[J")
        assert it.end() == 0
        told = " ".join(" ".join(it.picture).split())
        assert max(map(len, it.picture)) <= columns
    for words in ("latched, needs re-sync", EVIDENCE, "lbctl failover core --to core-b --reason …", "connection refused", "live at"):
        assert words in told, words


def test_on_a_narrow_terminal_a_member_s_pages_stand_below_it_and_no_row_is_broken(terminal: Terminal) -> None:
    """A row that is folded in the middle of its columns tells whose page failed to nobody."""
    pages = {name: {"verdict": "failed", "reason": "refused"} for name in ("status", "hastatus")}
    terminal.controller.services["core"] = service("core", members=[
        member("core-a", "primary", health="down", verdict="failed", reason="refused", detail="connection refused", monitors=pages),
        member("core-b", "secondary")])
    with inpty(*watching(terminal, "core"), columns=80, lines=50) as it:
        it.until("in sync")
        it.until("\x1b[J")
        assert it.end() == 0
        lines = [line.split() for line in it.picture]
    assert ["MEMBER", "ROLE", "HEALTH", "SAYS", "FOR"] in lines
    below = next(number for number, words in enumerate(lines) if words[:3] == [">", "core-a", "primary"])
    assert " ".join(lines[below + 1]) == "status failed (refused), hastatus failed (refused), looked 0s ago"
    assert " ".join(lines[below + 2]) == "has the traffic, connection refused"


def test_a_small_window_shows_the_serious_first_and_counts_the_rest(terminal: Terminal) -> None:
    terminal.controller.services = {f"s{number:02}": service(f"s{number:02}") for number in range(40)}
    terminal.controller.services["s33"] = service("s33", state="down")
    with inpty(*watching(terminal), lines=24) as it:
        it.until("do not fit")
        it.until("do not fit")
        assert it.picture[1] == "1 needs you, 39 well" and it.picture[3].startswith("X  s33")
        assert len(it.picture) == 23 and it.picture[-1] == "… 21 more lines do not fit"
        assert it.end() == 0


def test_a_dumb_terminal_gets_a_new_picture_only_when_something_has_changed_and_no_escapes(terminal: Terminal) -> None:
    with inpty(*watching(terminal), TERM="dumb") as it:
        it.until("2 well")
        it.until("sentry")
        terminal.controller.services["core"]["state"] = "stranded"
        it.until("stranded")
        assert it.seen.count("SERVICE") == 2 and "\x1b" not in it.seen
        assert it.end() == 0


def test_no_color_means_none(terminal: Terminal) -> None:
    failing(terminal)
    with inpty(*watching(terminal, "core"), NO_COLOR="1") as it:
        it.until("core is stranded: traffic stays on core-a")
        assert it.end() == 0
        assert "\x1b[3" not in it.seen and "\x1b[1m" not in it.seen and "\x1b[0m" not in it.seen


def test_a_controller_that_is_away_leaves_the_last_picture_with_its_time(tmp_path: Path) -> None:
    answers: list[Any] = [(["core is normal"], 1), Failure(1, "no controller answers"), (["core is down"], 2)]

    def look() -> tuple[list[str], Any]:
        answer = answers.pop(0)
        if isinstance(answer, Failure):
            raise answer
        return answer[0], answer[1]

    client = Client(Globals(api=f"unix:{tmp_path}/none"))
    client.now = 1_800_000_000.0
    picture = Picture(client, look)
    picture.renew()
    assert picture.head == "lbctl status, live at 08:00:00Z; Ctrl-C ends it"
    picture.renew()
    assert picture.head == "X stale since 08:00:00Z, what is below is as of then: no controller answers" and picture.lines == ["core is normal"]
    picture.renew()
    assert picture.lines == ["core is down"] and picture.head.startswith("lbctl status, live")


def test_a_controller_that_takes_the_question_and_says_nothing_is_not_shown_as_live(terminal: Terminal) -> None:
    """Stopped, or behind a path that swallows packets: it refuses nothing, and a question gives up only after half a minute."""
    answering, free = terminal.controller.brief, threading.Event()

    def stuck(name: str) -> Any:
        free.wait(60)
        return answering(name)

    try:
        with inpty(*watching(terminal)) as it:
            it.until("live at")
            it.until("\x1b[J")
            terminal.controller.brief = stuck  # type: ignore[method-assign]
            it.until("X stale since")
            it.until("no answer for")
            it.until("standby")
            free.set()
            it.until("live at")
            assert it.end() == 0
    finally:
        free.set()


def columns(**more: Any) -> dict[str, list[Any]]:
    base = {"fastest_s": [0.002] * 60, "slowest_s": [0.004] * 60, "good": [4] * 60, "failed": [0] * 60, "reason": ["ok"] * 60}
    return {**base, **more}


def test_recent_looks_are_a_mark_each_with_the_failed_ones_named() -> None:
    slow = [None] * 30 + [0.002] * 27 + [0.080, None, None]
    bad = columns(failed=[0] * 58 + [4, 4], good=[4] * 58 + [0, 0], slowest_s=slow, reason=["timeout"] * 60)
    head, calm, failed = rows({"cell_s": 20.0, "members": {"core-a": {"status": columns(), "hastatus": bad}}})
    assert head == "Looks of the last 20 min, a mark for 20 s, x: some failed"
    assert "▇" * 60 in calm and calm.endswith("2.0 ms to 4.0 ms")
    assert " " * 30 + "▁" * 27 + "█xx" in failed and failed.endswith("2.0 ms to 80 ms, 8 of 240 failed (timeout)")


def test_what_a_standby_fails_by_right_is_drawn_with_another_mark() -> None:
    """Colour is never the only sign."""
    down = columns(failed=[4] * 60, good=[0] * 60, fastest_s=[None] * 60, slowest_s=[None] * 60, reason=["status"] * 60)
    _, line = rows({"cell_s": 20.0, "members": {"core-b": {"status": down}}}, frozenset({("core-b", "status")}))
    assert ":" * 60 in line and line.endswith("240 of 240 failed as expected")


def test_on_a_narrow_terminal_marks_share_cells_so_that_each_row_stays_one(terminal: Terminal) -> None:
    """Without block marks where the terminal has none."""
    with inpty("--api", f"unix:{terminal.socket}", "status", "core", columns=80, TERM="linux") as it:
        assert it.rest() == 0
    (row,) = [line for line in plain(it.seen).splitlines() if line.startswith("  core-a status")]
    assert len(row) <= 80 and "x" in row and "1 of 4 failed" in row


def test_traffic_on_a_core_that_is_no_primary_yet_does_not_look_like_health(terminal: Terminal) -> None:
    monitors = {"status": {"verdict": "failed", "reason": "status"}, "hastatus": {"verdict": "standby", "reason": "ok"}}
    standby = member("core-b", "secondary", promoted=False, monitors=monitors)
    refused = {page: {"verdict": "failed", "reason": "refused"} for page in monitors}
    dead = member("core-a", "primary", health="down", verdict="failed", monitors=refused)
    for other, promote in ((dead, True), (member("core-a", "primary"), False)):
        terminal.controller.services["core"] = service("core", state="failed-over", active="core-b", members=[other, standby])
        out = terminal.type("status", "core").stdout
        assert "clients are not served yet: core-b is still a Standby" in out
        assert ("failover mode primary" in out) is promote, "not while another one says Primary: there would be two"


def test_a_drain_and_a_stopped_run_say_what_they_wait_for_and_how_they_end(terminal: Terminal) -> None:
    drain = {"verb": "switchover", "target": "core-b", "by": "otto", "began": "2099-01-15T08:00:00Z", "until": "2099-01-15T08:00:30Z"}
    run = {"kind": "resume", "step": "last-sync", "doing": None, "by": "otto", "began": None, "failed": "core-b did not answer"}
    terminal.controller.services["core"] |= {"drain": drain, "run": run}
    out = terminal.type("status", "core").stdout
    for words in ("draining for a switchover by otto: traffic moves to core-b at 08:00Z", "`lbctl hold core --reason …` ends it",
                  "last-sync was the last step to end", "it has stopped: core-b did not answer", "lbctl resume core --drive",
                  "lbctl upgrade core abort"):
        assert words in out, words


def test_an_event_stands_beside_its_kind_or_below_it(terminal: Terminal) -> None:
    terminal.controller.write("moved", "failover: traffic of core moves from core-a to core-b because core-a does not answer any more")
    for width, words in ((80, "moved\n        failover: traffic of core moves"), (120, "moved               failover: traffic")):
        with inpty("--api", f"unix:{terminal.socket}", "events", columns=width) as it:
            assert it.rest() == 0
        assert words in plain(it.seen) and max(map(len, plain(it.seen).splitlines())) <= width
