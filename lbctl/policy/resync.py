"""May this member's data be trusted again? (SEMANTICS section 3, "re-synced")

Whoever lost the traffic may have taken writes that nobody else has, and misses what was written since. It is re-synced by a successful sync
*from the active* that started after the active last took writes, and it must have read Standby since its return. When the active last took
writes is known by its status page: failing at every look since means that nobody could write.
"""

from __future__ import annotations

from lbctl.policy.case import Case


def read_standby_since_return(case: Case, name: str) -> bool:
    """It has read Standby at some look since it came back, and since traffic last moved."""
    sight = case.sight(name)
    # The clause about its return: a Standby of before the failure says nothing about a member that came back as Primary; nor does one of before it
    # had the traffic, where it lost it without going away.
    back = max((t for t in (sight.returned_at, case.saved.moved_at) if t is not None), default=None)
    return sight.standby_seen is not None and (back is None or sight.standby_seen >= back)


def proven(case: Case, name: str) -> bool:
    """A sync proves it: from the active, started after the active last took writes."""
    sight, quiet = case.sight(name), case.sight(case.active).unserving_since
    # A copy of somebody else's data is fresh and wrong. While the active may take writes no finished sync is the last one.
    if sight.sync_started is None or sight.sync_from != case.active or quiet is None:
        return False
    # Started, not completed: a sync that was already under way when the last write came may not hold it. And after traffic last moved: an older one,
    # of an earlier time on the other side, is newer than the quiet of a standby that has failed ever since, and knows nothing of this outage.
    return sight.sync_started > max(quiet, sight.strayed or quiet, case.saved.moved_at or quiet) and read_standby_since_return(case, name)


def proven_for_swap(case: Case, name: str) -> bool:
    """For `swap-roles` the active keeps serving, so a sync from it that started after the member's return is enough."""
    sight = case.sight(name)
    # Without any of the three instants nothing says that the sync came after the trouble: then it proves nothing.
    back = max((t for t in (sight.returned_at, case.saved.moved_at, sight.strayed) if t is not None), default=None)
    if sight.sync_started is None or sight.sync_from != case.active or back is None:
        return False
    return sight.sync_started > back and read_standby_since_return(case, name)


def voided(case: Case, name: str) -> bool:
    """A member that once lost the traffic reads Primary while the active serves: clients with old answers may write there again (H9)."""
    # Only beside a serving active: two places for writes. Alone it is the race, which has a state of its own.
    return name in case.saved.latched and case.primary(name) and case.serves(case.active)


def evidence(case: Case, name: str) -> str:
    """What is known of its copy, for people."""
    sight = case.sight(name)
    if sight.sync_started is None:
        return sight.sync_unknown or f"no sync of {name} from {case.active or 'the active'} is known"
    return f"the last sync of {name} came from {sight.sync_from} and started {case.now - sight.sync_started:.0f} s ago"
