"""When a Secondary takes its Primary for dead (G-HB). Pure: looks in, the next step out.

*Heartbeat Interval* between looks while all is well; after a look that failed, *Re-check interval* until *Consecutive Heartbeat failures
before failover* are reached. Then the failover process begins, once an outage: with *Keep in Standby* notices go out and the looks go on, so
that the next outage is noticed as well; with *Promote to Primary* the Core is promoted and has nobody to watch any more.
Nothing is kept over a restart: a Core that has just started has seen no failure.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Reaction(StrEnum):
    """*If Failure Detected*."""

    KEEP_STANDBY = "keep-standby"
    PROMOTE = "promote"


@dataclass(frozen=True, slots=True)
class Settings:
    """The *Fail Over Controls*; durations in seconds."""

    interval_s: float = 60.0
    failures: int = 5
    recheck_s: float = 30.0
    reaction: Reaction = Reaction.KEEP_STANDBY


@dataclass(frozen=True, slots=True)
class Beat:
    """What a heartbeat remembers. `failed_over`: the failover process of this outage has begun."""

    failures: int = 0
    failed_over: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """After one look: what to remember, when to look again (seconds after this one began), whether a failover process begins now, the log's line."""

    beat: Beat
    wait_s: float
    fail_over: bool
    line: str


def step(settings: Settings, beat: Beat, alive: bool) -> Step:
    """One look at the Primary, judged."""
    if alive:
        line = f"Primary answers again after {beat.failures} failed heartbeats" if beat.failures else "heartbeat ok"
        return Step(Beat(), settings.interval_s, False, line)
    failures = beat.failures + 1
    fail_over = failures >= settings.failures and not beat.failed_over
    line = f"heartbeat failed ({failures} of {settings.failures})" + (": failure detected" if fail_over else "")
    return Step(Beat(failures, beat.failed_over or fail_over), settings.recheck_s, fail_over, line)
