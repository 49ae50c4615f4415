"""What a notifier is: a way to tell people. Strictly after the decision and off its path (H52)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from lbctl.clock import Clock
from lbctl.errors import LbctlError


class Severity(StrEnum):
    """How soon somebody must look: now, in working hours, or never unless curious. The same words as the alert rules' label."""

    PAGE = "page"
    TICKET = "ticket"
    INFO = "info"


RANK = {Severity.INFO: 0, Severity.TICKET: 1, Severity.PAGE: 2}
"""For `at_least`: a way that asks for `ticket` gets `ticket` and `page`."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What happened, why, on what evidence, what to do, how to undo it. `key` makes repeats recognisable; `kind` is a note's word.

    `ends` is the key of the notice whose trouble is over with this one. `runbook` names a page of `deploy/runbooks/`.
    """

    key: str
    service: str
    kind: str
    severity: str
    at: float
    what: str
    why: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    do: str = ""
    undo: str = ""
    ends: str = ""
    runbook: str = ""

    @property
    def ident(self) -> str:
        """The same over every try of this notice, and another for the next one of its `key`: mail systems and receivers throw away what bears the
        identity of something they have had, and the second outage of a member must not be taken for the first (H52)."""
        return hashlib.sha256(f"{self.key} {self.at!r}".encode()).hexdigest()[:32]


class DeliveryFailed(LbctlError):
    """One notice did not arrive this time. `temporary` false: trying again cannot help (refused for what it says or who says it).

    `retry_after_s` is what the other side asked for. The text never holds a secret.
    """

    def __init__(self, message: str, *, temporary: bool = True, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.temporary = temporary
        self.retry_after_s = retry_after_s


class Notifier(Protocol):
    """One file a kind; listed in `notifiers.NOTIFIERS`. `at_least` is the lowest severity that this way wants."""

    id: str
    at_least: Severity

    async def send(self, notice: Notice) -> None:
        """Delivers one notice or raises `DeliveryFailed`. The queue around it owns deadline, retries and the delivery log."""
        ...


@dataclass(frozen=True, slots=True)
class Kind:
    """One row of `NOTIFIERS`. `settings` is a frozen dataclass whose fields are the configuration's keys; a wrong value raises ValueError in it.

    `scalar`: the configuration gives one text instead of a mapping (`- url: mailto://…`), which becomes `settings(text)`.
    """

    settings: type[Any]
    make: Callable[[Any, Clock], Notifier]
    scalar: bool = False
