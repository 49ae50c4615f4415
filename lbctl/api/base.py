"""What the API needs from the controller: six reads, one `submit`, one bell.

The journal is the queue: a stream never holds events of its own. `subscribe()` gives a bell that rings when something was journaled, and the
stream reads on from the last `seq` it has sent. So a slow client costs no memory, misses nothing, and resumes from any `Last-Event-ID`.

`submit` writes the journal's line (who, what, why) in the same durable transaction as its effect and before it is acted on; the API adds nothing
to that and acts in no other way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from lbctl.model.commands import Command, Reply
from lbctl.model.decision import Step
from lbctl.stores.base import Checked, Receipt

ServiceObject = Mapping[str, Any]
"""A service as the contract (section 4) has it, as `policy.view` makes it."""


class Bell(Protocol):
    """Rings when the journal has grown or the controller stops."""

    async def wait(self) -> None:
        """Returns at the next ring, at once where it has rung since the last wait. Holds no items."""
        ...

    def close(self) -> None:
        """No more rings are wanted."""
        ...


class Controller(Protocol):
    """The controller as its faces see it (`controller.Controller` is one)."""

    async def submit(self, command: Command) -> Reply:
        """Through the service's inbox and gate; returns when it is decided and saved. KeyError for a service that is not configured."""
        ...

    @property
    def names(self) -> Sequence[str]:
        """All services in the file's order."""
        ...

    def brief(self, name: str) -> ServiceObject:
        """One service as an overview shows it; KeyError where it is not configured."""
        ...

    def service(self, name: str) -> ServiceObject:
        """One service; KeyError where it is not configured."""
        ...

    def explain(self, name: str, to: str | None = None) -> Mapping[str, Any]:
        """Why traffic is where it is and what blocks a move; KeyError for an unknown service or member."""
        ...

    def looks(self, name: str, member: str) -> Mapping[str, Mapping[str, Sequence[Any]]]:
        """What recent looks at this member have shown, by page, in cells of equal length; KeyError for an unknown service."""
        ...

    async def events(self, since: int = 0, service: str | None = None, *, limit: int = 1000, newest: bool = False) -> Sequence[Step]:
        """Journal lines with `seq` above `since`, oldest first; `newest`: the last `limit` of them."""
        ...

    async def verify_journal(self, since: int = 0) -> Checked:
        """Follows the journal's chain of hashes over the next few lines after `since`."""
        ...

    async def receipt(self, key: str) -> Receipt | None:
        """What was told under this idempotency key, or at least decided (`stores.base.Receipt`). Raises `StoreUnavailable`."""
        ...

    async def keep_receipt(self, receipt: Receipt) -> None:
        """Files what is about to be told. Raises `StoreUnavailable`."""
        ...

    def subscribe(self) -> Bell:
        """A bell of the caller's own."""
        ...

    def health(self) -> Mapping[str, Any]:
        """Of lbctl itself. `live`: every critical loop has ticked; `ready`: it may act; `leader`; `store_up`; `loop_lag_s`; `why`: in words."""
        ...


class Administration(Protocol):
    """What `app` offers beside the controller: the file it was started from, and the ways to tell people."""

    async def notify_test(self, by: str) -> Sequence[Mapping[str, Any]]:
        """A test notice through every configured way; how each ended (`notifier`, `outcome`, `detail`, `took_s`)."""
        ...

    def notices_shown(self, limit: int) -> Mapping[str, Any]:
        """The configured `ways`, how many notices are `waiting`, and the newest lines of the delivery log (`deliveries`, newest first)."""
        ...

    def cluster(self) -> Mapping[str, Any]:
        """The controllers, who of them decides what, and how many must agree that a member failed."""
        ...

    async def readiness(self, name: str) -> Mapping[str, Any]:
        """Every best practice with its evidence. KeyError where the service is not configured."""
        ...

    async def upgrade(self, name: str) -> Mapping[str, Any]:
        """The guide's nine steps and what each still misses. KeyError where the service is not configured."""
        ...

    async def upgrade_do(self, name: str, action: str, by: str, reason: str) -> Reply:
        """`start`, `next` or `abort` an upgrade run."""
        ...

    async def plan(self, text: str, name: str) -> Mapping[str, Any]:
        """What a reload to this text would change and publish; changes nothing. `ConfigError` where the text is not valid."""
        ...

    async def reload(self, by: str, *, allow_switch: bool = False) -> Reply:
        """Validate, plan, apply the file; refused where it would move traffic, unless allowed (H37). `ConfigError` where it is not valid."""
        ...
