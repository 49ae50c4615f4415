"""What the configuration says, as the policy needs it: frozen values, all durations in seconds, no secrets, no paths.

`config.build` makes these; nothing here knows of YAML. Kinds (probes, actuators, notifiers …) have settings of their own beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Role(StrEnum):
    """The place in the order, by configuration; only `swap-roles` changes it."""

    PRIMARY = "primary"
    SECONDARY = "secondary"


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """How often, how long, how many (contract section 3). The defaults are the profile `careful`.

    `families`: over which address families a member that is published in both is looked at, and how the two looks make one (H22): `one` way for
    all, `any` family is enough, or `all` are needed.
    """

    profile: str = "careful"
    # A pair that takes minutes to promote and never comes back by itself must not move for a blip (SEMANTICS 2).
    interval_s: float = 5.0
    fast_interval_s: float = 1.0
    timeout_s: float = 3.0
    fall: int = 3
    rise: int = 2
    leak: int = 10
    min_outage_s: float = 20.0
    # A kept connection may go on to a process that takes no new ones any more (H19).
    connection: str = "fresh"
    families: str = "one"


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old the candidate's copy may be (H1)."""

    max_staleness_s: float
    # Where the source cannot tell, staying on a dead active is the greater harm, unless somebody has said otherwise.
    unknown_blocks: bool = False


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A Core's own Fail Over Controls (G-HB). `promotes` False: Keep in Standby."""

    interval_s: float
    failures: int
    recheck_s: float
    # The worse of the two for the race: a Core whose setting nobody told us may well promote itself (G-HB).
    promotes: bool = True

    @property
    def earliest_s(self) -> float:
        """From the Primary's death to its own promotion, when a heartbeat was just due."""
        return (self.failures - 1) * self.recheck_s

    @property
    def latest_s(self) -> float:
        """The same when one had just succeeded; each failing heartbeat may take a re-check interval itself."""
        return self.interval_s + (2 * self.failures - 1) * self.recheck_s


@dataclass(frozen=True, slots=True)
class MemberSettings:
    """One member of a service, in its place in the order.

    `address` maps a view's name to the addresses that clients are sent to (texts, A and AAAA mixed); the plain form has the one view "".
    `place` is where it is looked at, as text: what was seen elsewhere says nothing about it (H28). `own_key`: no other member of the service has
    its certificate's key, so that a look which shows another member's was no look at this one (H17).
    """

    name: str
    role: Role
    address: Mapping[str, tuple[str, ...]]
    probe: ProbeSettings = ProbeSettings()
    # Not said is no obstacle: with two members there is nobody else to sync from.
    syncs_from: str | None = None
    manual_approval: bool = False
    site: str | None = None
    freshness: Freshness | None = None
    # Only whether there is a hand: how it reaches the Core, and with which key, is none of the policy's business.
    driven: bool = False
    heartbeat: Heartbeat | None = None
    place: str = ""
    own_key: bool = False


@dataclass(frozen=True, slots=True)
class MonitorSettings:
    """Which pages of a member are watched and what they can say.

    A monitor without modes (`tcp`, `http`, `site`): up = Standby for the gate, Primary is never read (SEMANTICS section 1).
    """

    name: str = "core"
    pages: tuple[str, ...] = ("status", "hastatus")
    modes: bool = True


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """One service: its members in order of preference and the rules it lives by (SEMANTICS). `ttl_s`: the longest TTL that it is published with."""

    name: str
    members: tuple[MemberSettings, ...]
    kind: str = "failover"
    monitor: MonitorSettings = MonitorSettings()
    observe: bool = False
    # In the middle: `hold` leaves traffic on a dead active for as long as nobody types, `adopt` believes without a person.
    on_self_promoted: str = "ask"
    promote: str = "wait"
    site_cut: str = "ask"
    follows: str | None = None
    minimum_share: float = 0.5
    # Long enough for a person to be called and to look; one automatic move within it at most (H6).
    lockout_s: float = 1800.0
    # A Core takes minutes to become Primary: earlier, every failover would page a second time for nothing (H11).
    promote_timeout_s: float = 900.0
    seen_window_s: float = 600.0
    # A working day: whoever needs longer extends it, and so is known to be still there (H32).
    maintenance_max_s: float = 28800.0
    approval_expires_s: float = 1800.0
    # Rounds and not seconds: every page of every member has been seen anew as often, however slow the schedule (H33).
    rearm_rounds: int = 3
    second_person: frozenset[str] = frozenset()
    quorum: int = 1
    actuators: tuple[str, ...] = ()
    ttl_s: float = 0.0

    def member(self, name: str) -> MemberSettings:
        """The member of that name; KeyError where there is none."""
        for member in self.members:
            if member.name == name:
                return member
        raise KeyError(name)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(member.name for member in self.members)

    @property
    def primary(self) -> str:
        """The primary by the file; the saved roles win until the file's change."""
        # A pool names no primary; its first member stands for the order.
        return next((m.name for m in self.members if m.role is Role.PRIMARY), self.members[0].name)


@dataclass(frozen=True, slots=True)
class MassMove:
    """More than `share` of all services wanting to move at once is one event, not many (H53)."""

    share: float = 0.25
    # Beside the share: of three services one is a third, and no wave.
    at_least: int = 4
    window_s: float = 10.0
    # Hundreds of moves at once are a data centre or a mistake, and only people can tell which (H53).
    then: str = "hold"


@dataclass(frozen=True, slots=True)
class SafetySettings:
    """Safety across services (contract section 3). `sites` maps a site to the names of its canaries."""

    mass_move: MassMove = MassMove()
    canaries: tuple[str, ...] = ()
    stall_limit_s: float = 2.0
    sites: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
