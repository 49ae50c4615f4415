"""What all tests share: `--long` for more seeds, more states, longer chaos; without it, `slow` tests are left out.

And the order in which they run. The suite waits more than it computes (for leases, caches, programs that start), so that `-n auto` means two
workers a core, and each takes the next test when it is done with one (`--dist loadgroup`): the longest first, so that nobody waits for them at the
end. Tests that share a server of their module or folder are one group: one worker runs them, and starts it once.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no falsifying example
settings.load_profile("suite")

# Hundreds of programs are started: each would compile all of lbctl anew where the environment forbids to keep what was compiled.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# A suite that is begun in the background ignores Ctrl-C, and so would every program that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

TESTS = Path(__file__).parent
WORKERS_A_CORE = 2
LONGEST = (
    "demo/test_story", "policy/test_enumerated", "outside", "deploy", "peers", "core/acceptance", "core/portal/test_browser", "core/sync/test_run",
    "dashboard", "simulation", "agent", "dns", "api",
)
"""Begun in this order, the rest after them. Measured with `--durations=40`."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite", action="store_true", help="stories: write today's decisions as the expected ones")
    parser.addoption("--long", action="store_true", help="more seeds, more states, longer chaos (make test-long)")


def pytest_xdist_auto_num_workers() -> int:
    """`-n auto`."""
    return WORKERS_A_CORE * (os.cpu_count() or 1)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """`slow` belongs to `make test-long`: left out, not skipped, so that a skip always means a missing server."""
    items.sort(key=_turn)
    for item in items:
        if shared := _shared(item):
            item.add_marker(pytest.mark.xdist_group(shared))
    if config.getoption("--long"):
        return
    left_out = [item for item in items if item.get_closest_marker("slow")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("slow")]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is made now, thousands of tests, stays to the end: no collection of garbage looks through it, now or later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


def _turn(item: pytest.Item) -> int:
    """Its place in LONGEST; within one, tests stay in the order of their file."""
    where = item.path.relative_to(TESTS).as_posix()
    return next((turn for turn, start in enumerate(LONGEST) if where.startswith(start)), len(LONGEST))


def _shared(item: pytest.Item) -> str:
    """The widest place of which it uses a fixture that lives longer than one test; "" where it has all for itself."""
    known = getattr(item, "_fixtureinfo", None)
    places = [(made.scope, made.baseid) for found in (known.name2fixturedefs.values() if known else ()) for made in found[-1:]]
    ours = [place for scope, place in places if scope != "function" and place.startswith("tests/")]
    return min(ours, key=len, default="")


@pytest.fixture
def long(request: pytest.FixtureRequest) -> bool:
    """Whether everything is asked for, however long it takes."""
    return bool(request.config.getoption("--long"))
