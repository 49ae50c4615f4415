"""The exceptions of lbctl: one root, few children, each named by who must act next.

A failed probe, a refused command or a rejected update is a *value* with a reason, never an exception: the caller is expected to look at it.
What stands here is for what the caller cannot be expected to look at.
"""

from __future__ import annotations

from dataclasses import dataclass


class LbctlError(Exception):
    """Root of all: whatever lbctl raises on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a configuration: where it stands, what was expected, and what the author may have meant."""

    where: str
    path: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        text = f"{self.where}: {self.path}: {self.message}" if self.path else f"{self.where}: {self.message}"
        return f"{text} ({self.hint})" if self.hint else text


class ConfigError(LbctlError):
    """The author of the configuration must act. Carries *all* problems of one reading, each with its place."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class StaleRevision(LbctlError):
    """Somebody else saved first: read again, judge again."""

    def __init__(self, expected: int, found: int) -> None:
        super().__init__(f"expected revision {expected}, found {found}")
        self.expected = expected
        self.found = found


class StoreUnavailable(LbctlError):
    """Nothing can be remembered, so nothing may be decided: whoever keeps the disk or the cluster must act."""


class LeaseLost(LbctlError):
    """Another lbctl holds the right to act."""


class ActuatorError(LbctlError):
    """A write or a read-back failed. `reason` is a metric label from the actuator's own bounded list; `hint` says what to look at."""

    def __init__(self, reason: str, message: str, *, hint: str = "", temporary: bool = True) -> None:
        super().__init__(f"{message} ({hint})" if hint else message)
        self.reason = reason
        self.hint = hint
        self.temporary = temporary


class Superseded(ActuatorError):
    """A newer epoch is already published there: this writer is stale and must not try again (H41, H43)."""

    def __init__(self, message: str, *, found_epoch: int | None = None) -> None:
        super().__init__("superseded", message, temporary=False)
        self.found_epoch = found_epoch


class InvariantBroken(LbctlError):
    """The policy produced what must never be. The service stops acting and pages a human; this is never caught to go on."""
