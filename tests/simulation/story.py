"""One seed, one story: a site, a few faults and deeds at random times, controllers that die and come back, and a quiet end.

At the end everything is mended and some time passes: then what is published must be what is remembered, everywhere, no loop may have fallen and
no service may have stopped acting.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from tests.simulation.faults import FAULTS, Deed
from tests.simulation.oracle import WrongMove
from tests.simulation.world import World
from tests.virtual import VirtualLoop

CALM_S, PLAY_S, END_S = 3.0, 12.0, 8.0


@dataclass(frozen=True, slots=True)
class Told:
    """What a story came to."""

    seed: int
    moves: int
    steps: int
    lives: int


def tell(seed: int, loop: VirtualLoop, *, verbose: bool = False, plant: object = None) -> Told:
    """Plays one story to its end; raises `WrongMove` where something happened that must never be."""
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(_story(seed, loop, verbose, plant))
    finally:
        loop.rewind()


async def _story(seed: int, loop: VirtualLoop, verbose: bool, plant: object) -> Told:
    names = ["core"] if seed % 100 else [f"core{'x' * n}" for n in range(6)]
    world = World(seed, loop, names)
    world.verbose = verbose
    if callable(plant):
        plant(world)
    dice = world.dice
    if dice.random() < 0.75:
        for name in names:
            world.remember(name)
    deeds = sorted(_deeds(world), key=lambda deed: deed.at)
    try:
        lives = await _lives(world, deeds)
    finally:
        await world.kill()
    return Told(seed, sum(oracle.moves for oracle in world.oracles.values()), len(world.told), lives)


def _deeds(world: World) -> list[Deed]:
    dice = world.dice
    weights = [weight for weight, _ in FAULTS]
    chosen = dice.choices([fault for _, fault in FAULTS], weights, k=dice.choice((1, 2, 2, 3, 4, 6)))
    return [deed for fault in chosen for deed in fault(dice, CALM_S + dice.random() * PLAY_S, world)]


async def _lives(world: World, deeds: list[Deed]) -> int:
    lives = 0
    end = CALM_S + PLAY_S + END_S
    while True:
        lives += 1
        await world.boot()
        play = world.loop.create_task(_play(world, deeds, end))
        death = world.loop.create_task(world.crashed.wait())
        await asyncio.wait({play, death}, return_when=asyncio.FIRST_COMPLETED)
        over = play.done()
        for task in (play, death):
            task.cancel()
        if over:
            play.result()
            _judge(world)
        await world.kill()
        _blame(world)
        if over:
            return lives
        await asyncio.sleep(world.dice.choice((0.1, 1.0, 5.0)))


async def _play(world: World, deeds: list[Deed], end: float) -> None:
    while deeds and deeds[0].at < CALM_S + PLAY_S:
        await asyncio.sleep(max(0.0, deeds[0].at - world.loop.time()))
        deed = deeds.pop(0)
        world.say(f"** {deed.what}")
        deed.act(world)
        _blame(world)
    await asyncio.sleep(max(0.0, CALM_S + PLAY_S - world.loop.time()))
    _mend(world)
    await asyncio.sleep(END_S)


def _mend(world: World) -> None:
    world.say("** everything is mended")
    world.full, world.slow_s, world.crash_in, world.path.cut = False, 0.0, None, False
    for core in world.path.cores.values():
        core.alive, core.silent, core.broken, core.lost, core.wrong, core.late = True, False, None, 0.0, 0.0, 0.0
    for outlet in world.outlets.values():
        outlet.refuses = outlet.hangs = False
        outlet.deaf.clear()


def _blame(world: World) -> None:
    """Nothing may fall that nobody expected; the oracle's own words come first."""
    faults = world.controller.supervisor.faults if world.controller is not None else world.faults
    if faults:
        raise WrongMove(f"fell: {dict(faults)}; {world.blame}")


def _judge(world: World) -> None:
    assert world.controller is not None
    for name, outlet in world.outlets.items():
        seen = world.controller.service(name)
        saved = world.disk.states.get(name, (0, None))[1]
        if seen["halted"]:
            raise WrongMove(f"{name} acts no more: {seen['halted']}")
        maintained = seen["state"] != "uninitialised" and not seen["maintenance"]["on"] and seen["automation"] == "on"
        if not maintained or saved is None or saved.active is None:
            continue
        want = (frozenset(world.services[name].member(saved.active).address[""]), saved.epoch)
        if any(shown != want for shown in outlet.shown):
            raise WrongMove(f"{name} shows {outlet.shown} and should show {want}")
        if seen["unsaved"]:
            raise WrongMove(f"{name} still cannot save: {seen['unsaved']}")
