"""Looks a second, CPU a look, memory: lbctl's probe engine beside haproxy's checks, in one run (PEERS of the figures in the README).

    python -m tests.bench.probes [--members 10000] [--seconds 5] [--rounds 3] [CASE …]

The one that looks runs on core 0; the server that answers (haproxy as well, it returns the message by itself) on core 1. Members are
addresses of 127.0.0.0/8. CPU is user and system time of the looking process by its /proc entry; looks are counted by the server.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import uvloop

from lbctl.clock import SystemClock
from lbctl.controller.monitor import Monitor
from lbctl.model.looks import ProbeResult
from lbctl.model.settings import ProbeSettings
from lbctl.probes.base import Tls, target_at
from lbctl.probes.core import CoreProbe, Settings
from lbctl.probes.engine import Engine
from tests.probes.servers import Authority

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Case:
    """`members` looked at every `interval_s`; `peer`: whether haproxy does the same beside it."""

    name: str
    members: int
    interval_s: float
    tls: bool = False
    connection: str = "fresh"
    guarded: bool = False
    peer: bool = True

    @property
    def rate(self) -> float:
        return self.members / self.interval_s


CASES = {case.name: case for case in (
    Case("plain-200", 200, 1.0),
    Case("plain-1000", 1000, 1.0),
    Case("plain-4000", 4000, 1.0),
    Case("plain-7000", 10000, 1.43),
    Case("plain-10000", 10000, 1.0),
    Case("tls-200", 200, 1.0, tls=True),
    Case("tls-500", 500, 1.0, tls=True),
    Case("tls-keep-4000", 800, 0.2, tls=True, connection="keep", peer=False),
    Case("tls-keep-12000", 1200, 0.1, tls=True, connection="keep", peer=False),
    Case("memory-plain", 9000, 10.0, guarded=True),
    Case("memory-tls", 9000, 10.0, tls=True, guarded=True),
)}


def address(number: int) -> str:
    return f"127.{1 + number // 62500}.{number // 250 % 250}.{1 + number % 250}"


# --- the looking process


def look(case: Case, port: int, ca_file: str, seconds: float) -> None:
    """Looks for ever until told to stop; prints what it saw."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    uvloop.run(_look(case, port, ca_file))


class Timed(Monitor):
    """Writes down how late each look starts."""

    late: list[float] = []  # noqa: RUF012 - one for the process

    def _start(self, page, now):  # type: ignore[no-untyped-def]
        self.late.append(now - page.due)
        super()._start(page, now)


async def _look(case: Case, port: int, ca_file: str) -> None:
    clock = SystemClock()
    seen: dict[str, int] = {}

    def emit(service: str, result: ProbeResult) -> None:
        word = result.void or str(result.reason)
        seen[word] = seen.get(word, 0) + 1

    engine, settings = Engine(clock), ProbeSettings("bench", case.interval_s, case.interval_s, 3.0)
    monitor = Timed(clock, emit)
    probe = CoreProbe(Settings(), engine)
    scheme, tls = ("https", Tls(ca_file=ca_file)) if case.tls else ("http", None)
    for number in range(case.members):
        target = target_at(
            f"{scheme}://core.example.com", connect=f"{address(number)}:{port}", member="m", page="status", tls=tls, connection=case.connection,
            guarded=case.guarded,
        )
        monitor.watch(f"s{number}", probe, [target], {"m": settings})
    stop, mark = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGUSR1, mark.set)
    print("ready", flush=True)
    await mark.wait()
    Timed.late.clear()
    seen.clear()
    await stop.wait()
    late = sorted(Timed.late)
    print(json.dumps({"seen": seen, "late_p99_ms": 1000 * late[int(len(late) * 0.99)], "late_max_ms": 1000 * late[-1], "lag_s": monitor.lag_s}))


# --- the server and the peer


def server_lines(port: int, tls_port: int, certificate: str, control: str) -> str:
    return f"""
global
    maxconn 9900
    stats socket {control} mode 600 level admin
defaults
    mode http
    timeout client 60s
    timeout server 60s
    timeout connect 5s
frontend f
    bind 0.0.0.0:{port} backlog 8192
    bind 0.0.0.0:{tls_port} ssl crt {certificate} backlog 8192
    http-request return status 200 content-type text/html string "MOBILEIRON-STATUS: OK"
"""


def peer_lines(case: Case, port: int, ca_file: str, idle: str) -> str:
    how = f"check-ssl verify required ca-file {ca_file} no-tls-tickets check-sni core.example.com verifyhost core.example.com" if case.tls else ""
    servers = "\n".join(
        f"    server s{n} {address(n)}:{port} check inter {int(case.interval_s * 1000)}ms {how}" for n in range(case.members)
    )
    return f"""
global
    maxconn 100
    spread-checks 5
defaults
    mode http
    timeout client 60s
    timeout server 60s
    timeout connect 3s
    timeout check 3s
frontend idle
    bind {idle}
backend b
    option httpchk
    http-check send meth GET uri /status/status.html ver HTTP/1.1 hdr Host core.example.com
    http-check expect string MOBILEIRON-STATUS:\\ OK
{servers}
"""


@contextmanager
def running(command: list[str], core: int, **more: object) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["taskset", "-c", str(core), *command], **more)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0]) / 1024


def requests(control: str) -> int:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(control)
        sock.sendall(b"show info\n")
        text = b"".join(iter(lambda: sock.recv(65536), b"")).decode()
    return int(text.split("CumReq: ")[1].split()[0])


@dataclass
class Figures:
    rate: float
    cpu_per_1000_s: float
    memory_mb: float
    told: dict[str, object]


def measured(command: list[str], control: str, warm_s: float, seconds: float, *, tells: bool) -> Figures:
    with running(command, 0, stdout=subprocess.PIPE, stderr=None if tells else subprocess.DEVNULL) as process:
        if tells:
            assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        time.sleep(warm_s)
        if tells:
            process.send_signal(signal.SIGUSR1)
        before, cpu, began = requests(control), cpu_s(process.pid), time.monotonic()
        time.sleep(seconds)
        looks, used, took = requests(control) - before, cpu_s(process.pid) - cpu, time.monotonic() - began
        resident = memory_mb(process.pid)
        process.terminate()
        out = process.communicate(timeout=30)[0]
    return Figures(looks / took, 1000 * used / max(looks, 1), resident, json.loads(out) if tells and out else {})


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("0.0.0.0", 0)) for _ in range(count)]
    ports = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--look", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.look:
        case, port, ca_file = json.loads(options.look)
        look(Case(**case), port, ca_file, options.seconds)
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(Path(folder))
        certificate, _ = authority.issue("server.pem", "core.example.com")
        port, tls_port = free_ports(2)
        control = f"{folder}/control"
        (Path(folder) / "server.cfg").write_text(server_lines(port, tls_port, certificate, control))
        with running(["haproxy", "-db", "-f", f"{folder}/server.cfg"], 1, stderr=subprocess.DEVNULL):
            while not Path(control).exists():
                time.sleep(0.05)
            for name in options.cases or CASES:
                compare(CASES[name], tls_port if CASES[name].tls else port, authority.file, control, folder, options)


def compare(case: Case, port: int, ca_file: str, control: str, folder: str, options: argparse.Namespace) -> None:
    """Rounds of both, one after the other; medians and their ratio."""
    ours_command = [sys.executable, "-m", "tests.bench.probes", "--look", json.dumps([asdict(case), port, ca_file])]
    (Path(folder) / "peer.cfg").write_text(peer_lines(case, port, ca_file, f"{folder}/idle"))
    warm_s = 3 + case.members / 2000 + (case.interval_s if case.interval_s > 2 else 0)
    ours, peers = [], []
    for _ in range(options.rounds):
        ours.append(measured(ours_command, control, warm_s, options.seconds, tells=True))
        if case.peer:
            peers.append(measured(["haproxy", "-db", "-f", f"{folder}/peer.cfg"], control, warm_s, options.seconds, tells=False))
    show(case, "lbctl", ours)
    if peers:
        show(case, "haproxy", peers)
        ratio = statistics.median(f.cpu_per_1000_s for f in ours) / statistics.median(f.cpu_per_1000_s for f in peers)
        memory = statistics.median(f.memory_mb for f in ours) / statistics.median(f.memory_mb for f in peers)
        print(f"{case.name:16} ratio    CPU {ratio:5.2f}   memory {memory:5.2f}", flush=True)


def show(case: Case, who: str, figures: list[Figures]) -> None:
    rate, cpu, memory = (statistics.median(getattr(f, key) for f in figures) for key in ("rate", "cpu_per_1000_s", "memory_mb"))
    told = figures[-1].told
    more = f"  late p99 {told['late_p99_ms']:.1f} ms, max {told['late_max_ms']:.1f} ms  {told['seen']}" if told else ""
    print(f"{case.name:16} {who:8} {rate:8.0f}/s of {case.rate:6.0f}  {cpu:6.3f} s CPU per 1,000  {memory:6.1f} MB{more}", flush=True)


if __name__ == "__main__":
    main()
