"""The controller's book of what it has lent, and hosts that answer what they like."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from lbctl.actuators.vip_lease import SILENT, Lender
from lbctl.agent.keeper import Keeper
from lbctl.clock import LoopClock, SystemClock
from lbctl.errors import ActuatorError
from lbctl.net.said import believed
from lbctl.net.talk import Peer

GOOD: dict[str, Any] = {
    "stamp": 5.0, "held": False, "trouble": "", "epoch": 7, "turn": 0, "mac": "02:00:00:00:00:01", "promised_s": 0.0, "obeys": "", "members": ["a"],
    "addresses": ["192.0.2.10"], "boot": "x", "tally": {"announced": 3}, "happened": [[1, "address-removed", "gone"]],
}
STRANGE: dict[str, dict[str, Any]] = {
    "no stamp": {"stamp": None},
    "a stamp that is no number": {"stamp": float("nan")},
    "an endless promise": {"promised_s": float("inf")},
    "an epoch that is a text": {"epoch": "last"},
    "a turn that is none": {"turn": None},
    "members that are a text": {"members": "a"},
    "addresses that are numbers": {"addresses": [1, 2]},
    "a tally that is a number": {"tally": 3},
    "a tally of words": {"tally": {"announced": "many"}},
    "what happened is short": {"happened": [[1, "address-removed"]]},
    "what happened is no list": {"happened": 1},
    "rules that lead nowhere": {"passed": {"epoch": 7}},
    "rules that are a text": {"passed": "192.0.2.10"},
    "a refusal that is a number": {"error": 5},
}


class Host:
    """An agent that answers this."""

    def __init__(self, name: str, **changes: Any) -> None:
        self.name, self.answer = name, {**GOOD, **changes}

    async def ask(self, question: Mapping[str, Any], limit_s: float | None = None) -> dict[str, Any]:
        return self.answer


def lender(told: list[str], **hosts: Host) -> Lender:
    return Lender("192.0.2.99", cast("dict[str, Peer]", hosts), 3.0, LoopClock(), lambda kind, text: told.append(text))


@pytest.mark.parametrize("name", STRANGE)
async def test_a_host_that_answers_nonsense_has_said_nothing_and_the_others_are_heard(name: str) -> None:
    """H46: one that is not understood may have the address still, and ends nobody's lending."""
    book = lender([], a=Host("a"), b=Host("b", **STRANGE[name]))
    found = await book.look()
    strange = found["b"]
    assert isinstance(strange, ActuatorError) and strange.reason in SILENT and "makes no sense" in str(strange)
    assert not isinstance(found["a"], ActuatorError) and found["a"].epoch == 7
    with pytest.raises(ActuatorError):
        await book.lend("b")


async def test_a_refusal_tells_nothing_of_the_host_and_what_happened_is_told_once() -> None:
    told: list[str] = []
    host = Host("a", happened=[])
    book = lender(told, a=host)
    await book.look()
    host.answer = {"stamp": 6.0, "error": "not-allowed", "text": "no"}
    await book.look()
    assert book.tallies["a"]["announced"] == 3
    for _ in range(2):
        host.answer = GOOD
        await book.look()
    assert told == ["a: gone"]


async def test_what_an_agent_says_is_believed(tmp_path: Path) -> None:
    """Two tables that must agree: no word of the agent's is left aside."""
    keeper = Keeper("192.0.2.99/32", "lo", SystemClock(), tmp_path / "state.db")
    for question in ({"op": "look"}, {"op": "promise", "epoch": 1, "lease_s": 3}, {"op": "give"}):
        answer = await keeper.answer(question)
        assert believed(answer).model_dump(include=answer.keys()) == answer
    await keeper.close()
