"""The guided upgrade of a real pair (G-UP, SEMANTICS 7): nine steps, each refused until the Cores say that it is done."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.core.cores import Process
from tests.outside.site import Site, serves_as_primary, site


async def refused(it: Site, *what: str) -> None:
    """`next` is refused and names what is missing."""
    code, text = await it.lbctl.say("upgrade", "core", "next")
    assert code == 3, text
    for word in what:
        assert word in text, text


async def done(it: Site, step: str) -> None:
    code, text = await it.lbctl.say("upgrade", "core", "next", "--reason", "tested by ann")
    assert (code == 0 and f"step {step} is done" in text) or "finished" in text, text


async def new_version(core: Process) -> None:
    """The administrator installs the new software."""
    await core.end()
    core.configure(version="11.4.0.0")
    await core.start()


async def test_an_upgrade_walks_the_guides_nine_steps(tmp_path: Path) -> None:
    async with site(tmp_path, drive=True) as it:
        await it.until_service("normal", lambda s: s["state"] == "normal" and s["promoted"])
        code, text = await it.lbctl.say("upgrade", "core", "plan")
        assert code == 0 and "has never synced" in text
        code, text = await it.lbctl.say("upgrade", "core", "start", "--reason", "11.4")
        assert code == 0, text
        assert (await it.lbctl.service())["maintenance"]["on"]

        await done(it, "1")
        await refused(it, "never synced")
        assert (await it.b.type(f"failover sync {it.host_a}"))[0] == 0
        await done(it, "2")
        await done(it, "3")

        await refused(it, "core-b still runs")
        assert (await it.b.type("failover mode primary"))[0] == 0
        await new_version(it.b)
        await refused(it, "failover mode secondary")
        assert (await it.b.type("failover mode secondary"))[0] == 0
        await done(it, "4")

        await it.lbctl.end(signal.SIGKILL)
        await it.lbctl.start()
        await it.until_service("up again", lambda s: s["run"] is not None and s["run"]["step"] == "4")

        await refused(it, "core-a runs")
        await new_version(it.a)
        await it.until_service("A serves", serves_as_primary)
        await done(it, "5")
        await it.stays(it.host_a, 0.5)
        await done(it, "6")
        await refused(it, "no sync of core-b")
        assert (await it.b.type(f"failover sync {it.host_a}"))[0] == 0
        await done(it, "7")
        await done(it, "8")
        seen = await it.lbctl.service()
        assert any(alert["kind"] == "UpgradeUnfinished" for alert in seen["alerts"])
        await done(it, "9")
        seen = await it.until_service("armed again", lambda s: s["state"] == "normal" and not s["maintenance"]["on"])
        assert seen["run"] is None and seen["active"] == "core-a" and seen["epoch"] == 1


async def test_readiness_is_read_from_the_cores(tmp_path: Path) -> None:
    """G-BP: CLI and API tell the same."""
    async with site(tmp_path, drive=True) as it:
        await it.until_service("normal", lambda s: s["state"] == "normal" and s["promoted"])
        assert (await it.b.type(f"failover sync {it.host_a}"))[0] == 0
        code, text = await it.lbctl.say("readiness", "core")
        assert code == 0 and "would take over" in text and "all Cores run the same software" in text
