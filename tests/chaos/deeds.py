"""What each kind of deed does, and how it is undone when its time is over. A kind is a function and a row."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable

from tests.chaos.plan import Deed
from tests.chaos.stage import Stage

WAIT_S = "15"


async def do(stage: Stage, deed: Deed) -> None:
    """The deed, its time, and its end."""
    stage.record.tell(f"** {deed}")
    await DEEDS[deed.kind](stage, deed)


async def _kill(stage: Stage, deed: Deed) -> None:
    name = deed.on[0]
    with stage.record.span("dead", name):
        await stage.kill(name, signal.SIGKILL if deed.kind == "kill" else signal.SIGTERM)
        await asyncio.sleep(deed.lasts or 0.0)
        await stage.revive(name)
        stage.record.tell(f"   {name} runs again")


async def _freeze(stage: Stage, deed: Deed) -> None:
    name = deed.on[0]
    with stage.record.span("frozen", name):
        stage.signal(name, signal.SIGSTOP)
        await asyncio.sleep(deed.lasts or 0.0)
        stage.signal(name, signal.SIGCONT)
        stage.record.tell(f"   {name} goes on")


async def _fault(stage: Stage, deed: Deed) -> None:
    name = deed.on[0]
    with stage.record.span("fault", name):
        await stage.fault(name, deed.words[0])
        await asyncio.sleep(deed.lasts or 0.0)
        await stage.fault(name, "none")
        stage.record.tell(f"   {name}: no fault")


async def _wired(stage: Stage, deed: Deed) -> None:
    one, other = (stage.hosts[name] for name in deed.on)
    with stage.record.span("wire", *deed.on):
        if deed.kind == "lose":
            number = stage.wire.lose(30, one, other)
        elif deed.kind == "reject":
            number = stage.wire.reject(one, other, deed.words[0])
        elif deed.kind == "cut-from":
            number = stage.wire.drop(other, one, both=False)
        else:
            number = stage.wire.drop(one, other, both=deed.kind == "cut")
        await asyncio.sleep(deed.lasts or 0.0)
        stage.wire.mend(number)
        stage.record.tell(f"   {'-'.join(deed.on)}: no {deed.kind}")


async def _fill(stage: Stage, deed: Deed) -> None:
    with stage.record.span("full", "lbctl"):
        stage.fill()
        await asyncio.sleep(deed.lasts or 0.0)
        stage.clear()
        stage.record.tell("   there is room on the disk")


async def _operator(stage: Stage, deed: Deed) -> None:
    words = deed.words
    if "?" in words:
        asked = (await stage.seen()).get("approvals") or [{"id": "core-99"}]
        words = tuple(asked[0]["id"] if word == "?" else word for word in words)
    if "--drive" in words:
        words = (*words, "--wait", WAIT_S)
    told = await stage.command(*words)
    stage.record.asked.append(told)
    stage.record.tell(f"   `{' '.join(words)}` ended with {told.code}: {_short(told.text)}")


async def _administer(stage: Stage, deed: Deed) -> None:
    with stage.record.span("administered", deed.on[0]):
        told = await stage.administer(deed.on[0], *deed.words)
    stage.record.tell(f"   {deed.on[0]} `{' '.join(deed.words)}` ended with {told.code}: {_short(told.text)}")


def _short(text: str) -> str:
    return " | ".join(text.splitlines())[:300]


DEEDS: dict[str, Callable[[Stage, Deed], Awaitable[None]]] = {
    "kill": _kill, "terminate": _kill, "freeze": _freeze, "fault": _fault, "cut": _wired, "cut-to": _wired, "cut-from": _wired, "lose": _wired,
    "reject": _wired, "fill": _fill, "operator": _operator, "administer": _administer,
}
