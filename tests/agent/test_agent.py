"""The address stands on the active member's host, held there by its agent; whatever is killed, stopped or cut, never on two hosts."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from lbctl.actuators.vip_agents import VipAgents
from lbctl.errors import ActuatorError, Superseded
from lbctl.model.decision import Desired
from tests.agent.stage import PATIENCE_S, V4, Authority, Stage, stage

pytestmark = pytest.mark.netns
ADDRESSES = {"a": "192.0.2.10", "b": "192.0.2.11"}


@pytest.fixture
def on(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as made:
        yield made


def desired(epoch: int, member: str) -> Desired:
    return Desired("core", epoch, (member,), {"": (ADDRESSES[member],)})


async def applied(vip: VipAgents, decision: Desired) -> None:
    """As the reconciler does it: again and again, until it is done or somebody newer is there."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                await vip.apply(decision)
                return
            except Superseded:
                raise
            except ActuatorError:
                await asyncio.sleep(0.1)


async def test_it_moves_with_the_active_member_and_older_decisions_are_refused(on: Stage) -> None:
    """H41, H43: the agents themselves are the referees, also after a restart of theirs."""
    await on.start()
    vip, stale = on.controller(), on.controller()
    await applied(vip, desired(1, "a"))
    assert on.holders == "a"
    await applied(vip, desired(2, "b"))
    assert on.holders == "b"
    [place] = (await vip.read()).places
    assert (place.name, place.addresses, place.epoch) == ("b", frozenset({ADDRESSES["b"]}), 2)
    with pytest.raises(Superseded) as raised:
        await stale.apply(desired(1, "a"))
    assert raised.value.found_epoch == 2
    on.a.stop()
    on.a.start()
    await on.until(lambda: on.a.log.read_text().count("ready") == 2, "it does not start again")
    with pytest.raises(Superseded):
        await stale.apply(desired(1, "a"))
    assert on.holders == "b"
    await vip.close()
    await stale.close()


@pytest.mark.parametrize("how", ["killed", "stopped", "cut"])
async def test_a_host_that_is_gone_is_waited_for_and_then_replaced(on: Stage, how: str) -> None:
    """H46, H47: the lease ends in the old host's kernel before the new one has the address."""
    await on.start()
    vip = on.controller()
    await applied(vip, desired(1, "a"))
    if how == "cut":
        on.a.host.cut()
    else:
        on.a.signal(signal.SIGKILL if how == "killed" else signal.SIGSTOP)
    seen: set[str] = set()
    moving = asyncio.get_running_loop().create_task(applied(vip, desired(2, "b")))
    while not moving.done():
        seen.add(on.holders)
        await asyncio.sleep(0.02)
    await moving
    assert "ab" not in seen
    assert on.holders == "b"
    if how == "cut":
        on.a.host.join()
    elif how == "stopped":
        on.a.signal(signal.SIGCONT)
    await asyncio.sleep(1.0)
    assert on.holders == "b"
    await vip.close()


async def test_without_a_controller_it_stays_while_all_peers_agree_and_no_longer(on: Stage) -> None:
    """SEMANTICS section 8, H44, H47."""
    await on.start()
    vip = on.controller()
    await applied(vip, desired(1, "a"))
    await vip.close()
    await on.until(lambda: "while all peers agree" in on.a.log.read_text(), "the peer was not asked")
    await asyncio.sleep(2.5)
    assert on.holders == "a"
    on.b.signal(signal.SIGSTOP)
    await on.until(lambda: on.holders == "", "it is kept although a peer is silent")
    on.b.signal(signal.SIGCONT)


async def test_the_next_life_of_the_controller_lends_on_what_it_finds(on: Stage) -> None:
    await on.start()
    on.a.stop()
    on.a.peers = []
    on.a.start()
    await on.until(lambda: on.a.log.read_text().count("ready") == 2, "it does not start again")
    first = on.controller()
    await applied(first, desired(3, "a"))
    await first.close()
    second = on.controller()
    [place] = (await second.read()).places
    assert (place.addresses, place.epoch) == (frozenset({ADDRESSES["a"]}), 3)
    await asyncio.sleep(2.5)
    assert on.holders == "a"
    await second.close()
    await on.until(lambda: on.holders == "", "nobody lends it, nobody agreed, and it is there")


async def test_only_those_of_the_same_authority_may_speak(on: Stage) -> None:
    await on.start()
    (on.directory / "other").mkdir()
    stranger = Authority(on.directory / "other")
    files = stranger.files("controller")
    vip = on.controller(lease_s=20.0, files=type(files)(files.cert, files.key, on.files.ca))
    with pytest.raises(ActuatorError) as raised:
        await vip.apply(desired(1, "a"))
    assert raised.value.reason in ("tls", "refused")
    [place] = (await vip.read()).places
    assert place.addresses is None
    assert on.holders == ""
    await vip.close()


async def test_an_address_that_the_host_may_not_hold_and_nonsense_are_refused(on: Stage) -> None:
    await on.start()
    vip = on.controller(lease_s=20.0)
    peer = vip._book.agents["a"]
    for question in ({"address": "192.0.2.1", "op": "look"}, {"address": V4}, {"address": V4, "op": "x"}, {"address": V4, "op": "hold"},
                     {"address": V4, "op": "hold", "epoch": 1, "members": ["a"], "addresses": [], "stamp": 1e12, "lease_s": 3}):
        answer = await peer.ask(question)
        assert answer["error"] in ("address", "malformed")
    assert on.holders == ""
    await vip.close()
