"""A planned move between real Cores, as an administrator types it (H49, SEMANTICS sections 3 and 8)."""

from __future__ import annotations

import json
from pathlib import Path

from tests.outside.site import NAME, site


async def test_a_drained_and_driven_switchover_announces_the_gap_and_reports_it(tmp_path: Path) -> None:
    """The TTL goes down and passes, the Cores change roles, traffic moves, and what clients felt is in the history."""
    actuators = [{"authoritative": {"name": NAME, "ttl": 7}}]
    async with site(tmp_path, drive=True, service={"actuators": actuators}) as made:
        await made.until_service("ready to be driven", lambda seen: seen["state"] == "normal" and seen["members"][1]["verdict"] == "standby")
        code, told = await made.lbctl.say("switchover", "core", "--drive", "--drain", "--reason", "network work")
        assert code == 0, told + made.lbctl.log[-2000:]
        assert "clients are refused while the Cores change roles" in made.lbctl.log
        assert await made.answer() == made.host_b
        code, history = await made.lbctl.say("history", "core")
        assert code == 0 and "TTL is lowered" in history and "clients were refused for" in history
        await made.until_service("ready for the way back", lambda seen: seen["members"][0]["verdict"] == "standby" and seen["promoted"])
        code, told = await made.lbctl.say("resume", "core", "--drive", "--reason", "network work is over")
        assert code == 0, told + made.lbctl.log[-2000:]
        _, events = await made.lbctl.say("-o", "json", "events", "core", "--since", "0")
        paged = [event["text"] for event in json.loads(events)["events"] if event["data"].get("page") is True]
        assert paged == [], "a planned switchover never pages (contract, section 5)"
