"""Recovery end to end (G-SC1, G-LB3, G-LB4): Primary dies → Secondary takes over → Primary returns and stays out → synced back → resume."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from tests.outside.site import PATIENT, site


async def test_recovery_by_hand_with_the_guides_commands(tmp_path: Path) -> None:
    """G-CLI, G-ST, SEMANTICS 3 (i): every role is changed by a person on the Cores; lbctl only watches, refuses and resumes."""
    async with site(tmp_path) as it:
        await it.a.end(signal.SIGKILL)
        await it.until_answer(it.host_b)
        assert (await it.b.type("failover mode primary"))[0] == 0
        assert await it.b.enroll("written-while-b-was-active") in (200, 201)
        await it.until_service("B promoted", lambda s: s["promoted"])

        await it.a.start()
        await it.until_service("A is back", lambda s: s["members"][0]["verdict"] == "primary")
        await it.stays(it.host_b, 1.0)
        code, text = await it.lbctl.say("resume", "core")
        assert code == 3 and "active-standby" in text

        assert (await it.a.type("failover mode secondary"))[0] == 0
        assert (await it.a.type(f"failover sync {it.host_b}"))[0] == 0
        assert (await it.b.type("failover mode secondary"))[0] == 0
        assert (await it.a.type("failover mode primary"))[0] == 0
        await it.until_service("roles returned", lambda s: s["members"][0]["monitors"]["status"]["verdict"] == "ok" and s["state"] == "stranded")
        code, text = await it.lbctl.say("resume", "core")
        assert code == 3 and "re-synced" in text
        await it.accepted("resume", "core", "--attest-synced", "--reason", "synced by hand")
        await it.until_answer(it.host_a)
        await it.until_service("normal again", lambda s: s["state"] == "normal" and not s["members"][0]["latched"])


async def test_recovery_driven(tmp_path: Path) -> None:
    """SEMANTICS 3 (ii), `on_failover: {promote: drive}`: lbctl promotes, syncs back, returns the roles; nothing written meanwhile is lost."""
    async with site(tmp_path, drive=True, service={"on_failover": {"promote": "drive"}}) as it:
        await it.b.type(f"failover sync {it.host_a}")
        await it.a.end(signal.SIGKILL)
        await it.until_answer(it.host_b)
        await it.b.until(mode="Secondary", state="Active")
        assert await it.b.enroll("written-while-b-was-active") in (200, 201)
        await it.until_service("B promoted", lambda s: s["promoted"] and s["run"] is None)

        await it.a.start()
        await it.until_service("A is back", lambda s: s["members"][0]["verdict"] == "primary")
        code, text = await it.lbctl.say("resume", "core", "--drive")
        assert code == 3 and "not-dual-primary" in text
        assert (await it.a.type("failover mode secondary"))[0] == 0
        await it.until_service("A waits", lambda s: s["members"][0]["verdict"] == "standby")
        await it.accepted("resume", "core", "--drive", "--reason", "back to A")
        await it.until_answer(it.host_a)
        await it.until_service("finished", lambda s: s["run"] is None and s["state"] == "normal")
        assert '"devices": 1' in (await it.a.type("show devices json"))[1]
        assert '"client_connections": true' in (await it.a.type("show failover status json"))[1]


async def test_a_standby_that_was_never_promoted_gives_the_traffic_back_at_once(tmp_path: Path) -> None:
    """SEMANTICS 3 (iii): B kept in Standby, so nothing was written on its side; the returned primary serves, and the resume needs nobody's word."""
    async with site(tmp_path, probe=PATIENT) as it:
        await it.a.end(signal.SIGKILL)
        await it.until_answer(it.host_b)
        code, text = await it.lbctl.say("resume", "core")
        assert code == 3 and "primary-serving" in text
        await it.a.start()
        await it.stays(it.host_b, 1.0)
        await it.go_back()
        seen = await it.until_service("normal", lambda s: s["state"] == "normal")
        assert not seen["members"][0]["needs_resync"] and not seen["members"][0]["latched"]


async def test_kill_9_of_the_controller_after_each_stage(tmp_path: Path) -> None:
    """H25: killed while A is dead and B has the traffic, restarted: the answer stands, and nothing moves back."""
    async with site(tmp_path) as it:
        await it.lbctl.end(signal.SIGKILL)
        await it.lbctl.start()
        await it.until_answer(it.host_a)
        await it.a.end(signal.SIGKILL)
        await it.until_answer(it.host_b)
        await it.lbctl.end(signal.SIGKILL)
        await it.a.start()
        await it.lbctl.start()
        await it.until_answer(it.host_b)
        await it.until_service("A is seen", lambda s: s["members"][0]["verdict"] == "primary")
        seen = await it.lbctl.service()
        assert seen["active"] == "core-b" and seen["members"][0]["latched"]
        await it.stays(it.host_b, 1.0)


async def test_a_controller_stopped_for_twenty_seconds_does_nothing_when_it_goes_on(tmp_path: Path) -> None:
    """H24: SIGSTOP: all looks of that time are void."""
    async with site(tmp_path) as it:
        await it.until_service("normal", lambda s: s["state"] == "normal")
        it.lbctl.signal(signal.SIGSTOP)
        await asyncio.sleep(5)
        it.lbctl.signal(signal.SIGCONT)
        await it.stays(it.host_a, 2.0)
        seen = await it.until_service("normal", lambda s: s["state"] == "normal")
        assert seen["epoch"] == 1
