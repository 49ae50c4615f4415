"""The schedule of looks on virtual time, with a probe that answers as the test says (H23, H24)."""

from __future__ import annotations

import asyncio
import itertools
import random
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from lbctl.clock import LoopClock, SystemClock
from lbctl.controller.monitor import FLIGHTS_MAX, STARTS_PER_S, Monitor
from lbctl.controller.watched import EXTRA_BURST, GUARD_REST_S
from lbctl.model.looks import ProbeResult, Reason, Verdict
from lbctl.model.settings import ProbeSettings
from lbctl.probes.base import Cancel, Done, Target, target_at
from lbctl.probes.core import CoreProbe, Settings
from lbctl.probes.engine import Engine
from tests import virtual
from tests.probes.servers import reply

CAREFUL = ProbeSettings()
STANDARD = ProbeSettings("standard", 1.0, 0.25, 1.0, 3, 2, 10, 0.0)
FAST = ProbeSettings("fast", 0.05, 0.01, 0.05, 2, 2, 10, 0.0)
BOTH = frozenset({("a", "status"), ("a", "hastatus")})


@dataclass
class Member:
    """How it answers: after `takes` seconds, or not at all before the timeout."""

    takes: float = 0.002
    silent: bool = False
    refuses: bool = False


@dataclass
class Stage:
    """A probe and the world it looks at: every start is written down."""

    member: Member = field(default_factory=Member)
    starts: list[tuple[float, str, str]] = field(default_factory=list)
    flying: int = 0
    most: int = 0
    guards: list[Callable[[], None]] = field(default_factory=list)
    guarded: int = 0
    pages: tuple[str, ...] = ("status", "hastatus")
    modes: bool = True

    def __post_init__(self) -> None:
        self.clock = LoopClock()
        self.results: list[ProbeResult] = []

    __hash__ = object.__hash__

    def aim(self, target: Target) -> Staged:
        return Staged(self, target)

    async def look(self, target: Target) -> ProbeResult:
        raise NotImplementedError

    def emit(self, service: str, result: ProbeResult) -> None:
        self.results.append(result)

    def monitor(self, **more: float) -> Monitor:
        return Monitor(self.clock, self.emit, chance=random.Random(7), **more)

    def times(self, page: str) -> list[float]:
        return [at for at, _, name in self.starts if name == page]


class Staged:
    def __init__(self, stage: Stage, target: Target) -> None:
        self.stage = stage
        self.target = target

    def start(self, done: Done) -> Cancel:
        stage, member, began = self.stage, self.stage.member, self.stage.clock.now()
        stage.starts.append((began, self.target.member, self.target.page))
        stage.flying += 1
        stage.most = max(stage.most, stage.flying)

        def ended(verdict: Verdict, reason: Reason) -> None:
            stage.flying -= 1
            done(ProbeResult(self.target.member, self.target.page, verdict, reason, began, stage.clock.now()))

        def cancelled() -> None:
            stage.flying -= 1
            timer.cancel()

        loop = asyncio.get_running_loop()
        if member.refuses:
            ended(Verdict.FAILED, Reason.REFUSED)
            return lambda: None
        if member.silent:
            timer = loop.call_later(self.target.timeout_s, ended, Verdict.FAILED, Reason.TIMEOUT)
        else:
            timer = loop.call_later(member.takes, ended, Verdict.OK, Reason.OK)
        return cancelled

    def guard(self, tripped: Callable[[], None]) -> Cancel:
        self.stage.guarded += 1
        self.stage.guards.append(tripped)
        return lambda: self.stage.guards.remove(tripped)

    def close(self) -> None:
        pass


def targets(settings: ProbeSettings, *members: str, pages: tuple[str, ...] = ("status", "hastatus")) -> list[Target]:
    return [Target(name, page, "http", name, 80, timeout_s=settings.timeout_s) for name in members or ("a",) for page in pages]


def watched(stage: Stage, settings: ProbeSettings = STANDARD, *members: str) -> Monitor:
    monitor = stage.monitor()
    names = members or ("a",)
    monitor.watch("s", stage, targets(settings, *names), dict.fromkeys(names, settings))
    return monitor


@pytest.mark.parametrize("settings", [CAREFUL, STANDARD, FAST], ids=lambda s: s.profile)
def test_every_page_is_looked_at_each_interval_and_never_less_often(settings: ProbeSettings) -> None:
    """H23: jitter only shortens, by up to a tenth."""
    async def story() -> None:
        stage = Stage()
        watched(stage, settings)
        await asyncio.sleep(settings.interval_s * 100)
        for page in stage.pages:
            times = stage.times(page)
            gaps = [b - a for a, b in itertools.pairwise(times)]
            assert all(settings.interval_s * 0.9 - 0.0011 <= gap <= settings.interval_s + 0.0011 for gap in gaps)
            assert len({round(gap, 6) for gap in gaps}) > 50, "no jitter"
        assert stage.most <= 2

    virtual.run(story())


def test_the_policy_chooses_which_pages_are_looked_at_fast() -> None:
    async def story() -> None:
        stage = Stage()
        monitor = watched(stage)
        await asyncio.sleep(10)
        before = {page: len(stage.times(page)) for page in stage.pages}
        monitor.pace("s", frozenset({("a", "status")}))
        await asyncio.sleep(10)
        fast, slow = (len(stage.times(page)) - before[page] for page in stage.pages)
        assert 40 <= fast <= 46 and 9 <= slow <= 12
        monitor.pace("s", frozenset())
        await asyncio.sleep(1)
        fast = len(stage.times("status"))
        await asyncio.sleep(10)
        assert len(stage.times("status")) - fast <= 12

    virtual.run(story())


def test_fast_begins_one_fast_interval_after_the_last_look() -> None:
    async def story() -> None:
        stage = Stage()
        monitor = watched(stage, CAREFUL)
        await asyncio.sleep(20)
        last = stage.times("status")[-1]
        monitor.pace("s", BOTH)
        await asyncio.sleep(2)
        following = next(at for at in stage.times("status") if at > last)
        assert following - last <= max(CAREFUL.fast_interval_s, 20 - last)

    virtual.run(story())


def test_looks_are_not_piled_up_on_a_member_that_was_never_well() -> None:
    async def story() -> None:
        stage = Stage(Member(silent=True))
        monitor = watched(stage, STANDARD)
        monitor.pace("s", BOTH)
        await asyncio.sleep(30)
        assert stage.most == 2, "one for each page"
        assert 25 <= len(stage.times("status")) <= 32

    virtual.run(story())


def test_silence_is_noticed_before_the_first_timeout_where_looks_used_to_be_quick() -> None:
    """Three looks have failed within the goal for dropped packets: 2.5 s from the fault, `standard` profile."""
    async def story() -> None:
        stage = Stage()
        watched(stage)
        await asyncio.sleep(30.01)
        stage.member.silent = True
        fault = stage.clock.now()
        await asyncio.sleep(2.5)
        failed = [r for r in stage.results if r.page == "status" and r.reason is Reason.TIMEOUT]
        assert len(failed) >= 3 and failed[2].ended - fault <= 2.45
        assert [r.started for r in failed] == sorted(r.started for r in failed)
        assert stage.most <= 2 * STANDARD.fall

    virtual.run(story())


def test_a_look_asked_for_starts_at_once_whatever_is_under_way() -> None:
    async def story() -> None:
        stage = Stage(Member(silent=True))
        monitor = watched(stage)
        await asyncio.sleep(0.1)
        assert stage.flying == 2
        asked = stage.clock.now()
        monitor.look_now("s", "a", "hastatus")
        assert stage.times("hastatus")[-1] == asked and stage.flying == 3
        monitor.look_now("s", "a", "nothing")
        monitor.look_now("nobody", "a", "hastatus")

    virtual.run(story())


@pytest.mark.parametrize("member", [Member(), Member(silent=True), Member(refuses=True)], ids=["well", "silent", "refuses"])
def test_extra_looks_are_limited_and_the_last_wish_is_still_met(member: Member) -> None:
    """H23."""
    async def story() -> None:
        stage = Stage(member)
        monitor = watched(stage)
        await asyncio.sleep(5)
        before = len(stage.times("status"))
        for _ in range(1000):
            monitor.look_now("s", "a", "status")
            await asyncio.sleep(0.01)
        last = stage.clock.now()
        await asyncio.sleep(2)
        limit = EXTRA_BURST + (10 + 2) / STANDARD.fast_interval_s + 14
        assert len(stage.times("status")) - before <= limit
        assert stage.times("status")[-1] > last or len([at for at in stage.times("status") if at >= last - 0.01])
        assert stage.most <= FLIGHTS_MAX + 1

    virtual.run(story())


def test_many_pages_start_spread_and_stay_spread() -> None:
    """H23: no storm after a restart."""
    async def story() -> None:
        stage = Stage()
        monitor = stage.monitor()
        for number in range(1000):
            monitor.watch(f"s{number}", stage, targets(CAREFUL, "a", "b"), {"a": CAREFUL, "b": CAREFUL})
        await asyncio.sleep(10)
        begin = stage.starts[0][0]
        for second in range(10):
            inside = [at for at, _, _ in stage.starts if begin + second <= at < begin + second + 1]
            assert len(inside) <= STARTS_PER_S * 1.2
        assert len(stage.starts) >= 4000 + 3500

    virtual.run(story())


def freeze(seconds: float) -> None:
    """The process does not run for that long: time passes and no timer is served."""
    asyncio.get_running_loop().jumping.now += seconds  # type: ignore[attr-defined]


def test_looks_that_overlap_a_stall_are_void_and_others_are_not() -> None:
    """H24: frozen for 20 s in the middle of looks; nothing of that window counts."""
    async def story() -> None:
        stage = Stage(Member(takes=0.5))
        monitor = watched(stage, STANDARD)
        await asyncio.sleep(20.2)
        assert stage.flying or await _until_flying(stage)
        begin = stage.clock.now()
        freeze(20)
        end = stage.clock.now()
        await asyncio.sleep(5)
        over = [r for r in stage.results if r.started <= begin and r.ended >= end]
        assert over and all(r.void == "stall" for r in over)
        assert all(not r.void for r in stage.results if r.ended < begin or r.started > end + 0.5)
        assert any(r.started > end + 0.5 for r in stage.results)
        assert monitor.stalls.count >= 1 and monitor.lag_s > 19

    virtual.run(story())


async def _until_flying(stage: Stage) -> bool:
    while not stage.flying:
        await asyncio.sleep(0.01)
    return True


@pytest.mark.parametrize(("gap", "void"), [(0.3, False), (0.8, True)], ids=["short", "long"])
def test_a_stall_is_measured_against_half_the_timeout(gap: float, void: bool) -> None:
    """SEMANTICS section 4: min(stall_limit, timeout/2), 0.5 s here."""
    async def story() -> None:
        stage = Stage(Member(takes=0.2))
        watched(stage, STANDARD)
        await _until_flying(stage)
        begin = stage.clock.now()
        freeze(gap)
        await asyncio.sleep(2)
        first = next(r for r in stage.results if r.started <= begin)
        assert (first.void == "stall") is void

    virtual.run(story())


def test_after_a_stall_late_looks_are_not_made_up_for() -> None:
    async def story() -> None:
        stage = Stage()
        watched(stage)
        await asyncio.sleep(10)
        before = len(stage.starts)
        freeze(60)
        await asyncio.sleep(1)
        assert len(stage.starts) - before <= 6

    virtual.run(story())


def test_watching_again_leaves_unchanged_pages_alone_and_forgets_the_others() -> None:
    async def story() -> None:
        stage = Stage(Member(takes=0.5))
        monitor = watched(stage, STANDARD, "a", "b")
        await asyncio.sleep(10)
        before = len(stage.starts)
        monitor.watch("s", stage, targets(STANDARD, "a", "c"), {"a": STANDARD, "c": STANDARD})
        await asyncio.sleep(0.005)
        assert {name for _, name, _ in stage.starts[before:]} <= {"a", "c"}
        await asyncio.sleep(10)
        after = [(name, page) for _, name, page in stage.starts[before:]]
        assert ("b", "status") not in after and after.count(("c", "status")) >= 10 and 9 <= after.count(("a", "status")) <= 12
        told = len(stage.results)
        monitor.unwatch("s")
        await asyncio.sleep(10)
        assert len(stage.results) == told and stage.flying == 0
        monitor.close()

    virtual.run(story())


def test_the_kept_connections_end_asks_for_a_look_at_both_pages() -> None:
    """A crash between two looks is looked at at once, and told by a look, never by the hint itself."""
    async def story() -> None:
        stage = Stage()
        watched(stage, CAREFUL)
        await asyncio.sleep(20)
        assert len(stage.guards) == 1, "one for the member"
        stage.member.refuses = True
        count, at = len(stage.starts), stage.clock.now()
        stage.guards[0]()
        assert {(start, page) for start, _, page in stage.starts[count:]} == {(at, "status"), (at, "hastatus")}
        assert stage.results[-1].reason is Reason.REFUSED

    virtual.run(story())


def test_a_kept_connection_is_not_opened_to_a_member_that_is_not_well() -> None:
    async def story() -> None:
        stage = Stage(Member(refuses=True))
        watched(stage)
        await asyncio.sleep(20)
        assert not stage.guarded

    virtual.run(story())


def test_a_kept_connection_gives_way_to_a_slow_look_and_rests() -> None:
    """A server with a single place would otherwise look dead because of us."""
    async def story() -> None:
        stage = Stage()
        watched(stage)
        await asyncio.sleep(10)
        stage.member.takes = 0.5
        await asyncio.sleep(2)
        assert not stage.guards and stage.guarded == 1
        stage.member.takes = 0.002
        await asyncio.sleep(GUARD_REST_S / 2)
        assert stage.guarded == 1
        await asyncio.sleep(GUARD_REST_S)
        assert stage.guarded == 2 and len(stage.guards) == 1

    virtual.run(story())


ONE_PLACE = """
import socket, sys
listening = socket.create_server(("127.0.0.1", 0))
print(listening.getsockname()[1], flush=True)
while True:
    connection = listening.accept()[0]
    try:
        if connection.recv(4096):
            connection.sendall(bytes.fromhex(sys.argv[1]))
    except OSError:
        pass
    connection.close()
"""
MANY_PLACES = """
import socket, sys, threading
def serve(connection):
    try:
        if connection.recv(4096):
            connection.sendall(bytes.fromhex(sys.argv[1]))
        connection.close()
    except OSError:
        pass
listening = socket.create_server(("127.0.0.1", 0), backlog=100)
print(listening.getsockname()[1], flush=True)
while True:
    threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()
    print("accepted", flush=True)
"""


@asynccontextmanager
async def looked_at(program: str, settings: ProbeSettings) -> AsyncIterator[tuple[asyncio.subprocess.Process, list[ProbeResult]]]:
    """A real process, looked at by the real engine; the results as they come."""
    honest = reply(b"MOBILEIRON-STATUS: OK").hex()
    server = await asyncio.create_subprocess_exec(sys.executable, "-c", program, honest, stdout=asyncio.subprocess.PIPE)
    assert server.stdout is not None
    results: list[ProbeResult] = []
    clock = SystemClock()
    engine, monitor = Engine(clock), Monitor(clock, lambda service, result: results.append(result))
    try:
        url = f"http://127.0.0.1:{int(await server.stdout.readline())}"
        target = target_at(url, member="a", page="status", timeout_s=settings.timeout_s)
        monitor.watch("s", CoreProbe(Settings(), engine), [target], {"a": settings})
        yield server, results
    finally:
        monitor.close()
        assert engine.sockets == 0
        engine.close()
        if server.returncode is None:
            server.kill()
        await server.wait()


async def test_a_killed_process_is_looked_at_though_the_next_look_is_an_hour_away() -> None:
    """A crash is noticed without waiting for the interval: the kept connection's end starts the look that tells."""
    async with looked_at(MANY_PLACES, ProbeSettings("rare", 3600.0, 3600.0, 60.0)) as (server, results), asyncio.timeout(60):
        while not results:
            await asyncio.sleep(0.01)
        assert results[0].good
        assert server.stdout is not None
        assert [await server.stdout.readline() for _ in range(2)] == [b"accepted\n"] * 2, "the look's connection, and the one that is kept"
        assert len(results) == 1
        server.kill()
        while len(results) < 2:
            await asyncio.sleep(0.01)
        assert results[1].reason in (Reason.REFUSED, Reason.RESET)


async def test_a_server_that_serves_one_connection_at_a_time_is_not_taken_for_dead() -> None:
    """The kept connection fills its only place, and gives way in time."""
    async with looked_at(ONE_PLACE, ProbeSettings("often", 0.2, 0.2, 10.0)) as (_, results), asyncio.timeout(60):
        while len(results) < 12 or not any(r.ended - r.started > 0.3 for r in results):
            await asyncio.sleep(0.01)
        assert all(result.good or result.void for result in results)
