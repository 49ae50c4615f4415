"""What a probe brings home: verdict, reason, and when the look began and ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Verdict(StrEnum):
    """What one page says (G-LB1, G-LB2)."""

    OK = "ok"
    STANDBY = "standby"
    PRIMARY = "primary"
    # Anything that is not exactly the guide's message (G-LB1): there is no "nearly OK".
    FAILED = "failed"
    # A reply that cannot be read: neither good nor bad for the active, bad for a candidate (SEMANTICS 1, H14).
    UNKNOWN = "unknown"


class Reason(StrEnum):
    """Why a look failed; `OK` where it did not. The list is the contract's (section 4)."""

    OK = "ok"
    MISMATCH = "mismatch"
    STATUS = "status"
    REDIRECT = "redirect"
    TOO_LARGE = "too-large"
    TIMEOUT = "timeout"
    # A refusal is an answer: it proves the path, and so speaks against being blind.
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    RESET = "reset"
    TLS = "tls"
    DNS = "dns"
    MALFORMED = "malformed"
    UNKNOWN_MODE = "unknown-mode"


SILENT = frozenset({Reason.TIMEOUT, Reason.UNREACHABLE, Reason.DNS})
"""Reasons that do not prove the path: nothing at all came back (SEMANTICS section 4, blind)."""

COMMON = frozenset({Reason.TLS, Reason.DNS, Reason.MALFORMED, Reason.REDIRECT})
"""Reasons that, shared by all members, speak of a common cause rather than of dead members (SEMANTICS section 4)."""

DETAIL_MAX = 200
"""Characters of `detail`; longer ones are cut by whoever makes the look."""


class Health(StrEnum):
    """Verdicts over time: rise, fall, leak."""

    UP = "up"
    DOWN = "down"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """One look at one page of one member. Times are steady seconds (`clock`), phases seconds by name.

    `detail` is printable, escaped and at most `DETAIL_MAX` long. `void` says why the look counts for nothing ("stall"), empty for a real one.
    `skew_s` is the member's `Date` header against our clock, minus half the round trip; `not_after` the server certificate's end, also when
    verification failed (UTC seconds). `suspicious` names a sign of a cache in between (H19). `key` is the SHA-256 of the certificate's public key
    in hex, "" without TLS (H17). `ways` holds what was seen over "4", "6", or "direct" and "client", where a member is looked at over several:
    every one of those looks is in exactly one result, the next that ended (H5, H22).
    """

    member: str
    page: str
    verdict: Verdict
    reason: Reason
    # Most rules go by the start: an end may be late because we were, a start says when somebody asked.
    started: float
    ended: float
    detail: str = ""
    phases: Mapping[str, float] = field(default_factory=dict)
    http_status: int | None = None
    skew_s: float | None = None
    not_after: float | None = None
    suspicious: str = ""
    # A text and no flag: what counts for nothing must be able to say why.
    void: str = ""
    key: str = ""
    ways: tuple[tuple[str, ProbeResult], ...] = ()

    @property
    def good(self) -> bool:
        """The page says that the member is up, in whatever mode."""
        # Good is "up", not "may take over": which mode is wanted is the rule's question, not the look's.
        return self.verdict in (Verdict.OK, Verdict.STANDBY, Verdict.PRIMARY)
