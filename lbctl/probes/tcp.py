"""The plainest monitor: a member that takes a TCP connection is up. With an `https://` url the TLS handshake must succeed as well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lbctl.model.looks import ProbeResult
from lbctl.probes.asking import Asking, look
from lbctl.probes.base import Target
from lbctl.probes.engine import Engine


@dataclass(frozen=True, slots=True)
class Settings:
    """Nothing to set: host and port are the member's."""


@dataclass(frozen=True)
class TcpProbe:
    """One page, named `tcp`; up is `ok`."""

    settings: Settings
    engine: Engine
    pages: ClassVar[tuple[str, ...]] = ("tcp",)
    modes: ClassVar[bool] = False

    def aim(self, target: Target) -> Asking:
        # No judge and no request: to be connected (and shaken hands with) is the whole question.
        return Asking(self.engine, target)

    async def look(self, target: Target) -> ProbeResult:
        return await look(self.aim(target))
