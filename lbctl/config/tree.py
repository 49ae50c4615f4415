"""The whole configuration as one frozen value: what `app` wires from, what a reload compares, what the auditor judges.

The policy's part (`ServiceSettings`) knows no paths and no secrets; what the kinds need stands beside it, still as written (file names, not
contents). Paths are absolute. Settings of actuators and notifiers are mappings whose keys are the fields of the kind's own `Settings`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lbctl.config.quantities import Endpoint
from lbctl.model.settings import SafetySettings, ServiceSettings
from lbctl.probes.base import Tls


@dataclass(frozen=True, slots=True)
class ControllerConfig:
    """This controller and its memory. `state` is an absolute path (SQLite)."""

    name: str
    state: Path
    journal_keep_s: float
    journal_bytes_max: int
    quorum: int = 1


@dataclass(frozen=True, slots=True)
class ServerTls:
    """The API's own certificate; absolute paths."""

    cert_file: Path
    key_file: Path
    client_ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class ApiConfig:
    """Where lbctl itself is reached. `socket` None: no Unix socket."""

    socket: Path | None
    listen: tuple[Endpoint, ...]
    tls: ServerTls | None = None
    tokens_file: Path | None = None


@dataclass(frozen=True, slots=True)
class TsigConfig:
    """A key for DNS messages; the secret stays in its file."""

    name: str
    algorithm: str
    secret_file: Path


@dataclass(frozen=True, slots=True)
class ZoneConfig:
    """One zone of the embedded DNS server. `ns` maps a server's name to its addresses."""

    name: str
    ns: Mapping[str, tuple[str, ...]]
    allow_transfer: tuple[str, ...] = ()
    also_notify: tuple[Endpoint, ...] = ()
    tsig: TsigConfig | None = None
    negative_ttl_s: int = 30
    verify: tuple[Endpoint, ...] = ()
    dnssec: str = "off"


@dataclass(frozen=True, slots=True)
class AuthoritativeConfig:
    """The embedded DNS server. `rate_limit` responses a second for each client prefix; 0: off."""

    listen: tuple[Endpoint, ...]
    rate_limit: int
    zones: Mapping[str, ZoneConfig]


@dataclass(frozen=True, slots=True)
class Canary:
    """Something that must answer, or we are cut off. `url` where it was given as one, else `host` and `port` for a connection."""

    name: str
    host: str
    port: int
    url: str = ""
    site: str = ""


@dataclass(frozen=True, slots=True)
class ProbeTarget:
    """Where one member is looked at, in the words of `probes.base.target_at`. `connect` wins over the resolved host of `url`.

    `families`: where it is looked at over IPv4 (4) and IPv6 (6), each with a `connect` of its own; empty where one look stands for all (H22).
    `path`: url and `connect` of the same pages by the path that clients take (H5), `path_alone` whether its failure alone is the member's.
    """

    member: str
    url: str
    connect: str | None = None
    tls: Tls = field(default_factory=Tls)
    families: tuple[tuple[int, str | None], ...] = ()
    path: tuple[str, str | None] | None = None
    path_alone: bool = False

    @property
    def looks(self) -> int:
        """How many looks one look at a page of it takes."""
        return max(1, len(self.families)) + (self.path is not None)


@dataclass(frozen=True, slots=True)
class MonitorConfig:
    """What is watched of each member: `kind` (a row of `probes.PROBES`) and the fields of that kind's `Settings`.

    `inner_failover_s`: the longest that the layer below needs for its own failover (H12).
    """

    kind: str = "core"
    settings: Mapping[str, Any] = field(default_factory=dict)
    inner_failover_s: float | None = None


@dataclass(frozen=True, slots=True)
class FreshnessSource:
    """Who tells how old a member's copy is: `kind` ssh, file or url."""

    kind: str
    every_s: float
    file: Path | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class DriveConfig:
    """The controller's hand on a Core."""

    ssh: Endpoint
    user: str
    key_file: Path
    known_hosts_file: Path


@dataclass(frozen=True, slots=True)
class HeartbeatConfig:
    """A Core's own Fail Over Controls (G-HB), as its administrator set them. `promotes`: it makes itself Primary."""

    interval_s: float
    failures: int
    recheck_s: float
    promotes: bool = True


@dataclass(frozen=True, slots=True)
class BuiltActuator:
    """One thing that is written. `settings` are the fields of the kind's `Settings`; `id` is unique in the whole configuration."""

    kind: str
    id: str
    view: str
    settings: Mapping[str, Any]

    @property
    def ttl_s(self) -> float:
        """How long resolvers may keep its answer; 0 where nothing is cached."""
        return float(self.settings.get("ttl_s", 0))


@dataclass(frozen=True, slots=True)
class BuiltService:
    """A service: the policy's settings, and what the kinds around it need, by member."""

    settings: ServiceSettings
    monitor: MonitorConfig = MonitorConfig()
    targets: Mapping[str, ProbeTarget] = field(default_factory=dict)
    freshness: Mapping[str, FreshnessSource] = field(default_factory=dict)
    drives: Mapping[str, DriveConfig] = field(default_factory=dict)
    heartbeats: Mapping[str, HeartbeatConfig] = field(default_factory=dict)
    actuators: tuple[BuiltActuator, ...] = ()


@dataclass(frozen=True, slots=True)
class NotifyConfig:
    """One way to tell people. `settings` are the fields of the kind's `Settings`; kind `url` has the one key `url`."""

    kind: str
    settings: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Config:
    """Everything. `file` is where it was read from."""

    file: Path
    controller: ControllerConfig
    api: ApiConfig
    authoritative: AuthoritativeConfig | None
    notify: tuple[NotifyConfig, ...]
    safety: SafetySettings
    canaries: tuple[Canary, ...]
    services: Mapping[str, BuiltService]
