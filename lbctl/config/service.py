"""One service's models -> its frozen settings: the policy's part, and what the kinds around it need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lbctl.config.context import Context
from lbctl.config.kinds import Actuator
from lbctl.config.profiles import families, probe_settings, rule
from lbctl.config.services import ClientTls, Member, Monitor, Service
from lbctl.config.surroundings import actuator_id
from lbctl.config.tree import (
    BuiltActuator,
    BuiltService,
    DriveConfig,
    FreshnessSource,
    HeartbeatConfig,
    MonitorConfig,
    ProbeTarget,
    TsigConfig,
)
from lbctl.model.settings import Freshness, Heartbeat, MemberSettings, MonitorSettings, Role, ServiceSettings
from lbctl.probes import PROBES
from lbctl.probes.base import Tls, host_port, literal, pin, url_parts

DURATIONS = ("lockout", "promote_timeout", "seen_window", "maintenance_max", "approval_expires")


def built_service(context: Context, name: str, service: Service) -> BuiltService:
    """Everything of one service that has passed its checks."""
    actuators = tuple(_actuator(context, actuator) for actuator in service.actuators)
    members = service.members
    return BuiltService(
        settings=_settings(context, name, service, actuators),
        monitor=_monitor(context, service.monitor),
        targets={member.name: _target(context, service, member) for member in members},
        freshness={
            member.name: FreshnessSource(fresh.source, fresh.every, context.path(fresh.file) if fresh.file else None, fresh.url)
            for member in members if (fresh := member.freshness)
        },
        drives={
            member.name: DriveConfig(drive.ssh, drive.user, context.path(drive.key_file), context.path(drive.known_hosts_file))
            for member in members if (drive := member.drive)
        },
        heartbeats={
            member.name: HeartbeatConfig(beat.interval, beat.failures, beat.recheck, beat.on_failure == "promote")
            for member in members if (beat := member.heartbeat)
        },
        actuators=actuators,
    )


def _settings(context: Context, name: str, service: Service, actuators: tuple[BuiltActuator, ...]) -> ServiceSettings:
    levels = (context.file.defaults, service)
    rules: dict[str, Any] = {f"{key}_s": value for key in DURATIONS if (value := rule(key, *levels)) is not None}
    if (rounds := rule("rearm_rounds", *levels)) is not None:
        rules["rearm_rounds"] = rounds
    kind = PROBES[service.monitor.kind]
    return ServiceSettings(
        name=name,
        members=tuple(_member(context, service, member) for member in service.members),
        kind=service.kind,
        monitor=MonitorSettings(service.monitor.kind, kind.pages, kind.modes),
        observe=service.automation == "observe",
        on_self_promoted=service.on_self_promoted,
        promote=service.on_failover.promote,
        site_cut=service.site_cut,
        follows=service.follows,
        minimum_share=service.minimum_share,
        second_person=frozenset(rule("second_person", *levels) or ()),
        quorum=context.file.controller.quorum,
        actuators=tuple(actuator.id for actuator in actuators),
        ttl_s=max((actuator.ttl_s for actuator in actuators), default=0.0),
        **rules,
    )


def _member(context: Context, service: Service, member: Member) -> MemberSettings:
    fresh = member.freshness
    levels = (context.file.defaults.probe, service.probe, member.probe)
    place = _target(context, service, member)
    return MemberSettings(
        name=member.name,
        role=Role(member.role),
        address=dict(member.address),
        probe=replace(probe_settings(*levels), families=families(member, *levels)),
        place=" ".join((place.url, *member.connect, *(text for text in place.path or () if text))),
        own_key=member.tls.own_key,
        syncs_from=member.syncs_from,
        manual_approval=member.approval == "manual",
        site=member.site,
        freshness=Freshness(fresh.max_staleness, fresh.unknown == "block") if fresh else None,
        driven=member.drive is not None,
        heartbeat=Heartbeat(beat.interval, beat.failures, beat.recheck, beat.on_failure == "promote") if (beat := member.heartbeat) else None,
    )


def _target(context: Context, service: Service, member: Member) -> ProbeTarget:
    first = next(iter(member.address.values()))[0]
    host = f"[{first}]" if ":" in first else first
    url = member.url or (f"tcp://{host}:{service.monitor.tcp.port}" if service.monitor.tcp else f"https://{host}")
    rule_ = families(member, context.file.defaults.probe, service.probe, member.probe)
    ways = family_ways(member, url) if rule_ != "one" else ()
    path = member.client_path
    return ProbeTarget(member.name, url, member.connect[0] if member.connect else None, _tls(context, member.tls), ways,
                       (path.url, path.connect) if path else None, bool(path and path.alone))


def family_ways(member: Member, url: str) -> tuple[tuple[int, str | None], ...]:
    """(family, where to connect to) for each family that the member is published in; empty where that is one only.

    In this order: what `connect` says, the url's own host (None), the member's address. ValueError where a family has no place at all.
    """
    found: dict[int, str] = {}
    for text in (text for view in member.address.values() for text in view):
        found.setdefault(6 if ":" in text else 4, text)
    return tuple((family, _way(member.connect, url, family, found[family])) for family in sorted(found)) if len(found) > 1 else ()


def _way(connects: Sequence[str], url: str, family: int, address: str) -> str | None:
    hosts = [(text, host_port(text)[0]) for text in connects]
    for text, host in hosts:
        if not literal(host) or (6 if ":" in host else 4) == family:
            return text
    if hosts:
        raise ValueError(f"expected a place to look over IPv{family} as well, found {', '.join(connects)}")
    host = url_parts(url)[1]
    return None if not literal(host) or (6 if ":" in host else 4) == family else address


def _tls(context: Context, tls: ClientTls) -> Tls:
    files = {key: str(context.path(text)) for key in ("ca_file", "client_cert_file", "client_key_file") if (text := getattr(tls, key))}
    return Tls(verify=tls.verify, server_name=tls.server_name, pin_sha256=pin(tls.pin_sha256) if tls.pin_sha256 else None, **files)


def _monitor(context: Context, monitor: Monitor) -> MonitorConfig:
    if monitor.http:
        expect = monitor.http.expect
        return MonitorConfig("http", {"path": monitor.http.path, "status": expect.status, "text": expect.text, "regex": expect.regex})
    if monitor.site:
        token = str(context.path(monitor.site.token_file)) if monitor.site.token_file else None
        return MonitorConfig("site", {"service": monitor.site.service, "token_file": token}, monitor.site.inner_failover)
    return MonitorConfig(monitor.kind)


def _actuator(context: Context, actuator: Actuator) -> BuiltActuator:
    settings = actuator.settings
    fields: dict[str, Any] = {}
    for key in type(settings).model_fields:
        value = getattr(settings, key)
        if key == "tsig":
            value = value and TsigConfig(value.name, value.algorithm, context.path(value.secret_file))
        elif key.endswith("_file"):
            value = value and context.path(value)
        fields[{"ttl": "ttl_s", "timeout": "timeout_s", "lease": "lease_s"}.get(key, key)] = value
    return BuiltActuator(actuator.kind, actuator_id(actuator.kind, settings), str(fields.get("view", "")), fields)
