"""A look that says again what was known, of a service in which nothing is under way: most looks, and so a path of their own.

With ten thousand members this is where the controller's time goes. It counts the look and asks none of the level-based questions, because none of
their answers can have changed; whatever is not provably calm takes the whole way. A property test holds the two ways against each other.
"""

from __future__ import annotations

from dataclasses import replace

from lbctl.model.looks import Health, ProbeResult, Verdict
from lbctl.model.settings import ServiceSettings
from lbctl.model.state import PageSight, Saved, State
from lbctl.policy import health


def again(settings: ServiceSettings, state: State, look: ProbeResult) -> State | None:
    """The state with one more of the same look; None where more than that may follow."""
    sight = state.members.get(look.member)
    page = sight.pages.get(look.page) if sight is not None else None
    # Anything that leaves a mark instead of a count goes the whole way.
    if sight is None or page is None or look.void or look.started < state.judged_from:
        return None
    if not _calm(state) or not _same(page, look) or not _settled(page, look, look.member == state.saved.active):
        return None
    if look.ways and not _families_settled(page, look):
        return None
    # The same counting as on the long way; only the questions after it are left out.
    counted = health.note(page, look, settings.member(look.member).probe, good=look.good)
    seen = replace(sight, pages={**sight.pages, look.page: counted})
    # The one fact that a repeated look still moves on: `seen_window` is measured from it (H7).
    if look.verdict is Verdict.STANDBY:
        seen = replace(seen, standby_seen=look.ended)
    return replace(state, members={**state.members, look.member: seen})


def _calm(state: State) -> bool:
    """Nothing is under way that a look could carry on."""
    saved: Saved = state.saved
    idle = saved.move is None and saved.run is None and saved.incident is None and not saved.approvals and not saved.rearming
    idle = idle and saved.drain is None and saved.farewell is None
    # Any look may prove a re-sync, void one, or end a lockout.
    taken = bool(saved.latched or saved.needs_resync) or saved.lockout_until is not None
    # Before the promotion each look of the active may be the one that shows it.
    known = state.started and not state.uninitialised and state.promoted and state.up_since is not None
    return idle and not taken and known and state.blind_since is None and not state.never_promoted and not state.unsaved


def _same(page: PageSight, look: ProbeResult) -> bool:
    last = page.last
    # The key as well: another certificate is another server until proven otherwise (H17).
    return last is not None and last.verdict is look.verdict and last.reason is look.reason and last.key == look.key and not page.voided


def _families_settled(page: PageSight, look: ProbeResult) -> bool:
    """Both families are well and were: nothing is to be withheld, nothing to be given back."""
    return len(page.ways) > 1 and all(
        part.good and (known := page.way(family)) is not None and known.health is Health.UP and known.bad_run == 0 and known.leak == 0
        for family, part in look.ways
    ) and all(known.health is Health.UP for _, known in page.ways)


def _settled(page: PageSight, look: ProbeResult, active: bool) -> bool:
    if look.good:
        # A leak that is not empty may be emptied by this look: that is not provably calm.
        return page.health is Health.UP and page.bad_run == 0 and page.leak == 0
    # `down_at` is set: nothing that a further failure could complete is left.
    return not active and page.health is Health.DOWN and page.down_at is not None and look.verdict is Verdict.FAILED
