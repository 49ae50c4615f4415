"""What can go wrong, and what people do: rows of a table that a story's dice choose from. Each acts on the world at its time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from lbctl.model import commands as ask
from lbctl.model.looks import Reason
from tests.simulation.truth import HOSTILE, Core
from tests.simulation.world import World

Act = Callable[[World], None]


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that happens at a time."""

    at: float
    what: str
    act: Act


def _span(dice: Random, at: float, what: str, begin: Act, end: Act) -> list[Deed]:
    return [Deed(at, what, begin), Deed(at + dice.choice((0.4, 1.5, 4.0, 9.0, 30.0)) * (0.5 + dice.random()), f"{what}: over", end)]


def _core(dice: Random, world: World) -> Core:
    return world.path.cores[dice.choice(sorted(world.path.cores))]


def dies(dice: Random, at: float, world: World) -> list[Deed]:
    """A member refuses connections; its standby may promote itself after its own heartbeats."""
    name = dice.choice(sorted(world.services))
    core, partner = world.path.cores[name, "a"], world.path.cores[name, "b"]
    if dice.random() < 0.2:
        core, partner = partner, core
    deeds = _span(dice, at, f"{name}/{core.name} dies", lambda w: core.die(), lambda w: setattr(core, "alive", True))
    if dice.random() < 0.6:
        deeds.append(Deed(at + dice.choice((1.0, 3.0, 6.0, 12.0)), f"{name}/{partner.name} promotes itself",
                          lambda w: setattr(partner, "primary", partner.primary or not core.alive)))
    return deeds


def die_in_turn(dice: Random, at: float, world: World) -> list[Deed]:
    """The one that took over dies as well."""
    name = dice.choice(sorted(world.services))
    first, second = (world.path.cores[name, member] for member in world.services[name].names[:2])
    return [Deed(at, f"{name}/a dies", lambda w: first.die()), Deed(at + dice.choice((5.0, 8.0)), f"{name}/b dies", lambda w: second.die()),
            Deed(at + 1.0 + 6.0 * dice.random(), f"{name}/b is promoted", lambda w: setattr(second, "primary", True))]


def is_silent(dice: Random, at: float, world: World) -> list[Deed]:
    core = _core(dice, world)
    return _span(dice, at, f"{core.name} is silent", lambda w: setattr(core, "silent", True), lambda w: setattr(core, "silent", False))


def breaks(dice: Random, at: float, world: World) -> list[Deed]:
    core, reason = _core(dice, world), dice.choice(HOSTILE)
    return _span(dice, at, f"{core.name} answers {reason}", lambda w: setattr(core, "broken", reason), lambda w: setattr(core, "broken", None))


def all_break(dice: Random, at: float, world: World) -> list[Deed]:
    """An expired certificate everywhere, a portal in between."""
    reason = dice.choice((Reason.TLS, Reason.REDIRECT, Reason.DNS, Reason.MALFORMED))
    def every(value: Reason | None) -> Act:
        return lambda w: [setattr(core, "broken", value) for core in w.path.cores.values()] and None
    return _span(dice, at, f"all answer {reason}", every(reason), every(None))


def flickers(dice: Random, at: float, world: World) -> list[Deed]:
    """Looks are lost, late or answered by somebody else."""
    core, how, chance = _core(dice, world), dice.choice(("lost", "wrong", "late")), dice.choice((0.3, 0.6, 0.9))
    return _span(dice, at, f"{core.name}: {chance} {how}", lambda w: setattr(core, how, chance), lambda w: setattr(core, how, 0.0))


def cut_off(dice: Random, at: float, world: World) -> list[Deed]:
    return _span(dice, at, "the uplink is cut", lambda w: setattr(w.path, "cut", True), lambda w: setattr(w.path, "cut", False))


def changes_mode(dice: Random, at: float, world: World) -> list[Deed]:
    """Somebody types `failover mode …` on a Core."""
    core, primary = _core(dice, world), dice.random() < 0.5
    return [Deed(at, f"{core.name} becomes {'Primary' if primary else 'Standby'}", lambda w: setattr(core, "primary", primary))]


def roles_returned(dice: Random, at: float, world: World) -> list[Deed]:
    """The guide's way back, by hand: the old primary is made Primary again, the other Standby; then somebody asks for the traffic."""
    name = dice.choice(sorted(world.services))
    a, b = world.path.cores[name, "a"], world.path.cores[name, "b"]

    def act(w: World) -> None:
        a.alive, a.primary, b.primary = True, True, False

    attest = dice.random() < 0.7
    return [Deed(at, f"{name}: roles are returned", act),
            Deed(at + 3, f"{name}: resume", lambda w: w.order(ask.Resume(service=name, by="sim", reason="done", attest_synced=attest)))]


def crashes(dice: Random, at: float, world: World) -> list[Deed]:
    """Killed at the n-th save or write from now on, or within the moment."""
    return [Deed(at, "a crash is due", lambda w: setattr(w, "crash_in", dice.choice((1, 2, 3, 4, 5, 6))))]


def dies_now(dice: Random, at: float, world: World) -> list[Deed]:
    torn = dice.random() < 0.15
    def act(w: World) -> None:
        if torn:
            w.disk.torn.update(w.services)
            for oracle in w.oracles.values():
                oracle.forgot()
        w.crashed.set()
    return [Deed(at, f"killed{' and the state torn' if torn else ''}", act)]


def disk_full(dice: Random, at: float, world: World) -> list[Deed]:
    return _span(dice, at, "the disk is full", lambda w: setattr(w, "full", True), lambda w: setattr(w, "full", False))


def disk_slow(dice: Random, at: float, world: World) -> list[Deed]:
    return _span(dice, at, "the disk is slow", lambda w: setattr(w, "slow_s", dice.choice((0.05, 0.7, 3.0))), lambda w: setattr(w, "slow_s", 0.0))


def stalls(dice: Random, at: float, world: World) -> list[Deed]:
    seconds = dice.choice((0.3, 0.8, 2.5, 20.0))
    return [Deed(at, f"stopped for {seconds} s", lambda w: w.stall(seconds))]


def clock_steps(dice: Random, at: float, world: World) -> list[Deed]:
    step = dice.choice((-3600.0, 3600.0, 30.0))
    return [Deed(at, f"the wall clock moves {step} s", lambda w: setattr(w.clock, "stepped", w.clock.stepped + step))]


def outlet_fails(dice: Random, at: float, world: World) -> list[Deed]:
    outlet = world.outlets[dice.choice(sorted(world.outlets))]
    how = dice.choice(("refuses", "hangs", "deaf"))
    if how == "deaf":
        number = dice.randrange(len(outlet.shown))
        return _span(dice, at, f"{outlet.id} {number} is deaf", lambda w: outlet.deaf.add(number), lambda w: outlet.deaf.clear())
    return _span(dice, at, f"{outlet.id} {how}", lambda w: setattr(outlet, how, True), lambda w: setattr(outlet, how, False))


def drift(dice: Random, at: float, world: World) -> list[Deed]:
    """Somebody writes past us."""
    name = dice.choice(sorted(world.services))
    outlet, number = world.outlets[name], dice.randrange(len(world.outlets[name].shown))
    member = dice.choice(world.services[name].members)
    addresses = dice.choice((frozenset(member.address[""]), frozenset({"10.0.0.1"}), frozenset()))

    def act(w: World) -> None:
        outlet.shown[number] = (addresses, outlet.shown[number][1])
    return [Deed(at, f"{outlet.id} {number} is overwritten", act)]


def people(dice: Random, at: float, world: World) -> list[Deed]:
    """Somebody types something."""
    name = dice.choice(sorted(world.services))
    return [Deed(at, "a command", lambda w: w.order(_command(dice, w, name)))]


def _command(dice: Random, world: World, name: str) -> ask.Command:
    now, member = world.clock.now(), dice.choice(world.services[name].names)
    by = {"service": name, "by": "sim", "reason": "sim"}
    saved = world.disk.states.get(name, (0, None))[1]
    pending = saved.approvals[0].id if saved is not None and saved.approvals else "none"
    rules = frozenset(dice.sample(("active-down", "candidate-standby", "candidate-confirmed", "re-synced", "not-dual-primary", "not-blind"), 4))
    return dice.choice((
        lambda: ask.Failover(**by, to=member), lambda: ask.Failover(**by, to=member, force=True, accept=rules),
        lambda: ask.Resume(**by, attest_synced=dice.random() < 0.5), lambda: ask.SwapRoles(**by, attest_synced=dice.random() < 0.5),
        lambda: ask.MaintenanceOn(**by, until=now + dice.choice((3.0, 10.0, 50.0))), lambda: ask.MaintenanceOff(**by),
        lambda: ask.SetHold(**by), lambda: ask.Release(**by), lambda: ask.Adopt(**by), lambda: ask.Adopt(**by, member=member),
        lambda: ask.Ack(**by), lambda: ask.Ack(**by, member=member, attest_synced=dice.random() < 0.5),
        lambda: ask.Approve(**by, approval=pending), lambda: ask.Approve(**by, approval=pending), lambda: ask.Deny(**by, approval=pending),
        lambda: ask.Switchover(**by, to=member),
    ))()


FAULTS: tuple[tuple[int, Callable[[Random, float, World], list[Deed]]], ...] = (
    (8, dies), (2, die_in_turn), (3, is_silent), (2, breaks), (1, all_break), (4, flickers), (2, cut_off), (2, changes_mode), (2, roles_returned),
    (4, crashes), (2, dies_now), (2, disk_full), (1, disk_slow), (3, stalls), (1, clock_steps), (3, outlet_fails), (1, drift), (4, people),
)
"""With how often each is chosen against the others."""
