"""The virtual-time loop keeps order, jumps over waiting, and does not hang."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests import virtual


async def _sleeper(log: list[str], name: str, seconds: float) -> None:
    await asyncio.sleep(seconds)
    log.append(name)


async def _three() -> tuple[list[str], float]:
    log: list[str] = []
    await asyncio.gather(_sleeper(log, "c", 3600), _sleeper(log, "a", 1), _sleeper(log, "b", 60))
    return log, asyncio.get_running_loop().time()


def test_sleeps_end_in_order_and_cost_no_time() -> None:
    assert virtual.run(_three()) == (["a", "b", "c"], 3600)


def test_waiting_for_nothing_is_an_error_at_once() -> None:
    async def stuck() -> None:
        await asyncio.Event().wait()

    with pytest.raises(virtual.Deadlock):
        virtual.run(stuck())


def test_a_thread_is_waited_for_while_virtual_time_stands_still() -> None:
    async def story() -> float:
        await asyncio.to_thread(time.sleep, 0.01)
        return asyncio.get_running_loop().time()

    assert virtual.run(story()) == 0


def test_sockets_are_refused() -> None:
    async def story() -> None:
        await asyncio.open_connection("127.0.0.1", 9)

    with pytest.raises(RuntimeError, match="no sockets"):
        virtual.run(story())


def test_going_round_at_one_instant_is_an_error() -> None:
    async def story() -> None:
        while True:
            await asyncio.sleep(0)

    with pytest.raises(virtual.Livelock):
        virtual.run(story())
