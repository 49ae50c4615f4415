"""`python -m tests.simulation SEED -v` tells one story; `python -m tests.simulation FIRST LAST` a range of them, with the time they took."""

from __future__ import annotations

import argparse
import logging
import sys
import time

import structlog

from tests.simulation.oracle import WrongMove
from tests.simulation.story import tell
from tests.virtual import VirtualLoop


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("first", type=int)
    parser.add_argument("last", type=int, nargs="?")
    parser.add_argument("-v", "--verbose", action="store_true")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if given.verbose else logging.CRITICAL))
    loop, began, failed, moves = VirtualLoop(), time.perf_counter(), 0, 0
    seeds = range(given.first, (given.last if given.last is not None else given.first) + 1)
    for seed in seeds:
        try:
            moves += tell(seed, loop, verbose=given.verbose).moves
        except WrongMove as wrong:
            failed += 1
            print(f"seed {seed}: {wrong}")
    took = time.perf_counter() - began
    print(f"{len(seeds)} stories, {moves} moves, {failed} failed, {1000 * took / len(seeds):.1f} ms each")
    loop.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
