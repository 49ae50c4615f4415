"""F5's monitors -> `monitor:` and `probe:` of a service. A service has one monitor; what the others said of it is told."""

from __future__ import annotations

import re
from typing import Any

from lbctl.f5.objects import F5Monitor, F5Pool, VirtualServer
from lbctl.f5.work import Work

CORE_TEXT = "MOBILEIRON-STATUS"
LITERAL = re.compile(r"[A-Za-z0-9 _:,;@/<>=\"'!&%#-]*")


def best(work: Work, pools: list[F5Pool], servers: list[VirtualServer]) -> F5Monitor | None:
    """The monitor that says most: a Core's page, else a page, else a port."""
    names = dict.fromkeys([name for pool in pools for name in pool.monitors] + [name for server in servers for name in server.monitors])
    monitors = [monitor for name in names if (monitor := work.objects.monitors.get(name))]
    if names and not monitors:
        where = next((found for pool in pools if (found := pool.statement.find("monitor"))), pools[0].statement)
        work.remark(where, f"{', '.join(names)} is not in this file: a connection to the member's port is looked for")
    rank = {"https": 1, "http": 1, "tcp": 2, "tcp-half-open": 2}
    monitors.sort(key=lambda monitor: 0 if CORE_TEXT in monitor.recv else rank.get(monitor.kind, 3))
    work.take(*(monitor.statement for monitor in monitors))
    for other in monitors[1:]:
        if CORE_TEXT not in other.recv:
            work.remark(other.statement, "a service has one monitor, the one that says most is imported")
    return monitors[0] if monitors else None


def monitoring(work: Work, monitor: F5Monitor | None, servers: list[VirtualServer]) -> dict[str, Any]:
    """`monitor:` and `probe:`."""
    if monitor is None or monitor.kind not in ("https", "http", "tcp", "tcp-half-open"):
        if monitor is not None:
            work.remark(monitor.statement, f"lbctl has no {monitor.kind} monitor: a connection to the member's port is looked for")
        return {"monitor": {"tcp": {"port": servers[0].port or 443}}}
    probe = {"profile": "careful", "interval": f"{monitor.interval_s}s", "timeout": f"{min(monitor.probe_timeout_s, monitor.interval_s)}s",
             "min_outage": f"{monitor.timeout_s}s"}
    if CORE_TEXT in monitor.recv:
        return {"monitor": "core", "probe": probe}
    if monitor.kind.startswith("tcp"):
        return {"monitor": {"tcp": {"port": servers[0].port or 443}}, "probe": probe}
    if not monitor.path:
        work.remark(monitor.statement, "what it sends names no path: / is asked for")
    return {"monitor": {"http": {"path": monitor.path or "/", **_expect(work, monitor)}}, "probe": probe}


def _expect(work: Work, monitor: F5Monitor) -> dict[str, Any]:
    """F5 searches `recv`, a pattern, in status line, headers and body; lbctl searches the body of a 200."""
    recv = monitor.recv.removeprefix("^")
    if not recv:
        work.remark(monitor.statement, "expects no text, so any answer is good to F5; lbctl wants a 200: see `monitor.http.status`")
    if not recv or re.fullmatch(r"(HTTP/1\.\S*\s*)?200( OK)?", recv):
        return {}
    if LITERAL.fullmatch(recv):
        return {"expect": {"text": recv}}
    try:
        re.compile(recv)
    except re.error:
        work.remark(monitor.statement, f"recv {recv!r} is no pattern that lbctl can use: any 200 is good")
        return {}
    work.remark(monitor.statement, f"recv {recv!r} is taken as a pattern over the body of a 200; F5 also searches the headers")
    return {"expect": {"regex": recv}}
