"""What clients are told after a move: every configured resolver is asked until it tells the new answer (H49, issue 4 item 6).

A move is *verified* when every authoritative server shows it; clients, though, ask caches. So after each move the resolvers that an actuator names
are asked as a client would, and the seconds from the decision until each tells the new answer are kept, journalled and counted. One that goes
on telling the old answer longer than its TTL allows (it clamps TTLs, serves stale, or asks a server that we do not know of) is told of once.

* A listener of the journal, so nothing here can reach a decision: a resolver delays no move, and is never a reason for `partial`.
* A resolver is asked only when the servers show the new answer (or after `PATIENCE_S` without that). A question asked earlier could put the old
  answer into an empty cache, where it would stay for a whole TTL: the measuring would cause what it measures.
* A newer move ends the measuring of the one before. After a restart nothing is measured until the next move: when the last one was decided
  relative to what caches hold is not known.
* A resolver is late after the TTL of before the move, plus `MARGIN_S`; it is asked on, more rarely, until it tells the new answer.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lbctl import policy
from lbctl.actuators.base import Actuator, Resolved, wanted
from lbctl.clock import Clock
from lbctl.controller import Controller, Histogram
from lbctl.dns.settings import Endpoint
from lbctl.model.decision import Step

MARGIN_S = 5.0
"""Whole seconds of TTLs are cut at each cache on the way, and the servers themselves are read back at intervals."""
PATIENCE_S = 30.0
FIRST_S, LONGEST_S, NEAR_S, LATE_S = 0.1, 2.0, 0.25, 30.0
"""Pauses between two questions: half the first, the longest within the budget, where the TTL is nearly over, and for a resolver that is late."""
AWAIT_S = 0.1
MOVES = frozenset({"moved", "pool-changed"})


@dataclass(slots=True)
class Seen:
    """One resolver since the last move. `seconds`: from the decision until it told the new answer, None: not yet; `shows`: what it told last."""

    epoch: int | None = None
    seconds: float | None = None
    late: bool = False
    shows: tuple[str, ...] | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class _Move:
    """One actuator's share of a move: what is to be told, what no longer, by when, and since when it was decided."""

    service: str
    epoch: int
    decided: float
    want: frozenset[str]
    gone: frozenset[str]
    ttl_s: float


@dataclass(slots=True)
class _Watched:
    """What is kept for one actuator. `task`: asks its resolvers about the last move."""

    seen: dict[Endpoint, Seen] = field(default_factory=dict)
    task: asyncio.Task[Any] | None = None


class Resolvers:
    """Follows moves; `shown`, `late` and `rows` are for the faces."""

    def __init__(self, controller: Controller, clock: Clock) -> None:
        self.times: dict[tuple[str, str], Histogram] = {}
        self._controller = controller
        self._clock = clock
        self._watched: dict[tuple[str, str], _Watched] = {}

    def heard(self, step: Step) -> None:
        """A line of the journal."""
        if step.kind in MOVES:
            for actuator, resolved in self._resolved(step.service):
                self._begin(actuator, resolved, step)

    def shown(self, service: str) -> dict[str, list[dict[str, Any]]]:
        """By actuator: every configured resolver, and what became of the last move there."""
        return {actuator.id: [_shown(resolver, self._of(service, actuator.id, resolver)) for resolver in resolved.resolvers]
                for actuator, resolved in self._resolved(service)}

    def rows(self) -> Iterator[tuple[str, Mapping[str, str], float | Histogram | None]]:
        """For /metrics: family, labels, value; a series for every configured resolver from the start."""
        for service in self._controller.names:
            named = {resolver: self._of(service, a.id, resolver).late for a, r in self._resolved(service) for resolver in r.resolvers}
            for resolver, late in named.items():
                labels = {"service": service, "resolver": str(resolver)}
                yield "lbctl_resolver_late", labels, float(late)
                yield "lbctl_resolver_convergence_seconds", labels, self.times.get((service, str(resolver)))

    def _resolved(self, service: str) -> Iterator[tuple[Actuator, Resolved]]:
        for actuator in self._controller.actuators(service):
            # the plain question first: what a protocol asks of each of ten thousand actuators would be felt in every scrape
            if getattr(actuator, "resolvers", ()) and isinstance(actuator, Resolved):
                yield actuator, actuator

    def _of(self, service: str, actuator: str, resolver: Endpoint) -> Seen:
        watched = self._watched.get((service, actuator))
        return watched.seen.get(resolver, Seen()) if watched is not None else Seen()

    def _begin(self, actuator: Actuator, resolved: Resolved, step: Step) -> None:
        watched = self._watched.setdefault((step.service, actuator.id), _Watched())
        if watched.task is not None:
            watched.task.cancel()
        if late := _late_in(watched):
            self._over(step.service, f"epoch {step.epoch} is newer than what was asked of {', '.join(map(str, late))}")
        watched.seen = {resolver: Seen(step.epoch) for resolver in resolved.resolvers}
        work = self._follow_all(actuator, resolved, watched, step)
        watched.task = self._controller.supervisor.task(f"resolvers of {actuator.id}", work)

    async def _follow_all(self, actuator: Actuator, resolved: Resolved, watched: _Watched, step: Step) -> None:
        move = self._move(actuator, resolved, step)
        if move is None:
            return
        await self._published(actuator, move)
        async with asyncio.TaskGroup() as group:
            for resolver in watched.seen:
                group.create_task(self._follow(actuator, resolved, resolver, watched, move))

    def _move(self, actuator: Actuator, resolved: Resolved, step: Step) -> _Move | None:
        """None where the decision has been overtaken already."""
        case = self._controller.case(step.service)
        desired = policy.desired(case.settings, case.state, case.now)
        if desired is None or desired.epoch != step.epoch:
            return None
        want = wanted(desired, actuator.view)
        known = {text for member in case.settings.members for text in member.address.get(actuator.view) or member.address.get("", ())}
        # a drained move was preceded by a lower TTL, which the policy knows; a pool has no move of its own
        before_s = case.saved.move.ttl_s if case.saved.move is not None else resolved.keep_s
        return _Move(step.service, step.epoch, step.at, want, frozenset(known) - want, min(before_s, resolved.keep_s))

    async def _published(self, actuator: Actuator, move: _Move) -> None:
        """Waits until every server shows the move: see above why nobody may be asked earlier."""
        until = self._clock.now() + PATIENCE_S
        while self._clock.now() < until and self._configured(actuator, move.service):
            ledger = self._controller.case(move.service).state.actuators.get(actuator.id)
            if ledger is not None and ledger.verified >= move.epoch:
                return
            await self._clock.sleep(AWAIT_S)

    def _configured(self, actuator: Actuator, service: str) -> bool:
        """A reload may have taken away what is being measured."""
        return any(one is actuator for one in self._controller.actuators(service))

    async def _follow(self, actuator: Actuator, resolved: Resolved, resolver: Endpoint, watched: _Watched, move: _Move) -> None:
        """Asks one resolver until it tells the new answer."""
        due, pause, seen = self._clock.now() + move.ttl_s + MARGIN_S, FIRST_S, watched.seen[resolver]
        while self._configured(actuator, move.service):
            told = await resolved.told_by(resolver)
            now = self._clock.now()
            seen.shows, seen.error = None if told.addresses is None else tuple(sorted(told.addresses)), told.error
            if told.addresses is not None and tells(told.addresses, move.want, move.gone):
                self._converged(resolver, watched, move, now)
                return
            if now > due and not seen.late:
                self._late(resolver, watched, move)
            pause = min(pause * 2, LONGEST_S)
            # when the answer's TTL is over it should change: that moment is not slept through
            near = max(told.left_s, NEAR_S) if told.addresses else pause
            await self._clock.sleep(LATE_S if seen.late else min(pause, near))

    def _converged(self, resolver: Endpoint, watched: _Watched, move: _Move, now: float) -> None:
        seen, name = watched.seen[resolver], str(resolver)
        seen.seconds, was_late, seen.late = round(now - move.decided, 3), seen.late, False
        self.times.setdefault((move.service, name), Histogram()).add(seen.seconds)
        text = f"the resolver {name} tells the new answer, {seen.seconds:.1f} s after the decision"
        data = {"resolver": name, "seconds": seen.seconds}
        self._controller.note(move.service, "resolver-converged", text, epoch=move.epoch, data=data)
        if was_late and not _late_in(watched):
            self._over(move.service, "every resolver tells the new answer")

    def _late(self, resolver: Endpoint, watched: _Watched, move: _Move) -> None:
        """Told once for each resolver; the gauge stays until it tells the new answer or a newer move takes the place of this one."""
        seen = watched.seen[resolver]
        seen.late = True
        after = f"{self._clock.now() - move.decided:.0f} s after the decision"
        text = f"the resolver {resolver} {_instead(seen)}, {after}; the TTL was {move.ttl_s:.0f} s"
        data = {"resolver": str(resolver), "shows": list(seen.shows or ()), "error": seen.error}
        self._controller.note(move.service, "resolver-late", text, epoch=move.epoch, data=data)

    def _over(self, service: str, why: str) -> None:
        """Ends what was told: the last late resolver has come round, or no longer matters."""
        self._controller.note(service, "resolver-late-over", why)


def _late_in(watched: _Watched) -> list[Endpoint]:
    return [resolver for resolver, seen in watched.seen.items() if seen.late]


def tells(addresses: frozenset[str], want: frozenset[str], gone: frozenset[str]) -> bool:
    """Whether this is the new answer: nothing of the old, and in each family all of the new.

    A family may be missing as a whole, or be there although nobody published it, where the resolver filters or translates (DNS64): then the other
    family decides.
    """
    if not addresses or addresses & gone:
        return False
    families = {family: frozenset(text for text in want if _family(text) == family) for family in map(_family, want)}
    told = {family: frozenset(text for text in addresses if _family(text) == family) for family in families}
    return any(told.values()) and all(told[family] in (families[family], frozenset()) for family in families)


def _family(text: str) -> int:
    """4, 6, or 0 for the name that an alias points at."""
    try:
        return ipaddress.ip_address(text).version
    except ValueError:
        return 0


def _instead(seen: Seen) -> str:
    if seen.shows is None:
        return f"cannot be asked ({seen.error})"
    return f"still tells {', '.join(seen.shows) or 'that there is no such name'}"


def _shown(resolver: Endpoint, seen: Seen) -> dict[str, Any]:
    return {"resolver": str(resolver), "epoch": seen.epoch, "seconds": seen.seconds, "late": seen.late,
            "shows": None if seen.shows is None else list(seen.shows), "error": seen.error or None}
