"""What each kind of deed does, and how it is undone when its time is over. A kind is a function and a row."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable

from tests.chaos.plan import CORES, Deed
from tests.chaos.record import Asked
from tests.chaos.settled import seen_pages
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
    await _type(stage, *words)


async def _administer(stage: Stage, deed: Deed) -> None:
    told = await stage.administer(deed.on[0], *deed.words)
    stage.record.administered.append(told)
    stage.record.tell(f"   {deed.on[0]} `{' '.join(deed.words)}` ended with {told.code}: {_short(told.text)}")


async def _recover(stage: Stage, deed: Deed) -> None:
    """The guide's recovery as an operator does it who looks first: whatever is in the way just now stays for the next one."""
    seen, pages = await stage.seen(), seen_pages(stage.record)
    if not seen or seen["active"] not in CORES:
        return
    active, primary = seen["active"], seen["primary"]
    other = next(name for name in CORES if name != active)
    if pages[active]["hastatus"] == "Standby" and pages[other]["hastatus"] != "Primary":
        await _by_the_guide(stage, active, "mode", "primary")
    if pages[active]["hastatus"] == "Primary" and pages[other]["hastatus"] in ("Primary", "Standby"):
        await _by_the_guide(stage, other, "mode", "secondary")
        synced = await _by_the_guide(stage, other, "sync")
        await asyncio.sleep(2.5)
        if active != primary and stage.plan.driven:
            await _type(stage, "resume", "core", "--drive", "--reason", "recovery", "--wait", WAIT_S)
        elif active != primary and synced.code == 0:
            await _type(stage, "swap-roles", "core", "--attest-synced", "--reason", "recovery")
    elif active != primary and pages[primary] == {"status": "OK", "hastatus": "Primary"}:
        await _type(stage, "resume", "core", "--reason", "recovery")
    await _type(stage, "ack", "core", "--reason", "recovery")


async def _by_the_guide(stage: Stage, name: str, *words: str) -> Asked:
    told = await stage.administer(name, "failover", *words)
    stage.record.tell(f"   {name} `failover {' '.join(words)}` ended with {told.code}: {_short(told.text)}")
    return told


async def _type(stage: Stage, *words: str) -> None:
    told = await stage.command(*words)
    stage.record.asked.append(told)
    stage.record.tell(f"   `{' '.join(words)}` ended with {told.code}: {_short(told.text)}")


def _short(text: str) -> str:
    return " | ".join(text.splitlines())[:300]


DEEDS: dict[str, Callable[[Stage, Deed], Awaitable[None]]] = {
    "kill": _kill, "terminate": _kill, "freeze": _freeze, "fault": _fault, "cut": _wired, "cut-to": _wired, "cut-from": _wired, "lose": _wired,
    "reject": _wired, "fill": _fill, "operator": _operator, "administer": _administer,
    "recover": _recover,
}
