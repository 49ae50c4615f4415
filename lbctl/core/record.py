"""The one durable record of a Core (role, HA Configuration, Atlas, last sync served), and every change that it may go through (G-ST, G-HA).

Each change is: compute the new record (pure, `state`), put it on the disk, then let it be seen. A change that cannot be saved raises OSError
and has not happened.
"""

from __future__ import annotations

import asyncio
from typing import Any

from lbctl.clock import Clock
from lbctl.core import state
from lbctl.core.logbook import HIGH_AVAILABILITY, Logbook
from lbctl.core.settings import CoreSettings, HaSettings
from lbctl.core.state import Role
from lbctl.core.statefile import Saved, Served, StateFile


class Record:
    """What is saved, and the only way to change it. `cause` says in the log who or what wanted a change."""

    def __init__(self, file: StateFile, settings: CoreSettings, log: Logbook, clock: Clock) -> None:
        self._file = file
        self._log = log
        self._clock = clock
        self._standby_tomcat = settings.standby_tomcat
        self._changed = asyncio.Event()
        self.saved = Saved()

    def load(self, settings: CoreSettings) -> None:
        """The last record, or on the very first start one from the Core's file. Raises `StateUnreadable`."""
        found = self._file.load()
        if found:
            self.saved = found
        else:
            self.saved = Saved(atlas=settings.atlas)
            self.save_ha(settings.ha, active=False, cause="first start")

    @property
    def role(self) -> Role:
        return self.saved.role

    @property
    def ha(self) -> HaSettings:
        return self.saved.ha

    async def wait(self, timeout_s: float | None = None) -> bool:
        """Until something changes, or until the time is over; true for a change."""
        changed = self._changed
        try:
            async with asyncio.timeout(timeout_s):
                await changed.wait()
        except TimeoutError:
            return False
        return True

    def wake(self) -> None:
        """Lets everybody who waits look again, though nothing that is saved has changed."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def promote(self, cause: str) -> bool:
        """Active. True where the Core was on standby before; repeating it changes nothing."""
        was_standby = self.role.standby
        self._become(state.promote(self.role), cause)
        return was_standby

    def demote(self, cause: str) -> None:
        """`failover mode secondary`."""
        self._become(state.demote(self.role, standby_tomcat=self._standby_tomcat), cause)

    def save_ha(self, ha: HaSettings, *, active: bool, cause: str) -> None:
        """Save and Apply of the HA Configuration window; `active`: the Node Status button of a Secondary. Anchors the schedule anew."""
        role = state.save(self.role, enabled=ha.enabled, mode=ha.mode, active=active, standby_tomcat=self._standby_tomcat)
        self._commit(cause, role=role, ha=ha, saved_at=self._clock.now())

    def enable(self, on: bool, cause: str) -> None:
        """High Availability alone; enabling starts the schedule anew."""
        ha = self.ha.model_copy(update={"enabled": on})
        self._commit(cause, role=state.enable(self.role, on), ha=ha, saved_at=self._clock.now())

    def set_service(self, cause: str, *, tomcat: bool | None = None, clients: bool | None = None) -> None:
        """`service tomcat start|stop` and `failover client-connection enable|disable`."""
        self._become(state.with_services(self.role, tomcat=tomcat, clients=clients), cause)

    def set_atlas(self, on: bool, cause: str) -> None:
        """Settings > Services > Atlas (G-AT)."""
        self._commit(cause, atlas=on)

    def note_served(self, host: str, result: str) -> None:
        """A Secondary has synchronised with this Core: HA Status."""
        self._commit("", served=Served(host=host, at=self._clock.now(), result=result))

    def _become(self, role: Role, cause: str) -> None:
        self._commit(cause, role=role)

    def _commit(self, cause: str, **changes: Any) -> None:
        after = self.saved.model_copy(update=changes)
        if after == self.saved:
            return
        self._file.save(after)
        before, self.saved = self.saved, after
        if cause and before.role != after.role:
            self._log.write(HIGH_AVAILABILITY, f"{_shown(before.role)} -> {_shown(after.role)} ({cause})")
        self.wake()


def _shown(role: Role) -> str:
    """A role in one word for the log."""
    services = {"HA": role.ha_enabled, "scheduler": role.scheduler, "tomcat": role.tomcat, "clients": role.clients}
    return f"{role.mode}/{role.state}[{' '.join(name for name, on in services.items() if on)}]"
