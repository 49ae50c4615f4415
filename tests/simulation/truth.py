"""What is true in the simulated world: members with a mode and a condition, and what each look at them brings home.

Members are Cores as SEMANTICS section 1 has them: a Primary serves, a Standby's status page fails, a promoted one serves as Primary. Faults of
the way between (lost, late, wrong, hostile) are dice that a story loads for a while.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from lbctl.clock import Clock
from lbctl.model.looks import ProbeResult, Reason, Verdict
from lbctl.probes.base import Cancel, Done, Target

HOSTILE = (Reason.MISMATCH, Reason.STATUS, Reason.REDIRECT, Reason.TOO_LARGE, Reason.RESET, Reason.TLS, Reason.DNS, Reason.MALFORMED)


@dataclass(slots=True)
class Core:
    """One member. `alive` False: nothing listens. `silent`: packets go nowhere. `lost`, `wrong`, `late`: chances for each look."""

    name: str
    primary: bool
    alive: bool = True
    silent: bool = False
    broken: Reason | None = None
    lost: float = 0.0
    wrong: float = 0.0
    late: float = 0.0
    guards: list[Callable[[], None]] = field(default_factory=list)

    def says(self, page: str) -> Verdict | Reason:
        """What the page would say to a client in the same room."""
        if self.broken is not None:
            return self.broken
        if page == "status":
            return Verdict.OK if self.primary else Reason.STATUS
        return Verdict.PRIMARY if self.primary else Verdict.STANDBY

    def die(self) -> None:
        """Refuses connections from now on; kept connections end."""
        self.alive = False
        for tripped in list(self.guards):
            tripped()


@dataclass(slots=True)
class Look:
    """One look as it really was."""

    member: str
    page: str
    started: float
    ended: float
    verdict: Verdict
    reason: Reason

    @property
    def good(self) -> bool:
        return self.verdict in (Verdict.OK, Verdict.STANDBY, Verdict.PRIMARY)


class Path:
    """The way from the controller to the members. `cut`: the controller's own uplink is dead."""

    def __init__(self, dice: Random, clock: Clock, later: Callable[..., object]) -> None:
        self.dice = dice
        self.clock = clock
        self.later = later
        self.cut = False
        self.cores: dict[tuple[str, str], Core] = {}

    def outcome(self, core: Core, page: str, timeout_s: float) -> tuple[float, Verdict, Reason]:
        """Delay, verdict and reason of a look that starts now."""
        roll = self.dice.random
        if self.cut or core.silent or (core.lost and roll() < core.lost):
            return timeout_s, Verdict.FAILED, Reason.TIMEOUT
        if not core.alive:
            return 0.004, Verdict.FAILED, Reason.REFUSED
        delay = timeout_s * (0.7 + 0.29 * roll()) if core.late and roll() < core.late else 0.002 + 0.02 * roll()
        if core.wrong and roll() < core.wrong:
            if page == "hastatus" and roll() < 0.3:
                return delay, Verdict.UNKNOWN, Reason.UNKNOWN_MODE
            return delay, Verdict.FAILED, HOSTILE[int(roll() * len(HOSTILE))]
        said = core.says(page)
        return (delay, said, Reason.OK) if isinstance(said, Verdict) else (delay, Verdict.FAILED, said)


class SimAim:
    """See `probes.base.Aim`."""

    def __init__(self, path: Path, core: Core, target: Target) -> None:
        self.target = target
        self._path = path
        self._core = core

    def start(self, done: Done) -> Cancel:
        path, target, started = self._path, self.target, self._path.clock.now()
        delay, verdict, reason = path.outcome(self._core, target.page, target.timeout_s)
        handle = path.later(delay, lambda: done(ProbeResult(target.member, target.page, verdict, reason, started, path.clock.now())))
        return handle.cancel  # type: ignore[attr-defined,no-any-return]

    def guard(self, tripped: Callable[[], None]) -> Cancel:
        guards = self._core.guards
        guards.append(tripped)
        return lambda: guards.remove(tripped) if tripped in guards else None

    def close(self) -> None:
        """Nothing is kept."""


class SimProbe:
    """See `probes.base.Probe`."""

    pages = ("status", "hastatus")
    modes = True

    def __init__(self, path: Path, service: str) -> None:
        self._path = path
        self._service = service

    def aim(self, target: Target) -> SimAim:
        return SimAim(self._path, self._path.cores[self._service, target.member], target)

    async def look(self, target: Target) -> ProbeResult:
        raise NotImplementedError("the schedule never waits for a look")
