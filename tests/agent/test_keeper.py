"""What an agent makes of a question that is none, and of peers that do not agree."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from lbctl.agent.keeper import Keeper
from lbctl.clock import SystemClock
from lbctl.errors import ActuatorError
from lbctl.net.talk import Peer
from tests.agent.stage import V4
from tests.netns import network

ADDRESS, NOWHERE = "192.0.2.99", "none0"
"""No such interface: whatever goes wrong, nothing is taken."""
NAN, INF = float("nan"), float("inf")
HOLD: dict[str, Any] = {"address": ADDRESS, "op": "hold", "epoch": 7, "members": ["a"], "addresses": ["192.0.2.10"], "owner": "x", "lease_s": 3,
                        "stamp": 0}
FORWARD: dict[str, Any] = {"target": "192.0.2.10", "ports": [443]}
NONSENSE: dict[str, dict[str, Any]] = {
    "no operation": {"op": None},
    "an operation that nobody knows": {"op": "give"},
    "an epoch that is a text": {"epoch": "last"},
    "an endless epoch": {"epoch": INF},
    "a turn that is none": {"turn": NAN},
    "members that are a number": {"members": 5},
    "no addresses": {"addresses": None},
    "a stamp of the future": {"stamp": 1e12},
    "a stamp that is no number": {"stamp": NAN},
    "an endless stamp": {"stamp": INF},
    "a lease that is no number": {"lease_s": NAN},
    "an endless lease": {"lease_s": INF},
    "a lease of nothing": {"lease_s": 0.5},
    "MACs that are none": {"gone": ["zz:zz"]},
    "MACs that are a number": {"gone": 5},
    "a target that is a rule": {"forward": {**FORWARD, "target": "192.0.2.10; flush ruleset"}},
    "a target with a scope": {"forward": {**FORWARD, "target": "fe80::1%eth0"}},
    "no ports": {"forward": {**FORWARD, "ports": []}},
    "a port that is none": {"forward": {**FORWARD, "ports": [443, 65536]}},
    "a forward that is a text": {"forward": "443"},
}


@pytest.mark.parametrize("name", NONSENSE)
async def test_a_question_that_makes_no_sense_changes_nothing(name: str, tmp_path: Path) -> None:
    """Neither what is held, nor whom it obeys, nor which decision it knows (H41, H43)."""
    keeper = Keeper(f"{ADDRESS}/32", NOWHERE, SystemClock(), tmp_path / "state.db")
    before = await keeper.answer({"op": "look"})
    answer = await keeper.answer({**HOLD, **NONSENSE[name]}, "controller")
    after = await keeper.answer({"op": "look"})
    assert answer["error"] == "malformed", answer
    assert {**after, "stamp": 0} == {**before, "stamp": 0}
    assert after["obeys"] == "" and after["epoch"] is None and not after["held"]
    await keeper.close()


async def test_what_it_has_promised_a_holder_it_keeps_for_a_lease(tmp_path: Path) -> None:
    """SEMANTICS section 8, H43: the holder rests on it, so not even its own controller is obeyed before; nor is anything promised to an older one."""
    keeper = Keeper(f"{ADDRESS}/32", NOWHERE, SystemClock(), tmp_path / "state.db")
    promised = await keeper.answer({"op": "promise", "epoch": 7, "lease_s": 60})
    assert "error" not in promised and 59 < promised["promised_s"] <= 60
    refused = await keeper.answer({**HOLD, "stamp": promised["stamp"], "lease_s": 60}, "controller")
    assert refused["error"] == "promised" and not refused["held"]
    assert (await keeper.answer({"op": "promise", "epoch": 6, "lease_s": 60}))["error"] == "superseded"
    assert (await keeper.answer({"op": "promise", "epoch": 8, "lease_s": 60})).get("error") is None
    await keeper.close()


async def test_one_controller_is_obeyed_at_a_time_and_an_older_decision_by_nobody(tmp_path: Path) -> None:
    """H41, H43: the second has to wait, whatever its epoch; and what is known here is refused an older one, of the first as well."""
    keeper = Keeper(f"{ADDRESS}/32", NOWHERE, SystemClock(), tmp_path / "state.db")
    prepare = {**HOLD, "op": "prepare"}
    assert (await keeper.answer(prepare, "controller")).get("error") is None
    assert (await keeper.answer({**prepare, "owner": "y", "epoch": 9}, "second"))["error"] == "owned"
    assert (await keeper.answer({**prepare, "epoch": 6}, "controller"))["error"] == "superseded"
    assert (await keeper.answer(prepare, "controller")).get("error") is None
    await keeper.close()


class PeerOf:
    """Another agent, which answers so."""

    def __init__(self, answer: dict[str, Any] | None) -> None:
        self.answer = answer

    async def ask(self, question: Mapping[str, Any], limit_s: float | None = None) -> dict[str, Any]:
        if self.answer is None:
            raise ActuatorError("timeout", "nobody is there")
        return self.answer


@pytest.mark.netns
@pytest.mark.parametrize(("peers", "stays"), [
    ([{}, {}], True), ([{}, {"error": "superseded"}], False), ([{}, None], False), ([], False),
], ids=["all agree", "one refuses", "one is silent", "none is configured"])
async def test_without_a_controller_it_is_kept_only_while_every_peer_agrees(tmp_path: Path, peers: list[dict[str, Any] | None], stays: bool) -> None:
    """SEMANTICS section 8, H44, H47: one that does not say so may be about to take it."""
    clock = SystemClock()
    with network() as net:
        host = net.host("a")
        with host.inside():
            keeper = Keeper(f"{V4}/32", "eth0", clock, tmp_path / "state.db", cast("list[Peer]", [PeerOf(one) for one in peers]))
            keeper._holder.ready()  # its sockets belong to this host
        answer = await keeper.answer({**HOLD, "address": V4, "lease_s": 2, "stamp": clock.now()}, "controller")
        assert answer["held"], answer
        if stays:
            await asyncio.sleep(4.5)
            assert host.has(V4)
        else:
            async with asyncio.timeout(30):
                while host.has(V4):
                    await asyncio.sleep(0.05)
        await keeper.close()
