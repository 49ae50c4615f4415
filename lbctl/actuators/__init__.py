"""The kinds of actuators: one file and one row each. Only `config` and `app` look into this dictionary.

`Kind.settings` is what the configuration builds (a frozen dataclass, the file's `Settings`); `Kind.make` turns it into an actuator with what
the process lends to all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lbctl.actuators import authoritative, haproxy, rfc2136, vip, vip_agents
from lbctl.actuators import exec as command
from lbctl.actuators.base import Actuator
from lbctl.clock import Clock
from lbctl.dns.server import Server
from lbctl.errors import ActuatorError


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What actuators may use of the process. `server` None: no embedded DNS server is configured. `memory`: the state's file, beside which they may
    keep what the world has no room for; None: for the life of the process only. `told`: takes what has happened, by a fixed word and in a sentence,
    for the journal of the service."""

    clock: Clock
    server: Server | None = None
    memory: Path | None = None
    told: Callable[[str, str], None] = lambda kind, text: None

    @property
    def embedded(self) -> Server:
        """The embedded DNS server. ActuatorError where there is none (the configuration's check says it first)."""
        if self.server is None:
            raise ActuatorError("not-configured", "there is no embedded DNS server", hint="add `authoritative:`", temporary=False)
        return self.server


@dataclass(frozen=True, slots=True)
class Kind:
    """One row: the settings of a kind, and how it is made."""

    settings: type[Any]
    make: Callable[[Any, Surroundings], Actuator]


def _vip(settings: vip.Settings, around: Surroundings) -> Actuator:
    """Held by agents, where there are any; else by this host."""
    kind = vip_agents.VipAgents if settings.agents else vip.Vip
    return kind(settings, around.clock, around.memory, around.told)


ACTUATORS: Mapping[str, Kind] = {
    "authoritative": Kind(authoritative.Settings, lambda settings, around: authoritative.Authoritative(settings, around.embedded)),
    "rfc2136": Kind(rfc2136.Settings, lambda settings, around: rfc2136.Rfc2136(settings, around.clock)),
    "vip": Kind(vip.Settings, _vip),
    "haproxy": Kind(haproxy.Settings, lambda settings, around: haproxy.Haproxy(settings, around.memory)),
    "exec": Kind(command.Settings, lambda settings, around: command.Exec(settings, around.memory)),
}
