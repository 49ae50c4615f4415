"""Halves of a sync as processes of their own, to be killed.

    process.py serve DATABASE                  prints its port, serves until killed
    process.py sync DIRECTORY PORT STEPS       syncs; kills itself at that hundredth step of SQLite's machine, or (0) prints how many there were
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from lbctl.core.database import Database
from tests.core.sync.pair import serving, standby

EVERY = 100


async def serve(path: str) -> None:
    async with serving(Database(Path(path))) as server:
        print(server.port, flush=True)
        await asyncio.Event().wait()


async def sync(directory: str, port: int, last: int) -> None:
    copy = await standby(Path(directory))
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        if steps == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return 0

    await copy.database.file.read(lambda connection: connection.set_progress_handler(step, EVERY))
    await copy.sync(port)
    print(steps)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        asyncio.run(serve(sys.argv[2]))
    else:
        asyncio.run(sync(sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
