"""The controller: the only loops, and all that anybody above them may use.

    the world → monitor → inbox → decide → save → publish → reconcilers → the world

`loop` one per service · `reconciler` one per actuator · `monitor` the schedule of looks · `around` what one service must know of the others ·
`asking` what people want · `journal` and `steps` what is told · `recent` what looks have shown of late · `startup` what is published before
anything is decided · `lease` who may act · `supervisor`, `pulse` its own health · `counts` figures. Faces (`api`, `cli`, `metrics`) read snapshots,
submit commands and follow the journal; they know nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from lbctl import policy
from lbctl.actuators.base import Actuator, Host, Hosted, Place
from lbctl.clock import Clock
from lbctl.controller.around import CANARIES, Surroundings
from lbctl.controller.asking import Asking
from lbctl.controller.counts import BUCKETS_S, Counts, Histogram
from lbctl.controller.journal import Journal, JournalBell, Listener
from lbctl.controller.lease import Alone, FileLease, Lease
from lbctl.controller.loop import ServiceLoop
from lbctl.controller.pulse import Pulse
from lbctl.controller.reconciler import Pace, Pool, Reconciler
from lbctl.controller.startup import published
from lbctl.controller.supervisor import Heart, Supervisor
from lbctl.controller.tools import ClosedEyes, Eyes, Tools
from lbctl.model.commands import Code, Command, Reply
from lbctl.model.decision import Step
from lbctl.model.events import Event, Reloaded, Started, Tick
from lbctl.model.looks import ProbeResult
from lbctl.model.settings import SafetySettings, ServiceSettings
from lbctl.model.state import Saved
from lbctl.policy import gate
from lbctl.policy.case import Case
from lbctl.policy.view import brief
from lbctl.stores.base import Checked, Receipt, Store

# Each start reads every place of its actuators: without a bound the first second would be the worst of the day.
_AT_ONCE = 200
"""Services that start at the same time: bounds sockets and reads of ten thousand."""
# With a memory the service can be served meanwhile by what it knew; without one a wrong guess costs more than half a minute.
_WITH_MEMORY_S, _WITHOUT_S = 3.0, 30.0
"""How long a start waits for actuators that cannot be read, with and without a remembered state."""


@dataclass(frozen=True, slots=True)
class Charge:
    """A service that the controller is charged with, and what it writes to. `settings.actuators` are the ids of `actuators`, in order."""

    settings: ServiceSettings
    actuators: tuple[Actuator, ...] = ()


def _nobody(name: str) -> None:
    """Nobody waits for services to be taken up."""


def _not_asked(name: str) -> Mapping[str, list[dict[str, Any]]]:
    """Nobody asks resolvers."""
    return {}


class Controller:
    """All services together. `verify_s`: how long a command waits to see its move everywhere before it is answered `ACCEPTED`."""

    def __init__(self, charges: Iterable[Charge], safety: SafetySettings, store: Store, clock: Clock, *,
                 lease: Lease | None = None, pace: Pace | None = None, verify_s: float = 10.0, beat_s: float = 0.5) -> None:
        self.counts = Counts()
        self.clock = clock
        self.supervisor = Supervisor(clock)
        self.pulse = Pulse(clock, self._clock_stepped, beat_s)
        self._charges = {charge.settings.name: charge for charge in charges}
        self._store = store
        self._lease = lease or Alone()
        self._pool = Pool(clock, self.supervisor, self.counts, pace)
        journal = Journal(store, clock, self.supervisor, self.counts)
        self._tools = Tools(clock, store, journal, Surroundings(safety), self.supervisor, self.counts, ClosedEyes(), self._moved)
        self._loops: dict[str, ServiceLoop] = {}
        self._followers = _followers(self._charges.values())
        # Beats from the first look on: a start that takes long is not a schedule that has died.
        self._looks: Heart | None = None
        self._stopping = False
        self._told: Callable[[str], Mapping[str, list[dict[str, Any]]]] = _not_asked
        self._asking = Asking(clock, self.supervisor, self._tools, verify_s)

    def watch_with(self, eyes: Eyes, canaries: Mapping[str, float] | None = None) -> None:
        """Who looks at the members; it brings each look to `looked`. `canaries`: how long a look at each counts, seconds."""
        self._tools.eyes = eyes

        def hurry(names: Iterable[str]) -> None:
            for name in names:
                for kind in ("http", "tcp"):  # a canary is watched by one of the two
                    eyes.look_now(f"{CANARIES}/{kind}", name, kind)

        self._tools.around.hurry = hurry
        if canaries is not None:
            self._tools.around.watch(CANARIES, canaries)

    async def remember(self) -> None:
        """Takes the lease and reads what is remembered: from here on faces may ask, and are told that nothing is known yet. Raises `LeaseLost`."""
        # Before anything is read: whoever acts beside us may be writing that very file (H43).
        if not self._lease.held:
            self._lease.acquire()
        self.supervisor.spawn("pulse", self.pulse.run, limit_s=10.0)
        await asyncio.gather(*(self._load(charge) for charge in self._charges.values()))
        # Loaded at the same time, shown in the file's order.
        self._loops = {name: self._loops[name] for name in self._charges}

    async def start(self, taken_up: Callable[[str], None] = _nobody) -> None:
        """Reads what is published and takes up every service; `taken_up` is called with each that is ready for looks. Raises `LeaseLost`."""
        if len(self._loops) < len(self._charges):
            await self.remember()
        slots = asyncio.Semaphore(_AT_ONCE)
        await asyncio.gather(*(self._take_up(charge, slots, taken_up) for charge in self._charges.values()))

    async def stop(self) -> None:
        """Ends within seconds; changes nothing that is published (SIGTERM)."""
        self._stopping = True
        # First all loops, so that no outcome of the one let go of below can still decide anything.
        for loop in self._loops.values():
            loop.close()
        for loop in self._loops.values():
            await self._let_go(loop)
        # Before the tasks are cancelled: the last lines tell why it ended.
        await self._flush()
        await self.supervisor.stop()
        await self._store.close()
        # Last: the next lbctl may begin only when this one can write nothing any more.
        self._lease.release()

    async def _flush(self) -> None:
        try:
            async with asyncio.timeout(2.0):
                await self._tools.journal.flush()
        except TimeoutError:
            return

    async def _load(self, charge: Charge) -> None:
        settings = charge.settings
        loaded = await self._store.load(settings.name)
        state = policy.begin(settings, loaded.saved, loaded.revision, loaded.problem)
        self._tools.around.watch_service(settings)
        # The loop first, because its reconcilers answer to it.
        loop = self._loops[settings.name] = ServiceLoop(settings, state, self._tools, {})
        loop.reconcilers = {a.id: Reconciler(a, self._pool, loop.post) for a in charge.actuators}

    async def _take_up(self, charge: Charge, slots: asyncio.Semaphore, taken_up: Callable[[str], None]) -> None:
        name, loop = charge.settings.name, self._loops[charge.settings.name]
        patience = _WITHOUT_S if loop.state.uninitialised else _WITH_MEMORY_S
        shown = await published(charge.settings, charge.actuators, self.clock, self.supervisor, patience_s=patience, slots=slots)
        # Until this event looks only count: nothing is decided before it is known what is published (SEMANTICS 6).
        loop.post(Started(shown))
        taken_up(name)

    async def _let_go(self, loop: ServiceLoop) -> None:
        for reconciler in loop.reconcilers.values():
            await reconciler.close()

    # what comes from the world

    def looked(self, service: str, look: ProbeResult) -> None:
        """A look has ended. Canaries are looked at under the service name `around.CANARIES`."""
        if self._looks is None:
            self._looks = self.supervisor.heart("looks", self._silence_s())
        self._looks.beat()
        # Before the loop: a decision on this look must see it in its surroundings as well.
        self._tools.around.saw(service, look)
        loop = self._loops.get(service)
        if loop is not None:
            loop.recent.saw(look)
            loop.post(look)

    def post(self, service: str, event: Event) -> None:
        """What a freshness source, a drive or another lbctl tells of a service; KeyError where it is not configured."""
        self._loops[service].post(event)

    def note(self, service: str, kind: str, text: str, *, epoch: int | None = None, data: Mapping[str, Any] | None = None) -> None:
        """A line for the journal that changes nothing, from somebody who watches the world for a service (`resolvers`)."""
        saved = self._loops[service].state.saved
        step = Step(at=self.clock.now(), service=service, kind=kind, text=text, epoch=saved.epoch if epoch is None else epoch,
                    revision=self._loops[service].state.revision, data=data or {})
        self._tools.journal.write([step])

    def show_resolvers(self, told: Callable[[str], Mapping[str, list[dict[str, Any]]]]) -> None:
        """What `told(service)` says of each actuator's resolvers is shown beside its ledger; it is never judged."""
        self._told = told

    def freshen_with(self, freshen: Callable[[str], Awaitable[None]]) -> None:
        """`freshen(service)` reads now what is known of its copies; it must return within seconds."""
        self._asking.freshen = freshen

    def actuators(self, name: str) -> tuple[Actuator, ...]:
        """What a service writes to now; none where it is not configured."""
        loop = self._loops.get(name)
        return () if loop is None else tuple(reconciler.actuator for reconciler in loop.reconcilers.values())

    def places(self) -> Iterator[tuple[str, str, Place]]:
        """Service, actuator, and what each of its places showed when it was last read back; none before the first time."""
        for name, loop in list(self._loops.items()):
            for actuator, reconciler in list(loop.reconcilers.items()):
                yield from ((name, actuator, place) for place in reconciler.places)

    def hosts(self, name: str | None = None) -> Iterator[tuple[str, str, Host]]:
        """Service, actuator, and each host that may hold what it publishes; of one service or of all."""
        for service, loop in self._loops.items():
            for actuator, reconciler in loop.reconcilers.items() if name in (None, service) else ():
                if isinstance(reconciler.actuator, Hosted):
                    yield from ((service, actuator, host) for host in reconciler.actuator.hosts())

    def _hosts(self, name: str) -> list[dict[str, Any]]:
        return [{"actuator": actuator, "host": host.name, "ready": host.ready, "holds": host.holds, "trouble": host.trouble}
                for _, actuator, host in self.hosts(name)]

    def listen(self, listener: Listener) -> None:
        """Calls `listener` with every step from now on, stored or not; it must return at once and cannot answer back."""
        self._tools.journal.listen(listener)

    # what faces may use

    async def submit(self, command: Command) -> Reply:
        """Through the service's inbox and gate (`asking`)."""
        return await self._asking.submit(self._loops[command.service], self._charges[command.service].actuators, command)

    @property
    def names(self) -> tuple[str, ...]:
        """All services in the file's order."""
        return tuple(self._loops)

    def snapshot(self) -> list[dict[str, Any]]:
        """All services in the file's order. With thousands of them ask by name, a few at a time: looks wait meanwhile."""
        return [self.service(name) for name in self._loops]

    def brief(self, name: str) -> dict[str, Any]:
        """One service as an overview shows it; KeyError where it is not configured."""
        return brief(self.case(name))

    def service(self, name: str) -> dict[str, Any]:
        """One service; KeyError where it is not configured."""
        loop = self._loops[name]
        now = self.clock.now()
        seen = policy.view(loop.settings, loop.state, now, self._tools.around.of(name, now))
        told = self._told(name)
        hosts = self._hosts(name)
        actuators = [{**one, "resolvers": told.get(one["id"], []), "hosts": [host for host in hosts if host["actuator"] == one["id"]]}
                     for one in seen["actuators"]]
        return {**seen, "actuators": actuators, "halted": loop.halted or None}

    def cases(self) -> Iterator[Case]:
        """Every service as the policy sees it now, for metrics."""
        now = self.clock.now()
        for name, loop in self._loops.items():
            yield Case(loop.settings, loop.state, now, self._tools.around.of(name, now))

    def case(self, name: str) -> Case:
        """One service as the policy sees it now; KeyError where it is not configured."""
        loop, now = self._loops[name], self.clock.now()
        return Case(loop.settings, loop.state, now, self._tools.around.of(name, now))

    def told_by_resolvers(self, name: str) -> list[dict[str, Any]]:
        """What every configured resolver told after the last move (`resolvers.Resolvers.shown`), with its actuator."""
        return [{"actuator": actuator, **one} for actuator, every in self._told(name).items() for one in every]

    def explain(self, name: str, to: str | None = None) -> dict[str, Any]:
        """Why traffic is where it is and what blocks a move; KeyError for an unknown service or member."""
        loop = self._loops[name]
        if to is not None:
            loop.settings.member(to)
        now = self.clock.now()
        around = self._tools.around.of(name, now)
        found = policy.explain(loop.settings, loop.state, now, around, to)
        found["resolvers"] = self.told_by_resolvers(name)
        found["hosts"] = self._hosts(name)
        case = Case(loop.settings, loop.state, now, around)
        for candidate in found["candidates"] if loop.settings.kind != "pool" else ():  # nobody moves a pool by hand
            candidate |= _by_people(case, candidate["member"])
        return found

    def looks(self, name: str, member: str) -> dict[str, dict[str, list[Any]]]:
        """What the looks of the last `recent.SPAN_S` have shown of this member, by page; KeyError for an unknown service."""
        return self._loops[name].recent.shown(member, self.clock.now())

    async def events(self, since: int = 0, service: str | None = None, *, limit: int = 1000, newest: bool = False) -> list[Step]:
        """Journal lines with `seq` above `since`, oldest first; `newest`: the last `limit` of them. Raises `StoreUnavailable`."""
        return await self._store.steps(since=since, service=service, limit=limit, newest=newest)

    async def verify_journal(self, since: int = 0) -> Checked:
        """Follows the journal's chain of hashes over the next lines after `since`; see `stores.base.Store.verify`."""
        return await self._store.verify(since)

    async def receipt(self, key: str) -> Receipt | None:
        """What was told under this idempotency key, or at least decided. Raises `StoreUnavailable`."""
        return await self._store.receipt(key)

    async def keep_receipt(self, receipt: Receipt) -> None:
        """Files what is about to be told, so that a repetition is told the same after a restart. Raises `StoreUnavailable`."""
        await self._store.keep(receipt)

    def subscribe(self) -> JournalBell:
        """A bell of the caller's own, rung when the journal has grown."""
        return self._tools.journal.bell()

    def health(self) -> dict[str, Any]:
        """Of lbctl itself, for /livez and /readyz."""
        late = self.supervisor.late()
        # The second is told and does not make it unready: it was about the opening, and saving may work since.
        problem = self._tools.journal.store_problem or self._store.problem
        halted = [name for name, loop in self._loops.items() if loop.halted]
        whys = [f"late: {', '.join(late)}" if late else "", f"store: {problem}" if problem else "", "stopping" if self._stopping else "",
                f"halted: {', '.join(halted)}" if halted else "", "" if self._lease.held else "another lbctl acts"]
        store_up = not self._tools.journal.store_problem
        ready = store_up and self._lease.held and not self._stopping and bool(self._loops) == bool(self._charges)
        return {"live": not late, "ready": ready and not late, "leader": self._lease.held, "store_up": store_up,
                "loop_lag_s": self.pulse.lag_s, "why": "; ".join(why for why in whys if why)}

    # new settings

    async def reload(self, charges: Sequence[Charge], *, allow_switch: bool = False, by: str = "",
                     taken_up: Callable[[str], None] = _nobody) -> Reply:
        """Takes new services, gives up those that are gone, and changes the others, each through its own gate.

        Refused as a whole where any service refuses, before anything is changed; what is published by a service that is gone stays.
        """
        refused = self.refusals(charges, allow_switch=allow_switch, by=by)
        # All or nothing: half of a file in force is a configuration that nobody has written (H37).
        if refused:
            name, reply = next(iter(refused.items()))
            return replace(reply, message=f"{name}: {reply.message}")
        new = {charge.settings.name: charge for charge in charges}
        for name in [name for name in self._loops if name not in new]:
            # Before new ones are taken up: a renamed service must not be written by two loops.
            await self._give_up(name)
        replies = [await self._change(charge, allow_switch, by) for charge in charges if charge.settings.name in self._loops]
        slots = asyncio.Semaphore(_AT_ONCE)
        fresh = [charge for name, charge in new.items() if name not in self._loops]
        for charge in fresh:
            await self._load(charge)
        await asyncio.gather(*(self._take_up(charge, slots, taken_up) for charge in fresh))
        self._charges, self._followers = new, _followers(charges)
        if self._looks is not None:
            self._looks.limit_s = self._silence_s()
        self._loops = {name: self._loops[name] for name in new}
        return next((r for r in replies if r.code is not Code.DONE), Reply(Code.DONE, "the new configuration is in force"))

    def refusals(self, charges: Sequence[Charge], *, allow_switch: bool = False, by: str = "") -> dict[str, Reply]:
        """What each changed service would answer, where that is a no. Decides on a copy; changes nothing."""
        said: dict[str, Reply] = {}
        for charge in charges:
            loop = self._loops.get(charge.settings.name)
            if loop is None or loop.settings == charge.settings:
                continue
            now = self.clock.now()
            event = Reloaded(charge.settings, allow_switch=allow_switch, by=by)
            reply = policy.decide(loop.settings, loop.state, event, now, self._tools.around.of(loop.settings.name, now)).reply
            if reply is not None and reply.code is not Code.DONE:
                said[loop.settings.name] = reply
        return said

    def saved(self) -> dict[str, Saved]:
        """What is remembered of each service now."""
        return {name: loop.state.saved for name, loop in self._loops.items()}

    def settings(self) -> dict[str, ServiceSettings]:
        """What is in force now, by service."""
        return {name: loop.settings for name, loop in self._loops.items()}

    async def _change(self, charge: Charge, allow_switch: bool, by: str) -> Reply:
        loop = self._loops[charge.settings.name]
        if loop.settings == charge.settings and [r.actuator for r in loop.reconcilers.values()] == list(charge.actuators):
            return Reply(Code.DONE, "nothing changes")
        # By identity: `app` hands the same object on where its settings are the same, and its ledger stays.
        kept = {a.id: r for a in charge.actuators if (r := loop.reconcilers.get(a.id)) is not None and r.actuator is a}
        for name, reconciler in loop.reconcilers.items():
            if name not in kept:
                # Ended before its successor begins: two writers with one id would undo each other.
                await reconciler.close()
        loop.reconcilers = {a.id: kept.get(a.id) or Reconciler(a, self._pool, loop.post) for a in charge.actuators}
        # Before the reload is judged: its surroundings are counted by the new members.
        self._tools.around.watch_service(charge.settings)
        return await loop.ask(Reloaded(charge.settings, allow_switch=allow_switch, by=by))

    async def _give_up(self, name: str) -> None:
        loop = self._loops.pop(name)
        loop.close()
        await self._let_go(loop)
        self._tools.around.forget(name)

    # inside

    def _moved(self, settings: ServiceSettings, active: str | None) -> None:
        """Those who share this service's fate judge anew (G-FS); where it is now they find in their surroundings."""
        for name in self._followers.get(settings.name, ()):
            # A tick and no command: whether it follows is its own gate's to say.
            if active is not None and name in self._loops:
                self._loops[name].post(Tick())

    def _clock_stepped(self, seconds: float) -> None:
        text = f"the wall clock moved by {seconds:+.1f} s; nothing follows from it"
        self._tools.journal.write([Step(at=self.clock.now(), service="", kind="clock-stepped", text=text, data={"seconds": seconds})])

    def _silence_s(self) -> float:
        """How long no look at all may come in."""
        slowest = max((m.probe.interval_s + m.probe.timeout_s for c in self._charges.values() for m in c.settings.members), default=float("inf"))
        # Three of the slowest rounds: one may be missed by chance, three are a schedule that stands (H55).
        return 3 * slowest + 10.0


def _by_people(case: Case, candidate: str) -> dict[str, Any]:
    """The rows that would refuse a person's `failover` and `switchover` to this candidate: what a face says before somebody asks."""
    readings = {"for_failover": gate.operator_rows(case, candidate), "for_switchover": gate.switchover_rows(case, candidate)}
    return {name: [asdict(row) for row in rows if not row.holds] for name, rows in readings.items()}


def _followers(charges: Iterable[Charge]) -> dict[str, list[str]]:
    """Who follows whom, by the one that is followed."""
    found: dict[str, list[str]] = {}
    for charge in charges:
        if charge.settings.follows:
            found.setdefault(charge.settings.follows, []).append(charge.settings.name)
    return found


__all__ = ["BUCKETS_S", "CANARIES", "Alone", "Charge", "Controller", "Counts", "Eyes", "FileLease", "Histogram", "Pace"]
