"""When the next sync is due (G-SY2). Pure; UTC seconds in and out, so no local time and no summer time can shift it.

*StartTime (GMT)* is a time of day. Saving the settings anchors the schedule at the first StartTime after the save: saved at 2 pm with a
StartTime of 1 pm, it begins at 1 pm of the next day. From there on *Run Every* counts. A moment that passes while a sync is still running is
left out, never queued; so is one that passed while the Core was off.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

DAY_S = 86400


class Unit(StrEnum):
    """What *Run Every* counts."""

    MINUTES = "minutes"
    HOURS = "hours"
    DAYS = "days"


UNIT_S = {Unit.MINUTES: 60, Unit.HOURS: 3600, Unit.DAYS: DAY_S}


@dataclass(frozen=True, slots=True)
class Schedule:
    """`start_s`: seconds after midnight GMT; `every_s`: seconds between runs; `saved_at`: UTC seconds of the last save."""

    start_s: int
    every_s: int
    saved_at: float

    def __post_init__(self) -> None:
        if not 0 <= self.start_s < DAY_S:
            raise ValueError("StartTime is a time of day")
        if self.every_s < 60:
            raise ValueError("Run Every is at least one minute")

    @property
    def first(self) -> float:
        """The run that begins the schedule: the first StartTime after the save (a save at that very moment still counts)."""
        midnight = math.floor(self.saved_at / DAY_S) * DAY_S
        today = midnight + self.start_s
        return float(today if today >= self.saved_at else today + DAY_S)

    def next_run(self, now: float) -> float:
        """The first due moment after `now`."""
        if now < self.first:
            return self.first
        return self.first + (math.floor((now - self.first) / self.every_s) + 1) * self.every_s
