"""What the practices are judged on: the service as the policy sees it, and what each Core says of itself where lbctl has a hand on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from lbctl.policy.case import Case


class Holds(StrEnum):
    """How a practice is kept. `unknown` where nobody can tell: it counts as not kept for nobody, and is never silently taken as kept."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class CoreFacts:
    """One Core by its own word, as of `at` (steady seconds). `error` tells why nothing is known. Instants in `runs` are on our clock.

    `config`: the HA Configuration window's fields; `saved_at`: when it was last saved; `runs`: Sync History, newest first;
    `heartbeat`: whether a standby's runs, and its failures in a row.
    """

    member: str
    at: float
    error: str = ""
    version: str = ""
    mode: str = ""
    state: str = ""
    ha_enabled: bool = False
    skew_s: float = 0.0
    next_sync: float | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    resources: Mapping[str, Any] = field(default_factory=dict)
    runs: Sequence[Mapping[str, Any]] = ()
    heartbeat: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Audit:
    """All that one audit rests on. `notified`: how many ways to tell people lbctl itself has. `unable`: members whose own host could not take what
    follows the traffic (a virtual address), and why."""

    case: Case
    cores: Mapping[str, CoreFacts]
    notified: int = 0
    unable: Mapping[str, str] = field(default_factory=dict)

    def known(self, *names: str) -> list[CoreFacts]:
        """The Cores that could be asked, of these or of all."""
        return [self.cores[n] for n in (names or self.case.settings.names) if n in self.cores and not self.cores[n].error]

    def standbys(self) -> list[str]:
        """Every member but the active one."""
        return list(self.case.others())

    def silence(self, *names: str) -> str:
        """Why these Cores could not be asked."""
        wanted = names or self.case.settings.names
        missing = [f"{n}: {self.cores[n].error if n in self.cores else 'no drive: is configured'}" for n in wanted]
        return "; ".join(text for n, text in zip(wanted, missing, strict=True) if n not in self.cores or self.cores[n].error)


@dataclass(frozen=True, slots=True)
class Found:
    """What one practice came to."""

    holds: Holds
    evidence: str


def yes(evidence: str) -> Found:
    return Found(Holds.YES, evidence)


def no(evidence: str) -> Found:
    return Found(Holds.NO, evidence)


def unknown(evidence: str) -> Found:
    return Found(Holds.UNKNOWN, evidence)


def judged(wrong: Sequence[str], right: str) -> Found:
    """No where anything is wrong, with all of it; yes otherwise."""
    return no("; ".join(wrong)) if wrong else yes(right)
