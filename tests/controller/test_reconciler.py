"""The reconciler against a place that refuses, hangs, lags, drifts and is silent (H40, H41, SEMANTICS sections 7 and 8)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from lbctl.clock import LoopClock
from lbctl.controller.counts import Counts
from lbctl.controller.reconciler import Pace, Pool, Reconciler
from lbctl.controller.supervisor import Supervisor
from lbctl.errors import ActuatorError, Superseded
from lbctl.model.decision import Desired
from lbctl.model.events import Applied, ApplyFailed, Event, Verified
from tests import virtual
from tests.controller.world import A, B, FakeActuator

PACE = Pace(limit_s=2.0, settle_s=1.0, drift_s=60.0, pause_s=0.2, pause_max_s=4.0, hopeless_s=30.0)


def wanted(epoch: int, address: str = B, ttl_cap_s: float | None = None) -> Desired:
    return Desired("core", epoch, ("b",), {"": (address,)}, ttl_cap_s=ttl_cap_s)


class Bench:
    """A reconciler on virtual time and what it told."""

    def __init__(self, actuator: FakeActuator) -> None:
        clock = LoopClock()
        self.actuator = actuator
        self.counts = Counts()
        self.supervisor = Supervisor(clock)
        self.told: list[Event] = []
        self.reconciler = Reconciler(actuator, Pool(clock, self.supervisor, self.counts, PACE), self.told.append)

    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self.told]


def play(actuator: FakeActuator, story: Callable[[Bench], object]) -> Bench:
    """Runs a story (an async function) over a bench."""
    benches: list[Bench] = []

    async def run() -> None:
        bench = Bench(actuator)
        benches.append(bench)
        await story(bench)  # type: ignore[misc]
        await bench.reconciler.close()

    virtual.run(run())
    return benches[0]


def test_a_new_epoch_is_applied_then_read_back_then_verified() -> None:
    async def story(bench: Bench) -> None:
        bench.reconciler.want(wanted(2))
        await asyncio.sleep(1)

    bench = play(FakeActuator(shown=frozenset({A}), places=3), story)
    assert bench.told == [Applied("dns:core", 2), Verified("dns:core", 2)]
    assert bench.actuator.writes == [(2, frozenset({B}))]


def test_it_is_not_verified_before_every_place_shows_it() -> None:
    async def story(bench: Bench) -> None:
        bench.actuator.lag = 4
        bench.reconciler.want(wanted(2))
        await asyncio.sleep(0.05)
        assert bench.kinds() == ["Applied"]
        await asyncio.sleep(1)

    bench = play(FakeActuator(shown=frozenset({A})), story)
    assert bench.kinds() == ["Applied", "Verified"]
    assert len(bench.actuator.writes) == 1


def test_what_fails_is_tried_again_for_ever_with_a_growing_pause() -> None:
    async def story(bench: Bench) -> None:
        bench.actuator.refuse = ActuatorError("refused", "no")
        bench.reconciler.want(wanted(2))
        await asyncio.sleep(600)
        assert 100 < len(bench.told) < 200
        bench.actuator.refuse = None
        await asyncio.sleep(5)

    bench = play(FakeActuator(shown=frozenset({A})), story)
    assert bench.told[0] == ApplyFailed("dns:core", 2, "refused", "no")
    assert bench.kinds()[-2:] == ["Applied", "Verified"]
    assert bench.counts.actuator_errors["dns:core", "refused"] == len(bench.told) - 2


def test_an_actuator_that_hangs_is_given_up_in_time_and_tried_again() -> None:
    async def story(bench: Bench) -> None:
        bench.actuator.hang = True
        bench.reconciler.want(wanted(2))
        await asyncio.sleep(4)
        assert isinstance(bench.told[0], ApplyFailed)
        assert bench.told[0].reason == "timeout"
        bench.actuator.hang = False
        await asyncio.sleep(5)

    assert play(FakeActuator(shown=frozenset({A})), story).kinds()[-1] == "Verified"


def test_a_stale_writer_stops_writing_until_a_newer_epoch_is_decided() -> None:
    """H41."""
    async def story(bench: Bench) -> None:
        bench.actuator.refuse = Superseded("epoch 9 stands", found_epoch=9)
        bench.reconciler.want(wanted(2))
        await asyncio.sleep(1)
        bench.actuator.refuse = None
        await asyncio.sleep(300)
        assert bench.actuator.writes == []
        assert bench.actuator.reads > 3
        bench.reconciler.want(wanted(10))
        await asyncio.sleep(1)

    bench = play(FakeActuator(shown=frozenset({A})), story)
    assert bench.actuator.writes == [(10, frozenset({B}))]


def test_an_older_epoch_is_never_taken() -> None:
    async def story(bench: Bench) -> None:
        bench.reconciler.want(wanted(5))
        bench.reconciler.want(wanted(4, A))
        await asyncio.sleep(1)

    assert play(FakeActuator(shown=frozenset({A})), story).actuator.writes == [(5, frozenset({B}))]


def test_a_newer_epoch_does_not_wait_for_the_pause_of_the_older() -> None:
    async def story(bench: Bench) -> None:
        bench.actuator.refuse = ActuatorError("refused", "no", temporary=False)
        bench.reconciler.want(wanted(2))
        await asyncio.sleep(1)
        bench.actuator.refuse = None
        bench.reconciler.want(wanted(3))
        await asyncio.sleep(0.1)

    assert play(FakeActuator(shown=frozenset({A})), story).kinds()[-1] == "Verified"


def test_drift_is_told_and_put_right() -> None:
    async def story(bench: Bench) -> None:
        bench.reconciler.want(wanted(2))
        await asyncio.sleep(1)
        bench.actuator.shown = frozenset({A})
        await asyncio.sleep(120)

    bench = play(FakeActuator(shown=frozenset({A})), story)
    assert bench.kinds() == ["Applied", "Verified", "Drifted", "Verified"]
    assert len(bench.actuator.writes) == 2


def test_in_maintenance_drift_is_told_and_left_and_put_right_afterwards() -> None:
    """SEMANTICS section 7: drift is reported, not corrected; H34."""
    async def story(bench: Bench) -> None:
        bench.reconciler.want(wanted(2))
        await asyncio.sleep(1)
        bench.reconciler.want(wanted(2), correct=False)
        bench.actuator.shown = frozenset({A})
        await asyncio.sleep(300)
        assert (bench.kinds().count("Drifted"), len(bench.actuator.writes)) == (1, 1)
        bench.reconciler.want(wanted(2), correct=True)
        await asyncio.sleep(1)

    bench = play(FakeActuator(shown=frozenset({A})), story)
    assert bench.actuator.shown == frozenset({B})


def test_in_maintenance_an_epoch_already_decided_goes_on_being_applied() -> None:
    async def story(bench: Bench) -> None:
        bench.actuator.refuse = ActuatorError("refused", "no")
        bench.reconciler.want(wanted(2), correct=False)
        await asyncio.sleep(1)
        bench.actuator.refuse = None
        await asyncio.sleep(5)

    assert play(FakeActuator(shown=frozenset({A})), story).kinds()[-1] == "Verified"


def test_what_was_found_in_place_at_the_start_is_not_written_again() -> None:
    async def story(bench: Bench) -> None:
        bench.reconciler.want(wanted(7), verified=7)
        await asyncio.sleep(300)

    bench = play(FakeActuator(shown=frozenset({B})), story)
    assert (bench.actuator.writes, bench.told) == ([], [])
    assert bench.actuator.reads >= 3


def test_a_silent_place_is_told_but_not_overwritten_and_its_return_is_told_too() -> None:
    async def story(bench: Bench) -> None:
        bench.reconciler.want(wanted(2))
        await asyncio.sleep(1)
        bench.actuator.silent = {1}
        await asyncio.sleep(120)
        bench.actuator.silent = set()
        await asyncio.sleep(60)

    bench = play(FakeActuator(shown=frozenset({A}), places=2), story)
    assert len(bench.actuator.writes) == 1
    assert "ApplyFailed" in bench.kinds()
    assert bench.kinds()[-1] == "Verified"


def test_leaving_writes_nothing_more() -> None:
    async def story(bench: Bench) -> None:
        bench.reconciler.want(wanted(2))
        await asyncio.sleep(1)
        bench.reconciler.leave()
        bench.actuator.shown = frozenset({A})
        await asyncio.sleep(300)

    assert len(play(FakeActuator(shown=frozenset({A})), story).actuator.writes) == 1


def test_a_shrunk_ttl_is_no_write() -> None:
    async def story(bench: Bench) -> None:
        bench.reconciler.want(wanted(2))
        await asyncio.sleep(1)
        bench.reconciler.want(wanted(2, ttl_cap_s=5.0))
        await asyncio.sleep(1)

    assert len(play(FakeActuator(shown=frozenset({A})), story).actuator.writes) == 1


class Falling(FakeActuator):
    """Has a mistake in it."""

    async def apply(self, desired: Desired) -> None:
        if not self.writes:
            self.writes.append((0, frozenset()))
            raise ZeroDivisionError
        await super().apply(desired)


def test_a_mistake_in_an_actuator_is_trouble_like_any_other() -> None:
    async def story(bench: Bench) -> None:
        bench.reconciler.want(wanted(2))
        await asyncio.sleep(5)

    bench = play(Falling(shown=frozenset({A})), story)
    assert isinstance(bench.told[0], ApplyFailed)
    assert bench.told[0].reason == "internal"
    assert bench.kinds()[-1] == "Verified"


@pytest.mark.parametrize("closing_after_s", [0.0, 0.5, 100.0])
def test_closing_changes_nothing_and_ends_everything(closing_after_s: float) -> None:
    async def story(bench: Bench) -> None:
        bench.actuator.hang = True
        bench.reconciler.want(wanted(2))
        await asyncio.sleep(closing_after_s)

    bench = play(FakeActuator(shown=frozenset({A})), story)
    assert (bench.actuator.shown, bench.actuator.closed) == (frozenset({A}), True)
