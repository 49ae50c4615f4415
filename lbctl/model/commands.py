"""What an operator asks for, and what is answered. Imperatives; each goes through the same inbox and the same gate as everything else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any


class Code(IntEnum):
    """How a command ended; the exit codes of the contract (section 2)."""

    # What scripts test for: a number never gets a second meaning.
    DONE = 0
    ERROR = 1
    USAGE = 2
    REFUSED = 3
    CONFLICT = 4
    NO_QUORUM = 5
    # Decided and saved, not yet seen from outside everywhere; not an error, but not done.
    ACCEPTED = 6
    CONFIG_INVALID = 7
    NOT_ALLOWED = 8


@dataclass(frozen=True, slots=True)
class Shown:
    """What one actuator shows, as read from outside at all its places.

    `members`: those whose addresses are there (one for a failover service, when all places agree). Empty with `nothing`: nothing is published;
    with `unread`: no place could be read; with neither: something that belongs to no member, or places that disagree (`detail` tells).
    """

    actuator: str
    members: tuple[str, ...] = ()
    nothing: bool = False
    unread: bool = False
    # None where a place has no room for one: then only what it shows can be compared.
    epoch: int | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """`by` is who asked, `revision` the one they had seen (None: whatever it is now; H36).

    `key` names this one asking, so that a repetition is not done twice; it stands in the journal's line. Empty: it may be repeated.
    """

    service: str
    by: str
    reason: str = ""
    # None says "whatever it is now": for people at a terminal who look and type; programs name what they saw.
    revision: int | None = None
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failover(Command):
    """Unplanned, by an operator. `accept` names the rules that `force` overrides."""

    to: str
    force: bool = False
    # By name, never "all": whoever overrides must know what, and the journal keeps it (H35).
    accept: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Switchover(Command):
    """Planned, between healthy members. `to` None: the next in order."""

    # No `force` beside it: a planned move that needs one is a failover and should say so (SEMANTICS 3).
    to: str | None = None
    drive: bool = False
    drain: bool = False


# No target: the way back leads to the primary; anywhere else is a failover or a switchover.
@dataclass(frozen=True, slots=True, kw_only=True)
class Resume(Command):
    """The guide's Manual Resume (G-LB4): traffic back to the primary."""

    drive: bool = False
    drain: bool = False
    attest_synced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapRoles(Command):
    """Primary and active exchange roles; traffic does not move (G-LB5)."""

    attest_synced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceOn(Command):
    """Nothing automatic until `until` (steady seconds); `since` None: now."""

    # No default: a maintenance without an end is one that is forgotten (H32).
    until: float
    since: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceExtend(Command):
    """A later end for a maintenance that is on or planned."""

    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceOff(Command):
    """Ends maintenance; the service passes through re-arming."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetHold(Command):
    """Stops automatic moves until released."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release(Command):
    """Allows automatic moves again: ends a hold and lets a mass move be judged anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopt(Command):
    """Accepts what is published as the truth; moves nothing. The controller reads all actuators and fills in `shown` as it is submitted."""

    member: str | None = None
    shown: tuple[Shown, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack(Command):
    """Ends a lockout and arms at once; with a member, unlatches it where it is re-synced."""

    member: str | None = None
    attest_synced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Approve(Command):
    """A human's yes to one proposed move; re-checked at execution (H10). The controller fills in `shown` where it is the second yes to an `adopt`."""

    # No `accept` beside it: a yes waives what any operator's move waives, and every other row is judged again (H10).
    approval: str
    shown: tuple[Shown, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Deny(Command):
    """A human's no to one proposed move."""

    approval: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UpgradeStart(Command):
    """Opens the guide's upgrade (G-UP): maintenance first, then nine steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpgradeStep(Command):
    """One of the nine steps is done, on this evidence; `last` closes the run. `notes` are facts that later steps compare with."""

    step: str
    # Wanted even where it is a person's word: a run that is read next year must say what each step rested on.
    evidence: str
    last: bool = False
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Abort(Command):
    """Ends an open run where it stands: nothing more is done on the Cores."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a command came to. `rule` names what refused it (SEMANTICS sections 2 and 3), `evidence` what was seen."""

    code: Code
    message: str
    rule: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)
