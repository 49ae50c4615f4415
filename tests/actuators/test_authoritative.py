"""The embedded server as an actuator: what is written is what a client gets."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from pathlib import Path, PosixPath

import pytest

from lbctl.actuators.authoritative import Authoritative, Settings
from lbctl.actuators.base import Place
from lbctl.dns.settings import Endpoint
from lbctl.errors import ActuatorError, Superseded
from lbctl.model.decision import Desired
from tests.dns.served import NAME, ZONE, ask, serving

DESIRED = Desired("core", 3, ("core-a",), {"": ("192.0.2.10", "2001:db8::10"), "inside": ("10.0.0.10",)})


async def test_every_address_listened_on_is_read_back_over_the_wire(tmp_path: Path) -> None:
    """H40."""
    async with serving(tmp_path, names=(), listen=(Endpoint("127.0.0.1", 0), Endpoint("::1", 0), Endpoint("0.0.0.0", 0))) as server:
        actuator = Authoritative(Settings(NAME), server)
        assert actuator.id == f"authoritative:{NAME}"
        await actuator.apply(DESIRED)
        places = (await actuator.read()).places
        assert [(place.addresses, place.epoch) for place in places] == [(frozenset({"192.0.2.10", "2001:db8::10"}), 3)] * 3
        await actuator.close()
        assert (await ask(server, NAME)).answer


async def test_before_anything_is_published_nothing_is_shown(tmp_path: Path) -> None:
    """SEMANTICS section 6: SERVFAIL to clients, "nothing" to the start-up."""
    async with serving(tmp_path, names=()) as server:
        actuator = Authoritative(Settings(NAME), server)
        assert (await actuator.read()).places == (Place(str(server.endpoints[0]), frozenset()),)


async def test_a_name_in_no_zone_is_told_as_a_mistake_of_the_configuration(tmp_path: Path) -> None:
    async with serving(tmp_path, names=()) as server:
        with pytest.raises(ActuatorError, match="in no zone") as error:
            Authoritative(Settings("core.example.org"), server)
        assert error.value.reason == "not-configured"


async def test_a_view_publishes_its_own_addresses(tmp_path: Path) -> None:
    async with serving(tmp_path, names=()) as server:
        actuator = Authoritative(Settings(NAME, view="inside"), server)
        assert actuator.id == f"authoritative:{NAME}/inside"
        await actuator.apply(DESIRED)
        assert (await actuator.read()).places[0].addresses == {"10.0.0.10"}


class SlowCopy(PosixPath):
    """The copy on a disk that takes its time once `well` is not set."""

    asked, well = threading.Event(), threading.Event()

    def __fspath__(self) -> str:
        if not self.well.is_set():
            self.asked.set()
            self.well.wait(60)
        return str(self)


async def test_no_client_is_told_what_the_disk_has_not_taken_yet(tmp_path: Path) -> None:
    """H25: a process that is killed in between begins with what clients know."""
    SlowCopy.well.set()
    async with serving(tmp_path, names=(), copy_path=SlowCopy(tmp_path / "copy")) as server:
        actuator = Authoritative(Settings(NAME), server)
        await actuator.apply(DESIRED)
        SlowCopy.well.clear()
        moving = asyncio.create_task(actuator.apply(replace(DESIRED, epoch=4, addresses={"": ("198.51.100.10",)})))
        try:
            assert await asyncio.to_thread(SlowCopy.asked.wait, 30)
            assert (await actuator.read()).places[0].epoch == 3
            assert b"198.51.100.10" not in (tmp_path / "copy").read_bytes()
        finally:
            SlowCopy.well.set()
        await moving
        assert (await actuator.read()).places[0].epoch == 4
        assert b"198.51.100.10" in (tmp_path / "copy").read_bytes()


async def test_an_older_epoch_is_superseded_and_an_empty_answer_refused(tmp_path: Path) -> None:
    """H41, H43."""
    async with serving(tmp_path, names=()) as server:
        actuator = Authoritative(Settings(NAME), server)
        await actuator.apply(DESIRED)
        with pytest.raises(Superseded):
            await actuator.apply(replace(DESIRED, epoch=2, addresses={"": ("198.51.100.10",)}))
        with pytest.raises(ActuatorError, match="empty"):
            await actuator.apply(replace(DESIRED, epoch=4, addresses={}))
        assert (await actuator.read()).places[0].epoch == 3


async def test_the_ttl_shrinks_while_the_active_is_suspect_and_grows_back(tmp_path: Path) -> None:
    """SEMANTICS section 8."""
    async with serving(tmp_path, names=()) as server:
        actuator = Authoritative(Settings(NAME, ttl_s=30), server)
        ttls = []
        for cap in (None, 10.0, 0.5, None):
            await actuator.apply(replace(DESIRED, ttl_cap_s=cap))
            ttls.append((await ask(server, NAME)).answer[0].ttl)
        assert ttls == [30, 10, 5, 30]


async def test_the_ttl_is_lowered_in_the_zone_before_a_planned_move_and_put_back_after(tmp_path: Path) -> None:
    """SEMANTICS section 8: `--drain`; a new serial, the same epoch."""
    async with serving(tmp_path, names=()) as server:
        actuator = Authoritative(Settings(NAME, ttl_s=30), server)
        await actuator.apply(DESIRED)
        serial = server.register.zone_of(NAME).serial
        told: list[float] = []
        for seconds in (5, None):
            told += [await actuator.set_ttl(seconds), (await ask(server, NAME)).answer[0].ttl]
        assert told == [30, 5, 5, 30]
        assert server.register.zone_of(NAME).serial != serial
        assert (await actuator.read()).places[0].epoch == 3


async def test_where_secondaries_answer_the_ttl_does_not_shrink_and_they_are_asked(tmp_path: Path) -> None:
    """SEMANTICS section 8, H50."""
    async with serving(tmp_path, names=()) as front:
        Authoritative(Settings(NAME), front)
        zone = replace(ZONE, allow_transfer=("127.0.0.1/32",), verify=(front.endpoints[0],))
        async with serving(tmp_path, names=(), zones=(zone,)) as server:
            actuator = Authoritative(Settings(NAME), server)
            await actuator.apply(replace(DESIRED, ttl_cap_s=7))
            assert (await ask(server, NAME)).answer[0].ttl == 30
            [place] = (await actuator.read()).places
            assert (place.name, place.error_reason) == (str(front.endpoints[0]), "servfail")
