"""All services together: reloads that add, change, refuse and give up; restarts over one disk; health as faces are told it (H28, H37, H55)."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from lbctl.controller import Charge
from lbctl.model.commands import Adopt, Code, Failover, Resume, SetHold, SwapRoles
from lbctl.model.events import SyncSeen
from lbctl.model.looks import ProbeResult, Reason, Verdict
from lbctl.model.settings import ServiceSettings
from tests import virtual
from tests.controller.test_loop import ready
from tests.controller.world import DEAD, PRIMARY, STANDBY, A, B, FakeActuator, World, pair


def moved_address(settings: ServiceSettings) -> ServiceSettings:
    """The primary's address is another."""
    primary, second = settings.members
    return replace(settings, members=(replace(primary, address={"": ("192.0.2.77",)}), second))


def test_a_reload_adds_changes_and_gives_up_services_and_leaves_the_others_alone() -> None:
    async def story() -> None:
        world = await ready(World([pair("core"), pair("gone", ("dns:gone",))]))
        new = FakeActuator("dns:new", shown=frozenset({A}))
        world.says["new", "a"], world.says["new", "b"] = world.says["core", "a"], world.says["core", "b"]
        before = world.seen()
        taken: list[str] = []
        charges = [Charge(pair("core"), (world.actuators["dns:core"],)), Charge(pair("new", ("dns:new",)), (new,))]
        reply = await world.controller.reload(charges, by="x", taken_up=taken.append)
        assert (reply.code, taken) == (Code.DONE, ["new"])
        assert list(world.controller.settings()) == ["core", "new"]
        assert [world.seen()[key] for key in ("state", "revision", "members")] == [before[key] for key in ("state", "revision", "members")]
        assert (world.actuators["dns:gone"].closed, world.actuators["dns:gone"].shown) == (True, frozenset({A}))
        world.services = [pair("core"), pair("new", ("dns:new",))]
        await world.rounds(6)
        assert world.seen("new")["state"] == "normal"
        with pytest.raises(KeyError):
            world.controller.service("gone")
        await world.controller.stop()

    virtual.run(story())


def test_a_reload_that_one_service_refuses_changes_none() -> None:
    """H37: all or nothing."""
    async def story() -> None:
        world = await ready(World([pair("core"), pair("other", ("dns:other",))]))
        slower = replace(pair("other", ("dns:other",)), lockout_s=77.0)
        charges = [Charge(slower, (world.actuators["dns:other"],)), Charge(moved_address(pair("core")), (world.actuators["dns:core"],))]
        reply = await world.controller.reload(charges, by="x")
        assert (reply.code, reply.rule) == (Code.REFUSED, "traffic-unmoved")
        assert world.controller.settings() == {"core": pair("core"), "other": pair("other", ("dns:other",))}
        allowed = await world.controller.reload(charges, by="x", allow_switch=True)
        await asyncio.sleep(1)
        assert allowed.code is Code.DONE
        assert world.actuators["dns:core"].shown == {"192.0.2.77"}
        assert world.controller.settings()["other"].lockout_s == 77.0
        await world.controller.stop()

    virtual.run(story())


def test_a_restart_takes_up_what_was_decided_and_holds_what_was_held() -> None:
    """H25: hold, latch, epoch and the active member survive; the primary that is well again is not taken back."""
    async def story() -> None:
        world = await ready(World())
        world.say("a", DEAD)
        await world.rounds(8)
        await world.controller.submit(SetHold(service="core", by="ann", reason="weekend"))
        before = world.seen()
        await world.controller.stop()
        again = World(disk=world.disk, actuators=world.actuators)
        await ready_again(again)
        seen = again.seen()
        for key in ("active", "epoch", "primary", "held"):
            assert seen[key] == before[key]
        assert seen["members"][0]["latched"] is True  # type: ignore[index]
        assert world.actuators["dns:core"].shown == frozenset({B})
        await again.controller.stop()

    async def ready_again(world: World) -> None:
        await world.start()
        await world.rounds(6)

    virtual.run(story())


def test_an_unreadable_state_and_places_that_disagree_wait_for_a_person() -> None:
    """SEMANTICS section 6, last row."""
    async def story() -> None:
        service = pair("core", ("dns:one", "dns:two"))
        actuators = {"dns:one": FakeActuator("dns:one", shown=frozenset({A})), "dns:two": FakeActuator("dns:two", shown=frozenset({B}))}
        world = World([service], actuators=actuators)
        await world.start()
        await world.rounds(10)
        assert world.seen()["state"] == "uninitialised"
        assert [actuator.writes for actuator in actuators.values()] == [[], []]
        reply = await world.controller.submit(Adopt(service="core", by="x", member="a", reason="it is"))
        assert reply.code is Code.DONE
        assert [actuator.shown for actuator in actuators.values()] == [frozenset({A}), frozenset({A})]
        await world.controller.stop()

    virtual.run(story())


def test_silence_of_all_looks_is_not_fed_to_the_watchdog() -> None:
    """H55: a monitor that died silently is noticed."""
    async def story() -> None:
        world = await ready(World())
        assert world.controller.health()["live"] is True
        await asyncio.sleep(60)
        health = world.controller.health()
        assert (health["live"], health["ready"]) == (False, False)
        assert "looks" in health["why"]
        await world.rounds(1)
        assert world.controller.health()["live"] is True
        await world.controller.stop()

    virtual.run(story())


def test_a_pool_that_follows_judges_anew_when_its_leader_moves() -> None:
    """G-FS."""
    async def story() -> None:
        leader = pair("lead")
        leader = replace(leader, members=tuple(replace(m, site=f"dc-{m.name}") for m in leader.members))
        world = World([leader, replace(pair("tail", ("dns:tail",)), follows="lead")])
        world.actuators["dns:core"] = FakeActuator("dns:core", shown=frozenset({A}))
        await world.start()
        await world.rounds(6)
        world.say("a", DEAD, "lead")
        await world.rounds(6)
        around = world.controller._tools.around.of("tail", world.clock.now())
        assert around.followed_site == "dc-b"
        await world.controller.stop()

    virtual.run(story())


def test_a_person_is_not_sent_away_for_a_stall_of_ours() -> None:
    """The newest look at the candidate is void: new ones are made, and what was asked for is judged again by them."""
    async def story() -> None:
        world = await ready(World())
        await world.controller.submit(SetHold(service="core", by="ann", reason="weekend"))
        world.say("a", DEAD)
        await world.rounds(8)
        now = world.controller.clock.now()
        world.controller.looked("core", ProbeResult("b", "hastatus", Verdict.STANDBY, Reason.OK, now - 0.01, now, void="stall"))
        reply = await world.controller.submit(Failover(service="core", by="ann", to="b", reason="now"))
        assert (reply.code, world.seen()["active"]) == (Code.DONE, "b"), reply
        await world.controller.stop()

    virtual.run(story())


def test_who_has_just_synced_is_believed_at_once_and_not_at_the_next_reading() -> None:
    """`swap-roles` reads the sources before it is judged; what nobody has read yet would be refused by `re-synced` (SEMANTICS 3)."""
    async def story() -> None:
        world = await ready(World())
        world.say("a", DEAD)
        await world.rounds(8)
        world.say("a", STANDBY)
        world.say("b", PRIMARY)
        await world.rounds(8)
        swap = SwapRoles(service="core", by="ann", reason="stays here")
        refused = await world.controller.submit(swap)
        assert (refused.code, refused.rule) == (Code.REFUSED, "re-synced")
        synced = world.clock.now()
        await world.rounds(1)

        async def freshen(service: str) -> None:
            world.controller.post(service, SyncSeen("a", "b", synced, synced + 1.0))

        world.controller.freshen_with(freshen)
        assert (await world.controller.submit(swap)).code is Code.DONE
        assert (world.seen()["primary"], world.seen()["active"]) == ("b", "b")
        await world.controller.stop()

    virtual.run(story())


async def failed_over() -> World:
    """Traffic is on `b`; `a` is back and says Primary."""
    world = await ready(World())
    world.say("a", DEAD)
    await world.rounds(8)
    world.say("a", PRIMARY)
    await world.rounds(8)
    return world


def test_a_way_back_is_judged_by_looks_of_now_and_not_of_an_interval_ago() -> None:
    """Whoever has just given the roles back is not refused for what was seen before; nor is a primary believed that has died since."""
    async def story() -> None:
        world = await failed_over()
        resume = Resume(service="core", by="ann", reason="synced back", attest_synced=True)
        world.say("b", PRIMARY)
        await world.rounds(1)
        world.say("b", STANDBY)
        assert (await world.controller.submit(resume)).code is Code.DONE
        await world.controller.stop()

    async def dead() -> None:
        world = await failed_over()
        world.say("a", DEAD)
        refused = await world.controller.submit(Resume(service="core", by="ann", reason="synced back", attest_synced=True))
        assert (refused.code, refused.rule, world.seen()["active"]) == (Code.REFUSED, "primary-serving", "b")
        await world.controller.stop()

    virtual.run(story())
    virtual.run(dead())


def test_what_a_question_itself_brings_to_light_is_no_conflict_with_somebody_else() -> None:
    """A way back looks first, and what is seen then may be saved: nobody else has changed anything, so the question stands. Another's command
    does conflict."""
    async def alone() -> None:
        world = await ready(World())
        world.say("a", DEAD)
        await world.rounds(8)
        world.say("a", PRIMARY)
        world.say("b", PRIMARY)
        await world.rounds(8)
        # the roles have just been given back: the looks of the question are the third at b that say so, and open an incident
        world.say("b", STANDBY)
        await world.rounds(2)
        revision = world.seen()["revision"]
        saves = world.disk.states["core"][0]
        answer = await world.controller.submit(Resume(service="core", by="ann", reason="synced", attest_synced=True, revision=revision))  # type: ignore[arg-type]
        assert (answer.code, world.seen()["active"]) == (Code.DONE, "a")
        assert world.disk.states["core"][0] > saves + 1, "a save came between, else this shows nothing"
        await world.controller.stop()

    async def together() -> None:
        world = await failed_over()
        revision = world.seen()["revision"]
        resume = Resume(service="core", by="ann", reason="synced back", attest_synced=True, revision=revision)  # type: ignore[arg-type]
        asked = asyncio.ensure_future(world.controller.submit(resume))
        await asyncio.sleep(0)
        held = await world.controller.submit(SetHold(service="core", by="bob", reason="I look into it"))
        answer = await asked
        assert (held.code, answer.code, answer.rule, world.seen()["active"]) == (Code.DONE, Code.CONFLICT, "revision", "b")
        await world.controller.stop()

    virtual.run(alone())
    virtual.run(together())
