"""What a person on the outside does with a running product: `dig`, metrics, a maintenance, an approval after the promotion race."""

from __future__ import annotations

import asyncio
import json
import signal
import urllib.error
import urllib.request
from pathlib import Path

from tests.outside.site import NAME, PATIENT, Site, site

SLOWER_THAN_THE_HEARTBEAT = {**PATIENT, "min_outage": "4s"}
QUICK_HEARTBEAT = {"if_failure_detected": "promote", "heartbeat_interval": 0.5, "heartbeat_failures": 3, "recheck_interval": 0.2}


async def dig(it: Site, *words: str) -> str:
    made = await asyncio.create_subprocess_exec(
        "dig", f"@{it.host}", "-p", "5300", "+tries=2", "+timeout=10", *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
    out, _ = await made.communicate()
    assert made.returncode == 0, out.decode()
    return out.decode().strip()


async def read(it: Site, path: str) -> tuple[int, str]:
    """As curl reads it over TCP."""
    def ask() -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://{it.host}:9653{path}", timeout=30) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.read().decode()

    return await asyncio.to_thread(ask)


async def test_what_dig_and_curl_read_from_a_running_lbctl(tmp_path: Path) -> None:
    """CONTRACT 4 and 5; DNS: A, SOA, TCP, NODATA and NXDOMAIN with SOA, nothing outside its zones."""
    async with site(tmp_path, probe=PATIENT) as it:
        await it.until_settled()
        plain, tcp, soa, nodata, unknown, outside = await asyncio.gather(
            dig(it, "+short", NAME), dig(it, "+short", "+tcp", NAME), dig(it, "+short", "SOA", "gtm.example.com"), dig(it, NAME, "AAAA"),
            dig(it, f"nobody.{NAME}"), dig(it, "www.example.org"))
        assert plain == tcp == it.host_a
        assert soa.split()[0] == "ns1.gtm.example.com." and int(soa.split()[2]) == await it.serial()
        assert "status: NOERROR" in nodata and "ANSWER: 0, AUTHORITY: 1" in nodata and "\tSOA\t" in nodata
        assert "status: NXDOMAIN" in unknown and "\tSOA\t" in unknown
        assert "status: REFUSED" in outside and " aa" not in outside

        assert (await read(it, "/livez"))[0] == (await read(it, "/readyz"))[0] == (await read(it, "/leader"))[0] == 200
        status, metrics = await read(it, "/metrics")
        assert status == 200
        for line in ('lbctl_active{service="core",member="core-a"} 1', 'lbctl_active{service="core",member="core-b"} 0',
                     'lbctl_service_state{service="core",state="normal"} 1',
                     'lbctl_member_verdict{service="core",member="core-b",verdict="standby"} 1',
                     'lbctl_failovers_total{service="core",from="core-a",to="core-b",trigger="auto"} 0', "lbctl_config_last_reload_successful 1"):
            assert line in metrics.replace(".0\n", "\n").splitlines(), [known for known in metrics.splitlines() if known[:12] == line[:12]]
        status, text = await read(it, "/api/v1/services/cor")
        assert status == 404 and "core" in json.loads(text)["detail"]


async def test_a_maintenance_and_its_end_move_nothing_before_somebody_arms_it(tmp_path: Path) -> None:
    """SEMANTICS 7, H32, H33: on → the Primary dies → off → re-arming → ack → failover."""
    async with site(tmp_path, probe=PATIENT) as it:
        await it.until_settled()
        code, text = await it.lbctl.say("maintenance", "on", "core", "--for", "1h", "--reason", "new disks")
        assert code == 0, text
        await it.a.end(signal.SIGKILL)
        seen = await it.until_service("down", lambda s: s["state"] == "down")
        assert seen["maintenance"]["on"] and seen["maintenance"]["reason"] == "new disks"
        await it.stays(it.host_a, 1.5)

        code, text = await it.lbctl.say("maintenance", "off", "core")
        assert code == 0, text
        seen = await it.until_service("down again", lambda s: s["members"][0]["health"] == "down" and "re-arming" in s["conditions"])
        shut = {row["rule"] for gate in seen["gate"] for row in gate["rules"] if not row["holds"]}
        assert not seen["maintenance"]["on"] and "armed" in shut and "not-in-maintenance" not in shut
        await it.stays(it.host_a, 3.0)
        assert (await it.lbctl.seen())["epoch"] == 1

        code, text = await it.lbctl.say("ack", "core", "--reason", "the Primary is really dead")
        assert code == 0, text
        await it.until_answer(it.host_b)
        await it.until_service("failed over", lambda s: s["state"] == "failed-over")  # read back a moment after the first reader has it


async def test_a_standby_that_promotes_itself_first_waits_for_a_yes(tmp_path: Path) -> None:
    """H7: the real heartbeat wins the race; `on_self_promoted: ask` puts the move to a person."""
    async with site(tmp_path, probe=SLOWER_THAN_THE_HEARTBEAT, ha_b=QUICK_HEARTBEAT) as it:
        await it.until_settled()
        await it.a.end(signal.SIGKILL)
        await it.b.until(mode="Secondary", state="Active")
        seen = await it.until_service("stranded", lambda s: s["state"] == "stranded" and s["approvals"])
        assert seen["active"] == "core-a" and await it.answer() == it.host_a
        ident = seen["approvals"][0]["id"]
        code, text = await it.lbctl.say("approvals")
        assert code == 0 and ident in text and "core-b" in text
        code, text = await it.lbctl.say("approve", ident, "--reason", "I am on call")
        assert code in (0, 6), text
        await it.until_answer(it.host_b)
        seen = await it.until_service("failed over", lambda s: s["state"] == "failed-over" and s["promoted"])
        assert not seen["approvals"] and seen["members"][0]["latched"] and seen["locked_out_until"] is None
        _, metrics = await read(it, "/metrics")
        assert 'lbctl_failovers_total{service="core",from="core-a",to="core-b",trigger="operator"} 1' in metrics
