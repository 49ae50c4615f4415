"""What the faces of a Core (command line, portals) may use of it. `node.Node` is one; nothing here knows it."""

from __future__ import annotations

from typing import Protocol

from lbctl.clock import Clock
from lbctl.core.connectivity import Connectivity
from lbctl.core.facts import Facts
from lbctl.core.failover import Failover
from lbctl.core.logbook import Logbook
from lbctl.core.notices import Notices
from lbctl.core.record import Record
from lbctl.core.replication import Replication
from lbctl.core.settings import CoreSettings, HaSettings
from lbctl.core.state import Role
from lbctl.core.sync.history import RunRecord
from lbctl.core.sync.transfer import ProgressSink
from lbctl.core.trust import Trust
from lbctl.core.users import Users


class Core(Protocol):
    """One Core. `record` is for reading; whatever changes the role goes through the methods here."""

    settings: CoreSettings
    clock: Clock
    log: Logbook
    record: Record
    trust: Trust
    users: Users
    replication: Replication
    notices: Notices
    failover: Failover
    connectivity: Connectivity

    @property
    def role(self) -> Role: ...

    def facts(self) -> Facts: ...

    async def promote(self, cause: str) -> None:
        """`failover mode primary`, the *Active* button, the heartbeat. Raises OSError where it cannot be saved."""
        ...

    async def save_ha(self, ha: HaSettings, *, active: bool, cause: str) -> None:
        """Save and Apply of the HA Configuration window; `active` is the Node Status of a Secondary. Raises OSError."""
        ...

    async def run_sync(self, host: str, cause: str, progress: ProgressSink | None = None) -> RunRecord:
        """Run Sync Now. Raises `SyncNotAllowed`, `SyncOverlap`, `SyncStopped`."""
        ...
