"""What an operator asks for, and what is answered. Imperatives; each goes through the same inbox and the same gate as everything else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any


class Code(IntEnum):
    """How a command ended; the exit codes of the contract (section 2)."""

    DONE = 0
    ERROR = 1
    USAGE = 2
    REFUSED = 3
    CONFLICT = 4
    NO_QUORUM = 5
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
    revision: int | None = None
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failover(Command):
    """Unplanned, by an operator. `accept` names the rules that `force` overrides."""

    to: str
    force: bool = False
    accept: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Switchover(Command):
    """Planned, between healthy members. `to` None: the next in order."""

    to: str | None = None
    drive: bool = False
    drain: bool = False


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
