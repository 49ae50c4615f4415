"""Pools and services that follow one another in a whole controller, on virtual time (G-SC3, G-FS, H53)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lbctl.model.looks import Reason, Verdict
from lbctl.model.settings import MassMove, MemberSettings, MonitorSettings, Role, SafetySettings, ServiceSettings
from tests import virtual
from tests.controller.world import QUICK, A, B, FakeActuator, World, pair

UP: dict[str, Verdict | Reason] = {"tcp": Verdict.OK}
GONE: dict[str, Verdict | Reason] = {"tcp": Reason.REFUSED}


def sentry(name: str = "sentry", **more: Any) -> ServiceSettings:
    members = (MemberSettings("a", Role.PRIMARY, {"": (A,)}, QUICK, site="dc1"), MemberSettings("b", Role.SECONDARY, {"": (B,)}, QUICK, site="dc2"))
    options: dict[str, Any] = {"kind": "pool", "monitor": MonitorSettings("tcp", ("tcp",), modes=False), "actuators": (f"dns:{name}",), **more}
    return ServiceSettings(name, members, **options)


def core() -> ServiceSettings:
    return replace(pair(), members=tuple(replace(m, site=f"dc{n}") for n, m in enumerate(pair().members, 1)))


def world(*services: ServiceSettings, **more: Any) -> World:
    says = {(s.name, m): UP for s in services if not s.monitor.modes for m in s.names}
    shown = {f"dns:{s.name}": FakeActuator(f"dns:{s.name}", shown=frozenset({A, B} if s.kind == "pool" else {A})) for s in services}
    return World(list(services), says=says, actuators=shown, **more)


def answers(made: World, name: str = "sentry") -> set[str]:
    return set(made.actuators[f"dns:{name}"].shown)


def test_a_pool_answers_with_all_who_are_up_and_a_restart_changes_nothing() -> None:
    async def story() -> None:
        made = world(sentry())
        controller = await made.start()
        await made.rounds(6)
        assert made.seen("sentry")["answering"] == ["a", "b"] and made.seen("sentry")["state"] == "normal"
        made.say("b", GONE, "sentry")
        await made.rounds(4)
        assert answers(made) == {A}
        await controller.stop()
        writes = list(made.actuators["dns:sentry"].writes)
        made.say("b", UP, "sentry")
        controller = await made.start()
        await made.rounds(1)
        assert answers(made) == {A} and made.actuators["dns:sentry"].writes == writes, "nothing moves before real looks"
        await made.rounds(3)
        assert answers(made) == {A, B} and made.controller.counts.convergence["sentry"]
        await controller.stop()

    virtual.run(story())


def test_sentries_go_where_the_core_goes_as_a_pool_and_as_a_pair() -> None:
    """G-FS: the Core fails over to dc2; both kinds of Sentry are there a moment later."""
    async def story() -> None:
        beside = sentry("standby", kind="failover", follows="core")
        made = world(core(), sentry(follows="core"), beside)
        controller = await made.start()
        await made.rounds(8)
        assert (answers(made), answers(made, "standby")) == ({A}, {A})
        made.say("a", {"status": Reason.REFUSED, "hastatus": Reason.REFUSED})
        await made.rounds(6)
        assert made.seen("core")["active"] == "b"
        assert (answers(made), answers(made, "standby")) == ({B}, {B})
        assert made.kinds().count("moved") == 2
        await controller.stop()

    virtual.run(story())


def test_many_pools_that_shrink_at_once_are_one_event() -> None:
    """H53: held and told; coming back is nothing that needs a word."""
    async def story() -> None:
        services = [sentry(f"s{number}") for number in range(8)]
        made = world(*services, safety=SafetySettings(mass_move=MassMove(window_s=10.0)))
        controller = await made.start()
        await made.rounds(6)
        for service in services:
            made.say("b", GONE, service.name)
        await made.rounds(8)
        assert all(answers(made, s.name) == {A, B} for s in services)
        assert all("within-mass-move" in made.seen(s.name)["blocked_by"] for s in services)  # type: ignore[operator]
        for service in services:
            made.say("b", UP, service.name)
        await made.rounds(4)
        assert all(made.seen(s.name)["blocked_by"] == [] for s in services)
        await controller.stop()

    virtual.run(story())
