"""Which address families of a member are published: those over which it is known to answer (H22).

Where a member is looked at over IPv4 and IPv6 (`probe.families`), each family has a history of its own. A family whose path is proven dead, while the
other one answers, is withheld from the answer; it comes back with `rise` good looks. So a broken IPv6 uplink costs nobody more than the tries of one
family, and moves no pair.

* A family is withheld only beside one that answers: the answer never becomes empty, and a member that is dead in both keeps what it has.
* What nobody has looked at yet is left as it is published; but a member to which traffic moves brings along only what was seen to answer.
* It is saved (a restart does not give a dead path back) and raises the epoch where clients are told something else: no stale writer undoes it.
* Maintenance, hold, observing, re-arming and doubt freeze it, as they freeze every decision.
"""

from __future__ import annotations

from collections.abc import Mapping

from lbctl.model.looks import Health
from lbctl.model.settings import MemberSettings, ServiceSettings
from lbctl.policy import doubt
from lbctl.policy.case import Case
from lbctl.policy.turn import Turn

NAMES = {"4": "IPv4", "6": "IPv6"}


def family_of(address: str) -> str:
    """"4" or "6"."""
    return "6" if ":" in address else "4"


def published(member: MemberSettings) -> frozenset[str]:
    """The families of all addresses that a member has, in whatever view."""
    return frozenset(family_of(address) for texts in member.address.values() for address in texts)


def addresses(settings: ServiceSettings, members: tuple[str, ...], withheld: frozenset[str]) -> Mapping[str, tuple[str, ...]]:
    """What clients of each view are told: the members' addresses without what is withheld; all of them where nothing would be left."""
    found = {}
    for view in sorted({view for name in members for view in settings.member(name).address}):
        every = [(name, text) for name in members for text in settings.member(name).address.get(view, ())]
        alive = [text for name, text in every if f"{name}/{family_of(text)}" not in withheld]
        # In each view by itself: withholding must not leave the clients of one view without any address.
        found[view] = tuple(dict.fromkeys(alive or [text for _, text in every]))
    return found


def judge(turn: Turn) -> None:
    """Withholds what is proven dead and gives back what answers again."""
    case = turn.case
    # Frozen like every decision; what is withheld already stays withheld, over restarts too.
    if not _concerned(case) or doubt.freezes(case):
        return
    wanted = frozenset(key for name in case.settings.names for key in _wanted(case, name))
    if wanted == case.saved.withheld:
        return
    before = addresses(case.settings, case.answering, case.saved.withheld)
    # Of a member that nobody is sent to it is only remembered: no new epoch, so nothing is written anywhere.
    changed = addresses(case.settings, case.answering, wanted) != before
    for key in sorted(wanted ^ case.saved.withheld):
        _tell(turn, key, key in wanted)
    turn.save(withheld=wanted, epoch=turn.saved.epoch + changed)


def _concerned(case: Case) -> bool:
    if not case.answering or case.state.uninitialised:
        return False
    return bool(case.saved.withheld) or any(page.ways for name in case.settings.names for page in case.sight(name).pages.values())


def _wanted(case: Case, name: str) -> frozenset[str]:
    """What is withheld of this member by what is seen now; what is not known stays as it is."""
    # `families: one` set by a reload gives back at once what could never be judged again.
    if not looked_at(case.settings, name):
        return frozenset()
    kept = set()
    for family in published(case.member(name)):
        key, health = f"{name}/{family}", case.family(name, family)
        # Given back by `rise` alone, never by time or by not knowing.
        if health is Health.UP:
            continue
        # Beside one that is proven to answer: silent in both is an outage of the member, and the gate's business.
        other_answers = any(case.family(name, other) is Health.UP for other in published(case.member(name)) - {family})
        if key in case.saved.withheld or (_proven_dead(case, name, family) and other_answers):
            kept.add(key)
    return frozenset(kept)


def _proven_dead(case: Case, name: str, family: str) -> bool:
    """By the same measure as a member: `fall` or leak, and `min_outage`."""
    sight = case.judged(name).way(family)
    return sight is not None and sight.health is Health.DOWN and sight.down_at is not None


def looked_at(settings: ServiceSettings, name: str) -> bool:
    """Whether each family of this member is looked at by itself."""
    member = settings.member(name)
    # A member with one family has nothing to withhold: its only family is itself.
    return member.probe.families != "one" and len(published(member)) > 1


def brought(case: Case, name: str) -> frozenset[str]:
    """What is withheld once traffic is on `name`: nothing is told to clients that was not seen to answer."""
    if not looked_at(case.settings, name):
        return case.saved.withheld
    health = {family: case.family(name, family) for family in published(case.member(name))}
    # Nothing is seen to answer (a move by force): then nothing is known that would justify telling less.
    if Health.UP not in health.values():
        return case.saved.withheld
    return case.saved.withheld | {f"{name}/{family}" for family, seen in health.items() if seen is not Health.UP}


def _tell(turn: Turn, key: str, gone: bool) -> None:
    name, _, family = key.partition("/")
    sight = turn.case.judged(name).way(family) if name in turn.settings.names else None
    why = sight.last.detail or str(sight.last.reason) if gone and sight is not None and sight.last is not None else ""
    text = f"{NAMES[family]} of {name} is {'withheld: ' + (why or 'it does not answer') if gone else 'published again'}"
    turn.note("family-withheld" if gone else "family-back", text, member=name, family=family)
