"""What to do: pure. Nothing here does I/O, waits or reads a clock.

`health` verdicts over time · `case` the questions a rule may ask · `doubt` reasons not to believe what we see · `gate` the table of safety rules ·
`failover`, `follow`, `pool` what is automatic · `operator`, `returns`, `runs`, `drain`, `reload` what people ask for · `start`, `pool_start` what a
restart may believe · `arming` what ends by time · `conditions`, `explain`, `view` what is said about it · `invariants` what must never be · `budget`
how long it all takes.
"""

from __future__ import annotations

from typing import Any

from lbctl.model.events import Around
from lbctl.model.settings import ServiceSettings
from lbctl.model.state import State
from lbctl.policy import explain as _explain
from lbctl.policy import view as _view
from lbctl.policy.case import Case
from lbctl.policy.decide import begin, decide
from lbctl.policy.explain import desired, fast_pages, upkeep


def view(settings: ServiceSettings, state: State, now: float, around: Around | None = None) -> dict[str, Any]:
    """The service object of the contract, section 4."""
    return _view.view(Case(settings, state, now, around or Around()))


def explain(settings: ServiceSettings, state: State, now: float, around: Around, to: str | None = None) -> dict[str, Any]:
    """The object of `lbctl explain`."""
    return _explain.explain(Case(settings, state, now, around), to)


__all__ = ["begin", "decide", "desired", "explain", "fast_pages", "upkeep", "view"]
