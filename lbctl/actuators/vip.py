"""An address that moves between hosts, or stays in front of what moves.

Three forms of one thing:

* `{address, interface}` alone: this host holds the address as long as the service has an active member; what stands behind it here (an HAProxy, a
  Core on this host) is the site's own.
* with `forward: [443, …]`: this host holds the address and passes those ports on to the active member. The rules come first, the address after.
* with `agents:`: a host of several holds the address, told over mutually authenticated TLS (`actuators.vip_agents`): the active member's own, or,
  with `forward`, the first balancer host that lives.

What is shown is what the kernel says: the address on the interface and, with `forward`, where the rules send connections. The decision
that it stands for is remembered beside the state (`Fence`) and refuses an older one. Lease, conflict probe and announcements: `net.holder`.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lbctl.actuators.base import Actual, Host, Place, wanted
from lbctl.clock import Clock
from lbctl.errors import ActuatorError
from lbctl.model.decision import Desired
from lbctl.net.fence import Fence, file_of
from lbctl.net.forward import Forward, facing
from lbctl.net.holder import Holder

RESTART_S = 30.0
"""How long the address outlives an orderly end: a restart is shorter (SIGTERM changes nothing)."""


@dataclass(frozen=True, slots=True)
class Settings:
    """`vip: {address, interface, lease, forward, view, agents, cert_file, key_file, ca_file}`. `agents`: member, or balancer host
    with `forward`, -> (host, port) of its agent."""

    address: str
    interface: str
    lease_s: float = 3.0
    forward: tuple[int, ...] = ()
    view: str = ""
    agents: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    cert_file: Path | None = None
    key_file: Path | None = None
    ca_file: Path | None = None


class Vip:
    """The address on this host. `memory`: the file that marks stand beside."""

    def __init__(self, settings: Settings, clock: Clock, memory: Path | None, told: Callable[[str, str], None] | None = None) -> None:
        self.id = identity(settings)
        self.view = settings.view
        self._place = f"{settings.interface}@{socket.gethostname()}"
        self._fence = Fence(file_of(memory, self.id))
        self._holder = Holder(settings.address, settings.interface, settings.lease_s, clock, told)
        self._ports = settings.forward
        self._forward = Forward(self._holder.at.ip) if settings.forward else None

    async def apply(self, desired: Desired) -> None:
        addresses = wanted(desired, self.view)
        if not addresses:
            raise ActuatorError("empty", f"{self.id}: no member stands behind it", temporary=False)
        self._fence.advance(self.id, desired, addresses)
        if self._forward is not None:
            self._forward.apply(facing(self._holder.at.ip, sorted(addresses)), self._ports, desired.epoch)
        await asyncio.gather(self._fence.save(), self._holder.take())

    async def read(self) -> Actual:
        try:
            return Actual((await self._look(),))
        except ActuatorError as error:
            return Actual((Place(self._place, None, None, error.reason, str(error)),))

    def hosts(self) -> tuple[Host, ...]:
        trouble = self._holder.trouble
        return (Host(self._place, None if self._fence.mark is None else not trouble, self._holder.up, trouble, self._holder.tally),)

    async def close(self) -> None:
        await self._holder.close(RESTART_S)
        if self._forward is not None:
            self._forward.close()

    async def _look(self) -> Place:
        mark = self._fence.mark
        if not self._holder.seen().held:
            if self._holder.trouble:
                return Place(self._place, None, self._fence.epoch, "conflict", self._holder.trouble)
            return Place(self._place, frozenset(), self._fence.epoch)
        if mark is None:
            return Place(self._place, frozenset())
        if not self._holder.wanted:
            await self._holder.take()  # held by an earlier life of this process: it would end with its lease
        if self._forward is None:
            return Place(self._place, frozenset(mark.addresses), mark.epoch)
        passed = self._forward.read()
        if passed is None:
            return Place(self._place, frozenset(), mark.epoch)
        same = passed.target in mark.addresses
        return Place(self._place, frozenset(mark.addresses if same else (passed.target,)), passed.epoch)


def identity(settings: Settings) -> str:
    """`vip:203.0.113.9`."""
    return f"vip:{settings.address.split('/')[0]}" + (f"/{settings.view}" if settings.view else "")
