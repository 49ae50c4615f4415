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
from lbctl.core.sqlite import SqliteFile
from tests.core.sync.pair import serving, standby

EVERY = 100


async def serve(path: str) -> None:
    async with serving(Database(Path(path))) as server:
        print(server.port, flush=True)
        await asyncio.Event().wait()


class Stepping(Database):
    """Counts the steps of SQLite's machine on every connection, and ends the process at the `last` of them."""

    def __init__(self, path: Path, last: int) -> None:
        super().__init__(path)
        self.last = last
        self.steps = 0

    def step(self) -> int:
        self.steps += 1
        if self.steps == self.last:
            os.kill(os.getpid(), signal.SIGKILL)
        return 0

    def writer(self) -> SqliteFile:
        made = super().writer()
        asyncio.run(made.read(lambda connection: connection.set_progress_handler(self.step, EVERY)))
        return made


async def sync(directory: str, port: int, last: int) -> None:
    copy = await standby(Path(directory))
    copy.database.close()
    copy.database = stepping = Stepping(Path(directory) / "copy.db", last)
    await stepping.file.read(lambda connection: connection.set_progress_handler(stepping.step, EVERY))
    await copy.sync(port)
    print(stepping.steps)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        asyncio.run(serve(sys.argv[2]))
    else:
        asyncio.run(sync(sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
