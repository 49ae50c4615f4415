"""Partitions of a real network: lbctl, both Cores and the client stand on hosts of their own, and something between them is cut."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.outside.netns_site import admit, apart, reject
from tests.outside.site import PATIENT

pytestmark = pytest.mark.netns

LOSSY = {"profile": "careful", "interval": "2s", "timeout": "2s"}
"""`careful` with its own fall and min_outage; it only looks more often, so that a short time has many looks."""


async def test_lbctl_cut_off_from_everything_is_blind_and_remembers_no_failure_of_that_time(tmp_path: Path) -> None:
    """H3; then the Standby alone is cut off: nothing to do, somebody is told (G-LB4)."""
    async with apart(tmp_path, probe=PATIENT) as it:
        await it.until_settled()
        it.switch.cut(it.on_lbctl, it.on_a, it.on_b)
        blind = await it.until_service("blind", lambda s: s["state"] == "blind")
        await it.stays(it.host_a, 3.5)
        assert blind["active"] == "core-a" and (await it.lbctl.seen())["state"] == "blind"
        it.switch.mend()
        seen = await it.until_service("sees again", lambda s: s["state"] != "blind")
        assert all(page["failed_in_a_row"] == 0 for page in seen["members"][0]["monitors"].values()), seen["members"]
        await it.until_settled()

        it.switch.cut(it.on_lbctl, it.on_b)
        await it.until_service("the Standby is missed", lambda s: any(alert["kind"] == "StandbyDown" for alert in s["alerts"]))
        await it.stays(it.host_a, 1.0)
        code, text = await it.lbctl.say("status", "core")
        assert code == 0 and "core-b" in text and "timeout" in text and "does not answer as a standby" in text, text
        assert (await it.lbctl.service())["epoch"] == 1


async def test_a_primary_behind_a_cut_or_a_firewall_is_failed_over(tmp_path: Path) -> None:
    """G-LB3: dropped packets, then, after a resume, a firewall that answers: each reason is told apart."""
    async with apart(tmp_path, probe=PATIENT) as it:
        await it.until_settled()
        it.switch.cut(it.on_lbctl, it.on_a)
        await it.until_answer(it.host_b)
        seen = await it.lbctl.seen()
        assert seen["active"] == "core-b" and seen["members"][0]["monitors"]["status"]["reason"] == "timeout"
        it.switch.mend()
        await it.go_back("--attest-synced", "--reason", "core-b was never promoted")
        reject(it.on_a, it.on_lbctl, "tcp reset")
        await it.until_answer(it.host_b)
        assert (await it.lbctl.seen())["members"][0]["monitors"]["status"]["reason"] == "refused"
        admit(it.on_a)
        reject(it.on_a, it.on_lbctl, "icmp type host-unreachable")
        await it.until_service("told that it cannot be reached", lambda s: s["members"][0]["monitors"]["status"]["reason"] == "unreachable")
        await it.stays(it.host_b, 0.5)


async def test_a_third_of_all_packets_lost_moves_nothing(tmp_path: Path) -> None:
    """H6: bad looks with good ones between them are a bad network, not a dead Core."""
    async with apart(tmp_path, probe=LOSSY) as it:
        await it.until_settled()
        it.switch.lose(30, it.on_lbctl, it.on_a, it.on_b)
        await it.stays(it.host_a, 10.0)
        assert it.switch.lost() > 20
        it.switch.mend()
        seen = await it.lbctl.seen()
        assert seen["epoch"] == 1 and seen["active"] == "core-a" and not seen["members"][0]["latched"]
        await it.until_settled()
