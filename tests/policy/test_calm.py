"""The short way of a look that says nothing new, held against the whole way."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from lbctl.model.looks import ProbeResult
from lbctl.model.state import State
from lbctl.policy import calm, decide
from tests.policy.stage import PAGES, Stage, chain

WORDS = ("ok", "503", "standby", "primary")


def long_way(stage: Stage, look: ProbeResult) -> State:
    """The same look where the short way is closed: an unknown page of an unsaved mark keeps it shut."""
    shut = replace(stage.state, unsaved="shut")
    assert calm.again(stage.settings, shut, look) is None
    return replace(decide(stage.settings, shut, look, stage.now, stage.around).state, unsaved="")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(("a", "b", "dr")), st.sampled_from(WORDS)), min_size=1, max_size=25))
def test_short_and_whole_way_agree(looks: list[tuple[str, str]]) -> None:
    stage = Stage(chain()).normal()
    stage.rounds(8, a="ok/primary", b="503/standby", dr="503/standby")
    taken = 0
    for name, word in looks:
        page, verdict, reason = PAGES[word]
        stage.now += 0.3
        look = ProbeResult(name, page, verdict, reason, stage.now - 0.01, stage.now)
        short = calm.again(stage.settings, stage.state, look)
        if short is not None:
            taken += 1
            whole = long_way(stage, look)
            whole = replace(whole, looked=short.looked, reason=short.reason, noted=short.noted)
            assert whole == short
        stage.hear(look)


def test_most_looks_of_a_quiet_service_take_the_short_way() -> None:
    stage = Stage().normal()
    stage.rounds(8, a="ok/primary", b="503/standby")
    look = ProbeResult("a", "status", *PAGES["ok"][1:], stage.now, stage.now + 0.01)
    assert calm.again(stage.settings, stage.state, look) is not None
