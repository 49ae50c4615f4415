"""The service under a real systemd: the package installed, the unit started, starved, reloaded, restarted, stopped (issue 5, item 10).

Each test boots a machine of its own (machine.py); what it sees is what `systemctl`, `dig` and the kernel say there.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.deploy.crowd import ask, crowd
from tests.deploy.machine import Machine, machine, pages

pytestmark = pytest.mark.netns

HERE = Path(__file__).parent
CONFIGURATION = "/etc/lbctl/lbctl.yaml"
FILE = """\
controller: {name: trial, state: /var/lib/lbctl/state.db}
api: {socket: /run/lbctl/lbctl.sock, listen: "127.0.0.1:9653"}
authoritative:
  listen: ["127.0.0.1:5300"]
  zones: {gtm.example.com: {ns: {ns1.gtm.example.com: 127.0.0.1}}}
services:
  core:
    probe: {profile: standard}
    members:
      - {name: core-a, role: primary, address: 127.0.0.11, url: "http://127.0.0.11:8080"}
      - {name: core-b, role: secondary, address: 127.0.0.12, url: "http://127.0.0.12:8080", syncs_from: core-a}
    actuators: [{authoritative: {name: core.gtm.example.com, ttl: 5}}]
"""


async def configured(host: Machine, text: str = FILE) -> None:
    await host.write(CONFIGURATION, text, mode="0640", owner="root:lbctl")


async def answer(host: Machine) -> str:
    return await ask("127.0.0.1", 5300, network=host.network)


async def settled(host: Machine, wanted: str = "127.0.0.11") -> None:
    async def told() -> bool:
        return await answer(host) == wanted
    await host.until(told, f"answers say {wanted}")


async def test_the_service_starts_is_watched_reloads_restarts_and_stops(package: Path, tmp_path: Path) -> None:
    async with machine(tmp_path) as host, pages(host):
        await host.install(package)
        await _starts(host)
        await _a_hung_one_is_restarted(host)
        await _reloads(host)
        await _a_restart_loses_no_query(host)
        await _stops(host)


async def _starts(host: Machine) -> None:
    """Not without a configuration; then `start` comes back when the first looks are over."""
    await host.run("systemctl", "start", "lbctl")
    assert await host.show("ActiveState") == "inactive" and await host.show("ConditionResult") == "no"
    await configured(host)
    await host.run("systemctl", "start", "lbctl-dns.socket")
    await host.run("systemctl", "start", "lbctl")
    assert await host.show("ActiveState") == "active" and "1 uninitialised" in await host.show("StatusText")
    await settled(host)
    log = await host.log("-u", "lbctl")
    assert "ready services=1" in log and "core-a is accepted as the active member of core" in log


async def _a_hung_one_is_restarted(host: Machine) -> None:
    """A process that stands still is killed by the watchdog and started again; it publishes what it had published. 30 s are made 2 here."""
    assert await host.show("WatchdogUSec") == "30s"
    await host.write("/run/systemd/system/lbctl.service.d/soon.conf", "[Service]\nWatchdogSec=2\n")
    await host.run("systemctl", "daemon-reload")
    await host.run("systemctl", "restart", "lbctl")
    pid = await host.show("MainPID")
    await settled(host)
    async with crowd("127.0.0.1", 5300, network=host.network, every_s=0.2) as clients:
        await host.run("kill", "-STOP", pid)

        async def restarted() -> bool:
            return await host.show("NRestarts") == "1" and await host.show("ActiveState") == "active"
        await host.until(restarted, "a restart by the watchdog")
    assert set(clients.answers) == {"127.0.0.11"}, "also those who asked while it hung were told, late"
    assert "Watchdog timeout" in await host.log("-u", "lbctl") and await host.show("MainPID") != pid
    await host.run("rm", "-r", "/run/systemd/system/lbctl.service.d")
    await host.run("systemctl", "daemon-reload")
    await host.run("systemctl", "restart", "lbctl")


async def _reloads(host: Machine) -> None:
    """The same process; a file with a mistake and one that would move traffic are refused, by `systemctl` too."""
    pid = await host.show("MainPID")
    await configured(host, FILE.replace("ttl: 5", "ttl: 7"))
    await host.run("systemctl", "reload", "lbctl")
    assert "\t7\tIN" in await host.run("dig", "+noall", "+answer", "@127.0.0.1", "-p", "5300", "core.gtm.example.com")
    for wrong, why in ((FILE.replace("ttl: 5", "ttl: five"), "expected a whole number"),
                       (FILE.replace("address: 127.0.0.11,", "address: 192.0.2.1,"), "it would move traffic")):
        await configured(host, wrong)
        assert (await host.tried("systemctl", "reload", "lbctl")).code != 0
        assert why in await host.log("-u", "lbctl")
        assert await answer(host) == "127.0.0.11"
    await configured(host)
    await host.run("systemctl", "reload", "lbctl")
    assert await host.show("MainPID") == pid


async def _a_restart_loses_no_query(host: Machine) -> None:
    """systemd keeps the sockets of lbctl-dns.socket open; nothing moves."""
    pid = await host.show("MainPID")
    async with crowd("127.0.0.1", 5300, network=host.network) as clients:
        await host.run("systemctl", "restart", "lbctl")
    assert set(clients.answers) == {"127.0.0.11"} and await host.show("MainPID") != pid
    print(f"{clients.asked} queries over a restart by systemd, none lost, the slowest took {clients.slowest_s:.2f} s")
    assert re.search(r"epoch 1\b", await host.run("lbctl", "status", "core"))


async def _stops(host: Machine) -> None:
    """As the manual says: with the socket unit running the next query starts it again; both stopped, nobody answers; the last answer is kept."""
    await host.run("systemctl", "stop", "lbctl")
    assert await host.show("ActiveState") == "inactive" and await host.show("Result") == "success"
    assert await answer(host) == "127.0.0.11" and await host.show("ActiveState") in ("active", "activating")
    await host.run("systemctl", "stop", "lbctl-dns.socket", "lbctl")
    with pytest.raises(ConnectionRefusedError):
        await answer(host)
    assert "stopping; what is published stays" in await host.log("-u", "lbctl")
    await host.run("systemctl", "start", "lbctl")  # without the socket it binds by itself
    assert await answer(host) == "127.0.0.11", "from the first moment, out of its own copy"


CAN = {"write-state", "write-runtime", "write-tmp", "read-configuration", "see-itself", "inet", "inet6", "unix", "run-a-program"}


async def test_the_walls_of_the_units_hold(package: Path, tmp_path: Path) -> None:
    """The unit's own settings around a program that tries everything (walls.py), then with each drop-in."""
    async with machine(tmp_path) as host:
        await host.install(package)
        await host.write("/usr/lib/lbctl/walls.py", (HERE / "walls.py").read_text())
        unit = await host.run("cat", "/lib/systemd/system/lbctl.service")
        unit = re.sub(r"^ExecStart=.*", "ExecStart=/usr/bin/python3 -I /usr/lib/lbctl/walls.py", unit, flags=re.MULTILINE)
        unit = re.sub(r"^(ConditionPathExists|ExecReload|WatchdogSec|NotifyAccess|Restart)=.*\n", "", unit, flags=re.MULTILINE)
        await host.write("/run/systemd/system/walls.service", unit.replace("Type=notify", "Type=oneshot"))
        assert await _can(host) == CAN
        for name, more in (("port53", {"port-53"}), ("vip", {"netlink", "packet", "raw-ip"})):
            drop_in = f"/run/systemd/system/walls.service.d/{name}.conf"
            await host.write(drop_in, await host.run("cat", f"/usr/share/doc/lbctl/examples/{name}.conf"))
            assert await _can(host) == CAN | more, name
            await host.run("rm", drop_in)


async def _can(host: Machine) -> set[str]:
    """What the program under the walls could do."""
    await host.run("systemctl", "daemon-reload")
    await host.run("journalctl", "--rotate", "--vacuum-time=1us")
    await host.run("systemctl", "start", "walls")
    tried = dict(line.split(" ", 2)[:2] for line in (await host.log("-u", "walls", "-n", "all", "_COMM=python3")).splitlines() if " " in line)
    assert set(tried.values()) == {"yes", "no"} and len(tried) > 30, tried
    return {name for name, how in tried.items() if how == "yes"}


async def test_a_virtual_address_and_a_low_port_need_their_drop_ins_and_no_more(package: Path, tmp_path: Path) -> None:
    """Without them the journal says which; with them the unprivileged service holds the address, and lets go of it when it is stopped."""
    vip = FILE.replace("authoritative: {name: core.gtm.example.com, ttl: 5}", "vip: {address: 192.0.2.9/32, interface: trial0, lease: 3s}")
    drop_ins = "/etc/systemd/system/lbctl.service.d"

    async def held() -> bool:
        return "192.0.2.9/32" in await host.run("ip", "-o", "addr", "show", "dev", "trial0")

    async def gone() -> bool:
        return not await held()

    async with machine(tmp_path) as host, pages(host):
        await host.install(package)
        await host.shell("ip link add trial0 type veth peer name trial1; ip link set trial1 up; ip link set trial0 up")
        await host.shell(f"ip addr add 192.0.2.1/24 dev trial0; mkdir -p {drop_ins}")
        for text, drop_in in ((FILE.replace("127.0.0.1:5300", "127.0.0.1:53"), "port53.conf"), (vip, "vip.conf")):
            await configured(host, text)
            assert (await host.tried("systemctl", "start", "lbctl")).code != 0
            assert drop_in in await host.log("-u", "lbctl")
            await host.shell(f"systemctl stop lbctl; cp /usr/share/doc/lbctl/examples/{drop_in} {drop_ins}; systemctl daemon-reload")
            await host.run("systemctl", "start", "lbctl")
            if drop_in == "port53.conf":
                assert await ask("127.0.0.1", 53, network=host.network) in ("", "127.0.0.11")
                await host.shell("systemctl stop lbctl; systemctl start lbctl-dns.socket lbctl")
                assert "lbctl-dns.socket has an address that authoritative.listen does not address=127.0.0.1:5300" in await host.log("-u", "lbctl")
                await host.shell(f"systemctl stop lbctl-dns.socket lbctl; rm {drop_ins}/*; systemctl daemon-reload")
        await host.until(held, "the address")
        assert await host.show("User") == "lbctl" and "cap_net_bind_service" not in await host.show("AmbientCapabilities")
        await host.run("systemctl", "stop", "lbctl")
        await host.until(gone, "the address gone")
