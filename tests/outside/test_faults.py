"""Cores that fail in each of the ways a real one does, switched with `lbctl core fault`; seen as a client and a person see it."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest

from tests.core.cores import Process
from tests.outside.site import PATIENT, site


async def fault(core: Process, kind: str) -> None:
    """`lbctl core fault`, as a person types it."""
    words = [sys.executable, "-m", "lbctl.cli", "core", "fault", "-c", str(core.file), kind]
    made = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
    out, _ = await made.communicate()
    assert made.returncode == 0, out.decode()


QUICKLY_SEEN = {"503": "status", "wrong-text": "mismatch", "expired-certificate": "tls", "refuse": "refused"}
SILENT = {"hung": "timeout", "slow-drip": "timeout", "frozen": "timeout"}


@pytest.mark.parametrize("kinds", [QUICKLY_SEEN, SILENT], ids=["quickly-seen", "silent"])
async def test_each_fault_of_the_primary_is_failed_over_with_its_reason(tmp_path: Path, kinds: dict[str, str]) -> None:
    """G-LB1, G-LB3, H15: one after the other on one pair, each followed by the way back."""
    async with site(tmp_path, probe=PATIENT) as it:
        await it.until_settled()
        for number, (kind, reason) in enumerate(kinds.items(), start=1):
            if kind == "frozen":
                it.a.signal(signal.SIGSTOP)
            else:
                await fault(it.a, kind)
            await it.until_answer(it.host_b)
            await it.until_service("failed over", lambda s: s["state"] == "failed-over")  # read back a moment after the first reader has it
            code, text = await it.lbctl.say("-o", "json", "status", "core")
            shown = json.loads(text)
            assert code == 0 and shown["state"] == "failed-over" and shown["epoch"] == 2 * number, (kind, text)
            assert shown["members"][0]["monitors"]["status"]["reason"] == reason, (kind, text)
            if kind == "frozen":
                it.a.signal(signal.SIGCONT)
            else:
                await fault(it.a, "clear")
            if number < len(kinds):
                await it.go_back("--attest-synced", "--reason", "core-b was never promoted")


async def test_certificates_that_expire_on_both_members_move_nothing(tmp_path: Path) -> None:
    """H20: a common cause is not a dead Core."""
    async with site(tmp_path, probe=PATIENT) as it:
        await it.until_settled()
        await fault(it.b, "expired-certificate")
        await it.until_service("the Standby fails", lambda s: s["members"][1]["health"] == "down" and s["members"][1]["reason"] == "tls")
        await fault(it.a, "expired-certificate")
        seen = await it.until_service("common mode", lambda s: s["state"] == "common-mode" and s["members"][0]["health"] == "down")
        assert "no-common-mode" in {rule["rule"] for gate in seen["gate"] for rule in gate["rules"] if not rule["holds"]}
        await it.stays(it.host_a, 1.5)
        await fault(it.a, "clear")
        await it.until_service("the Primary serves", lambda s: s["members"][0]["health"] == "up")
        await fault(it.b, "clear")
        await it.until_settled()
        assert (await it.lbctl.seen())["epoch"] == 1


async def test_both_down_writes_nothing_and_the_standby_takes_over_when_it_is_back(tmp_path: Path) -> None:
    """H2: the serial of the zone is what a client can see of a write."""
    async with site(tmp_path, probe=PATIENT) as it:
        await it.until_settled()
        before = await it.serial()
        await it.b.end(signal.SIGKILL)
        await it.until_service("the Standby is down", lambda s: s["members"][1]["health"] == "down")
        await it.a.end(signal.SIGKILL)
        seen = await it.until_service("all down", lambda s: s["state"] == "all-down")
        await it.stays(it.host_a, 1.5)
        assert await it.serial() == before
        assert seen["active"] == "core-a" and [(one["wanted"], one["applied"], one["verified"]) for one in seen["actuators"]] == [(1, 1, 1)]
        code, text = await it.lbctl.say("status", "core")
        assert code == 0 and "all-down" in text
        await it.b.start()
        await it.until_answer(it.host_b)
        assert await it.serial() > before
        assert (await it.lbctl.seen())["epoch"] == 2
