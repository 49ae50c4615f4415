"""One turn of the policy: the state as it becomes, and what is said on the way.

A decision is made in small steps, each of which may change the state, say something or ask for a look. `Turn` carries them; it lives for one
call of `decide` and is never seen outside the policy, which stays a pure function.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lbctl.model.commands import Code, Reply
from lbctl.model.decision import Note
from lbctl.model.events import Around
from lbctl.model.settings import ServiceSettings
from lbctl.model.state import Saved, State
from lbctl.policy.case import Case


class Turn:
    """The state in the making."""

    def __init__(self, settings: ServiceSettings, state: State, now: float, around: Around) -> None:
        self.settings = settings
        self.state = state
        self.now = now
        self.around = around
        self.notes: list[Note] = []
        self.looks: list[tuple[str, str]] = []
        self.reply: Reply | None = None

    @property
    def case(self) -> Case:
        # Made anew each time: a case kept over a change would answer from the state before it.
        return Case(self.settings, self.state, self.now, self.around)

    @property
    def saved(self) -> Saved:
        return self.state.saved

    def set(self, **changes: Any) -> None:
        """Changes what is only believed."""
        self.state = replace(self.state, **changes)

    def save(self, **changes: Any) -> None:
        """Changes what must be remembered before anything is done."""
        self.state = replace(self.state, saved=replace(self.state.saved, **changes))

    def note(self, kind: str, text: str, *, member: str = "", by: str = "", page: bool = False, **evidence: Any) -> None:
        """Says it once more to journal and people. Kinds are listed in `policy.words`."""
        self.notes.append(Note(kind, text, member=member, by=by, page=page, evidence=evidence))

    def look(self, member: str) -> None:
        """Asks for a look at all pages of a member, now."""
        # All pages: which one judges the member may change within this very turn.
        self.looks.extend((member, page) for page in self.settings.monitor.pages)

    def answer(self, code: Code, message: str, *, rule: str = "", **evidence: Any) -> None:
        """The reply to the command of this turn."""
        self.reply = Reply(code, message, rule=rule, evidence=evidence)

    def refuse(self, rule: str, message: str, **evidence: Any) -> None:
        """Refused by a safety rule; nothing has changed."""
        self.answer(Code.REFUSED, message, rule=rule, **evidence)

    def number(self) -> int:
        """The next number of this service, for ids."""
        # Saved, so that no id is given twice, not even by two lives.
        self.save(counter=self.saved.counter + 1)
        return self.saved.counter
