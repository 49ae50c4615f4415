"""What must never be, judged from the truth and not from what the policy believes.

The oracle keeps its own record of every look, every command and every save, with the settings that *should* hold. Its rules are the guide's in
other words than the policy's: traffic moves by itself only off a member that truly gave no good look for long enough, only onto one that said
Standby since, never back, never against people, never twice in a lockout; nothing is written before it is saved; no epoch goes back.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lbctl.model.commands import Ack, Adopt, Approve, Code, Command, Failover, Reply, Resume, SwapRoles, Switchover
from lbctl.model.decision import Desired
from lbctl.model.looks import Verdict
from lbctl.model.settings import ProbeSettings, ServiceSettings
from lbctl.model.state import Saved
from tests.simulation.truth import Look

MOVING = (Failover, Switchover, Resume, Approve, Adopt)
UNLATCHING = (*MOVING, Ack, SwapRoles)


class WrongMove(AssertionError):
    """What must never be has been."""


@dataclass(slots=True)
class Oracle:
    """Watches one service. `stalls`: spans in which the controller was not there; looks that overlap one count for nothing."""

    settings: ServiceSettings
    looks: dict[tuple[str, str], list[Look]] = field(default_factory=dict)
    stalls: list[tuple[float, float]] = field(default_factory=list)
    booted: float = 0.0
    asked: list[tuple[float, Command]] = field(default_factory=list)
    moved_itself: float | None = None
    moved_before: float | None = None
    disk: Saved | None = None
    epochs: dict[int, str | None] = field(default_factory=dict)
    published_epoch: int = 0
    moves: int = 0

    def looked(self, look: Look) -> None:
        """A look's result has reached the controller."""
        limit = self.settings.member(look.member).probe.timeout_s / 2
        if not any(end - begin > limit and begin < look.ended and end > look.started for begin, end in self.stalls):
            self.looks.setdefault((look.member, look.page), []).append(look)

    def command(self, command: Command, now: float) -> None:
        """A person asks for something."""
        self.asked.append((now, command))

    def answered(self, command: Command, reply: Reply) -> None:
        """Refused commands excuse nothing."""
        if reply.code not in (Code.DONE, Code.ACCEPTED):
            self.asked = [(at, one) for at, one in self.asked if one is not command]
        elif isinstance(command, (*MOVING, Ack)):
            self.moved_itself = None

    def forgot(self) -> None:
        """The disk lost what was on it."""
        self.disk = None

    def saving(self, saved: Saved, now: float) -> None:
        """A decision is about to be remembered; it is judged by what was known when it was taken."""
        before = self.disk
        self._epoch(before, saved)
        if before is not None and before.active is not None:
            self._latches(before, saved)
            if saved.active != before.active:
                self._move(before, saved, now)
        self.disk = saved
        self.epochs[saved.epoch] = saved.active

    def writing(self, desired: Desired, addresses: frozenset[str]) -> None:
        """An actuator is about to show something else."""
        if not addresses:
            raise WrongMove("an empty answer is written")
        if desired.epoch not in self.epochs:
            raise WrongMove(f"epoch {desired.epoch} is written before it was saved")
        active = self.epochs[desired.epoch]
        if active is None or addresses != frozenset(self.settings.member(active).address[""]):
            raise WrongMove(f"epoch {desired.epoch} was saved for {active} and shows {', '.join(sorted(addresses))}")
        if desired.epoch < self.published_epoch:
            raise WrongMove(f"epoch {desired.epoch} is written after {self.published_epoch}")
        self.published_epoch = desired.epoch

    def _epoch(self, before: Saved | None, saved: Saved) -> None:
        if before is not None and saved.epoch < before.epoch:
            raise WrongMove(f"the epoch goes back from {before.epoch} to {saved.epoch}")
        if before is not None and saved.active != before.active and saved.epoch == before.epoch:
            raise WrongMove("the active changes within one epoch")

    def _latches(self, before: Saved, saved: Saved) -> None:
        lost = before.latched - saved.latched
        cancelled = before.move is not None and saved.move is None and saved.active == before.move.restore.active
        if lost and not cancelled and not any(isinstance(one, UNLATCHING) for _, one in self.asked):
            raise WrongMove(f"{', '.join(sorted(lost))} was unlatched by nobody")

    def _move(self, before: Saved, saved: Saved, now: float) -> None:
        self.moves += 1
        move = saved.move
        if move is None or move == before.move:
            self._without_a_move(before, saved)
        elif move.trigger == "operator":
            if not any(isinstance(one, MOVING) for _, one in self.asked):
                raise WrongMove(f"traffic moves to {saved.active} and nobody asked for it")
            self.moved_itself, self.moved_before = None, self.moved_itself
        else:
            self._judge(before, saved, move.at)
            self.moved_itself, self.moved_before = move.at, self.moved_itself

    def _without_a_move(self, before: Saved, saved: Saved) -> None:
        """Adopted by a person, or a move taken back that nobody has seen."""
        if any(isinstance(one, Adopt) for _, one in self.asked):
            return
        if before.move is None or saved.active != before.move.restore.active:
            raise WrongMove(f"the active becomes {saved.active} without a move")
        if self.published_epoch >= before.move.epoch:
            raise WrongMove(f"a published move to {before.active} is taken back")
        self.moved_itself = self.moved_before

    def _judge(self, before: Saved, saved: Saved, now: float) -> None:
        """An automatic move, by the truth."""
        source, target = before.active or "", saved.active or ""
        outage = self._outage(source, now)
        if outage is None:
            raise WrongMove(f"{source} lost the traffic without a proven outage")
        last = self._last(target, "hastatus", now)
        if last is None or last.verdict is not Verdict.STANDBY or last.started <= outage:
            raise WrongMove(f"{target} took over without having said Standby since")
        if target in before.latched or target in before.needs_resync:
            raise WrongMove(f"{target} had lost the traffic before and took it back by itself")
        if before.hold is not None or (before.maintenance is not None and before.maintenance.since <= now < before.maintenance.until):
            raise WrongMove("moved against people")
        if before.rearming or self.settings.observe:
            raise WrongMove("moved while not armed")
        if self.moved_itself is not None and now - self.moved_itself < self.settings.lockout_s:
            raise WrongMove(f"two automatic moves within {now - self.moved_itself:.1f} s")
        claim = [n for n in self.settings.names if n not in (source, *before.latched) and self._says_primary(n, now)
                 and before.syncs_from.get(n, self.settings.member(n).syncs_from) in (None, source)]
        if claim:
            raise WrongMove(f"moved while {', '.join(claim)} says Primary")

    def _outage(self, member: str, now: float) -> float | None:
        """The start of an outage that is long and thick enough on one of the pages; None where there is none."""
        probe = self.settings.member(member).probe
        for page in self.settings.monitor.pages:
            bad = self._bad_run(member, page, now)
            last = self._last(member, page, now)
            if not bad or last is None or now - last.ended > 2 * probe.interval_s + probe.timeout_s:
                continue
            if _is_down(self._life(member, page, now), probe) and bad[-1].started - bad[0].started >= probe.min_outage_s - 1e-6:
                return bad[0].started
        return None

    def _life(self, member: str, page: str, now: float) -> list[Look]:
        return [look for look in self.looks.get((member, page), []) if look.started >= self.booted and look.ended <= now]

    def _bad_run(self, member: str, page: str, now: float) -> list[Look]:
        run: list[Look] = []
        for look in reversed(self._life(member, page, now)):
            if look.good:
                break
            run.append(look)
        return run[::-1]

    def _last(self, member: str, page: str, now: float) -> Look | None:
        life = self._life(member, page, now)
        return life[-1] if life else None

    def _says_primary(self, member: str, now: float) -> bool:
        probe = self.settings.member(member).probe
        last = self._last(member, "hastatus", now)
        return last is not None and last.verdict is Verdict.PRIMARY and now - last.ended <= 2 * probe.interval_s + probe.timeout_s


def _is_down(looks: list[Look], probe: ProbeSettings) -> bool:
    """Counted naively: down by `fall` in a row or by the leaky count, up again only by `rise` in a row."""
    down, bad, good, leak = False, 0, 0, 0
    for look in looks:
        bad, good = (0, good + 1) if look.good else (bad + 1, 0)
        leak = leak + 1 if not look.good else 0 if good >= probe.leak else leak
        if bad >= probe.fall or (bad and leak >= probe.leak):
            down = True
        elif good >= probe.rise:
            down = False
    return down
