"""Verdicts over time: rise, fall, leak, and how long an outage is proven.

Three counts, after gdnsd's model. `fall` bad looks in a row bring a page down, `rise` good ones bring it up. Slow flapping never reaches `fall`
in a row, so failures are also kept in a leaky count that only `leak` good looks in a row empty; when as many as `leak` have gathered the page
is down as well (H6). The leaky threshold is `leak` and not `fall`: three late looks scattered over a minute must not move a company's fleet, ten that
never leave ten good ones between them are an outage of their own. Coming up begins a new count: what a page answered before (a standby's status page
always fails) is no flapping.

An outage is proven by looks, not by a clock: `min_outage` has passed when a failed look *started* that long after the first failed one started,
with no good look between. Looks started less than `timeout` apart are one (SEMANTICS section 2): a burst is a single piece of evidence.
"""

from __future__ import annotations

from dataclasses import replace

from lbctl.model.looks import Health, ProbeResult, Verdict
from lbctl.model.settings import ProbeSettings
from lbctl.model.state import PageSight


def note(sight: PageSight, look: ProbeResult, probe: ProbeSettings, *, good: bool) -> PageSight:
    """The page's history with one more real look. `good` is the caller's: what is good depends on whether the member is active."""
    # One place sets `last`, `since` and clears `voided`, so that a good, a bad and a neutral look cannot differ in that.
    seen = neutral(sight, look)
    if look.ways:
        seen = replace(seen, ways=ways(sight, look, probe))
    return _good(seen, probe) if good else _bad(seen, look, probe)


def ways(sight: PageSight, look: ProbeResult, probe: ProbeSettings) -> tuple[tuple[str, PageSight], ...]:
    """Each address family has counts of its own, by the same rules: one dead path must neither hide behind the other nor bring it down (H22)."""
    known = dict(sight.ways)
    for family, part in look.ways:
        if not part.void:  # one way's stall must not count against it, though the other way's look was real
            answered = part.good or part.verdict is Verdict.UNKNOWN  # a mode that is none came over a path that works
            known[family] = note(known.get(family, PageSight()), part, probe, good=answered)
    return tuple(sorted(known.items()))


def neutral(sight: PageSight, look: ProbeResult) -> PageSight:
    """A look that says something, but neither good nor bad (an unknown mode of the active, H14)."""
    # Counts stay as they are: a mode that we cannot read must neither prove an outage nor interrupt the proof of one.
    since = sight.since if sight.last is not None and sight.last.verdict is look.verdict else look.ended
    return replace(sight, last=look, since=since, voided="")


def void(sight: PageSight, why: str) -> PageSight:
    """A look that counts for nothing, and the reason why the next one is needed."""
    # `last` stays: freshness goes on ageing, so a page that only gives void looks ends up with no vote at all.
    return replace(sight, voided=why)


def forget(sight: PageSight) -> PageSight:
    """The failures of a time in which we could not see: gone, with the health they had led to (H3)."""
    # `last` is kept to be shown and to age; counts and `down_at` begin anew, so that nothing moves on what was seen before.
    return PageSight(last=sight.last, since=sight.since, ways=tuple((name, forget(part)) for name, part in sight.ways))


def _good(sight: PageSight, probe: ProbeSettings) -> PageSight:
    run = sight.good_run + 1
    # Only the step up or `leak` good looks in a row empty the leak: single good looks between failures are what flapping is.
    risen = run >= probe.rise and sight.health is not Health.UP
    health = Health.UP if run >= probe.rise else sight.health
    leak = 0 if risen or run >= probe.leak else sight.leak
    # One good look ends the proof of the outage (SEMANTICS 2, `active-down`), though the health stays down until `rise`.
    return replace(sight, health=health, good_run=run, bad_run=0, leak=leak, first_bad=None, last_bad=None, down_at=None)


def _bad(sight: PageSight, look: ProbeResult, probe: ProbeSettings) -> PageSight:
    run = sight.bad_run + 1
    leak = min(sight.leak + 1, probe.leak)
    first = look.started if sight.first_bad is None else sight.first_bad
    # The end of a burst is not advanced by looks of the same burst: three looks of one second are one piece of evidence.
    last = look.started if sight.last_bad is None or look.started - sight.last_bad >= probe.timeout_s else sight.last_bad
    fallen = run >= probe.fall or leak >= probe.leak
    health = Health.DOWN if fallen else sight.health
    # Both measured by starts of looks: an end may be late because we are, a start says when somebody asked.
    proven = health is Health.DOWN and last - first >= probe.min_outage_s
    # Kept from the look that completed the proof: a later one must not make the candidate's confirming look old again.
    down_at = sight.down_at if sight.down_at is not None else (look.ended if proven else None)
    return replace(sight, health=health, good_run=0, bad_run=run, leak=leak, first_bad=first, last_bad=last, down_at=down_at)


def unsettled(sight: PageSight) -> bool:
    """Its health may change with the next looks: worth a faster pace."""
    # Down with no good look yet is settled: asking a dead member at the fast pace for days would prove nothing (H23).
    if sight.health is Health.UP:
        return sight.bad_run > 0
    return sight.health is Health.UNKNOWN or sight.good_run > 0


def fresh(sight: PageSight, probe: ProbeSettings, now: float) -> bool:
    """A vote older than two intervals counts for nobody (SEMANTICS section 4). One timeout more, for the look that is under way."""
    return sight.last is not None and now - sight.last.ended <= 2 * probe.interval_s + probe.timeout_s
