"""F5's objects -> the values of an lbctl.yaml, and a remark wherever the meaning is not exactly the same.

A wide IP is a service; its pools' members are the service's members. *Global availability* is an order of preference, so `kind: failover`, the
first member primary; every other way of balancing is `kind: pool`. A monitor that expects `MOBILEIRON-STATUS` is the built-in `core` (which
asks both pages of every member and follows the roles). Services are imported with `automation: observe`: for the weeks beside the old
balancer they decide, record, and move nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from lbctl.config.quantities import NAME, address, dns_name
from lbctl.f5.leftovers import Leftover, unread
from lbctl.f5.monitors import CORE_TEXT, best, monitoring
from lbctl.f5.objects import F5Monitor, F5Pool, Objects, VirtualServer, WideIp
from lbctl.f5.work import Work

ORDERED = "global-availability"
NOWHERE = "127.0.0.1"
TTL_MAX = 86400


@dataclass(slots=True)
class Conversion:
    """The values of the new file, and everything that deserves a look, in the order of the source's lines."""

    values: dict[str, Any]
    leftovers: list[Leftover]


def convert(objects: Objects) -> Conversion:
    """The values of an lbctl.yaml for every wide IP that has one."""
    work = Work(objects)
    zones: dict[str, Any] = {}
    # The A one first: its service takes the IPv6 members too. Where there is none of it, the AAAA one is a service of its own.
    for wide_ip in sorted(objects.wide_ips, key=lambda one: one.family == "aaaa"):
        if wide_ip.family == "aaaa" and wide_ip.name in work.merged:
            continue
        if _mappable(work, wide_ip):
            _service(work, wide_ip, zones)
    values: dict[str, Any] = {}
    if zones:
        listeners = [one for one in objects.listeners if _is_address(one)]
        values["authoritative"] = {"listen": [_at(one, 53) for one in listeners] or [_at(NOWHERE, 5300)], "zones": zones}
        if _own(objects) == NOWHERE:
            work.remark(objects.wide_ips[0].statement, "no listener or address of the BIG-IP is in this file: set `authoritative.listen` and `ns`")
    values["services"] = work.services
    for earlier, later in objects.replaced:
        work.remark(earlier, f"line {later.line} has it once more: that one is taken")
    _not_taken(work)
    return Conversion(values, sorted({*work.remarks, *unread(objects.statements)}))


def _not_taken(work: Work) -> None:
    """What was read and understood and still is in no service: it must not look as if it were."""
    objects = work.objects
    for kind, statements in (
        ("is disabled, so it is not imported", [pool.statement for pool in objects.pools.values() if not pool.enabled]),
        ("no service that was imported uses this pool", [pool.statement for pool in objects.pools.values()]),
        ("no service that was imported uses this monitor", [monitor.statement for monitor in objects.monitors.values()]),
        ("is in no pool that was imported", [server.statement for servers in objects.servers.values() for server in servers.values()]),
    ):
        for statement in statements:
            if statement not in work.said:
                work.remark(statement, kind)


def _own(objects: Objects) -> str:
    """Where the balancer answers, as far as the file tells."""
    known = [one for one in (*objects.listeners, *objects.own_addresses) if _is_address(one) and one not in ("0.0.0.0", "::")]  # noqa: S104 - no bind
    return next(iter(known), NOWHERE)


def _mappable(work: Work, wide_ip: WideIp) -> bool:
    why = ""
    if wide_ip.family not in ("a", "aaaa"):
        why = f"lbctl publishes addresses, not {wide_ip.family.upper()} records"
    elif set(wide_ip.name) & set("*?"):
        why = "a pattern for many names: write a service for each name"
    elif not _is_name(wide_ip.name):
        why = "no DNS name, or one without a zone"
    elif not wide_ip.enabled:
        why = "is disabled: it answers nobody"
    elif not _pools(work, wide_ip):
        why = "has no pool in this file that is enabled"
    if why:
        work.remark(wide_ip.statement, why)
    return not why


def _pools(work: Work, wide_ip: WideIp) -> list[F5Pool]:
    """The pools that answer for it, in their order."""
    return [pool for name in wide_ip.pools if (pool := work.objects.pools.get((wide_ip.family, name))) and pool.enabled]


def _zone(work: Work, wide_ip: WideIp, name: str, zones: dict[str, Any]) -> None:
    """The zone of a name: the domain above it. GTM answers single names, lbctl whole zones, so each new one is said."""
    zone = name.partition(".")[2]
    if zone not in zones:
        zones[zone] = {"ns": {f"ns1.{zone}": _own(work.objects)}}
        work.remark(wide_ip.statement, f"lbctl answers for {zone} as a whole: delegate it only where nothing else is in it, or rename the service")


def _service(work: Work, wide_ip: WideIp, zones: dict[str, Any]) -> None:
    pools = _pools(work, wide_ip)
    kind, pools = _kind(work, wide_ip, pools)
    servers = _servers(work, pools)
    if not servers:
        work.remark(wide_ip.statement, "has no member that could serve")
        return
    names = _names(work, wide_ip)
    if not names:
        work.remark(wide_ip.statement, "another service answers for its name already")
        return
    label = _unique(wide_ip.name.split(".")[0], work.services)
    work.published.update(dict.fromkeys(names, label))
    monitor = best(work, pools, servers)
    work.take(*(pool.statement for pool in pools), *(server.statement for server in servers))
    service: dict[str, Any] = {"kind": kind, "automation": "observe", **monitoring(work, monitor, servers), "members": []}
    second = _second_family(work, wide_ip)
    for number, server in enumerate(servers):
        role = {"role": "primary" if number == 0 else "secondary"} if kind == "failover" else {}
        service["members"].append(_member(server, role, monitor, second.pop(server.server, None), servers))
    for server_name, extra in second.items():
        work.remark(extra.statement, f"an IPv6 member of {wide_ip.name} without an IPv4 one: add {extra.address} of {server_name} by hand")
    ttl = _ttl(work, pools)
    service["actuators"] = [{"authoritative": {"name": name, "ttl": ttl}} for name in names]
    for name in names:
        _zone(work, wide_ip, name, zones)
    work.services[label] = service
    _meaning(work, kind, pools, monitor)


def _ttl(work: Work, pools: list[F5Pool]) -> int:
    """One service, one TTL: that of the first pool that has one; F5's own default is 30 s."""
    found = next((min(pool.ttl, TTL_MAX) for pool in pools if pool.ttl), 30)
    for pool in pools:
        if pool.ttl is not None and pool.ttl != found:
            work.remark(pool.statement.find("ttl") or pool.statement, f"a service has one TTL: {found}")
    return found


def _names(work: Work, wide_ip: WideIp) -> list[str]:
    """What it publishes. A name has one service: the first that wants it (partitions may repeat one, an alias may be a wide IP too)."""
    found: dict[str, None] = {}
    for number, name in enumerate((wide_ip.name, *wide_ip.aliases)):
        if set(name) & set("*?"):
            work.remark(wide_ip.statement, "an alias that is a pattern for many names: write a service for each name", f"aliases {name}")
        elif not _is_name(name):
            work.remark(wide_ip.statement, "no DNS name, or one without a zone", f"aliases {name}")
        elif dns_name(name) not in work.published:
            found[dns_name(name)] = None
        elif number:
            work.remark(wide_ip.statement, f"the service {work.published[dns_name(name)]} answers for this name already", f"aliases {name}")
    return list(found)


def _kind(work: Work, wide_ip: WideIp, pools: list[F5Pool]) -> tuple[str, list[F5Pool]]:
    """Failover where an order decides, pool where all answer; pools that cannot be joined are left out and said."""
    ordered = all(pool.mode == ORDERED or len(pool.members) == 1 for pool in pools)
    if ordered and (len(pools) == 1 or wide_ip.mode == ORDERED):
        return "failover", pools
    if len(pools) > 1 and (ordered or wide_ip.mode == ORDERED or len({pool.mode for pool in pools}) > 1):
        for pool in pools[1:]:
            work.remark(pool.statement, f"a further pool of {wide_ip.name}; lbctl has one level: only {pools[0].name} is imported")
        return _kind(work, wide_ip, pools[:1])
    for pool in pools:
        if pool.mode != "round-robin" and len(pool.members) > 1:
            work.remark(pool.statement, f"load-balancing-mode {pool.mode} has no counterpart: every healthy member is in the answer")
    return "pool", pools


def _servers(work: Work, pools: list[F5Pool]) -> list[VirtualServer]:
    found: list[VirtualServer] = []
    for pool in pools:
        for member in pool.members:
            server = work.objects.servers.get(member.server, {}).get(member.name)
            if server is None:
                work.remark(member.statement, "names a virtual server that is not in this file")
            elif not _is_address(server.address):
                work.remark(server.statement, f"its destination {server.address!r} is no address")
            elif not (member.enabled and server.enabled):
                work.remark(member.statement, "is disabled, so it is not imported")
            elif any(server.address == other.address for other in found):
                work.remark(member.statement, f"{server.address} is a member already")
            else:
                found.append(server)
    return found


def _member(
    server: VirtualServer, role: dict[str, str], monitor: F5Monitor | None, second: VirtualServer | None, servers: list[VirtualServer],
) -> dict[str, Any]:
    name = server.server if [one.server for one in servers].count(server.server) == 1 else server.name
    addresses: Any = [server.address, second.address] if second else server.address
    member: dict[str, Any] = {"name": _word(name), **role, "address": addresses}
    if server.datacenter:
        member["site"] = _word(server.datacenter)
    if monitor is None or monitor.kind not in ("https", "http"):
        return member | ({"url": f"tcp://{_at(server.address, server.port)}"} if server.port else {})
    default = 443 if monitor.kind == "https" else 80
    port = server.port or default
    host = monitor.host or server.address
    member["url"] = f"{monitor.kind}://{_at(host, port)}" if port != default else f"{monitor.kind}://{_bracketed(host)}"
    real = server.real_address if _is_address(server.real_address) else server.address
    if real != server.address or host != server.address:
        real_port = server.real_port or port
        member["connect"] = _at(real, real_port) if real_port != port else real
    if monitor.kind == "https":
        member["tls"] = {"verify": False}
    return member


def _second_family(work: Work, wide_ip: WideIp) -> dict[str, VirtualServer]:
    """The members of the AAAA wide IP of the same name, by server."""
    twin = next((one for one in work.objects.wide_ips if one.name == wide_ip.name and one.family == "aaaa" and one is not wide_ip), None)
    if wide_ip.family != "a" or twin is None:
        return {}
    work.merged.add(wide_ip.name)
    if not twin.enabled:
        work.remark(twin.statement, "is disabled: it answers nobody")
        return {}
    pools = _pools(work, twin)
    found = {server.server: server for server in _servers(work, pools)}
    work.take(*(pool.statement for pool in pools), *(server.statement for server in found.values()))
    return found


def _meaning(work: Work, kind: str, pools: list[F5Pool], monitor: F5Monitor | None) -> None:
    """Where lbctl means something else by the same words."""
    for pool in pools:
        resume = next((one for one in pool.statement.block or () if one.words[:1] == ("manual-resume",)), pool.statement)
        if kind == "failover" and not pool.manual_resume:
            work.remark(resume, "Manual Resume was off; lbctl never goes back by itself, a person types `lbctl resume`", f"gtm pool {pool.name}")
        if kind == "pool" and pool.manual_resume:
            work.remark(resume, "Manual Resume was on; a pool's member answers again as soon as it is healthy", f"gtm pool {pool.name}")
    if monitor is not None and monitor.kind == "https":
        work.remark(monitor.statement, "F5 did not verify certificates, so the import does not (`verify: false`): better `tls: {ca_file: …}`")
    if kind == "failover" and monitor is not None and CORE_TEXT in monitor.recv:
        work.remark(pools[0].statement, "who copies from whom does not stand in F5's file: add `syncs_from` to each secondary")


def _unique(label: str, taken: dict[str, Any]) -> str:
    label = _word(label)
    return next(name for number in range(1, len(taken) + 2) if (name := label if number == 1 else f"{label}-{number}") not in taken)


def _word(text: str) -> str:
    """A name that lbctl accepts."""
    word = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("._-")[:63].rstrip("._-") or "unnamed"
    return word if NAME.fullmatch(word) else "unnamed"


def _is_name(text: str) -> bool:
    try:
        return "." in dns_name(text)
    except ValueError:
        return False


def _is_address(text: str) -> bool:
    try:
        return bool(address(text))
    except ValueError:
        return False


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _at(host: str, port: int) -> str:
    return f"{_bracketed(host)}:{port}"
