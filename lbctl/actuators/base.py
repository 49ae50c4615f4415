"""What an actuator is: one configured thing that lbctl writes to, and can read back as its users see it.

An actuator's success is what a reader sees, not what a writer sent (H40, H42): `apply` may return, and still only `read` tells.
It keeps no truth of its own about what should be; the reconciler compares `read()` with what is desired, for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from lbctl.dns.resolver import Told
from lbctl.dns.settings import Endpoint
from lbctl.model.decision import Desired


@dataclass(frozen=True, slots=True)
class Place:
    """One place of an actuator (a name server, a host): what it shows, or why it could not be read.

    `serial`: of its DNS zone; `behind`: by how much that is less than the serial of the server that is written, where the two can be compared;
    `signed_until`: when the first of the answer's signatures expires (UTC seconds). These are for people to see; they decide nothing.
    """

    name: str
    addresses: frozenset[str] | None
    epoch: int | None = None
    error_reason: str = ""
    error: str = ""
    serial: int | None = None
    behind: int | None = field(default=None, compare=False)
    signed_until: float | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Actual:
    """What all places of one actuator show now. `addresses` of a place None: it could not be read; empty: nothing is published there."""

    places: tuple[Place, ...] = field(default=())


class Actuator(Protocol):
    """One file a kind; listed in `actuators.ACTUATORS`."""

    id: str
    """Unique, stable, fit for a metric label: `authoritative:core.gtm.example.com`."""
    view: str
    """Which view of a member's addresses this one publishes; "" for the plain form."""

    async def read(self) -> Actual:
        """Asks every place what it shows. Never raises for a place that is silent: that is a `Place` with an error."""
        ...

    async def apply(self, desired: Desired) -> None:
        """Makes every place show `desired`. Raises `Superseded` where a newer epoch stands, `ActuatorError` where any place could not be written."""
        ...

    async def close(self) -> None:
        """Lets go of sockets and tasks. Never changes what is published (SIGTERM changes nothing)."""
        ...


@runtime_checkable
class Direct(Protocol):
    """An actuator that answers clients itself: it can shorten the TTL it tells while the active is suspect (SEMANTICS section 8)."""

    def cap_ttl(self, seconds: float | None) -> None:
        """Tells at most this TTL from now on; None: as configured. No epoch, no serial, nothing written."""
        ...


@dataclass(frozen=True, slots=True)
class Host:
    """A host that may hold what an actuator publishes. `ready`: it holds it or could at once, None: not asked yet; `trouble`: why it could not.
    `tally`: what has happened to it there, by fixed words."""

    name: str
    ready: bool | None
    holds: bool
    trouble: str = ""
    tally: Mapping[str, int] = field(default_factory=dict)


@runtime_checkable
class Hosted(Protocol):
    """An actuator that publishes something by where it is. What its hosts say is for people to see; it decides nothing outside of it."""

    def hosts(self) -> tuple[Host, ...]:
        """All that may hold it, in order of preference, as they were last heard of. Asks nobody."""
        ...


@runtime_checkable
class Forewarned(Protocol):
    """An actuator that can get ready for a move before it is decided."""

    def forewarn(self) -> None:
        """The active member is suspect. Called with each look at it; changes nothing that is published."""
        ...


@runtime_checkable
class Cached(Protocol):
    """An actuator whose answers live on in caches: before a planned move its TTL is lowered, afterwards put back (SEMANTICS section 8)."""

    async def set_ttl(self, seconds: float | None) -> float:
        """Publishes what is published with at most this TTL from now on (None: as configured), under the same epoch.

        Returns for how many seconds a cache may still hold an answer given before. Raises as `apply` does.
        """
        ...


@runtime_checkable
class Resolved(Protocol):
    """An actuator whose answers reach clients through resolvers, some of which are named: after a move each is asked what it tells (H49).

    They decide nothing: a cache is no authority, so neither `read` nor the ledger knows of them.
    """

    resolvers: tuple[Endpoint, ...]
    keep_s: float
    """The longest that a cache may keep an answer."""

    async def told_by(self, resolver: Endpoint) -> Told:
        """What this resolver tells its clients now. Never raises for one that is silent."""
        ...


def capped(ttl_s: int, seconds: float | None) -> int:
    """The configured TTL, or the lower one that a planned move asks for; at least a second, which every cache understands."""
    return ttl_s if seconds is None else max(1, min(ttl_s, int(seconds)))


def wanted(desired: Desired, view: str) -> frozenset[str]:
    """The addresses that an actuator of this view should show."""
    return frozenset(desired.addresses.get(view) or desired.addresses.get("") or ())
