"""A request that is sent again under its key, with the process killed in between (H36): it acts once, and is answered the same."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Any

from tests.api.process import Running, running

FORCED = {"to": "core-b", "reason": "drill", "force": True, "accept": ["active-down"]}


def moves(real: Running) -> list[str]:
    """What the journal has of moves, and of commands that were given."""
    events = real.get("/api/v1/events?service=core&limit=1000")["events"]
    return [event["kind"] for event in events if event["kind"] in ("moved", "command")]


def test_after_kill_9_the_same_key_gives_the_same_answer_and_does_nothing(tmp_path: Path) -> None:
    with running(tmp_path) as real:
        first = real.post("/services/core/failover", FORCED, **{"Idempotency-Key": "k"})
        assert first[0] == 200 and first[1]["service"]["active"] == "core-b"
        refused = real.post("/services/core/failover", FORCED, **{"Idempotency-Key": "again"})
        assert refused[0] == 409
        real.end(signal.SIGKILL)
        real.start()
        before = moves(real)
        assert real.post("/services/core/failover", FORCED, **{"Idempotency-Key": "k"}) == first
        assert real.post("/services/core/failover", FORCED, **{"Idempotency-Key": "again"}) == refused
        status, problem = real.post("/services/core/failover", {**FORCED, "reason": "another"}, **{"Idempotency-Key": "k"})
        assert status == 422 and "another request" in problem["detail"]
        assert moves(real) == before and before.count("moved") == 1
        somebody_else = real.post("/services/core/hold", {"reason": "x"}, role="admin", **{"Idempotency-Key": "k"})
        assert somebody_else[0] == 200 and real.get("/api/v1/services/core")["held"]["by"] == "admin"
        assert real.get("/api/v1/audit")["whole"]


EXEC = """
      - exec: {{name: hands, apply: [/bin/sh, {path}/apply], read: [/bin/sh, {path}/read], timeout: 30s}}
"""


def test_killed_between_the_decision_and_its_answer_it_is_not_done_again(tmp_path: Path) -> None:
    """The decision is saved, an actuator is slow, nobody was told: the retry hears what was decided, and the epoch does not rise."""
    (tmp_path / "read").write_text(f"cat {tmp_path}/shown 2>/dev/null || echo '{{\"addresses\": []}}'\n")
    (tmp_path / "apply").write_text(f"test -e {tmp_path}/stuck && sleep 10\ncat > {tmp_path}/shown\n")
    with running(tmp_path, EXEC.format(path=tmp_path)) as real:
        (tmp_path / "stuck").touch()
        answers: list[Any] = []
        client = threading.Thread(target=lambda: answers.append(give_up(real)))
        client.start()
        real.until(lambda: real.get("/api/v1/services/core")["active"] == "core-b")
        real.end(signal.SIGKILL)
        client.join(60)
        (tmp_path / "stuck").unlink()
        real.start(settled=False)  # two actuators disagree: SEMANTICS section 6
        epoch = real.get("/api/v1/services/core")["epoch"]
        status, told = real.post("/services/core/failover", FORCED, **{"Idempotency-Key": "k"})
        assert answers == [None] and (status, told["code"]) == (202, 6), told
        assert "traffic of core moves to core-b" in told["message"] and told["service"]["active"] == "core-b"
        assert real.get("/api/v1/services/core")["epoch"] == epoch and moves(real).count("command") == 1
        assert real.post("/services/core/failover", {**FORCED, "reason": "y"}, **{"Idempotency-Key": "k"})[0] == 422


def give_up(real: Running) -> Any:
    """The answer, or None where the connection broke."""
    try:
        return real.post("/services/core/failover", FORCED, **{"Idempotency-Key": "k"})
    except OSError:
        return None
