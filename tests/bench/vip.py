"""How long a client is without an answer when a virtual address moves: lbctl beside keepalived, in one run.

    python -m tests.bench.vip [--rounds 5] [NAME …]

Two hosts, a client that begins a connection every 2 ms whatever became of the others, and a fault: `service`, the active service is killed and all
else on its host lives; `host`, that host is cut off as if it had lost its power; `holder`, the host that holds the address is. Every round builds
everything anew. The gap is the time from the last answer before the fault's end to the first after it; median and range, and beside it how
many times longer the keepalived of the same class takes for the same fault. Needs root and keepalived.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.agent.stage import PORT as AGENT_PORT
from tests.agent.stage import AgentProcess, Authority
from tests.netns import network, sysctl
from tests.outside.front import Front
from tests.outside.vip_site import PORT, V4, VipSite

STANDARD, FAST = {"profile": "standard"}, {"profile": "fast"}
KEEPALIVED = """
global_defs {{
  vrrp_version 3
  script_user root
  enable_script_security
}}
vrrp_script service {{
  script "{check}"
  interval 1
}}
vrrp_instance one {{
  state BACKUP
  interface eth0
  virtual_router_id 51
  priority {priority}
  advert_int {advert}
  track_script {{ service }}
  virtual_ipaddress {{ {address}/32 dev eth0 }}
}}
"""


@contextmanager
def agents(site: VipSite, probe: dict[str, Any], lease: str) -> Iterator[None]:
    """The address on the members' hosts, held by agents."""
    authority = Authority(site.directory)
    made = [AgentProcess(host, authority.files(host.name, host.ip4), site.directory) for host in site.hosts]
    made[0].peers, made[1].peers = [site.hosts[1].ip4], [site.hosts[0].ip4]
    files = authority.files("controller")
    try:
        for agent in made:
            agent.start()
        where = {name: f"{host.ip4}:{AGENT_PORT}" for name, host in zip("ab", site.hosts, strict=True)}
        proof = {"cert_file": str(files.cert), "key_file": str(files.key), "ca_file": str(files.ca)}
        site.controller(site.gate, probe, lease=lease, agents=where, **proof).start()
        yield
    finally:
        for agent in made:
            agent.stop()


@contextmanager
def balancer(site: VipSite, probe: dict[str, Any], lease: str) -> Iterator[None]:
    """One lbctl in front that passes on."""
    sysctl(site.gate, "net.ipv4.ip_forward", "1")
    site.controller(site.gate, probe, lease=lease, forward=[PORT]).start()
    yield


@contextmanager
def two_balancers(site: VipSite, probe: dict[str, Any], lease: str) -> Iterator[Front]:
    """Agents on two hosts in front, one of which passes on."""
    front = Front(site, probe, lease)
    front.start()
    try:
        yield front
    finally:
        front.close()


@contextmanager
def keepalived(site: VipSite, advert: str) -> Iterator[None]:
    """One on each host, as its manual has it."""
    made = []
    for host, priority in zip(site.hosts, (100, 90), strict=True):
        check = site.directory / f"check-{host.name}.sh"
        check.write_text(f"#!/bin/bash\nexec 3<>/dev/tcp/{host.ip4}/8080\n")
        check.chmod(0o755)
        file = site.directory / f"keepalived-{host.name}.conf"
        file.write_text(KEEPALIVED.format(check=check, priority=priority, advert=advert, address=V4))
        words = ["keepalived", "-n", "-f", str(file), "-p", f"{file}.pid", "-r", f"{file}.vrrp", "-c", f"{file}.chk"]
        made.append(subprocess.Popen(host.command(*words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    try:
        yield
    finally:
        for process in made:
            process.terminate()
            process.wait()


Setup = Callable[[VipSite], Any]
CASES: dict[str, tuple[Setup, tuple[str, ...]]] = {
    "keepalived, advert 1 s": (lambda site: keepalived(site, "1"), ("service", "host")),
    "lbctl agents, standard, lease 3 s": (lambda site: agents(site, STANDARD, "3s"), ("service", "host")),
    "keepalived, advert 10 ms": (lambda site: keepalived(site, "0.01"), ("service", "host")),
    "lbctl agents, fast, lease 2 s": (lambda site: agents(site, FAST, "2s"), ("service", "host")),
    "lbctl in front, standard": (lambda site: balancer(site, STANDARD, "3s"), ("service", "host")),
    "lbctl in front, fast": (lambda site: balancer(site, FAST, "2s"), ("service", "host")),
    "lbctl two balancers, fast, lease 2 s": (lambda site: two_balancers(site, FAST, "2s"), ("service", "host", "holder")),
}


async def gap_s(setup: Setup, fault: str) -> tuple[float, int]:
    """One round: the gap, and how often the address had moved before anything was wrong."""
    with tempfile.TemporaryDirectory() as folder, network() as net:
        site = VipSite(net, Path(folder))
        try:
            with setup(site) as front:
                await site.until(lambda: site.client.last == "a", "nothing is served")
                await asyncio.sleep(3.0)
                moves = sum(who == "b" for _, who in site.client.seen)
                await site.until(lambda: site.client.last == "a", "the old host is not back")
                seen = len(site.client.seen)
                if fault == "service":
                    site.cores[0].kill()
                else:
                    (site.hosts[0] if fault == "host" else front.hosts[0]).cut()
                if fault == "holder":
                    await site.until(lambda: front.hosts[1].has(V4) and site.client.last != "-", "the other host does not take it")
                    return site.client.worst_s(seen), moves
                await site.until(lambda: site.client.last == "b", "the address does not move")
            return site.client.gap_s(), moves
        finally:
            site.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("names", nargs="*", help=", ".join(CASES))
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # everything that was made is taken away again
    found: dict[tuple[str, str], list[float]] = {}
    restless: dict[tuple[str, str], int] = {}
    for _ in range(options.rounds):
        for name, (setup, faults) in CASES.items():
            for fault in faults if not options.names or name in options.names else ():
                gap, moves = asyncio.run(gap_s(setup, fault))
                found.setdefault((name, fault), []).append(gap)
                restless[name, fault] = restless.get((name, fault), 0) + moves
                print(f"  {name}, {fault}: {gap * 1000:.0f} ms", flush=True)
    print(f"\n{'':38} {'fault':8} {'client gap, ms: median':>22}  [min .. max]  keepalived takes  moves without a fault")
    for (name, fault), gaps in found.items():
        shown = [f"{1000 * one:.0f}" for one in (statistics.median(gaps), min(gaps), max(gaps))]
        print(f"{name:38} {fault:8} {shown[0]:>22}  [{shown[1]} .. {shown[2]}]  {_times(found, name, fault):>16}  {restless[name, fault]}")


def _times(found: dict[tuple[str, str], list[float]], name: str, fault: str) -> str:
    """How many times longer the keepalived of the same class takes; for it the death of a holder is that of its host."""
    peer = "keepalived, advert 10 ms" if "fast" in name else "keepalived, advert 1 s"
    theirs = found.get((peer, "host" if fault == "holder" else fault))
    return f"x {statistics.median(theirs) / statistics.median(found[name, fault]):.2g}" if theirs and name != peer else ""


if __name__ == "__main__":
    main()
