"""What the policy shows is what the API says it shows (contract section 4), in every kind of state."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import pytest

from lbctl.api.advice import helpful
from lbctl.api.models import Explanation, ServiceObject
from lbctl.cli.explain import told
from lbctl.cli.service import sheet
from lbctl.cli.status import line
from lbctl.model.commands import Failover, MaintenanceOn, SetHold
from lbctl.model.looks import Reason
from lbctl.policy.case import Case
from lbctl.policy.gate import operator_rows
from tests.policy import stage
from tests.policy.stage import Stage


def held() -> Stage:
    one = Stage().normal()
    one.ask(SetHold(service="core", by="otto", reason="audit"))
    return one


def maintained() -> Stage:
    one = Stage().normal()
    one.ask(MaintenanceOn(service="core", by="vera", reason="patch", until=one.now + 60))
    return one


def asking() -> Stage:
    """G-SC2: both main Cores are down, the DR Core needs a yes."""
    one = Stage(stage.chain())
    one.rounds(4, a="ok/primary", b="503/standby", dr="503/standby")
    one.rounds(8, a="refused", b="refused", dr="503/standby")
    return one


def forced() -> Stage:
    one = Stage().normal()
    one.ask(Failover(service="core", by="otto", reason="x", to="b", force=True, accept=frozenset({"active-down", "candidate-standby"})))
    return one


def odd() -> Stage:
    one = Stage().normal()
    one.look("b", "hastatus", reason=Reason.TLS)
    one.look("b", "odd")
    return one


STATES: dict[str, Callable[[], Stage]] = {
    "unseen": Stage, "normal": lambda: Stage().normal(), "failed over": lambda: Stage().failed_over(), "held": held, "maintained": maintained,
    "asking": asking, "forced": forced, "odd": odd,
    "uninitialised": lambda: Stage(shown="strange"), "nothing published": lambda: Stage(shown="nothing"),
}


def explained(one: Stage) -> dict[str, Any]:
    """As the API answers it: with the rows for people, which the controller adds, and with what helps."""
    case = Case(one.settings, one.state, one.now)
    whys = [{**row, "for_failover": [asdict(r) for r in operator_rows(case, row["member"]) if not r.holds]} for row in one.why["candidates"]]
    why = {**one.why, "candidates": whys}
    return {**why, **helpful(one.view, why)}


@pytest.mark.parametrize("make", STATES.values(), ids=STATES)
def test_every_state_has_the_contract_s_shape_and_can_be_read(make: Callable[[], Stage]) -> None:
    one = make()
    shown = one.view
    ServiceObject.model_validate(shown)
    why = explained(one)
    Explanation.model_validate(why)
    assert shown["state"] in " ".join(line(shown, one.now))
    text = "\n".join([*sheet(shown, one.now), *told(why)])
    assert "None" not in text and shown["reason"] in text
    assert all(member["name"] in text for member in shown["members"])


def test_an_approval_is_shown_with_its_id() -> None:
    """H10."""
    shown = asking().view
    (entry,) = shown["approvals"]
    assert entry["to"] == "dr" and entry["id"] in "\n".join(sheet(shown, 0.0)) and entry["id"] in " ".join(line(shown, 0.0))


def test_an_outage_that_is_not_proven_is_told_in_the_reason_and_by_what_helps() -> None:
    """H10: with `min_outage` the state stays `normal` for as long; the sentences beside it must not."""
    one = Stage(stage.pair(replace(stage.PROBE, min_outage_s=1000.0))).normal()
    one.rounds(8, a="refused", b="503/standby")
    why = explained(one)
    assert one.view["state"] == "normal" and one.view["reason"] == "a has the traffic; a fails, which is not proven for good yet"
    assert why["suspect"] == "a" and why["advice"][0]["text"].startswith("Nothing to type yet: a fails, and it is not proven down (a status:")
    assert "outage not proven" in why["advice"][0]["text"] and why["advice"][0]["text"].endswith("traffic would move to b.")


LOOKS = ("ok/primary", "503/standby", "refused", "503/primary", "ok/standby", "tls", "fail")


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_what_helps_is_a_sentence_about_members_that_exist(seed: int) -> None:
    """Nights that nobody has written down: pages change at random, people hold, maintain and force."""
    dice = random.Random(seed)
    one = Stage(stage.chain() if seed % 3 == 0 else stage.pair()).normal()
    asked = (SetHold(service="core", by="otto", reason="audit"), MaintenanceOn(service="core", by="vera", reason="patch", until=one.now + 600),
             Failover(service="core", by="otto", reason="x", to="b", force=True, accept=frozenset({"active-down", "candidate-standby", "re-synced"})))
    for _ in range(25):
        one.rounds(dice.randint(1, 6), **{name: dice.choice(LOOKS) for name in one.settings.names})
        if dice.random() < 0.15:
            one.ask(dice.choice(asked))
        why = explained(one)
        Explanation.model_validate(why)
        for way in why["advice"]:
            assert "None" not in way["text"] and not re.search(r"[{}]|MEMBER|SERVICE", way["text"] + way["command"]), (one.view["state"], way)
        typed = [way["command"] for way in why["advice"] if way["command"]]
        assert len(typed) == len(set(typed))
