"""From the configuration to the things it names: every kind is looked up in its dictionary here and nowhere else.

The configuration has already been checked as a whole; what is still read here are the secrets, at the moment they are needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from lbctl.actuators import ACTUATORS, Surroundings
from lbctl.actuators.base import Actuator
from lbctl.clock import Clock
from lbctl.config.quantities import Endpoint as Wish
from lbctl.config.tree import (
    AuthoritativeConfig,
    BuiltActuator,
    BuiltService,
    Canary,
    Config,
    MonitorConfig,
    NotifyConfig,
    ProbeTarget,
    TsigConfig,
    ZoneConfig,
)
from lbctl.controller import CANARIES
from lbctl.dns.settings import Endpoint, ServerSettings, TsigKey, ZoneSettings, tsig_key
from lbctl.drive import Grip, Hand
from lbctl.errors import ActuatorError, ConfigError, Problem
from lbctl.freshness import Source, StampFile
from lbctl.model.settings import MemberSettings, ProbeSettings
from lbctl.notifiers import NOTIFIERS, build
from lbctl.notifiers.base import Notifier
from lbctl.probes import PROBES
from lbctl.probes.base import CLIENT, Probe, Target, host_port, target_at
from lbctl.probes.engine import Engine
from lbctl.stores import JournalLimits, Store, open_store

CANARY_PROBE = ProbeSettings("canary", 5.0, 1.0, 3.0, 2, 2, 10, 0.0)
"""How canaries are looked at: as the default profile looks at members."""
ANY_REPLY = tuple(range(100, 600))
"""To a canary every status is an answer."""


def store_of(config: Config) -> Store:
    """The memory."""
    return open_store(str(config.controller.state), JournalLimits(config.controller.journal_keep_s, config.controller.journal_bytes_max))


# names and answers


def server_settings(config: Config, authoritative: AuthoritativeConfig) -> ServerSettings:
    """The embedded DNS server; its copy of the last answers stands beside the state, in a file of its own."""
    copy = config.controller.state.with_name(config.controller.state.stem + ".answers")
    return ServerSettings(tuple(_endpoint(wish) for wish in authoritative.listen), zones_of(authoritative), copy, authoritative.rate_limit or None)


def zones_of(authoritative: AuthoritativeConfig) -> tuple[ZoneSettings, ...]:
    """The zones it answers for."""
    return tuple(_zone(zone) for zone in authoritative.zones.values())


def _zone(zone: ZoneConfig) -> ZoneSettings:
    return ZoneSettings(
        zone.name, dict(zone.ns), zone.negative_ttl_s, _key(zone.tsig) if zone.tsig else None, zone.allow_transfer,
        tuple(_endpoint(wish) for wish in zone.also_notify), tuple(_endpoint(wish) for wish in zone.verify), zone.dnssec,
    )


def _endpoint(wish: Wish) -> Endpoint:
    return Endpoint(wish.host, wish.port)


def _key(tsig: TsigConfig) -> TsigKey:
    """Reads the secret. ConfigError names the file and never repeats what is in it."""
    try:
        return tsig_key(tsig.name, tsig.algorithm, tsig.secret_file.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError([Problem(str(tsig.secret_file), "tsig", str(error))]) from error


# what is written, and who is told


def actuator_of(built: BuiltActuator, around: Surroundings) -> Actuator:
    """One thing that is written when its service moves. ConfigError for one that cannot be used."""
    kind = ACTUATORS[built.kind]
    fields: dict[str, Any] = {key: _value(value) for key, value in built.settings.items() if value is not None}
    try:
        return kind.make(kind.settings(**fields), around)
    except ActuatorError as error:
        raise ConfigError([Problem("actuators", built.id, str(error))]) from error


def _value(value: Any) -> Any:
    if isinstance(value, TsigConfig):
        return _key(value)
    if isinstance(value, Wish):
        return _endpoint(value)
    return tuple(_value(one) for one in value) if isinstance(value, tuple) else value


def notifiers_of(ways: Iterable[NotifyConfig], clock: Clock) -> list[Notifier]:
    """The configured ways to tell people. ConfigError for one that cannot be used."""
    made: list[tuple[str, Any]] = []
    for number, way in enumerate(ways):
        try:
            made.append((way.kind, NOTIFIERS[way.kind].settings(**way.settings)))
        except (ValueError, TypeError, KeyError) as error:
            raise ConfigError([Problem("notify", f"notify[{number}]", str(error))]) from error
    return build(made, clock)


# the Cores' own side


def hands_of(services: Iterable[BuiltService], clock: Clock) -> dict[tuple[str, str], Hand]:
    """A hand on every Core that has a `drive:`."""
    return {
        (service.settings.name, member): Hand(Grip(to.ssh.host, to.ssh.port, to.user, to.key_file, to.known_hosts_file), clock)
        for service in services for member, to in service.drives.items()
    }


def sources_of(services: Iterable[BuiltService], hands: Mapping[tuple[str, str], Hand]) -> list[Source]:
    """Who tells how old each member's copy is."""
    return [
        Source(name, member, spot.kind, spot.every_s, service.settings.member(member).syncs_from or _others(service, member),
               _known_as(service, member), hands.get((name, member)), StampFile(spot.file) if spot.file else None, spot.url or "")
        for service in services for name in (service.settings.name,) for member, spot in service.freshness.items()
    ]


def _others(service: BuiltService, member: str) -> str:
    """Whom a member without `syncs_from` can only have synced from: the other one of a pair."""
    rest = [name for name in service.settings.names if name != member]
    return rest[0] if len(rest) == 1 else ""


def _known_as(service: BuiltService, of: str) -> dict[str, str]:
    """What the Core `of` may call its source, and the member that it means: never itself, and nobody by a text that means two (one address with
    several ports): a sync that may have come from somebody else proves nothing."""
    found: dict[str, set[str]] = {}
    for member in service.settings.members:
        if member.name == of:
            continue
        spot, drive = service.targets.get(member.name), service.drives.get(member.name)
        texts = [member.name, *(text for view in member.address.values() for text in view)]
        if spot is not None:
            ways = (spot.connect, *(way for _, way in spot.families))
            texts += [urlsplit(spot.url).hostname or "", *(host_port(way)[0] for way in ways if way)]
        texts += [drive.ssh.host] if drive is not None else []
        for text in texts:
            found.setdefault(text, set()).add(member.name)
    return {text: name for text, names in found.items() if len(names) == 1 for name in names}


# what is looked at


def probe_of(monitor: MonitorConfig, engine: Engine) -> Probe:
    """The probe of a service's monitor."""
    kind = PROBES[monitor.kind]
    return kind.make(kind.settings(**{key: value for key, value in monitor.settings.items() if value is not None}), engine)


def targets_of(service: BuiltService, pages: Iterable[str]) -> list[Target]:
    """Every page of every member."""
    listed = tuple(pages)
    return [_target(service.targets[member.name], member, page) for member in service.settings.members for page in listed]


def _target(spot: ProbeTarget, member: MemberSettings, page: str) -> Target:
    """The page, and where the member is looked at over several ways, the same page over each (H5, H22)."""
    def at(connect: str | None, family: int | None = None, way: str = "", url: str = spot.url) -> Target:
        made = target_at(url, member=member.name, page=page, connect=connect, tls=spot.tls, timeout_s=member.probe.timeout_s,
                         connection=member.probe.connection, family=family)
        return replace(made, way=way)

    ways = [at(connect, family, str(family)) for family, connect in spot.families]
    if spot.path is not None:
        url, connect = spot.path
        ways = [*(ways or [at(spot.connect, way="direct")]), at(connect, way=CLIENT, url=url)]
    return replace(at(spot.connect), ways=tuple(ways), rule=member.probe.families, alone=spot.path_alone)


def canaries_of(canaries: Iterable[Canary], engine: Engine) -> list[tuple[str, Probe, list[Target]]]:
    """Canaries as services of their own: those with a url are asked, the others connected to. A refusal is an answer as well."""
    http: list[Target] = []
    tcp: list[Target] = []
    for canary in canaries:
        url = canary.url or f"tcp://{f'[{canary.host}]' if ':' in canary.host else canary.host}:{canary.port}"
        page = "tcp" if url.startswith("tcp:") else "http"
        (tcp if page == "tcp" else http).append(target_at(url, member=canary.name, page=page, timeout_s=CANARY_PROBE.timeout_s, guarded=False))
    asked = PROBES["http"].make(PROBES["http"].settings(path="/", status=ANY_REPLY), engine)
    found = [(f"{CANARIES}/http", asked, http), (f"{CANARIES}/tcp", PROBES["tcp"].make(PROBES["tcp"].settings(), engine), tcp)]
    return [(name, probe, targets) for name, probe, targets in found if targets]
