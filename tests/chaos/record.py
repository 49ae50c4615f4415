"""What was done and what was seen from outside, each with its real time (UTC seconds): all that the judges know besides the journal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

EVER = float("inf")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the reader was told: one address, or what stands in the place of one. Asked at `asked`, heard at `at`."""

    asked: float
    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a page of a Core, by nobody's network but the reader's own. `said`: OK, Standby, Primary, or what was wrong."""

    core: str
    page: str
    began: float
    ended: float
    said: str


@dataclass(frozen=True, slots=True)
class Write:
    """A device that registered at the published address: `code` 201 is the Core's word that it is kept."""

    uuid: str
    core: str
    began: float
    ended: float
    code: int


@dataclass(frozen=True, slots=True)
class Asked:
    """One command, from the key pressed to its exit. `code` None: it had not ended within its time."""

    words: tuple[str, ...]
    began: float
    ended: float
    code: int | None
    text: str


@dataclass(slots=True)
class Span:
    """Something was wrong from then until then; `ended` is EVER while it is."""

    kind: str
    on: tuple[str, ...]
    began: float
    ended: float = EVER


@dataclass(slots=True)
class Record:
    """Everything of one story, in the order in which it was seen."""

    began: float = field(default_factory=time.time)
    verbose: bool = False
    story: list[str] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    writes: list[Write] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    administered: list[Asked] = field(default_factory=list)
    """What strangers to all plans typed on a Core; its first word is the Core. A recovery by the guide is not among them."""
    spans: list[Span] = field(default_factory=list)

    def tell(self, text: str, at: float | None = None) -> None:
        """A line of the story."""
        line = f"{(time.time() if at is None else at) - self.began:7.2f}  {text}"
        self.story.append(line)
        if self.verbose:
            print(line, flush=True)

    @contextmanager
    def span(self, kind: str, *on: str) -> Iterator[Span]:
        """Begins before what it is about and ends after it."""
        made = Span(kind, on, time.time())
        self.spans.append(made)
        try:
            yield made
        finally:
            made.ended = time.time()

    def heard(self, answer: Answer) -> None:
        if not self.answers or self.answers[-1].text != answer.text:
            self.tell(f"  the answer is {answer.text}", answer.at)
        self.answers.append(answer)

    def overlapping(self, began: float, ended: float, *kinds: str) -> list[Span]:
        """What was wrong at some moment between the two."""
        return [span for span in self.spans if span.kind in kinds and span.began <= ended and span.ended >= began]
