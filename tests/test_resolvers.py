"""What counts as the new answer of a resolver, and who is asked when, on virtual time (H49). Against real ones: `tests/peers/test_resolvers.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from lbctl.clock import LoopClock
from lbctl.controller import Controller
from lbctl.controller.supervisor import Supervisor
from lbctl.dns.resolver import Told
from lbctl.dns.settings import Endpoint
from lbctl.model.commands import Failover
from lbctl.model.decision import Step
from lbctl.policy import gate
from lbctl.policy.case import Case
from lbctl.resolvers import LATE_S, MARGIN_S, PATIENCE_S, Resolvers, tells
from tests import virtual
from tests.policy.stage import Stage, pair

NEW4, NEW6, OLD, OTHER = "198.51.100.10", "2001:db8::20", "192.0.2.10", "192.0.2.99"
A, B = "192.0.2.97", "192.0.2.98"
"""The addresses of the stage's members."""


@pytest.mark.parametrize(("told", "want", "new"), [
    pytest.param([NEW4], [NEW4], True, id="the-new-one"),
    pytest.param([OLD], [NEW4], False, id="the-old-one"),
    pytest.param([NEW4, OLD], [NEW4], False, id="old-and-new"),
    pytest.param([], [NEW4], False, id="no-such-name"),
    pytest.param([OTHER], [NEW4], False, id="something-else"),
    pytest.param([NEW4, NEW6], [NEW4, NEW6], True, id="both-families"),
    pytest.param([NEW4], [NEW4, NEW6], True, id="a-resolver-that-filters-a-family"),
    pytest.param([NEW4, "64:ff9b::c633:640a"], [NEW4], True, id="a-resolver-that-translates"),
    pytest.param([NEW4, OLD], [NEW4, NEW6], False, id="one-family-is-old"),
    pytest.param([NEW4], [NEW4, OTHER], False, id="a-pool-that-has-grown"),
    pytest.param(["www.example.com"], ["www.example.com"], True, id="an-alias"),
    pytest.param(["old.example.com"], ["www.example.com"], False, id="an-old-alias"),
])
def test_what_counts_as_the_new_answer(told: list[str], want: list[str], new: bool) -> None:
    """Nothing of the old, and all of the new in each family that the resolver tells at all."""
    assert tells(frozenset(told), frozenset(want), frozenset({OLD, "old.example.com"})) is new

class Server:
    """An actuator with two resolvers; each tells what stands here, and when it was asked is kept."""

    id, view, keep_s = "x", "", 30.0
    resolvers = (Endpoint("192.0.2.53", 53), Endpoint("192.0.2.54", 53))

    def __init__(self, clock: LoopClock) -> None:
        self._clock, self.tells = clock, dict.fromkeys(self.resolvers, A)
        self.asked: list[float] = []

    async def told_by(self, resolver: Endpoint) -> Told:
        self.asked.append(self._clock.now())
        return Told(frozenset({self.tells[resolver]}), 5.0)


class World:
    """A pair whose traffic moves from a to b when a test says so; the name servers show it when it says that."""

    names = ("core",)

    def __init__(self) -> None:
        self.clock = LoopClock()
        self.supervisor = Supervisor(self.clock)
        self.stage = Stage(pair()).normal()
        self.server = Server(self.clock)
        self.told: list[str] = []
        self.configured = True
        self.resolvers = Resolvers(cast("Controller", self), self.clock)

    def actuators(self, name: str) -> tuple[Server, ...]:
        return (self.server,) if self.configured else ()

    def case(self, name: str) -> Case:
        return self.stage.case

    def note(self, service: str, kind: str, text: str, **more: Any) -> None:
        self.told.append(kind)

    def moves(self, to: str) -> None:
        """Decided and told of; the name servers show it once the stage is told so (`stage.verify`)."""
        self.stage.ask(Failover(service="core", by="test", reason="drill", to=to, force=True, accept=frozenset(gate.NAMES)))
        assert self.stage.active == to
        self.resolvers.heard(Step(self.clock.now(), "core", "moved", "", epoch=self.stage.state.saved.epoch))

    async def until(self, kind: str, times: int = 1) -> None:
        while self.told.count(kind) < times:
            await asyncio.sleep(0.1)


def play(story: Callable[[World], Awaitable[None]]) -> None:
    """On virtual time: an hour is nothing."""
    async def told() -> None:
        world = World()
        async with asyncio.timeout(3600):
            await story(world)
        await world.supervisor.stop()

    virtual.run(told())


def test_nobody_is_asked_before_the_servers_show_the_move_or_have_had_their_time() -> None:
    """H49: a question that comes too early puts the old answer into an empty cache, and so makes what it measures."""
    async def story(world: World) -> None:
        world.moves("b")
        await asyncio.sleep(10)
        assert world.server.asked == []
        world.stage.verify()
        await asyncio.sleep(1)
        assert world.server.asked
        world.moves("a")
        before, moved = len(world.server.asked), world.clock.now()
        await asyncio.sleep(PATIENCE_S + 5)
        assert world.server.asked[before] >= moved + PATIENCE_S

    play(story)


def test_a_late_resolver_is_told_of_once_asked_more_seldom_and_let_go_when_it_comes_round() -> None:
    """H49: late after the TTL of before the move and a margin, not earlier."""
    async def story(world: World) -> None:
        world.moves("b")
        world.stage.verify()
        await asyncio.sleep(Server.keep_s + MARGIN_S - 1)
        assert world.told == []
        await world.until("resolver-late", 2)
        asked = len(world.server.asked)
        await asyncio.sleep(10 * LATE_S)
        assert world.told == ["resolver-late"] * 2 and len(world.server.asked) - asked <= 22
        assert [value for name, _, value in world.resolvers.rows() if name == "lbctl_resolver_late"] == [1.0, 1.0]
        for place in world.server.tells:
            world.server.tells[place] = B
            await world.until("resolver-converged", 1 + (place is Server.resolvers[1]))
        assert world.told[2:] == ["resolver-converged", "resolver-converged", "resolver-late-over"]
        assert [value for name, _, value in world.resolvers.rows() if name == "lbctl_resolver_late"] == [0.0, 0.0]
        quiet = len(world.server.asked)
        await asyncio.sleep(600)
        assert len(world.server.asked) == quiet, "asked although it tells the new answer"

    play(story)


def test_a_newer_move_ends_the_measuring_of_the_one_before() -> None:
    """What was late no longer matters, and from now on the newer answer is waited for."""
    async def story(world: World) -> None:
        world.moves("b")
        world.stage.verify()
        await world.until("resolver-late", 2)
        world.moves("a")
        assert world.told[2:] == ["resolver-late-over"]
        world.stage.verify()
        await world.until("resolver-converged", 2)
        [seen, _] = world.resolvers.shown("core")["x"]
        assert (seen["epoch"], seen["late"], seen["shows"]) == (world.stage.state.saved.epoch, False, [A])

    play(story)


def test_what_a_reload_takes_away_is_asked_no_more() -> None:
    async def story(world: World) -> None:
        world.moves("b")
        world.stage.verify()
        await asyncio.sleep(5)
        world.configured = False
        await asyncio.sleep(5)
        asked = len(world.server.asked)
        await asyncio.sleep(600)
        assert len(world.server.asked) == asked and list(world.resolvers.rows()) == []

    play(story)
