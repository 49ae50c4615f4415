"""H17: the wrong host answers. Two members that show one key, where each has its own, are a mix-up and no news of either."""

from __future__ import annotations

from dataclasses import replace

from lbctl.model.looks import ProbeResult, Reason, Verdict
from tests.policy.stage import PROBE, Stage, pair


def strict(own_key: bool = True) -> Stage:
    settings = pair(PROBE)
    return Stage(replace(settings, members=tuple(replace(m, own_key=own_key) for m in settings.members)))


def look(stage: Stage, name: str, page: str, verdict: Verdict, key: str, reason: Reason = Reason.OK) -> None:
    stage.now += 0.01
    stage.hear(ProbeResult(name, page, verdict, reason, stage.now - 0.005, stage.now, key=key))


def rounds(stage: Stage, count: int, a_key: str, b_key: str = "KB") -> None:
    """A and B as they are; but where A's looks show B's key, it is B that answers them."""
    for _ in range(count):
        stage.now += 1.0
        swapped = a_key == "KB"
        look(stage, "a", "status", Verdict.FAILED if swapped else Verdict.OK, a_key, Reason.STATUS if swapped else Reason.OK)
        look(stage, "a", "hastatus", Verdict.STANDBY if swapped else Verdict.PRIMARY, a_key)
        look(stage, "b", "status", Verdict.FAILED, b_key, Reason.STATUS)
        look(stage, "b", "hastatus", Verdict.STANDBY, b_key)


def test_a_translation_that_leads_the_actives_looks_to_the_standby_moves_nothing() -> None:
    """The active reads 503 and `Mode: Standby`, as the gate wants it, and is as well as ever."""
    stage = strict()
    rounds(stage, 4, "KA")
    rounds(stage, 8, "KB")
    assert stage.active == "a"
    assert [note.text for note in stage.notes if note.kind == "WrongServer"] == [
        "what answers for a is another member (wrong server: it shows the certificate key of b): its looks count for nothing"]
    failing = [row["evidence"] for row in stage.view["gate"][0]["rules"] if row["rule"] == "no-stall"]
    assert "certificate key of b" in failing[0]
    rounds(stage, 2, "KA")
    assert any(note.kind == "WrongServer-over" for note in stage.notes)


def test_without_the_promise_of_own_keys_a_shared_wildcard_is_fine() -> None:
    """Where members may share a key, an active that says what a standby says is believed, as the guide has it."""
    stage = strict(own_key=False)
    rounds(stage, 4, "KB")
    assert not any(note.kind == "WrongServer" for note in stage.notes)


def test_a_member_that_refuses_shows_no_key_and_is_down() -> None:
    """A dead active is not saved by what an earlier look had learned."""
    stage = strict()
    rounds(stage, 4, "KA")
    for _ in range(4):
        stage.now += 1.0
        look(stage, "a", "status", Verdict.FAILED, "", Reason.REFUSED)
        look(stage, "a", "hastatus", Verdict.FAILED, "", Reason.REFUSED)
        look(stage, "b", "hastatus", Verdict.STANDBY, "KB")
    assert stage.active == "b"


def test_a_renewed_certificate_is_no_mix_up() -> None:
    stage = strict()
    rounds(stage, 4, "KA")
    rounds(stage, 4, "KA2")
    assert stage.view["state"] == "normal" and not stage.told("WrongServer")
