"""What must never be: asserted after every decision, in tests and in production.

Written apart from the gate and in other words, so that a mistake there is caught here. A decision that breaks one is not saved and not acted on:
the service stops acting and pages a human (`InvariantBroken`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from lbctl.errors import InvariantBroken
from lbctl.model import commands as ask
from lbctl.model.commands import Code, Command
from lbctl.model.decision import Decision
from lbctl.model.events import DriveStep, Event, Reloaded, Started
from lbctl.model.looks import SILENT, Health, ProbeResult, Verdict
from lbctl.model.settings import ServiceSettings
from lbctl.model.state import MemberSight, PageSight, Saved, State


class Change:
    """One decision seen from both sides. `automatic`: no operator's word is behind it."""

    def __init__(self, settings: ServiceSettings, before: State, decision: Decision, event: Event, now: float) -> None:
        self.settings = settings
        self.old: Saved = before.saved
        self.new: Saved = decision.state.saved
        self.before = before
        self.after = decision.state
        self.decision = decision
        self.event = event
        self.now = now

    @property
    def moved(self) -> bool:
        # The first active of a life is no move: nobody loses traffic by it.
        return self.old.active is not None and self.new.active != self.old.active

    @property
    def automatic(self) -> bool:
        # A drained command is done at a tick: a person asked for it, though no command is the event.
        waited = self.old.drain is not None and self.new.move is not None and self.new.move.trigger == "operator"
        meant = waited and self.old.drain is not None and self.new.active == self.old.drain.target
        # A driven step is somebody's word as well: no run begins without one.
        return not isinstance(self.event, Command | Reloaded | DriveStep) and not meant

    @property
    def auto_move(self) -> bool:
        """The active changed and neither an operator nor the cancelling of an unpublished move is behind it."""
        # A start may put the pointer back to what is published; no client is moved by that.
        cancelled = isinstance(self.event, Started)
        return self.moved and self.automatic and not cancelled and self.settings.kind == "failover"

    @property
    def followed(self) -> bool:
        """The one automatic move of an active that serves: to the site of the service that is followed, never of a Core (G-FS)."""
        move = self.new.move
        # By identity: an old `follow` that is still open must not excuse the next move.
        asked = self.auto_move and move is not None and move is not self.old.move and move.verb == "follow"
        return asked and bool(self.settings.follows) and not self.settings.monitor.modes

    @property
    def answer_follows(self) -> bool:
        """A pool's answer changed, and nothing but looks is behind it: no person, no start, no first answer."""
        # The first answer after an adoption is nobody's loss.
        known = bool(self.old.answering) and not self.before.uninitialised and not isinstance(self.event, Started)
        return known and self.automatic and self.new.answering != self.old.answering

    def page(self, name: str, page: str) -> PageSight:
        return self.after.members.get(name, MemberSight()).pages.get(page, PageSight())


def _epoch_rises(change: Change) -> Iterator[str]:
    if change.new.epoch < change.old.epoch:
        yield f"the epoch went back from {change.old.epoch} to {change.new.epoch}"
    if change.moved and change.new.epoch <= change.old.epoch:
        yield "traffic moved without a new epoch"
    stayed = change.new.active == change.old.active and change.new.primary == change.old.primary
    # The second yes to an `adopt` raises it and moves nothing.
    second_yes = isinstance(change.event, ask.Approve) and change.new.move is None
    excused = change.settings.kind == "pool" or second_yes or isinstance(change.event, ask.Adopt | Reloaded | Started)
    excused = excused or change.new.withheld != change.old.withheld  # another answer of the same member (H22)
    # Each needless epoch is a write everywhere, and makes `partial` mean nothing.
    if change.new.epoch > change.old.epoch and stayed and not excused:
        yield "a new epoch without a move"


def _active_is_member(change: Change) -> Iterator[str]:
    if change.old.active is not None and change.new.active is None:
        yield "the active was forgotten"
    if change.new.active is not None and change.new.active not in change.settings.names and not isinstance(change.event, Reloaded):
        yield f"{change.new.active} is no member"


def _active_is_free(change: Change) -> Iterator[str]:
    # A reload may name another active (a pool that becomes a pair), and never drops a latch (H28).
    if change.new.active in change.new.latched and not isinstance(change.event, Reloaded):
        yield f"the active {change.new.active} is latched"
    if change.new.active in change.new.needs_resync:
        yield f"the active {change.new.active} needs a resync"


def _gate_of_the_guide(change: Change) -> Iterator[str]:
    """G-LB3: the active failed, and the one who takes over said `Mode: Standby` after that."""
    if not change.auto_move or change.new.active is None or change.old.active is None:
        return
    monitor = change.settings.monitor
    # Any of its pages, and not the one the gate asks: a mistake in choosing the page must not hide here.
    pages = [change.page(change.old.active, page) for page in monitor.pages]
    if not change.followed and not any(page.health is Health.DOWN and page.bad_run > 0 for page in pages):
        yield f"{change.old.active} lost the traffic without being down"
    # Named outright and not by `decisive`: this module must not share the gate's ideas, or it would share its mistakes.
    judged = change.page(change.new.active, "hastatus" if monitor.modes else monitor.pages[0])
    wanted = {Verdict.STANDBY} if monitor.modes else {Verdict.OK}
    if change.settings.on_self_promoted == "adopt" and change.new.move is not None and change.new.move.trigger == "adopt":
        wanted = {Verdict.PRIMARY}
    if judged.last is None or judged.last.verdict not in wanted or judged.health is not Health.UP:
        yield f"{change.new.active} took over without saying that it may"
    first = min((p.first_bad for p in pages if p.first_bad is not None), default=None)
    # Weaker than `candidate-confirmed` on purpose: what must never be, not what must be.
    if judged.last is not None and first is not None and judged.last.started <= first:
        yield f"{change.new.active} took over on a look older than the outage"


def _min_outage(change: Change) -> Iterator[str]:
    if not change.auto_move or change.old.active is None or change.followed:
        return
    need = change.settings.member(change.old.active).probe.min_outage_s
    firsts = [p.first_bad for page in change.settings.monitor.pages if (p := change.page(change.old.active, page)).first_bad is not None]
    # By the clock here, by starts of looks in `health`: the looser of the two, so that only a real mistake breaks it.
    if not any(first is not None and change.now - first >= need for first in firsts):
        yield f"moved before {change.old.active} had failed for {need} s"


def _manual_resume(change: Change) -> Iterator[str]:
    """G-LB4: nothing but people moves traffic onto a latched member."""
    # The old latches: the move itself might have cleared what it had to obey.
    if change.auto_move and (change.new.active in change.old.latched or change.new.active in change.old.needs_resync):
        yield f"traffic moved by itself to {change.new.active}, which had lost it before"


def _people_were_heard(change: Change) -> Iterator[str]:
    if not change.auto_move or change.new.active is None:
        return
    # The old state throughout: what people had said before this turn is what had to be heard.
    span = change.old.maintenance
    if span is not None and span.since <= change.now < span.until:
        yield "moved by itself in maintenance"
    if change.old.hold is not None or change.old.run is not None:
        yield "moved by itself while held"
    if change.settings.observe:
        yield "moved by itself though only observing"
    # A lockout ends by time only beside a steady active, so never in the turn that moves traffic off it.
    if change.old.lockout_until is not None and not change.followed:
        yield "moved by itself while locked out"
    if change.old.rearming or change.before.uninitialised or not change.before.started:
        yield "moved by itself before being armed"
    if change.settings.member(change.new.active).manual_approval:
        yield f"{change.new.active} was taken without its approval"


def _doubts_were_heard(change: Change) -> Iterator[str]:
    if not change.auto_move:
        return
    lasts = [p.last for name in change.settings.names for page in change.settings.monitor.pages if (p := change.page(name, page)).last is not None]
    # All pages, without freshness or other services: far narrower than `blind`, and never excusable.
    if lasts and all(last is not None and not last.good and last.reason in SILENT for last in lasts):
        yield "moved by itself though nothing answers anywhere"
    # A void look that decides nothing is only the moment at which a timer was found to be over.
    if isinstance(change.event, ProbeResult) and change.event.void and (change.event.member, change.event.page) in _deciding(change):
        yield "moved by itself on a void look"
    claim = [n for n in change.settings.names if n not in change.old.latched and _says_primary(change, n)]
    trusted = change.new.move is not None and change.new.move.trigger == "adopt"
    if len(claim) > 1 or (trusted and claim != [change.new.active]):
        sources = {n: change.old.syncs_from.get(n, change.settings.member(n).syncs_from) for n in claim}
        # A rogue follows somebody else and blocks nothing (SEMANTICS 4).
        strangers = [n for n in claim if n != change.old.active and sources[n] not in (None, change.old.active)]
        if len(claim) - len(strangers) > 1:
            yield f"moved by itself while {' and '.join(claim)} say Primary"


def _deciding(change: Change) -> set[tuple[str | None, str]]:
    """The two pages on which a move rests. A void look at any other may be the event at which time has opened the gate."""
    monitor = change.settings.monitor
    plain = "hastatus" if monitor.modes else monitor.pages[0]
    return {(change.new.active, plain), (change.old.active, "status" if monitor.modes and change.before.promoted else plain)}


def _says_primary(change: Change, name: str) -> bool:
    page = change.page(name, "hastatus")
    probe = change.settings.member(name).probe
    fresh = page.last is not None and change.now - page.last.ended <= 2 * probe.interval_s + probe.timeout_s
    return fresh and page.last is not None and page.last.verdict is Verdict.PRIMARY


def _lockout_begins(change: Change) -> Iterator[str]:
    if change.auto_move and (change.new.lockout_until is None or change.new.lockout_until < change.now):
        yield "an automatic failover began no lockout"


def _loser_is_latched(change: Change) -> Iterator[str]:
    move = change.new.move
    # The one thing that keeps a failed primary from getting its traffic back by itself (G-LB4).
    if change.moved and move is not None and move is not change.old.move and move.verb != "resume" and change.old.active not in change.new.latched:
        yield f"{change.old.active} lost the traffic and is not latched"


def _latches_end_by_people(change: Change) -> Iterator[str]:
    # Cancelling an unpublished move at a start restores the latches from before it, fewer ones included.
    if change.old.latched - change.new.latched and change.automatic and not isinstance(change.event, Started):
        yield f"{', '.join(sorted(change.old.latched - change.new.latched))} was unlatched by nobody"


def _resync_ends_by_proof(change: Change) -> Iterator[str]:
    """Its flag falls only by people or by a sync from the active that started after the active stopped serving."""
    if not change.automatic or isinstance(change.event, Started):
        return
    for name in change.old.needs_resync - change.new.needs_resync:
        sight = change.after.members.get(name, MemberSight())
        # From the active of before or after: one decision may take the proof and then move the traffic on.
        source = sight.sync_from if sight.sync_from in (change.old.active, change.new.active) else ""
        quiet = change.after.members.get(source, MemberSight()).unserving_since
        if sight.sync_started is None or quiet is None or sight.sync_started <= quiet:
            yield f"{name} was taken for re-synced without a proof"


def _refusals_change_nothing(change: Change) -> Iterator[str]:
    reply = change.decision.reply
    # Traffic and latches only: a refusal may note things and take a used-up approval away.
    refused = isinstance(change.event, Command) and reply is not None and reply.code in (Code.REFUSED, Code.CONFLICT, Code.USAGE)
    if refused and reply is not None and (change.moved or change.new.latched != change.old.latched):
        yield f"a command was refused by {reply.rule} and moved traffic or a latch"


def _commands_are_answered(change: Change) -> Iterator[str]:
    if isinstance(change.event, Command | Reloaded) and change.decision.reply is None:
        yield "a command was not answered"


INVARIANTS: dict[str, Callable[[Change], Iterator[str]]] = {
    "epoch-rises": _epoch_rises,
    "active-is-member": _active_is_member,
    "active-is-free": _active_is_free,
    "gate-of-the-guide": _gate_of_the_guide,
    "min-outage": _min_outage,
    "manual-resume": _manual_resume,
    "people-were-heard": _people_were_heard,
    "doubts-were-heard": _doubts_were_heard,
    "lockout-begins": _lockout_begins,
    "loser-is-latched": _loser_is_latched,
    "latches-end-by-people": _latches_end_by_people,
    "resync-ends-by-proof": _resync_ends_by_proof,
    "refusals-change-nothing": _refusals_change_nothing,
    "commands-are-answered": _commands_are_answered,
}
"""By name, so that a broken one can be told and the mutation table can show that each is needed."""


def _pool_never_empty(change: Change) -> Iterator[str]:
    """G-SC3: once it answers, it answers with members of its own, in their order, each once."""
    new = change.new.answering
    # A pool that becomes a pair keeps its first member as the active, and no list.
    turned = isinstance(change.event, Reloaded) and change.event.settings.kind != "pool"
    if change.old.answering and not new and not turned:
        yield "the answer became empty"
    if new != tuple(name for name in change.settings.names if name in new) and not isinstance(change.event, Reloaded):
        yield f"the answer {new} is not made of members in their order"
    if new and change.new.active != new[0]:
        yield f"{change.new.active} is named as the first of {new}"


def _pool_epoch(change: Change) -> Iterator[str]:
    if change.new.answering != change.old.answering and change.old.answering and change.new.epoch <= change.old.epoch:
        yield "the answer changed without a new epoch"


def _pool_share(change: Change) -> Iterator[str]:
    """Never fewer than the minimum share, unless the members of one site are meant (`follows`)."""
    if not change.answer_follows or change.settings.follows:
        return
    least = max(1, math.ceil(change.settings.minimum_share * len(change.settings.names)))
    # Where fewer answered already, nobody can be brought in to make up for it; only leaving is judged.
    if len(change.new.answering) < min(least, len(change.old.answering)):
        yield f"{len(change.new.answering)} members answer, {least} are the fewest"


def _pool_by_looks(change: Change) -> Iterator[str]:
    """Who leaves has failed for good, unless another site is meant; who comes is up, unless nobody else could."""
    if not change.answer_follows or change.settings.follows:
        return
    pages = change.settings.monitor.pages
    left = set(change.old.answering) & set(change.settings.names) - set(change.new.answering)
    if any(all(change.page(name, page).bad_run == 0 for page in pages) for name in left):
        yield f"{', '.join(sorted(left))} left and does not fail"
    up = {name for name in change.settings.names if any(change.page(name, page).health is Health.UP for page in pages)}
    came = set(change.new.answering) - set(change.old.answering)
    # Who is not up may come only where everybody who is up has come as well.
    if came - up and up - came:
        yield f"{', '.join(sorted(came - up))} came without being up"


def _pool_people_were_heard(change: Change) -> Iterator[str]:
    if not change.answer_follows:
        return
    span = change.old.maintenance
    if span is not None and span.since <= change.now < span.until:
        yield "the answer changed in maintenance"
    # The new re-arming: the round that arms may change the answer in the same turn.
    if change.old.hold is not None or change.settings.observe or change.new.rearming:
        yield "the answer changed while held, observed or re-arming"


POOL_INVARIANTS: dict[str, Callable[[Change], Iterator[str]]] = {
    "pool-never-empty": _pool_never_empty,
    "pool-epoch": _pool_epoch,
    "pool-share": _pool_share,
    "pool-by-looks": _pool_by_looks,
    "pool-people-were-heard": _pool_people_were_heard,
}
"""What must never be of a pool, beside the others."""


def _families_by_looks(change: Change) -> Iterator[str]:
    """H22: a family is withheld from clients only beside one that answers, and by looks, not in maintenance or under a hold."""
    for key in change.new.withheld - change.old.withheld:
        name, _, family = key.partition("/")
        seen = [change.page(name, page) for page in change.settings.monitor.pages]
        # By any page: which one judges may have changed with the move that brought this about.
        if not any(part.health is Health.UP for page in seen for other, part in page.ways if other in "46" and other != family):
            yield f"{key} is withheld and nothing else of it answers"
        if all(part.health is Health.UP for page in seen for own, part in page.ways if own == family):
            yield f"{key} is withheld and answers"
        span = change.old.maintenance
        told = change.old.hold is not None or (span is not None and span.since <= change.now < span.until)
        if told and change.automatic:
            yield f"{key} was withheld in maintenance or under a hold"


def _families_leave_some(change: Change) -> Iterator[str]:
    """Clients are always told something, and something else only under a new epoch."""
    for name in change.settings.names:
        gone = {key for key in change.new.withheld if key.startswith(f"{name}/")}
        # Per member, though the answer may have others: a move to it would find nothing to publish.
        if len(gone) > 1:
            yield f"{' and '.join(sorted(gone))} are withheld: nothing of {name} is left"
    told = {change.new.active, *change.new.answering}
    changed = {key for key in change.new.withheld ^ change.old.withheld if key.partition("/")[0] in told}
    if changed and change.new.epoch <= change.old.epoch:
        yield f"{', '.join(sorted(changed))} changed in the answer without a new epoch"


FAMILY_INVARIANTS: dict[str, Callable[[Change], Iterator[str]]] = {
    "families-by-looks": _families_by_looks,
    "families-leave-some": _families_leave_some,
}
"""What must never be where members are looked at over each address family."""


def _rules(settings: ServiceSettings) -> Iterator[tuple[str, Callable[[Change], Iterator[str]]]]:
    yield from INVARIANTS.items()
    if settings.kind == "pool":
        yield from POOL_INVARIANTS.items()
    # Elsewhere there are no ways to be judged by, and this is asked at every decision.
    if any(member.probe.families != "one" for member in settings.members):
        yield from FAMILY_INVARIANTS.items()


def check(settings: ServiceSettings, before: State, decision: Decision, event: Event, now: float) -> None:
    """Raises `InvariantBroken` naming the first one that the decision breaks."""
    # Nothing to remember, so nothing to do: by identity, because this runs for each of thousands of looks a second.
    if before.saved is decision.state.saved and not isinstance(event, Command):
        return
    change = Change(settings, before, decision, event, now)
    for name, broken in _rules(settings):
        for what in broken(change):
            raise InvariantBroken(f"{settings.name}: {name}: {what}")
