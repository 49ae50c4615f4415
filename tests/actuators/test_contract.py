"""What every kind of actuator has promised (`actuators.base`), on a real thing of its kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbctl.actuators import ACTUATORS
from lbctl.errors import ActuatorError, Superseded
from lbctl.model.decision import Desired
from tests.actuators.worlds import WORLDS

EVERY = pytest.mark.parametrize("kind", list(ACTUATORS))
A, B = ("192.0.2.10",), ("198.51.100.10",)


def desired(epoch: int, member: str, addresses: tuple[str, ...]) -> Desired:
    return Desired("core", epoch, (member,), {"": addresses})


def test_every_kind_has_a_world_to_be_tested_in() -> None:
    assert set(WORLDS) == set(ACTUATORS)


@EVERY
async def test_what_is_applied_is_what_every_place_shows(tmp_path: Path, kind: str) -> None:
    """H40."""
    async with WORLDS[kind](tmp_path) as world:
        for epoch, (member, addresses) in enumerate((("a", A), ("b", B), ("a", A)), 1):
            await world.actuator.apply(desired(epoch, member, addresses))
            places = (await world.actuator.read()).places
            assert places
            assert {place.addresses for place in places} == {frozenset(addresses)}
            assert all(place.epoch in (None, epoch) for place in places)


@EVERY
async def test_nothing_is_shown_before_anything_is_applied(tmp_path: Path, kind: str) -> None:
    async with WORLDS[kind](tmp_path) as world:
        assert {place.addresses for place in (await world.actuator.read()).places} == {frozenset()}


@EVERY
async def test_applying_the_same_again_is_no_error_and_changes_nothing(tmp_path: Path, kind: str) -> None:
    async with WORLDS[kind](tmp_path) as world:
        await world.actuator.apply(desired(1, "a", A))
        before = await world.actuator.read()
        await world.actuator.apply(desired(1, "a", A))
        assert await world.actuator.read() == before


@EVERY
async def test_an_older_epoch_is_superseded_for_every_writer(tmp_path: Path, kind: str) -> None:
    """H41, H43."""
    async with WORLDS[kind](tmp_path) as world:
        await world.actuator.apply(desired(5, "b", B))
        for writer in (world.actuator, world.again()):
            with pytest.raises(Superseded):
                await writer.apply(desired(4, "a", A))
        assert {place.addresses for place in (await world.actuator.read()).places} == {frozenset(B)}


@EVERY
async def test_an_empty_answer_is_refused_and_leaves_what_is_there(tmp_path: Path, kind: str) -> None:
    """H41."""
    async with WORLDS[kind](tmp_path) as world:
        await world.actuator.apply(desired(1, "a", A))
        with pytest.raises(ActuatorError):
            await world.actuator.apply(Desired("core", 2, (), {}))
        assert {place.addresses for place in (await world.actuator.read()).places} == {frozenset(A)}


@EVERY
async def test_closing_changes_nothing_that_is_published(tmp_path: Path, kind: str) -> None:
    async with WORLDS[kind](tmp_path) as world:
        await world.actuator.apply(desired(1, "a", A))
        await world.actuator.close()
        assert {place.addresses for place in (await world.again().read()).places} == {frozenset(A)}


@EVERY
async def test_a_silent_thing_is_a_place_with_a_reason_and_never_an_exception(tmp_path: Path, kind: str) -> None:
    async with WORLDS[kind](tmp_path) as world:
        await world.actuator.apply(desired(1, "a", A))
        await world.silence()
        assert all(place.addresses is None and place.error_reason and place.error for place in (await world.actuator.read()).places)


@EVERY
async def test_its_name_is_its_kind_and_what_it_writes(tmp_path: Path, kind: str) -> None:
    async with WORLDS[kind](tmp_path) as world:
        assert world.actuator.id.startswith(kind + ":")
        assert world.actuator.id == world.again().id
        assert world.actuator.view == ""
