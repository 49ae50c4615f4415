"""One simulated site: members, two places per service, a disk, and one controller after the other over them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from random import Random

from lbctl.clock import LoopClock
from lbctl.controller import Charge, Controller, Pace
from lbctl.controller.monitor import Monitor
from lbctl.errors import StoreUnavailable
from lbctl.model.commands import Command
from lbctl.model.decision import Step
from lbctl.model.looks import ProbeResult
from lbctl.model.settings import MassMove, MemberSettings, ProbeSettings, Role, SafetySettings, ServiceSettings
from lbctl.model.state import Saved
from lbctl.probes.base import Target
from lbctl.stores.memory import Disk, MemoryStore
from tests.simulation.oracle import Oracle
from tests.simulation.outlet import Outlet
from tests.simulation.truth import Core, Look, Path, SimProbe
from tests.virtual import VirtualLoop

PACE = Pace(limit_s=2.0, settle_s=1.0, drift_s=10.0, pause_s=0.2, pause_max_s=2.0, hopeless_s=5.0)


def service(name: str, dice: Random) -> ServiceSettings:
    """A pair, sometimes with a third member in another site; short times, so that much happens in a minute."""
    probe = ProbeSettings("sim", 2.5, 0.6, 1.0, 2, 2, 10, dice.choice((0.0, 4.0)))
    members = [MemberSettings("a", Role.PRIMARY, {"": (f"192.0.2.{len(name)}",)}, probe),
               MemberSettings("b", Role.SECONDARY, {"": (f"198.51.100.{len(name)}",)}, probe, syncs_from="a")]
    if dice.random() < 0.2:
        asked = dice.random() < 0.5
        members.append(MemberSettings("c", Role.SECONDARY, {"": (f"203.0.113.{len(name)}",)}, probe, syncs_from="b", manual_approval=asked))
    return ServiceSettings(name, tuple(members), observe=dice.random() < 0.03, on_self_promoted=dice.choice(("hold", "ask", "ask")), lockout_s=20.0,
                           promote_timeout_s=10.0, seen_window_s=30.0, maintenance_max_s=60.0, approval_expires_s=15.0, rearm_rounds=2,
                           actuators=(f"dns:{name}",))


class WatchedStore(MemoryStore):
    """Shows each decision to the oracle before it is written, and fails as the story wants it."""

    def __init__(self, world: World) -> None:
        super().__init__(disk=world.disk)
        self._world = world

    async def save(self, saved: Saved, *, expected: int, steps: Sequence[Step]) -> int:
        world = self._world
        await world.disk_works()
        if world.hazard("save"):
            await asyncio.Event().wait()
        found = world.disk.states.get(saved.service, (0, None))[0]
        if found == expected:
            world.oracles[saved.service].saving(saved, world.clock.now())
        revision = await super().save(saved, expected=expected, steps=steps)
        if world.hazard("saved"):
            await asyncio.Event().wait()
        return revision

    async def append(self, steps: Sequence[Step]) -> None:
        await self._world.disk_works()
        await super().append(steps)


class World:
    """`given` are the settings that the controllers get, `services` those that the oracle holds them to: the same, unless a test plants a break."""

    def __init__(self, seed: int, loop: VirtualLoop, names: Sequence[str]) -> None:
        self.dice = Random(seed)
        self.loop = loop
        self.clock = LoopClock()
        self.path = Path(self.dice, self.clock, loop.call_later)
        self.services = {name: service(name, self.dice) for name in names}
        self.given = dict(self.services)
        self.oracles = {name: Oracle(settings) for name, settings in self.services.items()}
        self.outlets = {name: Outlet(f"dns:{name}", self.dice.choice((1, 2)), self.clock, self.hazard) for name in names}
        self.disk = Disk()
        self.full = False
        self.slow_s = 0.0
        self.crash_in: int | None = None
        self.crashed = asyncio.Event()
        self.controller: Controller | None = None
        self.store: type[WatchedStore] = WatchedStore
        self.stall_limit_s = 2.0
        self.told: list[Step] = []
        self.verbose = False
        self.blame = ""
        self.faults: Counter[str] = Counter()
        self._commands: set[asyncio.Task[None]] = set()
        for name, settings in self.services.items():
            self.outlets[name].wrote = self.oracles[name].writing
            for member in settings.members:
                self.path.cores[name, member.name] = Core(member.name, member.role is Role.PRIMARY)

    # --- hazards

    def hazard(self, stage: str) -> bool:
        """Whether the process dies here; whoever asked then never goes on."""
        if self.crashed.is_set():
            return True
        if self.crash_in is None:
            return False
        self.crash_in -= 1
        if self.crash_in > 0:
            return False
        self.crash_in = None
        self.say(f"killed at {stage}")
        self.crashed.set()
        return True

    async def disk_works(self) -> None:
        """Raises while the disk is full; waits while it is slow."""
        if self.slow_s:
            await asyncio.sleep(self.slow_s)
        if self.full:
            raise StoreUnavailable("the disk is full")

    def stall(self, seconds: float) -> None:
        """The controller is stopped and goes on later."""
        began = self.clock.now()
        self.loop.stall(seconds)
        for oracle in self.oracles.values():
            oracle.stalls.append((began, self.clock.now()))

    # --- one life of a controller

    async def boot(self) -> None:
        self.crashed.clear()
        now = self.clock.now()
        for oracle in self.oracles.values():
            oracle.booted = now
        charges = [Charge(settings, (self.outlets[name],)) for name, settings in self.given.items()]
        safety = SafetySettings(mass_move=MassMove(window_s=5.0), stall_limit_s=self.stall_limit_s)
        self.controller = Controller(charges, safety, self.store(self), self.clock, pace=PACE, verify_s=3.0, beat_s=20.0)
        self.monitor = Monitor(self.clock, self.looked, stall_limit_s=self.stall_limit_s, chance=Random(self.dice.random()))
        self.controller.supervisor.on_fault = self.fell
        self.controller.watch_with(self.monitor)
        self.controller.listen(self.hear)
        await self.controller.start(self.watch)

    def watch(self, name: str) -> None:
        settings = self.given[name]
        targets = [Target(m.name, page, "http", m.name, 80, timeout_s=m.probe.timeout_s) for m in settings.members for page in SimProbe.pages]
        self.monitor.watch(name, SimProbe(self.path, name), targets, {m.name: m.probe for m in settings.members})

    def looked(self, service: str, look: ProbeResult) -> None:
        self.oracles[service].looked(Look(look.member, look.page, look.started, look.ended, look.verdict, look.reason))
        assert self.controller is not None
        self.controller.looked(service, look)

    async def kill(self) -> None:
        """As kill -9: nobody says goodbye. Only what the disk and the outlets hold goes on."""
        controller = self.controller
        self.controller = None
        if controller is None:
            return
        for command in tuple(self._commands):
            command.cancel()
        self.monitor.close()
        for loop in controller._loops.values():
            loop.close()
            for reconciler in loop.reconcilers.values():
                await reconciler.close()
        await controller.supervisor.stop()
        self.faults = controller.supervisor.faults

    # --- people

    def order(self, command: Command) -> None:
        """Somebody types a command; nobody waits for the answer."""
        if self.controller is not None:
            task = self.loop.create_task(self._order(self.controller, command))
            self._commands.add(task)
            task.add_done_callback(self._commands.discard)

    async def _order(self, controller: Controller, command: Command) -> None:
        oracle = self.oracles[command.service]
        oracle.command(command, self.clock.now())
        reply = await controller.submit(command)
        self.say(f"{type(command).__name__}: {reply.code.name} {reply.message[:100]}")
        oracle.answered(command, reply)

    # --- what is told

    def hear(self, step: Step) -> None:
        self.told.append(step)
        if self.verbose:
            self.say(f"{step.service} [{step.kind}] {step.text[:150]}")

    def fell(self, name: str, error: Exception) -> None:
        self.blame = self.blame or f"{name}: {type(error).__name__}: {error}"
        self.say(f"!! {name} fell: {error!r}")

    def say(self, text: str) -> None:
        if self.verbose:
            print(f"{self.loop.time():8.3f} {text}")

    def remember(self, name: str) -> None:
        """The service was there before: remembered, published, verified."""
        settings = self.services[name]
        saved = Saved(name, epoch=1, active="a", primary="a", file_primary="a")
        self.disk.states[name] = (1, saved)
        oracle = self.oracles[name]
        oracle.disk, oracle.epochs, oracle.published_epoch = saved, {1: "a"}, 1
        self.outlets[name].shown = [(frozenset(settings.member("a").address[""]), 1)] * len(self.outlets[name].shown)


def relaxed(settings: ServiceSettings, **changes: object) -> ServiceSettings:
    """The same with other rules: what a test gives the controller to show that the oracle would notice."""
    return replace(settings, **changes)  # type: ignore[arg-type]
