"""One per service: event → decide → invariants → save → publish → looks, notes, reply. One turn at a time.

A loop is not a task. An event that changes nothing durable (nearly every look) is decided at once, in the call that brings it, so that ten
thousand members cost ten thousand calls and no scheduling. Only a save makes a turn wait; meanwhile events gather in the inbox and are
taken in order when it is over.

* Save, then act: nothing is published, told or answered before the store has said yes.
* Nothing moves by itself while newer events wait in the inbox: after a slow save the look that would say "it is back" may be among them.
* A save that fails has not happened: what was seen is kept, its durable half is not, the policy hears
  `SaveFailed`, and the store is tried again from time to time. A save that was overtaken (`StaleRevision`) is judged again by what is there.
* A full inbox drops ticks, then looks: the next ones say the same. Commands and outcomes of actuators are never dropped.
* A broken invariant ends acting for this service, for good: what is published stays, a human is paged (`halted`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from lbctl import policy
from lbctl.controller.convergence import Convergence
from lbctl.controller.inbox import Inbox
from lbctl.controller.recent import Recent
from lbctl.controller.reconciler import Reconciler
from lbctl.controller.steps import steps_of
from lbctl.controller.tools import Tools
from lbctl.controller.wake import Alarm
from lbctl.errors import InvariantBroken, StaleRevision, StoreUnavailable
from lbctl.model.commands import Code, Command, Reply
from lbctl.model.decision import Decision, Step
from lbctl.model.events import Applied, Event, Reloaded, SaveFailed, Started, Tick, Verified
from lbctl.model.looks import Health, ProbeResult
from lbctl.model.settings import ServiceSettings
from lbctl.model.state import State
from lbctl.policy.invariants import check

_STORE_AGAIN_S = 5.0
"""How often a store that failed is tried anew while nothing else wants saving."""
_NEWS_S = 0.25
"""When to judge again where newer events were waiting; they are judged before that."""
# More than that is no race but a store that does not tell the truth.
_OVERTAKEN_MAX = 5

Waiter = asyncio.Future[Reply]


class ServiceLoop:
    """The one that decides for one service. `halted`: why it acts no more, empty while it does. `commanded`: what people have had it save so far."""

    __slots__ = ("_alarm", "_busy", "_closed", "_fast", "_inbox", "_moving", "_overtaken", "_restless", "_store_again", "_tools", "_verified",
                 "commanded", "halted", "recent", "reconcilers", "settings", "state")

    def __init__(self, settings: ServiceSettings, state: State, tools: Tools, reconcilers: Mapping[str, Reconciler]) -> None:
        self.settings = settings
        self.state = state
        self.halted = ""
        self.commanded = 0
        self.reconcilers = reconcilers
        self.recent = Recent(settings.monitor.pages)
        self._tools = tools
        self._inbox = Inbox()
        self._busy = False
        self._closed = False
        self._overtaken = 0
        self._restless = True
        self._store_again: float | None = None
        self._fast: frozenset[tuple[str, str]] = frozenset()
        self._moving: Convergence | None = None
        self._verified: list[tuple[int, asyncio.Future[bool]]] = []
        self._alarm = Alarm(tools.clock, self._tick)

    def post(self, event: Event) -> None:
        """Something has happened. Decided at once, or after the save that is under way."""
        self._put(event, None)

    def ask(self, event: Event) -> Waiter:
        """Somebody wants an answer: a command, or new settings. The reply comes when it is decided and saved."""
        future: Waiter = asyncio.get_running_loop().create_future()
        self._put(event, future)
        return future

    def verified(self, epoch: int) -> asyncio.Future[bool]:
        """Comes true when every actuator has been seen to show this epoch or a later one."""
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._verified.append((epoch, future))
        self._tell_verified()
        return future

    def close(self) -> None:
        """No more decisions. What waits is told so; what is published stays."""
        self._closed = True
        self._alarm.cancel()
        for _, future in self._inbox.clear():
            _answer(future, Reply(Code.ERROR, "lbctl is stopping; nothing was done"))
        for _, waiting in self._verified:
            waiting.cancel()

    def _tick(self) -> None:
        self._put(Tick(), None)

    def _put(self, event: Event, future: Waiter | None) -> None:
        # Answered, never swallowed: whoever asked must know that nothing was done.
        if self._closed or self.halted:
            _answer(future, Reply(Code.ERROR, self.halted or "lbctl is stopping; nothing was done"))
            return
        dropped = self._inbox.dropped
        self._inbox.put(event, future)
        if self._inbox.dropped != dropped:
            self._tools.counts.dropped["inbox"] += 1
        self._drain()

    def _drain(self) -> None:
        # `_busy` also while a turn runs: an event that a turn itself brings waits, so that turns never nest.
        while len(self._inbox) and not self._busy:
            event, future = self._inbox.pop()
            self._busy = True
            fallen = self._tools.supervisor.guard(f"service {self.settings.name}", self._turn, event, future)
            if fallen is not None:
                self._fell(fallen, event, future)

    def _turn(self, event: Event, future: Waiter | None) -> None:
        tools, before = self._tools, self.state
        now = tools.clock.now()
        around = tools.around.of(self.settings.name, now)
        # Judged as one of several that wait: what is still in the inbox may say that the active is back.
        if len(self._inbox):
            around = replace(around, mass="wait", mass_at=now + _NEWS_S)
        decision = policy.decide(self.settings, before, event, now, around)
        # Before the store: a decision that must not be is not even remembered.
        check(self.settings, before, decision, event, now)
        steps = steps_of(before, decision, event, now)
        after = decision.state.saved
        # With nothing to save the store would never be tried again, and "not saved" would stay for ever.
        trial = bool(before.unsaved) and self._store_again is not None and now >= self._store_again
        # Compared by value as well: a field that was set to what it was is worth no write.
        if trial or (after is not before.saved and after != before.saved):
            tools.supervisor.task(f"save {self.settings.name}", self._save(event, decision, steps, now, future))
            return
        tools.journal.write(steps)
        self._accept(event, decision, decision.state, now, future)
        self._busy = False

    async def _save(self, event: Event, decision: Decision, steps: Sequence[Step], now: float, future: Waiter | None) -> None:
        """The only wait in a turn. `_busy` stays set until it is over, however it ends."""
        tools, decided, waiting = self._tools, self._tools.clock.now(), self._tools.journal.take()
        try:
            revision = await tools.store.save(decision.state.saved, expected=self.state.revision, steps=[*waiting, *steps])
            self._overtaken = 0
            tools.journal.stored(steps)
            # After the save: what was not saved is no move, and is not timed as one.
            if decision.state.saved.epoch != self.state.saved.epoch:
                self._moving = Convergence.begin(decision.state.saved.epoch, now, decided - now, self.reconcilers)
                self._moving.saved(tools.clock.now())
            state = replace(decision.state, revision=revision, unsaved="")
            fallen = tools.supervisor.guard(f"service {self.settings.name}", self._accept, event, decision, state, now, future)
            if fallen is not None:
                self._fell(fallen, event, future)
        except StaleRevision as error:
            tools.journal.put_back(waiting)
            await self._overtake(event, decision, future, error)
        except StoreUnavailable as error:
            tools.journal.put_back(waiting)
            self._not_saved(event, decision, future, str(error))
        # The save may have reached the disk: neither yes nor no would be true.
        except asyncio.CancelledError:
            _answer(future, Reply(Code.ERROR, "lbctl is stopping; whether it was saved, the journal tells"))
            raise
        finally:
            self._busy = False
            if not self._closed:
                self._drain()

    async def _overtake(self, event: Event, decision: Decision, future: Waiter | None, error: StaleRevision) -> None:
        """Somebody saved first: read what is there and judge again. A state that is gone from the disk is written anew from ours."""
        # Each time judged anew: what somebody else has saved may have made this decision wrong (H36).
        self._overtaken += 1
        if self._overtaken > _OVERTAKEN_MAX:
            self._not_saved(event, decision, future, str(error))
            return
        loaded = await self._tools.store.load(self.settings.name)
        # Only the durable half: what was seen stays seen.
        self.state = replace(self.state, saved=loaded.saved or self.state.saved, revision=loaded.revision)
        # At the front, so that the order in which things happened is kept.
        self._inbox.put_back(event, future)

    def _not_saved(self, event: Event, decision: Decision, future: Waiter | None, detail: str) -> None:
        """Nothing was decided (H26). What was seen is kept: a look whose move could not be saved is still a look."""
        before, now = self.state, self._tools.clock.now()
        # What was told went with the decision, so it is told anew: "the active is down" wakes somebody above all when the disk is full.
        kept = replace(self._unmoved(event, decision, now), saved=before.saved, noted=before.noted)
        told = policy.decide(self.settings, kept, SaveFailed(detail), now, self._tools.around.of(self.settings.name, now))
        self.state = told.state
        # The look as well: the next one that says the same is no line any more, and the journal would never have it.
        self._tools.journal.write(steps_of(before, told, event, now))
        self._store_again = now + _STORE_AGAIN_S
        # Tried again though nothing happens: a disk may get well in a quiet hour.
        self._alarm.set(self._store_again, now)
        self._tools.journal.store_problem = detail
        _answer(future, Reply(Code.ERROR, f"it could not be saved, so nothing was done: {detail}"))

    def _unmoved(self, event: Event, decision: Decision, now: float) -> State:
        """What the event leaves where nothing may move. A command leaves nothing. The belief of a move speaks of an active member that was not
        saved, so the event is taken again as one of several that wait: those are judged without moving. Forgetting the look instead would
        let it grow old, and shut the gate by a row that has nothing to do with the disk."""
        before = self.state
        if isinstance(event, Command):
            return before
        if decision.state.saved.epoch == before.saved.epoch:
            return decision.state
        around = replace(self._tools.around.of(self.settings.name, now), mass="wait", mass_at=now + _NEWS_S)
        again = policy.decide(self.settings, before, event, now, around).state
        return again if again.saved.epoch == before.saved.epoch else before

    def _accept(self, event: Event, decision: Decision, state: State, now: float, future: Waiter | None) -> None:
        """The decision stands: believe it, and let it have its effects."""
        # Only after the store has said yes: nobody acts on what could still be lost.
        before, self.state = self.state, state
        if isinstance(event, Reloaded) and decision.reply is not None and decision.reply.code is Code.DONE:
            self.settings = event.settings
            self.recent.follow(event.settings.monitor.pages, event.settings.names)
        if isinstance(event, Command) and state.revision != before.revision:
            self.commanded += 1
        self._count(event, decision, before)
        self._store_again = self._store_again if state.unsaved else None
        self._alarm.set(min((at for at in (decision.wake_at, self._store_again) if at is not None), default=None), now)
        # Nearly every look stops here: nothing is published, paced or told for it.
        if self._restless or not _is_quiet(event, decision, before, state):
            self._effects(before, now)
        # At a start as well: followers do not know yet where this one stands.
        if state.saved.active != before.saved.active or isinstance(event, Started):
            self._tools.moved(self.settings, state.saved.active)
        # After the effects: the page that is to be looked at may just have changed its pace.
        for member, page in decision.looks:
            self._tools.eyes.look_now(self.settings.name, member, page)
        # Through the inbox: the questions of a command's turn are asked in a turn of their own.
        if isinstance(event, Command) and decision.wake_at is not None and decision.wake_at <= now:
            self._inbox.put(Tick())
        if isinstance(event, (Applied, Verified)):
            self._follow(event, now)
        _answer(future, decision.reply)

    def _effects(self, before: State, now: float) -> None:
        """Level: what should be published, how fast to look, what the others should know."""
        tools, settings, state = self._tools, self.settings, self.state
        tools.around.update(settings, before, state, now)
        fast = policy.fast_pages(settings, state)
        # Told only when it changes: the schedule would else be gone through at every event.
        if fast != self._fast:
            self._fast = fast
            tools.eyes.pace(settings.name, fast)
        wanted = policy.desired(settings, state, now)
        # While something is suspect, even a look that repeats what is known shortens the TTL.
        self._restless = bool(fast) or (wanted is not None and wanted.ttl_cap_s is not None)
        correct = policy.upkeep(settings, state, now)
        for name, reconciler in self.reconcilers.items():
            # Not known who is active: what stands there is left alone.
            if wanted is None:
                reconciler.leave()
            else:
                known = state.actuators.get(name)
                reconciler.want(wanted, correct=correct, verified=known.verified if known is not None else 0)

    def _follow(self, event: Applied | Verified, now: float) -> None:
        """Times a move on its way to the last place, and tells those who wait for it."""
        moving = self._moving
        if moving is not None and isinstance(event, Applied):
            moving.applied(event.actuator, event.epoch, now)
        if moving is not None and isinstance(event, Verified):
            stages = moving.verified(event.actuator, event.epoch, now)
            # The last place has it: only now has the move happened for everybody.
            if stages is not None:
                self._converged(moving.epoch, stages, now)
        self._tell_verified()

    def _converged(self, epoch: int, stages: Mapping[str, float], now: float) -> None:
        self._moving = None
        counts, name = self._tools.counts, self.settings.name
        counts.converged(name, stages["total"])
        for stage in ("decide", "save", "apply", "verify"):
            counts.stage(stage, stages[stage])
        text = f"epoch {epoch} is seen everywhere, {stages['total'] * 1000:.1f} ms after the decision"
        data = {"stages": {stage: round(seconds, 6) for stage, seconds in stages.items()}}
        self._tools.journal.write([Step(at=now, service=name, kind="converged", text=text, epoch=epoch, revision=self.state.revision, data=data)])

    def _tell_verified(self) -> None:
        ledger = self.state.actuators
        # The slowest one counts; a service that writes nowhere has nothing to wait for.
        seen = min((ledger[name].verified if name in ledger else 0 for name in self.reconcilers), default=self.state.saved.epoch)
        for epoch, future in self._verified:
            if seen >= epoch and not future.done():
                future.set_result(True)
        self._verified = [(epoch, future) for epoch, future in self._verified if not future.done()]

    def _count(self, event: Event, decision: Decision, before: State) -> None:
        counts, name = self._tools.counts, self.settings.name
        if isinstance(event, ProbeResult):
            counts.looks["void" if event.void else "good" if event.good else "bad"] += 1
            if not event.good and not event.void:
                counts.probe_failures[name, event.member, event.page, event.reason.value] += 1
        for note in decision.notes:
            if note.kind == "moved":
                counts.failovers[name, str(note.evidence.get("source", "")), note.member, str(note.evidence.get("trigger", ""))] += 1
            elif note.kind == "would-failover":
                counts.would_failover[name] += 1

    def _fell(self, fallen: BaseException, event: Event, future: Waiter | None) -> None:
        """The turn is void. After a broken invariant there is no next one."""
        self._busy = False
        now, name = self._tools.clock.now(), self.settings.name
        kind, text = "policy-fell", f"an event could not be judged and is void: {type(fallen).__name__}: {fallen}"
        if isinstance(fallen, InvariantBroken):
            kind, text = "invariant-broken", f"lbctl acts no more for {name}: {fallen}"
            # For good: whoever broke a rule that must never be broken is not trusted with the next turn.
            self.halted = text
            self._alarm.cancel()
        data = {"event": type(event).__name__, "page": True}
        self._tools.journal.write([Step(at=now, service=name, kind=kind, text=text, epoch=self.state.saved.epoch, data=data)])
        _answer(future, Reply(Code.ERROR, text))


def _is_quiet(event: Event, decision: Decision, before: State, after: State) -> bool:
    """A look that says what was known, at a service where nothing else is going on: nothing to publish, to pace or to tell."""
    if not isinstance(event, ProbeResult) or decision.notes or decision.looks or after.saved is not before.saved:
        return False
    if event.good:
        return True
    sight = before.members.get(event.member)
    page = sight.pages.get(event.page) if sight is not None else None
    return page is not None and page.health is Health.DOWN and event.member != before.saved.active


def _answer(future: Waiter | None, reply: Reply | None) -> None:
    if future is not None and not future.done():
        future.set_result(reply or Reply(Code.DONE, "done"))
