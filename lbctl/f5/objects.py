"""The statements of `bigip_gtm.conf` as the things they are. Whatever is read here is marked as used; the rest is left for `leftovers`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from lbctl.f5.syntax import Statement

PORTS = {"http": 80, "https": 443, "ftp": 21, "ssh": 22, "smtp": 25, "domain": 53, "pop3": 110, "imap": 143, "ldap": 389, "ldaps": 636, "any": 0}
REQUEST = re.compile(r"(?:GET|HEAD)\s+(/\S*)(?:\s+HTTP/\S+)?", re.IGNORECASE)
HOST = re.compile(r"Host:\s*([A-Za-z0-9._-]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class F5Monitor:
    """`gtm monitor KIND NAME`. `path` ("" where none can be read) and `host` come from `send`; `recv` is a regular expression to F5."""

    name: str
    kind: str
    recv: str
    path: str
    host: str
    interval_s: int
    timeout_s: int
    probe_timeout_s: int
    statement: Statement


@dataclass(frozen=True, slots=True)
class VirtualServer:
    """A virtual server of a `gtm server`: what clients are sent to, where it really stands, how it is watched."""

    server: str
    name: str
    address: str
    port: int
    real_address: str
    real_port: int
    datacenter: str
    monitors: tuple[str, ...]
    enabled: bool
    statement: Statement


@dataclass(frozen=True, slots=True)
class PoolMember:
    """A member of a pool, by server and virtual server."""

    server: str
    name: str
    order: int
    enabled: bool
    statement: Statement


@dataclass(frozen=True, slots=True)
class F5Pool:
    """`gtm pool`."""

    name: str
    family: str
    mode: str
    ttl: int | None
    manual_resume: bool
    enabled: bool
    monitors: tuple[str, ...]
    members: tuple[PoolMember, ...]
    statement: Statement


@dataclass(frozen=True, slots=True)
class WideIp:
    """`gtm wideip`."""

    name: str
    family: str
    mode: str
    pools: tuple[str, ...]
    aliases: tuple[str, ...]
    enabled: bool
    statement: Statement


@dataclass(slots=True)
class Objects:
    """Everything of one file, by name; pools and monitors by their partition too."""

    statements: list[Statement]
    monitors: dict[str, F5Monitor] = field(default_factory=dict)
    servers: dict[str, dict[str, VirtualServer]] = field(default_factory=dict)
    pools: dict[tuple[str, str], F5Pool] = field(default_factory=dict)
    wide_ips: list[WideIp] = field(default_factory=list)
    replaced: list[tuple[Statement, Statement]] = field(default_factory=list)
    """What a later object of the same kind and name took the place of, and that object."""
    listeners: list[str] = field(default_factory=list)
    own_addresses: list[str] = field(default_factory=list)


def read(statements: list[Statement]) -> Objects:
    """The objects that can be mapped; statements of other kinds are left alone."""
    found = Objects(statements)
    asked = {path(one.words[3]): one for one in statements if one.words[:2] == ("gtm", "monitor") and len(one.words) > 3}
    for statement in _last_of_each(statements, found):
        words = statement.words
        match words[1]:
            case "monitor" if len(words) > 3:
                found.monitors[path(words[3])] = _monitor(statement, asked)
            case "server":
                _server(statement, found)
            case "pool":
                pool = _pool(statement)
                found.pools[pool.family, pool.name] = pool
            case "wideip":
                found.wide_ips.append(_wide_ip(statement))
            case "listener":
                statement.used = True
                found.listeners.append(plain(statement.value("address")))
            case "datacenter":
                statement.used = True
    return found


def _last_of_each(statements: list[Statement], found: Objects) -> Iterator[Statement]:
    """The objects of GTM; of several monitors, pools or wide IPs of one name the last, as where one file is loaded after another."""
    named: dict[object, Statement] = {}
    for statement in statements:
        if len(statement.words) > 2 and statement.words[0] == "gtm":
            words = statement.words
            key = (*words[:-1], path(words[-1])) if words[1] in ("monitor", "pool", "wideip") else statement
            if earlier := named.pop(key, None):
                found.replaced.append((earlier, statement))
                for inner in earlier.walk():
                    inner.used = True
            named[key] = statement
    yield from named.values()


def entries(block: Statement | None) -> list[Statement]:
    """The named statements of a block; none where there is no block."""
    return [inner for inner in (block.block or () if block else ()) if inner.words]


def plain(name: str) -> str:
    """A name without its partition: `/Common/core-a` -> `core-a`."""
    return name.rsplit("/", 1)[-1]


def path(name: str) -> str:
    """Of a pool or a monitor, as it is referred to: tenants may use the same name, each in a partition of its own. /Common need not be said."""
    return name.removeprefix("/Common/")


def _monitor(statement: Statement, others: Mapping[str, Statement]) -> F5Monitor:
    """A file has only what differs from the monitor that it comes `defaults-from`, so that one is asked for the rest, and so on upwards."""
    statement.used = True
    line = [statement]
    while (parent := others.get(path(line[-1].value("defaults-from")))) is not None and parent not in line:
        line.append(parent)

    def value(key: str) -> str:
        return next((found for one in line if (found := one.value(key))), "").removeprefix("none")

    send = value("send")
    request, host = REQUEST.search(send), HOST.search(send)
    return F5Monitor(
        path(statement.words[3]), statement.words[2], value("recv"), request[1] if request else "" if send else "/", host[1] if host else "",
        _number(value("interval"), 30), _number(value("timeout"), 120), _number(value("probe-timeout"), 5), statement,
    )


def _number(text: str, default: int) -> int:
    return int(text) if text.isdecimal() and len(text) < 10 else default  # "²" is a digit too


def _server(statement: Statement, found: Objects) -> None:
    """A server and its virtual servers. A BIG-IP with GTM is the balancer itself: its addresses are where lbctl will stand."""
    statement.used = True
    name = plain(statement.words[2])
    datacenter = plain(statement.value("datacenter"))
    product = statement.value("product", statement.value("server-type"))
    devices = statement.find("devices", "addresses")
    addresses = [inner.words[0] for inner in devices.walk() if inner.words and re.fullmatch(r"[\d.]+|[0-9a-fA-F:]+:[0-9a-fA-F:]*", inner.words[0])] \
        if devices else []
    for inner in devices.walk() if devices else ():
        inner.used = True
    block = statement.find("virtual-servers")
    monitors = names(statement.find("monitor"))
    servers = found.servers.setdefault(name, {})
    for one in entries(block):
        server = _virtual_server(one, name, datacenter, monitors, enabled=statement.find("disabled") is None)
        servers[server.name] = server
    if product in ("bigip", "single-bigip", "redundant-bigip") and not servers:
        found.own_addresses += addresses


def _virtual_server(statement: Statement, server: str, datacenter: str, inherited: tuple[str, ...], *, enabled: bool) -> VirtualServer:
    statement.used = True
    address, port = destination(statement.value("destination"))
    real, real_port = statement.value("translation-address", "none"), statement.value("translation-port", "")
    real_number = PORTS.get(real_port, _number(real_port, port))
    disabled = statement.find("disabled")
    statement.find("enabled")
    return VirtualServer(
        server, plain(statement.words[0]), address, port, "" if real in ("none", "any", "any6") else real, real_number,
        datacenter, names(statement.find("monitor")) or inherited, enabled and disabled is None, statement,
    )


def destination(text: str) -> tuple[str, int]:
    """`192.0.2.10:443`, `/Common/192.0.2.10:https`, `2001:db8::10.443` -> address and port (0: any)."""
    text = plain(text)
    separator = "." if text.count(":") > 1 else ":"
    address, _, port = text.rpartition(separator)
    return address, PORTS.get(port, _number(port, 0))


def names(statement: Statement | None) -> tuple[str, ...]:
    """`monitor /Common/a and /Common/b`, `monitor min 1 of { /Common/a /Common/b }` -> the monitors' names."""
    if statement is None:
        return ()
    words = [*statement.words[1:], *(word for inner in statement.block or () for word in inner.words)]
    for inner in statement.block or ():
        inner.used = True
    return tuple(path(word) for word in words if word.startswith("/") or not (word in ("min", "of", "and", "none", "default") or word.isdigit()))


def _pool(statement: Statement) -> F5Pool:
    """v12 and later name the type (`gtm pool a NAME`), v11 does not."""
    statement.used = True
    family, name = _typed(statement)
    block = statement.find("members")
    members = [_pool_member(one, number) for number, one in enumerate(entries(block))]
    ttl = statement.value("ttl")
    disabled = statement.find("disabled")
    statement.find("enabled")
    return F5Pool(
        path(name), family, statement.value("load-balancing-mode", "round-robin"), int(ttl) if ttl.isdecimal() and len(ttl) < 10 else None,
        statement.value("manual-resume") == "enabled", disabled is None, names(statement.find("monitor")),
        tuple(sorted(members, key=lambda member: member.order)), statement,
    )


def _typed(statement: Statement) -> tuple[str, str]:
    words = statement.words
    return (words[2], words[3]) if len(words) > 3 else ("a", words[2])


def _pool_member(statement: Statement, number: int) -> PoolMember:
    """`/Common/SERVER:/Common/VS`, `SERVER:VS`; the virtual server's name may hold colons."""
    statement.used = True
    server, _, name = statement.words[0].partition(":")
    order = statement.value("member-order") or statement.value("order")
    disabled = statement.find("disabled")
    statement.find("enabled")
    return PoolMember(plain(server), plain(name), _number(order, number), disabled is None, statement)


def _wide_ip(statement: Statement) -> WideIp:
    statement.used = True
    family, name = _typed(statement)
    block = statement.find("pools")
    ordered = []
    for number, one in enumerate(entries(block)):
        one.used = True
        ordered.append((_number(one.value("order"), number), path(one.words[0])))
    aliases = statement.find("aliases")
    found = tuple(word for inner in entries(aliases) for word in inner.words)
    for inner in entries(aliases):
        inner.used = True
    disabled = statement.find("disabled")
    statement.find("enabled")
    return WideIp(
        plain(name), family, statement.value("pool-lb-mode", "round-robin"), tuple(pool for _, pool in sorted(ordered)), found, disabled is None,
        statement,
    )
