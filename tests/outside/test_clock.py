"""H30 from outside: somebody sets the host's clock forward and back by an hour under a running lbctl (libfaketime); nothing follows from it."""

from __future__ import annotations

import asyncio
import shutil
import signal
from pathlib import Path

from tests.outside.site import PATIENCE_S, Site

HOUR = 3600


def preloaded(file: Path) -> list[str]:
    """The wall clock is what the file says; the monotonic one stays the kernel's."""
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    assert shutil.which("faketime"), "the Debian package faketime"
    return ["env", f"LD_PRELOAD={library}", f"FAKETIME_TIMESTAMP_FILE={file}", "FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1"]


async def test_a_clock_that_is_set_forward_and_back_fires_and_extends_nothing(tmp_path: Path) -> None:
    """A maintenance of half an hour neither ends at +1 h nor lasts longer at -1 h; afterwards a real outage is acted on as ever."""
    wall = tmp_path / "wall"
    wall.write_text("+0")
    made = Site(tmp_path)
    made.lbctl.within = preloaded(wall)
    try:
        await made.start()
        await made.until_settled()
        assert (await made.lbctl.say("maintenance", "on", "core", "--for", "30m", "--reason", "work"))[0] == 0
        before = await made.lbctl.seen()
        for steps, seconds in enumerate((HOUR, -HOUR), 1):
            wall.write_text(f"{seconds:+d}")
            await noticed(made, steps)
            await made.stays(made.host_a, 2.0)
            seen = await made.lbctl.seen()
            assert [seen[key] for key in ("active", "epoch", "primary", "locked_out_until")] == [
                before[key] for key in ("active", "epoch", "primary", "locked_out_until")]
            assert seen["maintenance"]["on"] and seen["maintenance"]["until"] == before["maintenance"]["until"]
        wall.write_text("+0")
        assert (await made.lbctl.say("maintenance", "off", "core", "--reason", "done"))[0] == 0
        await made.until_settled()
        await made.a.end(signal.SIGKILL)
        await made.until_answer(made.host_b)
    finally:
        await made.close()


async def noticed(made: Site, steps: int) -> None:
    """The journal tells of so many steps by now."""
    async with asyncio.timeout(PATIENCE_S):
        while made.lbctl.log.count("the wall clock moved by") < steps:
            await asyncio.sleep(0.1)
