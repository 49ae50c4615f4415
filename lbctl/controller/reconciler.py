"""Makes one actuator follow, for ever: what is shown against what is desired (H40).

* A new epoch is applied at once, then read back; it is *verified* only when every place shows exactly the desired addresses, and the epoch
  where a place can tell it. Success is what a reader sees, never what a writer sent.
* What fails is told with its reason and tried again with a growing pause, for ever. Where a newer epoch stands (`Superseded`) nothing is
  written again: this writer is the stale one (H41). It goes on reading, and says so when it changes.
* What was verified is read again from time to time. Something else there is drift: told, and put right; during a maintenance only told
  (SEMANTICS section 7), while an epoch that was decided but never verified goes on being applied.
* An older epoch than the last one wanted is never taken. Stopping changes nothing that is published.

No task lives while there is nothing to do: one is started when something is wanted, and a timer looks for drift. Ten thousand actuators at
rest are ten thousand timers. `Pool` bounds how many are written at once.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from lbctl.actuators.base import Actual, Actuator, Cached, Direct, Forewarned, Place, wanted
from lbctl.clock import Clock
from lbctl.controller.counts import Counts
from lbctl.controller.supervisor import Supervisor
from lbctl.errors import ActuatorError, Superseded
from lbctl.model.decision import Desired
from lbctl.model.events import Applied, ApplyFailed, Drained, Drifted, Event, Verified


@dataclass(frozen=True, slots=True)
class Pace:
    """All in seconds. `limit_s`: one write or one read; `settle_s`: how long a write may take to be seen everywhere; `drift_s`: between two looks
    at what should not have changed; `pause_s` .. `pause_max_s`: between two tries; `hopeless_s`: after what will not mend by itself."""

    limit_s: float = 10.0
    settle_s: float = 5.0
    drift_s: float = 60.0
    pause_s: float = 0.2
    pause_max_s: float = 30.0
    hopeless_s: float = 60.0


class Pool:
    """What all reconcilers share."""

    def __init__(self, clock: Clock, supervisor: Supervisor, counts: Counts, pace: Pace | None = None, at_once: int = 256) -> None:
        self.clock = clock
        self.supervisor = supervisor
        self.counts = counts
        self.pace = pace or Pace()
        self.slots = asyncio.Semaphore(at_once)


@dataclass(frozen=True, slots=True)
class _Trouble:
    """Why the world does not show what is wanted; `pause_s` after which it is worth another try."""

    reason: str
    detail: str
    hopeless: bool = False


class Reconciler:
    """One actuator. `tell` puts an event into the inbox of its service."""

    __slots__ = ("_applied", "_cached", "_closed", "_correct", "_desired", "_direct", "_drift", "_forewarned", "_fresh", "_low_ttl_s", "_more",
                 "_pool", "_stale", "_task", "_tell", "_timer", "_verified", "actuator", "places", "trouble")

    def __init__(self, actuator: Actuator, pool: Pool, tell: Callable[[Event], None]) -> None:
        self.actuator = actuator
        self.trouble = ""
        self.places: tuple[Place, ...] = ()
        """What the last look showed, for people: serials and signatures."""
        self._pool = pool
        self._tell = tell
        self._desired: Desired | None = None
        self._correct = True
        self._applied = self._verified = 0
        self._fresh = False
        self._stale = False
        self._drift = ""
        self._more: asyncio.Event | None = None
        self._task: asyncio.Task[object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._direct = actuator if isinstance(actuator, Direct) else None
        self._forewarned = actuator if isinstance(actuator, Forewarned) else None
        self._cached = actuator if isinstance(actuator, Cached) else None
        self._low_ttl_s: float | None = None

    def want(self, desired: Desired, *, correct: bool = True, verified: int = 0) -> None:
        """This should be shown from now on. `correct` False: drift is only told. `verified`: the epoch that start-up found in place."""
        old = self._desired
        # Late news from a turn that was overtaken must not take the world back (H41).
        if self._closed or (old is not None and desired.epoch < old.epoch):
            return
        # A maintenance is over: drift that was only told until now is put right.
        resumed = correct and not self._correct and bool(self._drift)
        self._correct = correct
        if old is not None and _same(old, desired) and not resumed:
            self._cap_ttl(desired)
            return
        self._desired = desired
        # Start-up has seen it in place: writing it again would be a change of serial for nothing.
        if old is None and verified >= desired.epoch:
            self._applied = self._verified = desired.epoch
            self._rest()
            return
        # The answer stands; only how long it may be kept changes.
        only_ttl = old is not None and _same(old, replace(desired, low_ttl_s=old.low_ttl_s)) and self._verified == desired.epoch
        # `_fresh`: written without being read first, because a new epoch is wanted whatever stands there.
        self._fresh = self._fresh or not (resumed or only_ttl)
        if old is None or desired.epoch > old.epoch:
            # A newer epoch than the one that was superseded: this writer may be the right one again.
            self._stale = False
        self._start()

    def _cap_ttl(self, desired: Desired) -> None:
        """No epoch, no write, no serial: only whoever answers clients himself shortens what he tells them (SEMANTICS section 8)."""
        if self._direct is not None:
            self._direct.cap_ttl(desired.ttl_cap_s)
        if self._forewarned is not None and desired.ttl_cap_s is not None:
            self._forewarned.forewarn()

    def leave(self) -> None:
        """Nothing is to be written for now: what is shown stays as it is."""
        self._desired = None
        # A pause between tries must not outlast the wish that it waits for.
        self._news()

    async def close(self) -> None:
        """Ends trying and lets the actuator go; what is published stays."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None and not self._task.done():
            self._task.cancel()
            # Waited for: what it was writing must have ended before the actuator's connection goes.
            await asyncio.wait([self._task])
        await self.actuator.close()

    def _news(self) -> None:
        """Ends a pause between two tries."""
        if self._more is not None:
            self._more.set()

    def _start(self) -> None:
        self._news()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is None or self._task.done():
            self._task = self._pool.supervisor.task(f"reconcile {self.actuator.id}", self._converge())

    def _rest(self) -> None:
        """Looks again after a while. Spread by name, so that ten thousand do not look at once."""
        if self._closed or self._desired is None:
            return
        # By name and not by chance: the same after each restart, so that load does not wander.
        spread = 0.75 + (zlib.crc32(self.actuator.id.encode()) % 1000) / 2000
        self._timer = asyncio.get_running_loop().call_later(self._pool.pace.drift_s * spread, self._start)

    async def _converge(self) -> None:
        pause = self._pool.pace.pause_s
        while (desired := self._desired) is not None:
            trouble = await self._try(desired)
            # Wanted otherwise meanwhile: what came of the old try is nobody's trouble.
            if self._desired is not desired:
                continue
            if trouble is None:
                break
            self._complain(desired, trouble)
            await self._pause(self._pool.pace.hopeless_s if trouble.hopeless else pause)
            pause = min(pause * 2, self._pool.pace.pause_max_s)
        # Before resting: a wish that comes from now on starts a task of its own.
        self._task = None
        self._rest()

    async def _try(self, desired: Desired) -> _Trouble | None:
        """One try; what nobody expected is trouble like any other, or nobody would ever try again."""
        # Filled from inside: what falls unexpectedly leaves it empty and is told by the supervisor.
        found: list[_Trouble | None] = []

        async def once() -> None:
            found.append(await self._once(desired))

        fallen = await self._pool.supervisor.attempt(f"reconcile {self.actuator.id}", once())
        return _Trouble("internal", f"{type(fallen).__name__}: {fallen}") if fallen is not None else found[0]

    async def _pause(self, seconds: float) -> None:
        self._more = asyncio.Event()
        try:
            async with asyncio.timeout(seconds):
                await self._more.wait()
        except TimeoutError:
            return
        finally:
            self._more = None

    async def _once(self, desired: Desired) -> _Trouble | None:
        """One try, bounded in time; None when the world shows what is desired, or may not be put right now."""
        pace = self._pool.pace
        async with self._pool.slots:
            try:
                # Inside the slot: waiting for one must not use up the time of the try.
                async with asyncio.timeout(pace.limit_s + pace.settle_s):
                    return await self._follow(desired)
            except Superseded as error:
                # From now on only read: each further write would be a stale writer's (H41).
                self._stale, self._fresh = True, False
                return _Trouble(error.reason, str(error), hopeless=True)
            except ActuatorError as error:
                return _Trouble(error.reason, str(error), hopeless=not error.temporary)
            except TimeoutError:
                return _Trouble("timeout", f"no answer within {pace.limit_s + pace.settle_s:g} s")

    async def _follow(self, desired: Desired) -> _Trouble | None:
        """The TTL goes down before anything else and up after everything else: no cache may take the old answer with the long one (H49)."""
        # Told also where nothing is cached: a drain waits until every actuator has said how long.
        if desired.low_ttl_s is not None and desired.low_ttl_s != self._low_ttl_s:
            left_s = await self._cached.set_ttl(desired.low_ttl_s) if self._cached is not None else 0.0
            self._low_ttl_s = desired.low_ttl_s
            self._tell(Drained(self.actuator.id, left_s))
        trouble = await self._follow_answer(desired)
        # Only when the new answer stands everywhere: before that the long TTL would go out with the old one.
        if trouble is None and desired.low_ttl_s is None and self._low_ttl_s is not None and self._cached is not None:
            await self._cached.set_ttl(None)
        self._low_ttl_s = desired.low_ttl_s if trouble is None else self._low_ttl_s
        return trouble

    async def _follow_answer(self, desired: Desired) -> _Trouble | None:
        if not self._fresh:
            actual = await self._read()
            trouble = self._compare(actual, desired)
            if trouble is None:
                self._seen(desired)
                return None
            if self._stale and trouble.reason == "drift":  # what is shown is not ours because another decision of this epoch came first
                return _Trouble("superseded", f"another decision stands: {trouble.detail}", hopeless=True)
            if self._stale or trouble.reason == "superseded":
                return trouble
            # What was verified is only put right where that is allowed; what never was goes on being applied (SEMANTICS 7).
            if self._verified == desired.epoch and not self._drifted(actual, trouble):
                return trouble if trouble.reason != "drift" else None
        # Success is what is read below, not that this returned (H42).
        await self.actuator.apply(desired)
        self._fresh = False
        if self._applied != desired.epoch:
            self._applied = desired.epoch
            self._tell(Applied(self.actuator.id, desired.epoch))
        return await self._settle(desired)

    async def _read(self) -> Actual:
        actual = await self.actuator.read()
        self.places = actual.places
        return actual

    def _drifted(self, actual: Actual, trouble: _Trouble) -> bool:
        """Tells of a change behind our back, once; says whether it may be put right. A place that is merely silent has not changed."""
        if trouble.reason != "drift":
            return False
        # Once for each thing that is shown: it is read every minute.
        if trouble.detail != self._drift:
            self._drift = trouble.detail
            self._tell(Drifted(self.actuator.id, trouble.detail))
        return self._correct

    async def _settle(self, desired: Desired) -> _Trouble | None:
        """Reads back until every place shows it, or for `settle_s`."""
        waited, pause = 0.0, 0.02
        while True:
            trouble = self._compare(await self._read(), desired)
            if trouble is None:
                self._seen(desired)
                return None
            # A newer wish ends the waiting: nobody needs to see the old one arrive.
            if waited >= self._pool.pace.settle_s or self._desired is not desired:
                # Just written and not yet seen is no drift: nobody has changed it behind our back.
                return trouble if trouble.reason != "drift" else _Trouble("unverified", trouble.detail)
            await self._pool.clock.sleep(pause)
            waited, pause = waited + pause, min(pause * 2, 1.0)

    def _compare(self, actual: Actual, desired: Desired) -> _Trouble | None:
        """None: every place shows it. A place that shows something else is `drift`; one that cannot be read has its own reason."""
        want = wanted(desired, self.actuator.view)
        # The epoch is compared where a place can tell it: the same address may be another decision's (A, B, A).
        wrong = [p for p in actual.places if p.addresses is not None and (p.addresses != want or p.epoch not in (None, desired.epoch))]
        if wrong:
            shown = "; ".join(f"{p.name} shows {', '.join(sorted(p.addresses or ())) or 'nothing'}{_epoch(p.epoch)}" for p in wrong)
            # A newer epoch is another writer's truth, never something to be put right.
            newer = [p for p in wrong if p.epoch is not None and p.epoch > desired.epoch]
            return _Trouble("superseded", f"a newer epoch is published: {shown}", hopeless=True) if newer else _Trouble("drift", shown)
        silent = [p for p in actual.places if p.addresses is None]
        # A place that cannot be read may show anything: nothing is verified while one is silent (H40).
        if silent or not actual.places:
            first = silent[0].error_reason if silent else ""
            return _Trouble(first or "unread", "; ".join(f"{p.name}: {p.error}" for p in silent) or "no place to read")
        return None

    def _seen(self, desired: Desired) -> None:
        mended, self.trouble = bool(self.trouble), ""
        # Told when it becomes true again, not at each reading.
        if self._verified != desired.epoch or self._drift or mended:
            if self._applied != desired.epoch:
                self._applied = desired.epoch
                self._tell(Applied(self.actuator.id, desired.epoch))
            self._verified, self._drift = desired.epoch, ""
            self._tell(Verified(self.actuator.id, desired.epoch))

    def _complain(self, desired: Desired, trouble: _Trouble) -> None:
        self._pool.counts.actuator_errors[self.actuator.id, trouble.reason] += 1
        self.trouble = f"{trouble.reason}: {trouble.detail}"
        self._tell(ApplyFailed(self.actuator.id, desired.epoch, trouble.reason, trouble.detail))


def _same(old: Desired, new: Desired) -> bool:
    """Nothing that is written differs."""
    return (old.epoch, old.members, old.addresses, old.low_ttl_s) == (new.epoch, new.members, new.addresses, new.low_ttl_s)


def _epoch(epoch: int | None) -> str:
    return "" if epoch is None else f" of epoch {epoch}"
