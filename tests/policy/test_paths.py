"""H5: the path of our looks is not the path of clients. Where the two disagree nobody is moved, and somebody is told."""

from __future__ import annotations

from dataclasses import replace

from lbctl.model.looks import ProbeResult, Reason, Verdict
from tests.policy.stage import Stage

BAD = (Verdict.FAILED, Reason.TIMEOUT)


def see(stage: Stage, name: str, direct: bool, path: bool, times: int = 1) -> None:
    """Both pages of a member as `probes.ways` tells them: agreement is news, disagreement is `unknown`."""
    for _ in range(times):
        stage.now += 1.0
        primary = name == stage.active
        status = (Verdict.OK, Reason.OK) if primary else (Verdict.FAILED, Reason.STATUS)
        for page, good in (("status", status), ("hastatus", (Verdict.PRIMARY if primary else Verdict.STANDBY, Reason.OK))):
            stage.now += 0.001
            parts = [ProbeResult(name, page, *(good if alive else BAD), stage.now, stage.now + 0.0005) for alive in (direct, path)]
            ways = (("client", parts[1]), ("direct", parts[0]))
            whole = parts[0] if direct is path else replace(parts[0], verdict=Verdict.UNKNOWN, reason=Reason.TIMEOUT)
            stage.hear(replace(whole, ways=ways))


def both(stage: Stage, times: int, a: tuple[bool, bool], b: tuple[bool, bool]) -> Stage:
    for _ in range(times):
        see(stage, "a", *a)
        see(stage, "b", *b)
    return stage


WELL, PATH_DEAD, UNSEEN, GONE = (True, True), (True, False), (False, True), (False, False)


def alerts(stage: Stage) -> set[tuple[str, str]]:
    return {(alert["kind"], alert["member"]) for alert in stage.view["alerts"]}


def test_a_dead_gateway_before_the_active_calls_somebody_and_moves_nothing() -> None:
    stage = both(Stage(), 4, WELL, WELL)
    both(stage, 8, PATH_DEAD, WELL)
    assert stage.active == "a" and ("ClientPathDown", "a") in alerts(stage)
    assert any(note.kind == "ClientPathDown" and note.page for note in stage.notes)
    both(stage, 4, WELL, WELL)
    assert stage.view["state"] == "normal" and not alerts(stage)


def test_an_active_that_serves_its_clients_is_not_down_because_we_do_not_reach_it() -> None:
    stage = both(Stage(), 4, WELL, WELL)
    both(stage, 8, UNSEEN, WELL)
    assert stage.active == "a" and ("PathsDisagree", "a") in alerts(stage)


def test_an_active_that_is_gone_on_both_paths_fails_over() -> None:
    stage = both(Stage(), 4, WELL, WELL)
    both(stage, 6, GONE, WELL)
    assert stage.active == "b"


def test_nobody_is_sent_to_a_standby_that_clients_would_not_reach() -> None:
    stage = both(Stage(), 4, WELL, WELL)
    both(stage, 4, WELL, PATH_DEAD)
    assert ("PathsDisagree", "b") in alerts(stage)
    both(stage, 6, GONE, PATH_DEAD)
    assert stage.active == "a" and "candidate-standby" in stage.view["blocked_by"]


def test_a_disagreement_is_no_unknown_mode_and_no_blindness() -> None:
    stage = both(Stage(), 4, WELL, WELL)
    both(stage, 6, PATH_DEAD, PATH_DEAD)
    assert "blind" not in stage.view["conditions"] and not {kind for kind, _ in alerts(stage)} & {"UnknownMode"}
