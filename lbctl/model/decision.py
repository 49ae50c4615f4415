"""What the policy answers: the new state, why, and what should happen at once.

Two kinds of output only. *Level*: `Desired`, what should be published now, compared and corrected for ever by the reconcilers.
*Edge*: `Note`s, what has just happened, for journal, metrics, notifiers and page, none of which can answer back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lbctl.model.commands import Reply
from lbctl.model.state import State


@dataclass(frozen=True, slots=True)
class RuleResult:
    """One row of the gate: does it hold, what was seen, and what would open it."""

    rule: str
    holds: bool
    evidence: str
    # Never only "no": at night the next thing wanted is what would make it a yes.
    opens: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """Something that happened, in words for an operator. `kind` is a fixed word (docs: `policy.notes`), `page` whether somebody should be woken."""

    kind: str
    text: str
    member: str = ""
    by: str = ""
    # Silent unless said: who is woken for everything wakes up for nothing.
    page: bool = False
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """One turn of the loop. `looks` are (member, page) pairs to be looked at now; `wake_at` when a `Tick` is wanted (steady seconds)."""

    state: State
    reason: str
    looks: tuple[tuple[str, str], ...] = ()
    # Timers are data: what ends by time is an instant in the state, and no timer is lost with a process.
    wake_at: float | None = None
    notes: tuple[Note, ...] = ()
    reply: Reply | None = None


@dataclass(frozen=True, slots=True)
class Desired:
    """What should be published for a service. `addresses` maps a view to the texts of all addresses, A and AAAA; never empty for a live service.

    `previous` is what the epoch before published: an actuator that guards its writes names it as the expected old value.
    `low_ttl_s`: everything is published with at most this TTL, because a planned move is near (`--drain`); None: as configured.
    `ttl_cap_s` shrinks the TTL of direct answers while the active is suspect (SEMANTICS section 8); None: as configured.
    """

    service: str
    epoch: int
    members: tuple[str, ...]
    addresses: Mapping[str, tuple[str, ...]]
    # Only known while a move is open; a write that expects the wrong old value would never be taken (H41).
    previous: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ttl_cap_s: float | None = None
    low_ttl_s: float | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the journal. `seq` is given by the store. `data` holds only what JSON can say."""

    at: float
    service: str
    kind: str
    text: str
    by: str = ""
    epoch: int = 0
    revision: int = 0
    data: Mapping[str, Any] = field(default_factory=dict)
    seq: int = 0
