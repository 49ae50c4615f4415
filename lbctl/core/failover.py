"""The heartbeat at work: looks at the Primary, and does what *If Failure Detected* says (G-HB). Every look is a line in the HighAvailability log.

A promotion that cannot be saved has not happened, and is tried again at the next failed look. Whatever changes meanwhile (settings, role) is
judged at once: the looks so far belonged to another Primary or to another role.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from lbctl.clock import Clock
from lbctl.core.heartbeat import Beat, Reaction, step
from lbctl.core.logbook import HIGH_AVAILABILITY, Logbook
from lbctl.core.record import Record
from lbctl.core.watch import Look


class Notify(Protocol):
    """Tells people; never raises, never waits for the mail server."""

    def failure_detected(self, primary: str, detail: str, *, promoted: bool) -> None: ...


@dataclass(slots=True)
class Failover:
    """The loop of a standby. `look` is one look at a host; `halted` is true while the Core plays dead; `promote` may raise OSError."""

    record: Record
    log: Logbook
    clock: Clock
    notify: Notify
    look: Callable[[str], Awaitable[Look]]
    halted: Callable[[], bool]
    promote: Callable[[str], Awaitable[None]]
    beat: Beat = field(default_factory=Beat)
    last: Look | None = None

    async def run(self) -> None:
        """For ever."""
        while True:
            primary = self.record.ha.primary_host
            if not self.record.role.beating or not primary or self.halted():
                self.beat, self.last = Beat(), None
                await self.record.wait()
                continue
            before = self.record.saved
            self.last = await self.look(primary)
            if before == self.record.saved and not self.halted():
                wait_s = await self._judge(primary, self.last)
                await self._rest(wait_s - self.last.elapsed_s)
            if before.ha != self.record.ha:
                self.beat = Beat()

    async def _rest(self, wait_s: float) -> None:
        """Until the next look is due, or until the looks so far mean nothing any more."""
        ha, due = self.record.ha, self.clock.now() + wait_s
        while (left := due - self.clock.now()) > 0 and self.record.ha == ha and self.record.role.beating and not self.halted():
            await self.record.wait(left)

    async def _judge(self, primary: str, seen: Look) -> float:
        """One look: the log, the reaction. Returns seconds from its beginning to the next one's."""
        settings = self.record.ha.heartbeat()
        after = step(settings, self.beat, seen.alive)
        self.log.write(
            HIGH_AVAILABILITY, f"{after.line}: {primary}: {seen.detail} ({seen.elapsed_s * 1000:.0f} ms)", level="INFO" if seen.alive else "WARNING",
        )
        if after.fail_over and not await self._fail_over(primary, seen.detail, settings.reaction):
            return after.wait_s
        self.beat = after.beat
        return after.wait_s

    async def _fail_over(self, primary: str, detail: str, reaction: Reaction) -> bool:
        """The failover process; false where it must be tried again."""
        promoted = reaction is Reaction.PROMOTE
        if promoted:
            try:
                await self.promote(f"heartbeat: {primary}: {detail}")
            except OSError as error:
                self.log.write(HIGH_AVAILABILITY, f"promotion not saved: {error.strerror}", level="ERROR")
                return False
        else:
            self.log.write(HIGH_AVAILABILITY, "failure detected: kept in Standby", level="WARNING")
        self.notify.failure_detected(primary, detail, promoted=promoted)
        return True
