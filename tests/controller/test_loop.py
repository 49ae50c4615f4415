"""One service's loop with the real policy on virtual time: save before acting, full disks, overtaken saves, broken promises (H25, H26, H34)."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from lbctl.controller.steps import typed
from lbctl.errors import StoreUnavailable
from lbctl.model.commands import Ack, Code, Command, Failover, MaintenanceOff, MaintenanceOn, Release, Reply, Resume, SetHold
from lbctl.model.looks import Reason, Verdict
from lbctl.model.settings import MassMove, SafetySettings
from lbctl.stores.memory import MemoryStore
from tests import virtual
from tests.controller.world import DEAD, PRIMARY, A, B, World, pair


async def ready(world: World) -> World:
    """Started, adopted, promoted, well."""
    await world.start()
    await world.rounds(6)
    assert world.seen()["state"] == "normal", world.seen()["reason"]
    return world


def test_nothing_is_published_before_it_is_saved() -> None:
    """H25: the order is event, decision, save, publish."""
    order: list[str] = []

    async def story() -> None:
        world = await ready(World())

        async def saving() -> None:
            order.append(f"saving over {sorted(world.actuators['dns:core'].shown)}")
            await asyncio.sleep(1)

        world.disk.before = saving
        world.say("a", DEAD)
        await world.rounds(12)
        await world.controller.stop()
        order.append(f"shows {sorted(world.actuators['dns:core'].shown)}")

    virtual.run(story())
    assert order[0] == f"saving over ['{A}']"
    assert order[-1] == f"shows ['{B}']"


def test_the_looks_that_led_to_a_move_stand_before_it_in_the_journal_however_slow_the_disk_is() -> None:
    """H30: who reads the journal afterwards reads it in the order in which things were decided."""
    async def story() -> None:
        world = await ready(World())
        disk = asyncio.Lock()

        async def slow() -> None:
            async with disk:  # one write after the other, as with a file
                await asyncio.sleep(0.7)

        world.disk.before = slow
        world.say("a", DEAD)
        for turn in range(12):
            # a line a round, so that one is always waiting
            world.say("b", {"status": Reason.TIMEOUT if turn % 2 else Reason.STATUS, "hastatus": Verdict.STANDBY})
            await world.rounds(1)
        await world.controller.stop()
        lines = [line for line, _ in world.disk.journal]
        moved = next(number for number, line in enumerate(lines) if line.kind == "moved")
        assert [line.kind for line in lines[:moved]].count("look") > 4, "what it rests on"
        assert [line.epoch for line in lines] == sorted(line.epoch for line in lines)
        assert [line.at for line in lines] == sorted(line.at for line in lines)

    virtual.run(story())


def test_on_a_full_disk_nothing_moves_somebody_is_paged_and_it_moves_when_there_is_room() -> None:
    """H26."""
    async def story() -> None:
        world = await ready(World())

        async def full() -> None:
            raise StoreUnavailable("no space left on device")

        world.disk.before = full
        world.say("a", DEAD)
        await world.rounds(30)
        assert world.actuators["dns:core"].shown == frozenset({A})
        assert world.seen()["unsaved"] == "no space left on device"
        assert world.controller.health()["store_up"] is False
        paged = [step for step in world.told if step.kind == "NotSaved" and step.data.get("page")]
        assert [(step.epoch, step.revision) for step in paged] == [(world.seen()["epoch"], world.seen()["revision"])]
        down = [step for step in world.told if step.kind == "down"]
        assert [step.data.get("page") for step in down] == [True], "whoever is to be woken must be woken above all now"
        assert any(step.kind == "look" and step.data["member"] == "a" and step.data["verdict"] == "failed" for step in world.told)
        world.disk.before = MemoryStore().disk.before
        await world.rounds(10)
        assert world.actuators["dns:core"].shown == frozenset({B})
        assert world.seen()["unsaved"] is None
        await world.controller.stop()

    virtual.run(story())


def test_on_a_full_disk_what_is_seen_is_still_seen_and_a_person_is_told_the_disk() -> None:
    """H26: the look that would move traffic again and again is not forgotten with the move, so no row is shut by a look grown old."""
    async def story() -> tuple[Reply, list[list[str]]]:
        world = await ready(World())

        async def full() -> None:
            raise StoreUnavailable("full")

        world.disk.before = full
        world.say("a", DEAD)
        await world.rounds(12)
        blocked = []
        for _ in range(10):
            await world.rounds(1)
            blocked.append(world.seen()["blocked_by"])
        reply = await world.controller.submit(Failover(service="core", by="x", reason="r", to="b"))
        assert world.seen()["unsaved"] == "full" and world.actuators["dns:core"].shown == frozenset({A})
        await world.controller.stop()
        return reply, blocked

    reply, blocked = virtual.run(story())
    assert blocked == [[]] * 10
    assert reply.code is Code.ERROR and "could not be saved" in reply.message


def test_a_command_that_could_not_be_saved_is_answered_so_and_did_nothing() -> None:
    async def story() -> Reply:
        world = await ready(World())

        async def full() -> None:
            raise StoreUnavailable("full")

        world.disk.before = full
        reply = await world.controller.submit(SetHold(service="core", by="x", reason="r"))
        assert world.seen()["held"] is None
        await world.controller.stop()
        return reply

    assert virtual.run(story()).code is Code.ERROR


def test_a_store_that_is_well_again_is_noticed_while_nothing_else_wants_saving() -> None:
    async def story() -> None:
        world = await ready(World())
        fine = world.disk.before

        async def full() -> None:
            raise StoreUnavailable("full")

        world.disk.before = full
        await world.controller.submit(SetHold(service="core", by="x", reason="r"))
        assert world.seen()["unsaved"] == "full"
        world.disk.before = fine
        await world.rounds(40)
        assert world.seen()["unsaved"] is None
        assert world.controller.health()["store_up"] is True
        await world.controller.stop()

    virtual.run(story())


def test_who_was_overtaken_reads_again_and_judges_by_what_is_there() -> None:
    async def story() -> None:
        world = await ready(World())
        revision, saved = world.disk.states["core"]
        world.disk.states["core"] = (revision + 5, replace(saved, hold=None, counter=77))
        reply = await world.controller.submit(SetHold(service="core", by="x", reason="r"))
        assert reply.code is Code.DONE
        assert world.disk.states["core"][0] == revision + 6
        assert world.disk.states["core"][1].counter == 77
        await world.controller.stop()

    virtual.run(story())


def test_a_state_that_vanished_from_the_disk_is_written_anew_from_memory() -> None:
    async def story() -> None:
        world = await ready(World())
        active = world.seen()["active"]
        world.disk.states.clear()
        assert (await world.controller.submit(SetHold(service="core", by="x", reason="r"))).code is Code.DONE
        assert world.disk.states["core"][1].active == active
        await world.controller.stop()

    virtual.run(story())


def test_an_operators_move_is_done_when_it_is_seen_and_only_accepted_while_it_is_not() -> None:
    """Contract: 0 done and verified, 6 accepted and not verified yet."""
    async def story() -> tuple[Code, Code]:
        world = await ready(World())
        accept = frozenset({"active-down", "candidate-confirmed", "candidate-standby", "re-synced"})
        command = Failover(service="core", by="x", reason="drill", to="b", force=True, accept=accept)
        done = await world.controller.submit(command)
        world.actuators["dns:core"].hang = True
        accepted = await world.controller.submit(replace(command, to="a"))
        world.actuators["dns:core"].hang = False
        await world.controller.stop()
        return done.code, accepted.code

    assert virtual.run(story()) == (Code.DONE, Code.ACCEPTED)


def test_every_command_stands_in_the_journal_refused_ones_too() -> None:
    """The sentence has the word that is typed, once; the data have what replay reads."""
    async def story() -> list[tuple[str, str, int, str]]:
        world = await ready(World())
        await world.controller.submit(Resume(service="core", by="ann", reason="now"))
        await world.controller.submit(Ack(service="core", by="bob", reason="fine"))
        await world.controller.submit(SetHold(service="core", by="cat", reason="audit"))
        await asyncio.sleep(1)
        steps = [step for step in await world.controller.events() if step.kind == "command"]
        await world.controller.stop()
        return [(step.by, step.data["command"]["verb"], step.data["code"], " ".join(step.text.split()[:4])) for step in steps]

    assert virtual.run(story()) == [
        ("ann", "Resume", 3, "resume refused by already-primary:"), ("bob", "Ack", 0, "ack: core is armed"),
        ("cat", "SetHold", 0, "hold: core makes no"),
    ]


@pytest.mark.parametrize(("verb", "word"), [("MaintenanceOn", "maintenance on"), ("SwapRoles", "swap-roles"), ("SetHold", "hold"),
                                            ("UpgradeStep", "upgrade step"), ("Failover", "failover")])
def test_a_command_is_told_by_the_word_that_is_typed(verb: str, word: str) -> None:
    assert typed(verb) == word


def test_in_maintenance_nothing_moves_and_what_would_have_happened_is_told() -> None:
    """H34, H32."""
    async def story() -> None:
        world = await ready(World())
        await world.controller.submit(MaintenanceOn(service="core", by="x", reason="upgrade", until=world.clock.now() + 600))
        writes = list(world.actuators["dns:core"].writes)
        world.say("a", DEAD)
        await world.rounds(20)
        assert world.actuators["dns:core"].writes == writes
        assert "would-failover" in world.kinds()
        assert world.controller.counts.would_failover["core"] == 1
        world.say("a", PRIMARY)
        await world.controller.submit(MaintenanceOff(service="core", by="x"))
        assert world.seen()["state"] == "re-arming"
        await world.rounds(10)
        assert world.seen()["state"] == "normal"
        await world.controller.stop()

    virtual.run(story())


def test_a_maintenance_ends_by_itself_at_its_time() -> None:
    """Timers are data: nobody but the wake-up ends it."""
    async def story() -> None:
        world = await ready(World())
        await world.controller.submit(MaintenanceOn(service="core", by="x", reason="r", until=world.clock.now() + 100))
        await asyncio.sleep(101)
        assert world.seen()["maintenance"]["on"] is False
        assert "maintenance-ended" in world.kinds()
        await world.controller.stop()

    virtual.run(story())



def test_a_broken_invariant_ends_acting_for_this_service_and_pages() -> None:
    async def story() -> None:
        world = await ready(World())
        loop = world.controller._loops["core"]
        loop.state = replace(loop.state, saved=replace(loop.state.saved, latched=frozenset({"a"})))
        world.say("a", DEAD)
        await world.controller.submit(SetHold(service="core", by="x", reason="r"))
        assert "active-is-free" in str(world.seen()["halted"])
        assert [step.kind for step in world.told if step.data.get("page")][-1] == "invariant-broken"
        assert (await world.controller.submit(Ack(service="core", by="x", reason="r"))).code is Code.ERROR
        assert world.actuators["dns:core"].shown == frozenset({A})
        assert world.controller.health()["live"] is True
        await world.controller.stop()

    virtual.run(story())


def test_an_event_that_cannot_be_judged_is_void_and_the_service_goes_on() -> None:
    async def story() -> None:
        world = await ready(World())
        reply = await world.controller.submit(Command(service="core", by="x"))
        assert reply.code is Code.ERROR
        assert "policy-fell" in world.kinds()
        world.say("a", DEAD)
        await world.rounds(8)
        assert world.seen()["active"] == "b"
        await world.controller.stop()

    virtual.run(story())


def test_the_candidate_is_looked_at_at_once_and_a_suspect_pair_is_looked_at_fast() -> None:
    """SEMANTICS section 2, `candidate-confirmed`: that look is started at once when it is needed."""
    async def story() -> None:
        world = await ready(World())
        world.eyes.asked.clear()
        world.say("a", DEAD)
        await world.rounds(2)
        assert ("a", "status") in world.eyes.fast
        await world.rounds(1, gap_s=0.0)
        assert ("b", "hastatus") in world.eyes.asked
        await asyncio.sleep(0.1)
        assert world.seen()["active"] == "b"
        await world.controller.stop()

    virtual.run(story())


def test_a_full_inbox_drops_looks_and_never_commands() -> None:
    async def story() -> None:
        world = await ready(World())

        async def slow() -> None:
            await asyncio.sleep(100)

        world.disk.before = slow
        first = asyncio.create_task(world.controller.submit(SetHold(service="core", by="x", reason="r")))
        await asyncio.sleep(0)
        commands = [asyncio.create_task(world.controller.submit(Ack(service="core", by="x", reason=str(n)))) for n in range(5)]
        for _ in range(200):
            await world.rounds(1, gap_s=0.0)
        assert world.controller.counts.dropped["inbox"] > 0
        replies = await asyncio.gather(first, *commands)
        assert all(reply.code in (Code.DONE, Code.ACCEPTED) for reply in replies)
        await world.controller.stop()

    virtual.run(story())


def test_a_wave_is_held_and_moves_when_released() -> None:
    """H53."""
    names = [f"s{n}" for n in range(8)]

    async def story() -> None:
        services = [pair(name, (f"dns:{name}",)) for name in names]
        world = World(services, safety=SafetySettings(mass_move=MassMove(0.25, 4, 10.0, "hold")))
        await world.start()
        await world.rounds(6)
        for name in names[:6]:
            world.say("a", DEAD, name)
        await world.rounds(50)
        assert {world.controller.service(name)["active"] for name in names} == {"a"}
        assert "MassMoveHeld" in world.kinds()
        for name in names[:6]:
            await world.controller.submit(Release(service=name, by="x"))
        await world.rounds(4)
        assert [world.controller.service(name)["active"] for name in names] == ["b"] * 6 + ["a"] * 2
        await world.controller.stop()

    virtual.run(story())


def test_one_failure_among_many_services_does_not_wait() -> None:
    async def story() -> None:
        services = [pair(f"s{n}", (f"dns:s{n}",)) for n in range(8)]
        world = World(services)
        await world.start()
        await world.rounds(6)
        world.say("a", DEAD, "s3")
        await world.rounds(4)
        assert [world.controller.service(f"s{n}")["active"] for n in range(8)] == ["a", "a", "a", "b", "a", "a", "a", "a"]
        await world.controller.stop()

    virtual.run(story())


def test_the_stages_of_a_move_are_timed_and_told() -> None:
    async def story() -> dict[str, float]:
        world = await ready(World())
        world.actuators["dns:core"].lag = 3
        world.say("a", DEAD)
        await world.rounds(8)
        told = [step for step in world.told if step.kind == "converged"][-1]
        assert world.controller.counts.convergence["core"].total == 2
        await world.controller.stop()
        return dict(told.data["stages"])

    stages = virtual.run(story())
    assert set(stages) == {"decide", "save", "apply", "verify", "total"}
    assert stages["verify"] > 0


def test_after_the_end_nobody_decides_and_what_is_published_stays() -> None:
    async def story() -> None:
        world = await ready(World())
        await world.controller.stop()
        world.say("a", DEAD)
        await world.rounds(10)
        assert world.actuators["dns:core"].shown == frozenset({A})
        assert (await world.controller.submit(Ack(service="core", by="x", reason="r"))).code is Code.ERROR

    virtual.run(story())


@pytest.mark.parametrize("verdicts", [{"a": DEAD, "b": DEAD}, {"a": DEAD, "b": PRIMARY}], ids=["both dead", "the other promoted itself"])
def test_without_a_standby_nothing_is_written(verdicts: dict[str, dict[str, Verdict]]) -> None:
    """H2, H7: zero writes to any actuator."""
    async def story() -> None:
        world = await ready(World())
        writes = list(world.actuators["dns:core"].writes)
        for member, what in verdicts.items():
            world.say(member, what)  # type: ignore[arg-type]
        await world.rounds(30)
        assert world.actuators["dns:core"].writes == writes
        await world.controller.stop()

    virtual.run(story())
