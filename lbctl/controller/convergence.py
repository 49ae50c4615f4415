"""How long each stage of a move took: decide, save, apply, verify; and the whole, from the decision to the last verified place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Convergence:
    """One epoch under way. Times are steady seconds."""

    epoch: int
    decided_at: float
    decide_s: float
    waiting: set[str]
    save_s: float = 0.0
    saved_at: float = 0.0
    applied_at: float = 0.0
    taken: set[str] = field(default_factory=set)

    @classmethod
    def begin(cls, epoch: int, decided_at: float, decide_s: float, actuators: Iterable[str]) -> Convergence:
        return cls(epoch, decided_at, decide_s, set(actuators))

    def saved(self, now: float) -> None:
        # Where nothing had to be applied (an actuator showed it already) that stage took no time.
        self.saved_at = self.applied_at = now
        self.save_s = now - self.decided_at

    def applied(self, actuator: str, epoch: int, now: float) -> None:
        if epoch == self.epoch and actuator not in self.taken:
            self.taken.add(actuator)
            self.applied_at = now

    def verified(self, actuator: str, epoch: int, now: float) -> dict[str, float] | None:
        """The stages in seconds, when this was the last actuator to be seen; None while others are missing."""
        # A newer move has begun meanwhile: this one is never measured to its end.
        if epoch != self.epoch or actuator not in self.waiting:
            return None
        self.waiting.discard(actuator)
        if self.waiting:
            return None
        apply_s, verify_s = self.applied_at - self.saved_at, now - self.applied_at
        return {"decide": self.decide_s, "save": self.save_s, "apply": apply_s, "verify": verify_s, "total": now - self.decided_at}
