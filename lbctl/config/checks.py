"""What must agree between values of one service. `config.surroundings` has what must agree around them.

One function a question, all listed in `CHECKS`; each gives every mistake it finds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from lbctl.config.context import Complaint, Context
from lbctl.config.kinds import Haproxy, Vip
from lbctl.config.problems import suggestion
from lbctl.config.profiles import families, probe_settings
from lbctl.config.service import family_ways
from lbctl.config.services import Member, Service
from lbctl.dns.readback import EPOCH_LABEL
from lbctl.probes import PROBES
from lbctl.probes.base import host_port, pin, url_parts

NAME_MAX = 253
MARK = EPOCH_LABEL + "."

Complaints = Iterator[Complaint]
Reader = tuple[tuple[str, ...], str | None, Callable[[str], object]]
"""Key, what stands there, and what must be able to read it."""


def roles(context: Context, name: str, service: Service) -> Complaints:
    """Exactly one primary in a failover service."""
    primaries = [number for number, member in enumerate(service.members) if member.role == "primary"]
    if service.kind == "failover" and not primaries and not context.lost(("services", name), "role", "kind", "members"):
        yield Complaint(("services", name, "members"), "no member is primary", f"add `role: primary` to {service.members[0].name}")
    for number in primaries[1:] if service.kind == "failover" and not context.lost(("services", name), "kind") else []:
        first = service.members[primaries[0]].name
        yield Complaint(("services", name, "members", number, "role"), f"there is a primary already: {first}", "the others are `secondary`")


def member_names(context: Context, name: str, service: Service) -> Complaints:
    """A name is one member's, and so is an address in a view: what is published must tell who is active."""
    seen: dict[str, int] = {}
    holders: dict[tuple[str, str], str] = {}
    for number, member in enumerate(service.members):
        path = ("services", name, "members", number)
        if seen.setdefault(member.name, number) != number:
            yield Complaint((*path, "name"), f"there is a member {member.name} already")
        for view, addresses in member.address.items():
            for address in addresses:
                if holders.setdefault((view, address), member.name) != member.name:
                    yield Complaint((*path, "address"), f"{address} is the address of {holders[view, address]} already")
    yield from _sync_chain(context, name, service)


def _sync_chain(context: Context, name: str, service: Service) -> Complaints:
    """`syncs_from` names another member, and the chain ends."""
    sources = {member.name: member.syncs_from for member in service.members}
    all_known, each_once = not context.lost(("services", name), "members"), len(sources) == len(service.members)
    for number, member in enumerate(service.members):
        path = ("services", name, "members", number, "syncs_from")
        if member.syncs_from is not None and member.syncs_from not in sources:
            if all_known:
                yield Complaint(path, f"there is no member {member.syncs_from}", suggestion(member.syncs_from, list(sources)))
        elif each_once and (loop := _loop(member.name, sources)) and min(loop) == member.name:
            yield Complaint(path, "a loop: " + " <- ".join([*loop, member.name]))


def _loop(start: str, links: dict[str, str | None]) -> list[str]:
    """The way from `start` along `links` back to `start`; empty where it does not come back."""
    way = [start]
    while (following := links.get(way[-1])) and following not in way:
        way.append(following)
    return way if following == start else []


def probing(context: Context, name: str, service: Service) -> Complaints:
    """Numbers that contradict one another."""
    if context.lost(("services", name), "probe") or context.lost(("defaults",), "probe"):
        return
    for number, member in enumerate(service.members):
        path = ("services", name, "members", number)
        settings = probe_settings(context.file.defaults.probe, service.probe, member.probe)
        near = path if member.probe.model_fields_set else ("services", name) if service.probe.model_fields_set else ("defaults",)
        if settings.timeout_s > settings.interval_s:
            yield Complaint((*near, "probe"), f"timeout {settings.timeout_s:g}s is longer than interval {settings.interval_s:g}s",
                            "a look must end before the next begins: raise `interval` or lower `timeout`")
        if settings.fast_interval_s > settings.interval_s:
            yield Complaint((*near, "probe"), f"fast_interval {settings.fast_interval_s:g}s is longer than interval {settings.interval_s:g}s")


def places(context: Context, name: str, service: Service) -> Complaints:
    """Places that cannot be looked at."""
    for number, member in enumerate(service.members):
        yield from _place(context, ("services", name, "members", number), member, service)


def _place(context: Context, path: tuple[str | int, ...], member: Member, service: Service) -> Complaints:
    connects: list[Reader] = [(("connect",), text, host_port) for text in member.connect]
    path_url, path_connect = (member.client_path.url, member.client_path.connect) if member.client_path else (None, None)
    connects += [(("client_path", "connect"), path_connect, host_port)]
    pinned: Reader = (("tls", "pin_sha256"), member.tls.pin_sha256, pin)
    readers: tuple[Reader, ...] = ((("url",), member.url, url_parts), (("client_path", "url"), path_url, url_parts), *connects, pinned)
    wrong = False
    for key, text, read in readers:
        try:
            if text:
                read(text)
        except ValueError as error:
            wrong = True
            yield Complaint((*path, *key), str(error))
    scope = path[:2]
    if not wrong and not context.lost(scope, "probe", "connect", "url") and not context.lost(("defaults",), "probe"):
        yield from _ways(context, path, member, service)
    if member.tls.client_key_file and not member.tls.client_cert_file:
        yield Complaint((*path, "tls", "client_key_file"), "is the key of no certificate", "add `client_cert_file`")
    if context.lost(scope, "url", "monitor"):
        return
    if service.monitor.tcp and not service.monitor.tcp.port and not member.url:
        yield Complaint((*path,), "no port is known", "add `monitor: {tcp: {port: …}}`, or `url: tcp://HOST:PORT` here")
    if service.monitor.kind == "site" and not member.url:
        yield Complaint((*path,), "the url of the site's lbctl is missing", "add `url: https://HOST:9653`")


def _ways(context: Context, path: tuple[str | int, ...], member: Member, service: Service) -> Complaints:
    """Each family that is looked at by itself has a place; without that, one place is enough (H22)."""
    if families(member, context.file.defaults.probe, service.probe, member.probe) == "one":
        if len(member.connect) > 1:
            yield Complaint((*path, "connect"), f"{len(member.connect)} places, and one look",
                            "add `probe: {families: any}` (or `all`) to look over each")
        return
    try:
        family_ways(member, member.url or "https://192.0.2.1")
    except ValueError as error:
        yield Complaint((*path, "connect"), str(error), "name an address of each family, or one name that has both")


def kinds(context: Context, name: str, service: Service) -> Complaints:
    """The monitor is one that this build has."""
    if service.monitor.kind not in PROBES:
        message = f"the monitor {service.monitor.kind} is not available in this build"
        yield Complaint(("services", name, "monitor"), message, f"there is {', '.join(PROBES)}")


def patterns(context: Context, name: str, service: Service) -> Complaints:
    """A pattern can be compiled."""
    regex = service.monitor.http.expect.regex if service.monitor.http else None
    try:
        re.compile(regex or "")
    except re.error as error:
        yield Complaint(("services", name, "monitor", "http", "expect", "regex"), f"not a pattern: {error}")


def means(context: Context, name: str, service: Service) -> Complaints:
    """What a setting needs so that it can do anything: freshness its source, a drive its SSH."""
    scope = ("services", name)
    undriven = not context.lost(scope, "drive")
    for number, member in enumerate(service.members):
        path = (*scope, "members", number)
        fresh = member.freshness if not context.lost(scope, "freshness") else None
        if fresh and fresh.source != "ssh" and getattr(fresh, fresh.source) is None:
            yield Complaint((*path, "freshness"), f"`source: {fresh.source}` needs `{fresh.source}:`")
        if fresh and fresh.source == "ssh" and not member.drive and undriven:
            yield Complaint((*path, "freshness", "source"), "`source: ssh` reads over the member's `drive`, which is missing")
        for other in ("file", "url"):
            if fresh and fresh.source != other and getattr(fresh, other) is not None:
                yield Complaint((*path, "freshness", other), f"says nothing with `source: {fresh.source}`")
        if service.on_failover.promote == "drive" and not member.drive and undriven:
            yield Complaint((*path,), f"`promote: drive` needs `drive:` on {member.name}", "over which SSH may lbctl promote it?")
        if member.drive and service.monitor.kind != "core" and not context.lost(scope, "monitor"):
            yield Complaint((*path, "drive"), "only a Core can be driven", "`monitor: core`")


def views(context: Context, name: str, service: Service) -> Complaints:
    """An actuator's view exists on every member."""
    if context.lost(("services", name), "view", "address"):
        return
    for number, actuator in enumerate(service.actuators):
        view = getattr(actuator.settings, "view", "")
        for member in service.members:
            if view not in member.address and "" not in member.address:
                known = ", ".join(sorted(member.address))
                message = f"{member.name} has no address in the view {view!r}" if view else f"{member.name} has addresses by view ({known})"
                yield Complaint(("services", name, "actuators", number, actuator.kind), message, f"add `view:` with one of {known}")


def zones(context: Context, name: str, service: Service) -> Complaints:
    """A published name lies in a zone that somebody serves."""
    for number, actuator in enumerate(service.actuators):
        path = ("services", name, "actuators", number, actuator.kind)
        target = getattr(actuator.settings, "name", "")
        if actuator.kind == "rfc2136" and not within(target, actuator.settings.zone):
            yield Complaint((*path, "name"), f"{target} is not in the zone {actuator.settings.zone}")
        if actuator.kind in ("authoritative", "rfc2136"):
            yield from _markable((*path, "name"), target)
        if actuator.kind == "authoritative":
            yield from _embedded(context, path, target)


def _embedded(context: Context, path: tuple[str | int, ...], target: str) -> Complaints:
    """The embedded server can answer for the name. It would refuse to start with any other."""
    server = context.file.authoritative
    if server is None:
        if "authoritative" not in context.document.values and not context.lost((), "authoritative"):
            yield Complaint(path, "the embedded DNS server is off", "add `authoritative:` with `listen` and a zone")
        return
    path = (*path, "name")
    if not any(within(target, zone) for zone in server.zones) and not context.lost(("authoritative",), "zones"):
        yield Complaint(path, f"{target} is in no zone of `authoritative.zones`", "zones: " + ", ".join(server.zones))
    if any(target in zone.ns for zone in server.zones.values()):
        yield Complaint(path, f"{target} is a name server of its zone")
    if target in server.zones:
        yield Complaint(path, f"{target} is the zone itself", f"a name below it, or the zone {target.partition('.')[2]}")
    if target.startswith("*."):
        yield Complaint(path, "a name for all others would answer for itself alone: the embedded server has no wildcards", "one actuator a name")


def _markable(path: tuple[str | int, ...], target: str) -> Complaints:
    """Beside each name stands the epoch of what it says, `_lbctl.NAME`: there is room for it, and nothing else stands there."""
    if len(target) + len(MARK) > NAME_MAX:
        yield Complaint(path, f"longer than {NAME_MAX - len(MARK)} characters", f"beside it stands {MARK}NAME")
    if target.startswith(MARK):
        yield Complaint(path, f"{MARK}NAME is where lbctl writes the epoch of NAME")


def within(name: str, zone: str) -> bool:
    """True where a name is the zone's or below it."""
    return name == zone or name.endswith(f".{zone}")


def commands(context: Context, name: str, service: Service) -> Complaints:
    """`exec` runs a program by its path; `haproxy` is of members that exist, and so are the agents of a `vip` that stands on their hosts."""
    members = [member.name for member in service.members]
    all_known = not context.lost(("services", name), "members")
    for number, actuator in enumerate(service.actuators):
        path = ("services", name, "actuators", number, actuator.kind)
        for key in ("apply", "read") if actuator.kind == "exec" else ():
            program = getattr(actuator.settings, key)[0]
            if not program.startswith("/"):
                yield Complaint((*path, key), f"{program!r} is not an absolute path", "no shell and no PATH is searched")
        for member in actuator.settings.servers if isinstance(actuator.settings, Haproxy) else ():
            if member not in members and all_known:
                yield Complaint((*path, "servers", member), f"there is no member {member}", suggestion(member, members))
        if isinstance(actuator.settings, Vip):
            yield from _own_address((*path, "address"), actuator.settings, service)
            if actuator.settings.agents and all_known and not context.lost(("services", name), "agents", "forward"):
                yield from _agents((*path, "agents"), actuator.settings, members, service)


def _own_address(path: tuple[str | int, ...], vip: Vip, service: Service) -> Complaints:
    """The address that moves is nobody's own: its owner would defend it for ever, and to pass it on would lead in a circle."""
    address = vip.address.split("/")[0]
    for member in service.members:
        if any(address in view for view in member.address.values()):
            yield Complaint(path, f"{address} is the own address of {member.name}", "a virtual address is one more, that no host has by itself")


def _agents(path: tuple[str | int, ...], vip: Vip, members: list[str], service: Service) -> Complaints:
    """Named like the members whose hosts they are on; with `forward` they are hosts in front of the members, and none of these."""
    if service.kind == "pool":
        yield Complaint(path, "a pool has no one active member whose host could hold the address", "leave `agents` out")
    for name in vip.agents:
        if vip.forward and name in members:
            yield Complaint((*path, name), f"{name} is a member: with `forward` the agents are balancer hosts in front of the members",
                            "name them after those hosts, or leave `forward` out")
        if not vip.forward and name not in members:
            yield Complaint((*path, name), f"there is no member {name}", suggestion(name, members) or "balancer hosts need `forward`")
    missing = [member for member in members if member not in vip.agents]
    if missing and not vip.forward:
        yield Complaint(path, f"no agent is named for {', '.join(missing)}", "every host that may hold the address needs one")


CHECKS: tuple[Callable[[Context, str, Service], Complaints], ...] = (
    roles, member_names, probing, places, kinds, patterns, means, views, zones, commands,
)
