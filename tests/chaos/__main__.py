"""`python -m tests.chaos SEED -v` tells one story; `python -m tests.chaos FIRST LAST` a range of them, one after the other."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from tests.chaos.story import LONG_S, Told, tell


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("first", type=int)
    parser.add_argument("last", type=int, nargs="?")
    parser.add_argument("-v", "--verbose", action="store_true")
    parser.add_argument("--span", type=float, default=LONG_S, help="seconds of play")
    parser.add_argument("--keep", type=Path, help="where the files of a story that went wrong are kept")
    given = parser.parse_args()
    failed, void, moves, seeds = 0, 0, 0, range(given.first, (given.first if given.last is None else given.last) + 1)
    for seed in seeds:
        try:
            told = asyncio.run(_told(seed, given))
        except (asyncio.CancelledError, KeyboardInterrupt):
            print(f"ended in seed {seed}")
            break
        moves += told.moves
        well = "" if told.wrong else f", void: {told.void}" if told.void else ", all well"
        print(f"seed {seed}: {told.moves} moves, {told.writes} writes, {told.took_s:.0f} s{well}", flush=True)
        void += bool(told.void)
        if told.wrong:
            failed += 1
            wrong = [f"WRONG {line}" for line in told.wrong]
            print("\n".join(("", *(() if given.verbose else told.story), *wrong, f"again: {told.again}", told.kept, "")), flush=True)
    print(f"{len(seeds)} stories, {moves} moves, {failed} failed, {void} void")
    return 1 if failed else 0


async def _told(seed: int, given: argparse.Namespace) -> Told:
    """Whoever ends a long run ends what it has started, too: also one that runs in the background, where SIGINT is not heard."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await tell(seed, given.span, verbose=given.verbose, keep=given.keep)


if __name__ == "__main__":
    sys.exit(main())
