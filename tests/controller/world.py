"""A small world for the controller's tests: members that say what they are told to, an actuator that keeps a list of what was written."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from lbctl.actuators.base import Actual, Place, wanted
from lbctl.clock import LoopClock
from lbctl.controller import Charge, Controller, Pace
from lbctl.errors import ActuatorError
from lbctl.model.decision import Desired, Step
from lbctl.model.looks import ProbeResult, Reason, Verdict
from lbctl.model.settings import MemberSettings, ProbeSettings, Role, SafetySettings, ServiceSettings
from lbctl.stores.base import Store
from lbctl.stores.memory import Disk, MemoryStore

QUICK = ProbeSettings("standard", 1.0, 0.25, 1.0, 3, 2, 10, 0.0)
A, B = "192.0.2.1", "192.0.2.2"


def pair(name: str = "core", actuators: tuple[str, ...] = ("dns:core",), probe: ProbeSettings = QUICK) -> ServiceSettings:
    """A primary `a` and a secondary `b`."""
    members = (
        MemberSettings("a", Role.PRIMARY, {"": (A,)}, probe),
        MemberSettings("b", Role.SECONDARY, {"": (B,)}, probe, syncs_from="a"),
    )
    return ServiceSettings(name, members, actuators=actuators)


@dataclass
class FakeActuator:
    """Shows what was written, at `places` places. `refuse` raises, `hang` never returns, `lag` is how many reads still show the old answer."""

    id: str = "dns:core"
    view: str = ""
    places: int = 1
    shown: frozenset[str] = frozenset()
    epoch: int | None = None
    refuse: ActuatorError | None = None
    hang: bool = False
    lag: int = 0
    silent: set[int] = field(default_factory=set)
    writes: list[tuple[int, frozenset[str]]] = field(default_factory=list)
    old: frozenset[str] = frozenset()
    closed: bool = False
    reads: int = 0

    async def read(self) -> Actual:
        self.reads += 1
        late = self.lag > 0
        self.lag = max(0, self.lag - 1)
        shown = self.old if late else self.shown
        return Actual(tuple(
            Place(f"place{n}", None, error_reason="timeout", error="silent") if n in self.silent else Place(f"place{n}", shown, self.epoch)
            for n in range(self.places)))

    async def apply(self, desired: Desired) -> None:
        if self.hang:
            await asyncio.Event().wait()
        if self.refuse is not None:
            raise self.refuse
        self.old, self.shown = self.shown, wanted(desired, self.view)
        self.writes.append((desired.epoch, self.shown))

    async def close(self) -> None:
        self.closed = True


class Eyes:
    """Records what is asked for; answers a `look_now` with what the member says."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.asked: list[tuple[str, str]] = []
        self.fast: frozenset[tuple[str, str]] = frozenset()

    def look_now(self, service: str, member: str, page: str) -> None:
        self.asked.append((member, page))
        asyncio.get_running_loop().call_later(0.01, self.world.look, service, member, page)

    def pace(self, service: str, fast: frozenset[tuple[str, str]]) -> None:
        self.fast = fast


PRIMARY = {"status": Verdict.OK, "hastatus": Verdict.PRIMARY}
STANDBY = {"status": Reason.STATUS, "hastatus": Verdict.STANDBY}
DEAD = {"status": Reason.REFUSED, "hastatus": Reason.REFUSED}


@dataclass
class World:
    """One controller over services, with a hand on everything around it. Everything happens on virtual time."""

    services: list[ServiceSettings] = field(default_factory=lambda: [pair()])
    disk: Disk = field(default_factory=Disk)
    safety: SafetySettings = field(default_factory=SafetySettings)
    store: Store | None = None
    pace: Pace = field(default_factory=Pace)
    says: dict[tuple[str, str], dict[str, Verdict | Reason]] = field(default_factory=dict)
    actuators: dict[str, FakeActuator] = field(default_factory=dict)
    told: list[Step] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = LoopClock()
        for service in self.services:
            self.says.setdefault((service.name, "a"), PRIMARY)
            self.says.setdefault((service.name, "b"), STANDBY)
            for actuator in service.actuators:
                self.actuators.setdefault(actuator, FakeActuator(actuator, shown=frozenset({A})))

    async def start(self) -> Controller:
        charges = [Charge(s, tuple(self.actuators[a] for a in s.actuators)) for s in self.services]
        self.store = MemoryStore(disk=self.disk)
        self.controller = Controller(charges, self.safety, self.store, self.clock, pace=self.pace)
        self.eyes = Eyes(self)
        self.controller.watch_with(self.eyes)
        self.controller.listen(self.told.append)
        await self.controller.start()
        return self.controller

    def look(self, service: str, member: str, page: str, void: str = "") -> None:
        """One look, of ten milliseconds, ending now."""
        now, said = self.clock.now(), self.says[service, member][page]
        verdict, reason = (said, Reason.OK) if isinstance(said, Verdict) else (Verdict.FAILED, said)
        self.controller.looked(service, ProbeResult(member, page, verdict, reason, now - 0.005, now, void=void))

    async def rounds(self, count: int, gap_s: float = 0.3) -> None:
        """So many looks at every page of every member."""
        for _ in range(count):
            for service in self.services:
                for member in service.names:
                    for page in service.monitor.pages:
                        self.look(service.name, member, page)
            await self.clock.sleep(gap_s)

    def say(self, member: str, what: dict[str, Verdict | Reason], service: str = "core") -> None:
        self.says[service, member] = what

    def seen(self, service: str = "core") -> dict[str, object]:
        return self.controller.service(service)

    def kinds(self) -> list[str]:
        return [step.kind for step in self.told]
