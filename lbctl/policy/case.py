"""One service at one moment: everything a rule may look at, and the plain questions it may ask.

Rules, doubts and commands all read a `Case`; none of them keeps a fact of its own. The questions have the words of SEMANTICS section 1:
the active member is judged by its status page once it is promoted (by hastatus before that), every other by its hastatus page.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from lbctl.model.events import Around
from lbctl.model.looks import Health, ProbeResult, Verdict
from lbctl.model.settings import MemberSettings, ServiceSettings
from lbctl.model.state import MemberSight, PageSight, Saved, State
from lbctl.policy import health

STATUS, HASTATUS = "status", "hastatus"
CLIENT = "client"
NOTHING_AROUND = Around()
NOTHING_SEEN = PageSight()
NOBODY_SEEN = MemberSight()


@dataclass(frozen=True, slots=True)
class Case:
    """Settings, state, time and surroundings of one service."""

    settings: ServiceSettings
    state: State
    now: float
    around: Around = NOTHING_AROUND

    @property
    def saved(self) -> Saved:
        return self.state.saved

    @property
    def active(self) -> str:
        """The member that traffic is sent to; "" while that is not known."""
        return self.saved.active or ""

    @property
    def answering(self) -> tuple[str, ...]:
        """Whom clients are sent to: the active, or all that a pool answers with."""
        # `active` of a pool is only the first of those that answer, kept for what shows one name.
        if self.settings.kind == "pool":
            return self.saved.answering
        return (self.saved.active,) if self.saved.active else ()

    @property
    def modes(self) -> bool:
        """Whether the monitor knows modes (a Core) or only up and down (SEMANTICS section 1)."""
        return self.settings.monitor.modes

    def on(self, state: State) -> Case:
        return replace(self, state=state)

    def member(self, name: str) -> MemberSettings:
        return self.settings.member(name)

    def others(self) -> Iterator[str]:
        """All members but the active, in order of preference; where a service is followed, those at its site first (G-FS)."""
        rest = (name for name in self.settings.names if name != self.active)
        # A stable sort by "not there": within each half the order of preference of the file stays.
        at = self.around.followed_site if self.settings.follows else ""
        return iter(sorted(rest, key=lambda name: self.member(name).site != at)) if at else rest

    def sight(self, name: str) -> MemberSight:
        return self.state.members.get(name, NOBODY_SEEN)

    def page(self, name: str, page: str) -> PageSight:
        return self.sight(name).pages.get(page, NOTHING_SEEN)

    def decisive(self, name: str) -> str:
        """Which page judges this member now."""
        pages = self.settings.monitor.pages
        if not self.modes:
            return pages[0]
        # A Standby's status page is 503 by design: a new active judged by it would be down until it has promoted.
        return STATUS if name == self.active and self.state.promoted else HASTATUS

    def judged(self, name: str) -> PageSight:
        """The history of the page that judges this member."""
        return self.page(name, self.decisive(name))

    def family(self, name: str, family: str) -> Health | None:
        """The health of the path to a member over one address family, by the page that judges it; None where it is not looked at by itself."""
        sight = self.judged(name).way(family)
        return None if sight is None else sight.health

    def ways_apart(self, name: str) -> tuple[bool, bool] | None:
        """Where the clients' path and the direct one steadily disagree (H5): whether the member answers directly, and by the clients' path."""
        # Healths and not looks are compared: a single look that differs is a blip, not a path that is gone.
        ways = dict(self.judged(name).ways)
        path = ways.pop(CLIENT, None)
        direct = [sight.health for sight in ways.values()]
        # Nothing can disagree with a path that has not been looked at often enough to have a health.
        if path is None or Health.UNKNOWN in (path.health, *direct):
            return None
        found = Health.UP in direct, path.health is Health.UP
        return found if found[0] is not found[1] else None

    def up(self, name: str) -> bool:
        return self.judged(name).health is Health.UP

    def down(self, name: str) -> bool:
        return self.judged(name).health is Health.DOWN

    def fresh(self, name: str, page: str) -> bool:
        return health.fresh(self.page(name, page), self.member(name).probe, self.now)

    def look(self, name: str, page: str) -> ProbeResult | None:
        """The last look at a page, where it is fresh."""
        # An old answer is none: said here once, so that no rule has to remember it (SEMANTICS 4).
        return self.page(name, page).last if self.fresh(name, page) else None

    def says(self, name: str, page: str, verdict: Verdict) -> bool:
        """The last fresh look at this page gave this verdict."""
        look = self.look(name, page)
        return look is not None and look.verdict is verdict

    def standby(self, name: str) -> bool:
        """It reads Standby; without modes, it answers."""
        return self.says(name, HASTATUS, Verdict.STANDBY) if self.modes else self.serves(name)

    def says_standby_up(self, name: str) -> bool:
        """It reads Standby, steadily."""
        return self.standby(name) and self.page(name, HASTATUS if self.modes else self.decisive(name)).health is Health.UP

    def primary(self, name: str) -> bool:
        """It reads Primary; never, where there are no modes."""
        # One fresh look is enough, without `rise`: most rules stop on a claim of Primary, and reasons to stop are believed early.
        return self.modes and self.says(name, HASTATUS, Verdict.PRIMARY)

    def serves(self, name: str) -> bool:
        """Its status page is good; without modes, its only page is."""
        return self.says(name, STATUS if self.modes else self.settings.monitor.pages[0], Verdict.OK)

    def active_down(self) -> bool:
        """The row `active-down`: proven by looks, fresh, and not one good look since."""
        if not self.active:
            return False
        # `down_at` and not `health`: health is down after `fall` looks, the move waits for `min_outage` as well.
        page = self.judged(self.active)
        return page.down_at is not None and self.fresh(self.active, self.decisive(self.active))

    def promote_by(self) -> float | None:
        """When somebody is told that the active has not become Primary; None once it has. A start begins the time anew (SEMANTICS section 1)."""
        # After a restart nobody knows what was shown before: the full time is given again rather than a page at each start.
        since = max((t for t in (self.saved.moved_at, self.state.began) if t is not None), default=None)
        return None if self.state.promoted or not self.active or since is None else since + self.settings.promote_timeout_s

    def suspect(self) -> bool:
        """The active's decisive page has failed and has not been good since."""
        return bool(self.active) and self.judged(self.active).first_bad is not None

    def syncs_from(self, name: str) -> str | None:
        """From whom it syncs: saved (a swap changes it) before configured."""
        # A saved None counts: after a swap the new primary syncs from nobody, whatever the file still says.
        return self.saved.syncs_from.get(name, self.member(name).syncs_from)

    def follows(self, name: str) -> bool:
        """It syncs from the active, from nobody named, or leads to the active only through members that are down."""
        source = self.syncs_from(name)
        if source is None:
            return True
        # As many steps as there are members: a circle in the file ends here instead of hanging the loop.
        for _ in self.settings.members:
            if source is None or source == self.active:
                return source == self.active
            # A source that is alive but not active may be ahead of the active: its copy is then another history, not ours.
            # So may one of which only old looks are left: that it was down then is no vote any more (SEMANTICS 4).
            if not self.down(source) or not self.fresh(source, self.decisive(source)):
                return False
            source = self.syncs_from(source)
        return False

    def claimants(self) -> tuple[str, ...]:
        """All who freshly say Primary, the active's own hastatus page included."""
        return tuple(name for name in self.settings.names if self.primary(name))

    def alone_primary(self, name: str) -> bool:
        """It says Primary, steadily, and nobody else does."""
        # Steadily here, other than in `primary`: this one is a reason to go, and those must be up by `rise` looks.
        return self.claimants() == (name,) and self.page(name, HASTATUS).health is Health.UP

    def rogue(self, name: str) -> bool:
        """An unlatched member beside the active that says Primary though it follows somebody else (SEMANTICS section 4)."""
        source = self.syncs_from(name)
        # A latched one is known to have lost the traffic: its claim is `OldPrimaryReturned` or `stranded`, not a stranger's.
        return name != self.active and name not in self.saved.latched and source is not None and source != self.active and self.primary(name)

    def in_maintenance(self) -> bool:
        span = self.saved.maintenance
        # By its own end, not by its presence: it ends on time even where no tick has come to remove it.
        return span is not None and span.since <= self.now < span.until

    def exchanging(self) -> bool:
        """lbctl itself is giving the Cores other roles just now: for a moment both, or neither, say Primary."""
        run = self.saved.run
        # `driving` is of this life: after a restart nobody carries the run on, and two Primaries are an alarm again.
        return run is not None and run.kind in ("switchover", "resume") and not run.failed and self.state.driving == run.id

    def run_open(self) -> bool:
        """A drive or an upgrade is under way: nobody else moves anything (SEMANTICS section 7)."""
        return self.saved.run is not None
