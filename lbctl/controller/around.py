"""The surroundings of every service: who else answers, how many want to move at once, which sites are cut off.

A decision is a pure function of what it is given; what it needs to know of *other* services is counted here, as their looks and states
come in, and handed to it as an `Around`. Ten thousand services are cheap: a look that changes nothing costs two comparisons, asking costs
nothing that grows with the number of services, and votes that have gone stale are found by one sweep about once an interval.

A wave (`safety.mass_move`, H53) is counted over services whose active is down, or that moved by themselves within the window. While many more
are merely suspect, the first ones wait for them, at most a window long: otherwise the first few of four hundred would be gone before the rest is
counted. `stagger` hands out ten turns a second.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping

from lbctl.model.events import Around
from lbctl.model.looks import SILENT, ProbeResult
from lbctl.model.settings import SafetySettings, ServiceSettings
from lbctl.model.state import State
from lbctl.policy import pool
from lbctl.policy.case import Case
from lbctl.policy.doubt import mass_verdict

STAGGER_S = 0.1
"""Between two moves of a staggered wave: ten a second (SEMANTICS section 4)."""
# Often enough that a wait in a wave costs a fraction of what the detection took.
_ASK_AGAIN_S = 0.25
_SWEEP_S = 0.5
"""Stale votes are looked for at most twice a second."""

CANARIES = "@canaries"
"""The name under which canaries are watched, as if they were members of a service of their own."""


class _Path:
    """One member or canary as a proof that our own path works. `said`: by page, whether its last look brought any reply."""

    __slots__ = ("answered", "fresh_s", "good", "proves", "said", "service", "until", "watched")

    def __init__(self, service: _Counted, fresh_s: float) -> None:
        self.service = service
        self.fresh_s = fresh_s
        self.said: dict[str, bool] = {}
        self.until = 0.0
        self.watched = False
        self.proves = False
        self.good = False
        self.answered = 0.0


class _Counted:
    """Of one service: its paths, how many of them are freshly watched and answer; and whether it wants to move, or may want to soon."""

    __slots__ = ("down", "follows", "moved_at", "paths", "proofs", "site", "suspect", "turn_at", "wanting_since", "watched")

    def __init__(self) -> None:
        self.follows: str | None = None
        self.site = ""
        self.paths: dict[str, _Path] = {}
        self.watched = 0
        self.proofs = 0
        self.suspect = self.down = False
        self.moved_at: float | None = None
        self.wanting_since: float | None = None
        self.turn_at: float | None = None


class Surroundings:
    """Counts for all services together."""

    def __init__(self, safety: SafetySettings) -> None:
        self.safety = safety
        self._services: dict[str, _Counted] = {}
        self._watched = 0
        self._proofs = 0
        self._sweep_at = 0.0
        self._certain = 0
        self._possible = 0
        self._moved: deque[_Counted] = deque()
        self._next_turn = 0.0
        self.hurry: Callable[[Iterable[str]], None] = _nobody
        """Asks for a look at these canaries now."""

    def watch(self, service: str, fresh: Mapping[str, float]) -> None:
        """Counts these members of a service from now on; `fresh` is how long a look of each counts, in seconds."""
        # What it had proven and wanted goes with the old members, or it would be counted twice.
        self.forget(service)
        counted = self._services[service] = _Counted()
        counted.paths = {member: _Path(counted, seconds) for member, seconds in fresh.items()}

    def watch_service(self, settings: ServiceSettings) -> None:
        """Counts a service's members by its own pace: two intervals and the look under way (SEMANTICS section 4)."""
        self.watch(settings.name, {m.name: 2 * m.probe.interval_s + m.probe.timeout_s for m in settings.members})
        self._services[settings.name].follows = settings.follows

    def forget(self, service: str) -> None:
        """Counts this service no more."""
        counted = self._services.pop(service, None)
        if counted is not None:
            for path in counted.paths.values():
                self._count(path, watched=False, proves=False)
            self._wants(counted, suspect=False, down=False, moved_at=None)

    def saw(self, service: str, look: ProbeResult) -> None:
        """A look has come in; a void one says nothing about the path."""
        counted = self._services.get(service)
        path = counted.paths.get(look.member) if counted is not None else None
        # A look that counts for nothing must not prove that our path works either.
        if path is None or look.void:
            return
        path.until = look.ended + path.fresh_s
        path.good = look.good
        # The start: an answer to a look that was begun before the active failed says nothing about its site now.
        path.answered = look.started if look.good else 0.0
        # Any reply, a refusal too: it proves the path, which is all that is asked here (SEMANTICS 4).
        replied = look.reason not in SILENT
        # The usual case, kept short: thousands a second come by here.
        if path.watched and path.said.get(look.page) is replied:
            return
        path.said[look.page] = replied
        # By page: one that answers proves the path, though another is silent.
        self._count(path, watched=True, proves=any(path.said.values()))

    def update(self, settings: ServiceSettings, before: State, state: State, now: float) -> None:
        """What a service has come to believe: is its active suspect, down, or has it just moved by itself?"""
        case, counted = Case(settings, state, now), self._services[settings.name]
        suspect, down = _wants(case)
        sites = {settings.member(member).site or "" for member in case.answering if member in settings.names}
        # Not known while the service does not know itself: its followers stay where they are.
        counted.site = next(iter(sites)) if len(sites) == 1 and not state.uninitialised else ""
        # Asked at the first doubt: the answer is there by the time that the outage is proven.
        if suspect and not counted.suspect and (canaries := self.safety.sites.get(counted.site)):
            self.hurry(canaries)
        move, moved_at = state.saved.move, counted.moved_at
        # A pool has no move; leaving is what makes a wave, coming back is none.
        shrank = bool(set(before.saved.answering) - set(state.saved.answering)) and settings.kind == "pool"
        # People's moves count for no wave: they are meant, one by one.
        if state.saved.epoch != before.saved.epoch and (shrank or (move is not None and move.trigger != "operator")):
            moved_at = now
            self._moved.append(counted)
        self._wants(counted, suspect=suspect, down=down, moved_at=moved_at)
        # Its turn in a wave goes with its wish; the next outage draws another.
        if not down:
            counted.wanting_since = counted.turn_at = None
        elif counted.wanting_since is None:
            counted.wanting_since = now

    def of(self, service: str, now: float) -> Around:
        """The surroundings of one service now."""
        if now >= self._sweep_at:
            self._sweep(now)
        counted = self._services[service]
        # Nobody wants to move: most of the time, and then nothing is computed.
        mass, at = self._mass(counted, now) if self._possible else ("open", 0.0)
        cut = self._cut() if self.safety.sites else frozenset()
        leader = self._services.get(counted.follows) if counted.follows else None
        site = leader.site if leader is not None else ""
        # Without its own: what a service proves to itself it knows already (SEMANTICS 4, blind).
        return Around(self._proofs - counted.proofs, self._watched - counted.watched, mass, at, cut, followed_site=site,
                      site_answered=self._answered(counted.site))

    def _count(self, path: _Path, *, watched: bool, proves: bool) -> None:
        """Moves one path between the sums."""
        counted, d_watched, d_proofs = path.service, watched - path.watched, proves - path.proves
        counted.watched += d_watched
        counted.proofs += d_proofs
        self._watched += d_watched
        self._proofs += d_proofs
        path.watched, path.proves = watched, proves

    def _sweep(self, now: float) -> None:
        """Lets go of votes that nobody renewed."""
        soonest = now + 60.0
        for counted in self._services.values():
            for path in counted.paths.values():
                if not path.watched:
                    continue
                # A vote that nobody renewed proves nothing, and neither does its silence (H4).
                if path.until < now:
                    path.said.clear()
                    path.good = False
                    self._count(path, watched=False, proves=False)
                else:
                    soonest = min(soonest, path.until)
        # When the next one can go stale, and not at every question.
        self._sweep_at = max(soonest, now + _SWEEP_S)

    def _wants(self, counted: _Counted, *, suspect: bool, down: bool, moved_at: float | None) -> None:
        """Moves one service between the sums: certain are those that are down or have just moved, possible also those that are suspect."""
        # Who has moved stays counted for a window: else the first of a wave would make the rest look like few.
        was_certain = counted.down or counted.moved_at is not None
        was_possible = was_certain or counted.suspect
        counted.suspect, counted.down, counted.moved_at = suspect, down, moved_at
        certain = down or moved_at is not None
        self._certain += certain - was_certain
        self._possible += (certain or suspect) - was_possible

    def _mass(self, counted: _Counted, now: float) -> tuple[str, float]:
        """What a move of this service is to do now: "open", "hold", or "wait" until an instant."""
        # Canaries are watched like a service and want nothing.
        rule, services = self.safety.mass_move, len(self._services) - (CANARIES in self._services)
        self._forget_moves(now - rule.window_s)
        verdict = mass_verdict(self._certain, services, rule)
        # Everybody gets a turn: staggering slows a wave, it stops nobody.
        if verdict == "stagger":
            return self._turn(counted, now)
        if verdict != "open":
            return verdict, 0.0
        since = now if counted.wanting_since is None else counted.wanting_since
        if mass_verdict(self._possible, services, rule) != "open" and now - since < rule.window_s:
            return "wait", now + _ASK_AGAIN_S
        return "open", 0.0

    def _forget_moves(self, before: float) -> None:
        """Moves older than the window count no more; a service that moved again stands in the queue twice."""
        while self._moved and (self._moved[0].moved_at is None or self._moved[0].moved_at < before):
            counted = self._moved.popleft()
            self._wants(counted, suspect=counted.suspect, down=counted.down, moved_at=None)

    def _turn(self, counted: _Counted, now: float) -> tuple[str, float]:
        """A staggered wave: each service is given one turn, and keeps it. Only who wants to move draws one."""
        if counted.wanting_since is None:
            return "wait", now + _ASK_AGAIN_S
        if counted.turn_at is None:
            # Never in the past: after a quiet hour the first of a wave must not bring a hundred turns with it.
            counted.turn_at = self._next_turn = max(now, self._next_turn + STAGGER_S)
        return ("open", 0.0) if now >= counted.turn_at else ("wait", counted.turn_at)

    def _cut(self) -> frozenset[str]:
        """Sites that have canaries, all of which freshly fail."""
        counted = self._services.get(CANARIES)
        if counted is None:
            return frozenset()
        # All of them, and freshly: one canary that answers proves that the site can be reached.
        return frozenset(site for site, names in self.safety.sites.items() if names and all(self._fails(counted, name) for name in names))

    def _answered(self, site: str) -> float | None:
        """When the newest good look at one of its canaries began; None where it has none."""
        names = self.safety.sites.get(site) if site else None
        counted = self._services.get(CANARIES)
        if not names or counted is None:
            return None
        # 0 where it has canaries and none has answered yet: not known is not the same as none to ask.
        return max((path.answered for name in names if (path := counted.paths.get(name)) is not None), default=0.0)

    def _fails(self, counted: _Counted, name: str) -> bool:
        path = counted.paths.get(name)
        return path is not None and path.watched and not path.good


def _nobody(canaries: Iterable[str]) -> None:
    """Before the monitor stands."""


def _wants(case: Case) -> tuple[bool, bool]:
    """Whether a move of this service may be near, and whether it wants one now; of a pool, that somebody leaves the answer."""
    if case.settings.kind != "pool":
        return case.suspect(), case.active_down()
    known = [case.judged(name) for name in case.answering if name in case.settings.names]
    return any(page.first_bad is not None and page.down_at is None for page in known), bool(pool.leaving(case))
