"""DNS answers on one core beside gdnsd, knot, bind and pdns, and how soon a published change is answered.

    python -m tests.bench.dns [--seconds 3] [--rounds 5] [SERVER …]

The server runs on core 0, dnsperf (-c 8 -q 100) on core 1. What counts is CPU time per answer, user and system, of the whole process by its
/proc entry, as the median of the rounds; rates are bounded by the load generator and move with whatever else the machine does. The rounds
go over all servers in turn, so that a disturbance meets all of them.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop

from lbctl.clock import SystemClock
from lbctl.dns import wire
from lbctl.dns.server import Server
from lbctl.dns.settings import Endpoint, ServerSettings, ZoneSettings
from tests.peers.dns_servers import KEY, free_place, powerdns_database, program

ZONE = "gtm.example.com"
NAMES = 1000
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
WORKLOADS: dict[str, list[str]] = {
    "one name": [], "1,000 names, EDNS, mixed case": ["-e"],
    "random names that are not there": [], "the same, EDNS, mixed case, 1 to 5 labels": ["-e"], "names of other zones": [],
}  # fmt: skip
RANDOM_NAMES = 50_000


def zone_text() -> str:
    head = f"$ORIGIN {ZONE}.\n@ 30 IN SOA ns1 hostmaster 1 60 15 1209600 30\n@ 30 IN NS ns1\nns1 30 IN A 192.0.2.1\n"
    return head + "".join(f"n{number} 30 IN A 192.0.2.10\n" for number in range(NAMES))


def questions(directory: Path) -> dict[str, Path]:
    dice = random.Random(1)

    def mixed(name: str) -> str:
        return "".join(c.upper() if dice.random() < 0.5 else c for c in name)

    def deep() -> str:
        return ".".join(dice.randbytes(dice.randint(1, 5)).hex() for _ in range(dice.randint(1, 5)))

    lines = {
        "one name": [f"n1.{ZONE} A"],
        "1,000 names, EDNS, mixed case": [f"{mixed(f'n{number}.{ZONE}')} A" for number in range(NAMES)],
        "random names that are not there": [f"{dice.randbytes(dice.randint(2, 12)).hex()}.{ZONE} A" for _ in range(RANDOM_NAMES)],
        "the same, EDNS, mixed case, 1 to 5 labels": [f"{mixed(f'{deep()}.{ZONE}')} A" for _ in range(RANDOM_NAMES)],
        "names of other zones": [f"n{number}.example.org A" for number in range(NAMES)],
    }
    for number, text in enumerate(lines.values()):
        (directory / f"questions{number}").write_text("\n".join(text) + "\n")
    return {name: directory / f"questions{number}" for number, name in enumerate(lines)}


def gdnsd(directory: Path, place: Endpoint) -> list[str]:
    (directory / "zones").mkdir(parents=True)
    (directory / "zones" / ZONE).write_text(zone_text())
    (directory / "config").write_text(
        f'options => {{ listen => ["{place.host}:{place.port}"], udp_threads => 1, tcp_threads => 1,'
        f' run_dir => "{directory}/run", state_dir => "{directory}/state" }}\n'
    )
    return [program("gdnsd"), "-c", str(directory), "-R", "start"]


def knot(directory: Path, place: Endpoint) -> list[str]:
    (directory / "zone").write_text(zone_text())
    (directory / "knot.conf").write_text(
        f"server:\n  rundir: {directory}\n  listen: {place.host}@{place.port}\n  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n"
        f"database:\n  storage: {directory}\nlog:\n  - target: stderr\n    any: warning\nzone:\n  - domain: {ZONE}\n    file: {directory}/zone\n"
    )
    return [program("knotd"), "-c", str(directory / "knot.conf")]


def bind(directory: Path, place: Endpoint) -> list[str]:
    (directory / "zone").write_text(zone_text())
    (directory / "named.conf").write_text(
        f'options {{ directory "{directory}"; listen-on port {place.port} {{ {place.host}; }}; listen-on-v6 {{ none; }}; pid-file none; recursion no;'
        f' session-keyfile none; minimal-responses yes; }};\ncontrols {{ }};\nzone "{ZONE}" {{ type primary; file "{directory}/zone"; }};\n'
    )
    return [program("named"), "-g", "-4", "-n", "1", "-U", "1", "-c", str(directory / "named.conf")]


def pdns(directory: Path, place: Endpoint) -> list[str]:
    powerdns_database(directory / "db", ZONE, zone_text(), KEY)
    options = {"config-dir": directory, "daemon": "no", "guardian": "no", "launch": "gsqlite3", "gsqlite3-database": directory / "db",
               "socket-dir": directory, "local-address": place.host, "local-port": place.port, "receiver-threads": 1, "distributor-threads": 1,
               "security-poll-suffix": ""}
    return [program("pdns_server"), *(f"--{key}={value}" for key, value in options.items())]


def lbctl(loop: str) -> Callable[[Path, Endpoint], list[str]]:
    return lambda directory, place: [sys.executable, "-m", "tests.bench.dns", "--serve", loop, str(directory), str(place.port)]


SERVERS = {"lbctl uvloop": lbctl("uvloop"), "lbctl asyncio": lbctl("asyncio"), "gdnsd": gdnsd, "knot": knot, "bind": bind, "pdns": pdns}


@contextmanager
def running(command: list[str], place: Endpoint) -> Iterator[int]:
    """A server pinned to core 0, once it answers; its process id."""
    process = subprocess.Popen(["taskset", "-c", "0", *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(0.2)
            until = time.monotonic() + 30
            while True:
                sock.sendto(wire.encode_query(1, wire.encode_name(f"n1.{ZONE}"), wire.A), place)
                try:
                    if wire.parse_reply(sock.recv(4096)).answer:
                        break
                except OSError:
                    time.sleep(0.05)
                assert time.monotonic() < until, f"{command[0]} does not answer"
        yield process.pid
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


def load(place: Endpoint, file: Path, seconds: float, more: list[str]) -> tuple[int, float]:
    """(answers, answers a second)."""
    command = ["taskset", "-c", "1", program("dnsperf"), "-s", place.host, "-p", str(place.port), "-d", str(file), "-c", "8", "-q", "100"]
    output = subprocess.run([*command, "-l", str(seconds), *more], capture_output=True, text=True, check=True).stdout
    completed, rate = re.search(r"Queries completed:\s+(\d+)", output), re.search(r"Queries per second:\s+([\d.]+)", output)
    assert completed and rate, output
    return int(completed[1]), float(rate[1])


def compare(wanted: list[str], seconds: float, rounds: int) -> None:
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as top:
        files = questions(Path(top))
        for turn in range(rounds):
            for name in wanted:
                place, directory = free_place(), Path(top) / f"{name.replace(' ', '-')}-{turn}"
                directory.mkdir()
                with running(SERVERS[name](directory, place), place) as pid:
                    for workload, more in WORKLOADS.items():
                        load(place, files[workload], 0.3, more)
                        before = cpu_s(pid)
                        answers, rate = load(place, files[workload], seconds, more)
                        found.setdefault((workload, name), []).append(((cpu_s(pid) - before) / answers * 1e6, rate))
    print(f"\nload average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores at the end")
    for workload in WORKLOADS:
        print(f"\n{workload}:")
        base = [statistics.median(one) for one in zip(*found[workload, "gdnsd"], strict=True)] if "gdnsd" in wanted else None
        for name in wanted:
            cpus, rates = zip(*found[workload, name], strict=True)
            cpu = statistics.median(cpus)
            rate = statistics.median(rates)
            ratio = f"{cpu / base[0]:5.2f} × gdnsd's CPU, {rate / base[1]:5.2f} × its rate" if base else ""
            print(f"  {name:14} {cpu:6.2f} µs CPU an answer [{min(cpus):.2f}..{max(cpus):.2f}] {rate:9,.0f} answers/s {ratio}")


async def serve(directory: Path, port: int) -> None:
    server = made(directory, port, NAMES)
    await server.start()
    for number in range(NAMES):
        server.register.publish(f"n{number}.{ZONE}", ["192.0.2.10"], 1)
    await asyncio.Event().wait()


def made(directory: Path, port: int, names: int) -> Server:
    zones = (ZoneSettings(ZONE, {f"ns1.{ZONE}": ("192.0.2.1",)}),)
    server = Server(ServerSettings((Endpoint("127.0.0.1", port),), zones, directory / "copy"), SystemClock())
    for number in range(names):
        server.register.declare(f"n{number}.{ZONE}", 30)
    return server


async def changes(names: int, count: int) -> list[float]:
    """Milliseconds from publishing to the first changed answer over UDP, the copy being written meanwhile."""
    found, loop = [], asyncio.get_running_loop()
    with tempfile.TemporaryDirectory() as top, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        server = made(Path(top), 0, names)
        await server.start()
        for number in range(names):
            server.register.publish(f"n{number}.{ZONE}", ["192.0.2.10"], 1)
        sock.setblocking(False)
        sock.connect(server.endpoints[0])
        question = wire.encode_query(7, wire.encode_name(f"n0.{ZONE}"), wire.A)
        for epoch in range(2, count + 2):
            address, began = f"198.51.100.{epoch % 250 + 1}", time.perf_counter()
            server.register.publish(f"n0.{ZONE}", [address], epoch)
            await loop.sock_sendall(sock, question)
            reply = wire.parse_reply(await loop.sock_recv(sock, 4096))
            found.append((time.perf_counter() - began) * 1e3)
            assert reply.answer[0].rdata == socket.inet_aton(address)
            await asyncio.sleep(0.002)
        await server.close()
    return sorted(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--serve", nargs=3, metavar=("LOOP", "DIRECTORY", "PORT"), help="be the server that is measured")
    parser.add_argument("servers", nargs="*", choices=[[], *SERVERS], default=[])
    given = parser.parse_args()
    if given.serve:
        loop, directory, port = given.serve
        (uvloop.run if loop == "uvloop" else asyncio.run)(serve(Path(directory), int(port)))
        return
    for names in (1, 10_000):
        times = uvloop.run(changes(names, 500))
        print(f"published → answered, {names:6,} names: median {times[250]:.2f} ms, p99 {times[495]:.2f} ms, max {times[-1]:.2f} ms")
    compare(given.servers or list(SERVERS), given.seconds, given.rounds)


if __name__ == "__main__":
    main()
