"""What the policy hears. Past tense or nouns; a `Command` is an event too.

`Around` is not an event but the surroundings that come with each: what the other services, the canaries and the other observers show at
this moment, counted by the controller, so that a decision stays a pure function of what it was given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from lbctl.model.commands import Command, Shown
from lbctl.model.looks import ProbeResult
from lbctl.model.settings import ServiceSettings

SAME_SYNC_S = 1.0
"""Two tellings of a sync that are nearer to one another than this are of the same one."""


# Without a time of its own: `now` comes with every event, so that there is one clock and not two.
@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed; `Decision.wake_at` asked for it."""


@dataclass(frozen=True, slots=True)
class Started:
    """The first event of every life: what each actuator shows now (SEMANTICS section 6). No actuators: nothing to compare with."""

    shown: tuple[Shown, ...]


@dataclass(frozen=True, slots=True)
class Applied:
    """An actuator took this epoch; not yet seen from outside."""

    actuator: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Verified:
    """This epoch was read back from every place of the actuator."""

    actuator: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Drained:
    """An actuator publishes the low TTL of a planned move; caches may hold answers given before for `left_s` more seconds."""

    actuator: str
    left_s: float


@dataclass(frozen=True, slots=True)
class ApplyFailed:
    """An actuator could not apply or verify; it goes on trying."""

    actuator: str
    epoch: int
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Drifted:
    """A place shows something else than the verified epoch: somebody changed it behind our back."""

    actuator: str
    detail: str


@dataclass(frozen=True, slots=True)
class SyncSeen:
    """A freshness source or a drive tells of the member's last successful sync: from whom, and when it started (steady seconds)."""

    member: str
    source: str
    # Both are kept: a sync that started before the last write proves nothing, however late it ended (SEMANTICS 3).
    started: float
    completed: float

    def again(self, source: str, started: float | None) -> bool:
        """Whether it is the sync that is known already: a clock is read over the network, so no two readings give an instant quite the same."""
        return source == self.source and started is not None and abs(self.started - started) < SAME_SYNC_S


@dataclass(frozen=True, slots=True)
class SyncUnknown:
    """A freshness source could not tell."""

    member: str
    detail: str


@dataclass(frozen=True, slots=True)
class VersionSeen:
    """The software version that a member runs, as it says itself (G-UP: no sync between different ones)."""

    member: str
    version: str


@dataclass(frozen=True, slots=True)
class DriveStep:
    """A step of an open run on the Cores has ended; `ok` None: started."""

    run: str
    step: str
    ok: bool | None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class SaveFailed:
    """The store could not remember the last decision: it was not taken (H26)."""

    detail: str


@dataclass(frozen=True, slots=True)
class ClockStepped:
    """The wall clock moved against steady time by so many seconds (H30). Nothing follows from it; it is written down."""

    # Told and never used: all timers run on steady time (H30).
    seconds: float


@dataclass(frozen=True, slots=True)
class Reloaded:
    """New settings for this service, already validated and planned. Saved roles win until the file's roles change."""

    settings: ServiceSettings
    allow_switch: bool = False
    by: str = ""


Event: TypeAlias = (
    Tick
    | Started
    | ProbeResult
    | Applied
    | Verified
    | Drained
    | ApplyFailed
    | Drifted
    | SyncSeen
    | SyncUnknown
    | VersionSeen
    | DriveStep
    | SaveFailed
    | ClockStepped
    | Reloaded
    | Command
)


@dataclass(frozen=True, slots=True)
class Around:
    """The surroundings of one service at one moment.

    `proofs` / `watched`: how many of the canaries and of the members of *other* services gave any reply in their last fresh look, of how many.
    `mass`: "open", "hold" or "wait" for a move of this service, by `SafetySettings.mass_move` over all services; `mass_at`: when to ask again.
    `sites_cut`: sites all of whose canaries fail. `site_answered`: when the newest good look at a canary of the active's site began (steady seconds);
    None where it has no canaries. `votes`: other observers that freshly see the active member down.
    `followed_site`: where the service that this one `follows` is active now (G-FS).
    """

    # Alone with its members by default: then only their own replies can tell a dead path from dead members (SEMANTICS 4).
    proofs: int = 0
    watched: int = 0
    mass: str = "open"
    mass_at: float = 0.0
    sites_cut: frozenset[str] = frozenset()
    # Of the others: our own is added where they are counted, so that one observer alone needs none.
    votes: int = 0
    # "" where it is not known: a restart of the other service must not send this one anywhere.
    followed_site: str = ""
    site_answered: float | None = None
