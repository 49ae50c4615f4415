"""H5, H22: one page over several ways, with real servers on both loopbacks: what each said, and the one look that comes of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from lbctl.model.looks import ProbeResult, Reason, Verdict
from lbctl.probes.base import Target, target_at
from lbctl.probes.core import CoreProbe, Settings
from lbctl.probes.engine import Engine
from lbctl.probes.ways import Several, aim, combined
from tests.probes.servers import Play, reply, serving

STANDBY, PRIMARY = (reply(f"MOBILEIRON-STATUS: OK (Mode: {mode})".encode()) for mode in ("Standby", "Primary"))
BUSY = reply(b"", status="503 Service Unavailable")


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes the connection and never says a word."""
    await reader.read(-1)


async def ending(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Ends every connection after a moment."""
    await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def both(
    engine: Engine, four: Play | bytes | None, six: Play | bytes | None, rule: str = "any", timeout_s: float = 20.0
) -> AsyncIterator[Several]:
    """The hastatus page over both families; None: nobody listens there any more."""
    async with contextlib.AsyncExitStack() as stack:
        places = []
        for host, play in (("127.0.0.1", four), ("::1", six)):
            async with contextlib.AsyncExitStack() as gone:
                server = await (gone if play is None else stack).enter_async_context(serving(play or b"", host=host))
            places.append(f"[{host}]:{server.port}")

        def at(place: str, family: int | None) -> Target:
            return target_at("http://core.example.com", member="m", page="hastatus", connect=place, timeout_s=timeout_s, family=family)

        ways = tuple(
            replace(at(place.replace("[127.0.0.1]", "127.0.0.1"), family), way=str(family)) for place, family in zip(places, (4, 6), strict=True))
        found = aim(CoreProbe(Settings(), engine), replace(ways[0], family=None, ways=ways, rule=rule))
        assert isinstance(found, Several)
        try:
            yield found
        finally:
            found.close()


async def look(found: Several) -> ProbeResult:
    told: asyncio.Future[ProbeResult] = asyncio.get_running_loop().create_future()
    found.start(told.set_result)
    async with asyncio.timeout(30):
        return await told


def parts(result: ProbeResult) -> dict[str, tuple[Verdict, Reason]]:
    return {family: (part.verdict, part.reason) for family, part in result.ways}


GOOD = (Verdict.STANDBY, Reason.OK)
ROWS = [
    pytest.param(STANDBY, STANDBY, "any", GOOD, GOOD, GOOD, id="both-any"),
    pytest.param(STANDBY, STANDBY, "all", GOOD, GOOD, GOOD, id="both-all"),
    pytest.param(STANDBY, None, "any", GOOD, GOOD, (Verdict.FAILED, Reason.REFUSED), id="v6-refused-any"),
    pytest.param(None, STANDBY, "any", GOOD, (Verdict.FAILED, Reason.REFUSED), GOOD, id="v4-refused-any"),
    pytest.param(STANDBY, BUSY, "any", GOOD, GOOD, (Verdict.FAILED, Reason.STATUS), id="v6-503-any"),
    pytest.param(None, None, "any", (Verdict.FAILED, Reason.REFUSED), (Verdict.FAILED, Reason.REFUSED), (Verdict.FAILED, Reason.REFUSED), id="none"),
    pytest.param(STANDBY, PRIMARY, "any", (Verdict.UNKNOWN, Reason.UNKNOWN_MODE), GOOD, (Verdict.PRIMARY, Reason.OK), id="two-modes-any"),
    pytest.param(STANDBY, PRIMARY, "all", (Verdict.UNKNOWN, Reason.UNKNOWN_MODE), GOOD, (Verdict.PRIMARY, Reason.OK), id="two-modes-all"),
]


@pytest.mark.parametrize(("four", "six", "rule", "whole", "over_four", "over_six"), ROWS)
async def test_two_looks_make_one_by_the_rule(
    engine: Engine, four: Play | bytes | None, six: Play | bytes | None, rule: str, whole: tuple[Verdict, Reason], over_four: tuple[Verdict, Reason],
    over_six: tuple[Verdict, Reason],
) -> None:
    async with both(engine, four, six, rule) as found:
        result = await look(found)
    assert (result.verdict, result.reason) == whole
    assert parts(result) == {"4": over_four, "6": over_six}


@pytest.mark.parametrize(("four", "six"), [(STANDBY, None), (None, STANDBY)], ids=["v6-dead", "v4-dead"])
async def test_with_all_one_dead_family_fails_and_says_which(engine: Engine, four: Play | bytes | None, six: Play | bytes | None) -> None:
    async with both(engine, four, six, "all") as found:
        result = await look(found)
    assert result.verdict is Verdict.FAILED and result.detail.startswith("IPv6" if six is None else "IPv4")


async def test_a_family_that_is_known_to_be_silent_is_not_waited_for_and_still_told(engine: Engine) -> None:
    """A dropped IPv6 path makes no look over IPv4 slower than its first one; each look over IPv6 is told exactly once."""
    async with both(engine, STANDBY, silent, "any", timeout_s=1.0) as found:
        first = await look(found)
        assert first.good and parts(first)["6"] == (Verdict.FAILED, Reason.TIMEOUT)
        second = await look(found)
        assert second.good and "6" not in parts(second), "it is still out"
        told = 0
        for _ in range(400):
            more = await look(found)
            assert more.good
            told += "6" in parts(more)
            if told:
                break
            await asyncio.sleep(0.01)
        assert told == 1


async def test_cancelling_and_closing_end_everything(engine: Engine) -> None:
    async with both(engine, silent, silent) as found:
        told: list[ProbeResult] = []
        found.start(told.append)()
        found.start(told.append)
        found.close()
        await asyncio.sleep(0.05)
        assert not told and not found._flying


@pytest.mark.parametrize(("four", "six"), [(silent, ending), (ending, silent)], ids=["v6-ends", "v4-ends"])
async def test_the_kept_connections_hint_when_either_family_ends(engine: Engine, four: Play, six: Play) -> None:
    """A crash is noticed over whichever family tells first."""
    tripped = asyncio.Event()
    async with both(engine, four, six) as found:
        cancel = found.guard(tripped.set)
        async with asyncio.timeout(60):
            await tripped.wait()
        cancel()


def seen(verdict: Verdict, reason: Reason, void: str = "", not_after: float | None = None) -> ProbeResult:
    return ProbeResult("m", "status", verdict, reason, 1.0, 2.0, void=void, not_after=not_after)


def test_a_reply_speaks_before_silence() -> None:
    """SEMANTICS section 4: any reply proves the path; so the reason that is told is never silence where the other family had a reply."""
    whole = combined({"4": seen(Verdict.FAILED, Reason.TIMEOUT), "6": seen(Verdict.FAILED, Reason.REFUSED)}, needs_all=False)
    assert whole.reason is Reason.REFUSED and whole.detail == "IPv4: timeout; IPv6: refused"


def test_a_void_look_over_one_family_leaves_the_other_its_word() -> None:
    assert combined({"4": seen(Verdict.FAILED, Reason.UNREACHABLE, void="local"), "6": seen(Verdict.OK, Reason.OK)}, needs_all=True).good


def test_the_certificate_that_ends_first_is_told() -> None:
    later, sooner = (seen(Verdict.OK, Reason.OK, not_after=end) for end in (9.0, 5.0))
    assert combined({"4": later, "6": sooner}, needs_all=False).not_after == 5.0


# --- the path that clients take (H5)


@contextlib.asynccontextmanager
async def beside_clients(engine: Engine, direct: Play | bytes | None, path: Play | bytes | None, *, alone: bool = False) -> AsyncIterator[Several]:
    """The hastatus page directly and by the clients' path."""
    async with both(engine, direct, path) as made:
        ways = tuple(replace(way, way=name) for way, name in zip(made.target.ways, ("direct", "client"), strict=True))
        found = aim(CoreProbe(Settings(), engine), replace(made.target, ways=ways, alone=alone))
        assert isinstance(found, Several)
        try:
            yield found
        finally:
            found.close()


BAD = (Verdict.FAILED, Reason.REFUSED)


@pytest.mark.parametrize(("direct", "path", "alone", "whole"), [
    pytest.param(PRIMARY, PRIMARY, False, (Verdict.PRIMARY, Reason.OK), id="both"),
    pytest.param(PRIMARY, None, False, (Verdict.UNKNOWN, Reason.REFUSED), id="path-dead"),
    pytest.param(None, PRIMARY, False, (Verdict.UNKNOWN, Reason.REFUSED), id="direct-dead"),
    pytest.param(None, None, False, BAD, id="none"),
    pytest.param(PRIMARY, None, True, BAD, id="path-dead-alone-decides"),
    pytest.param(None, PRIMARY, True, (Verdict.UNKNOWN, Reason.REFUSED), id="direct-dead-is-not-alone"),
    pytest.param(PRIMARY, STANDBY, False, (Verdict.UNKNOWN, Reason.UNKNOWN_MODE), id="two-servers"),
])
async def test_the_clients_path_alone_neither_fails_a_member_nor_saves_it(
    engine: Engine, direct: Play | bytes | None, path: Play | bytes | None, alone: bool, whole: tuple[Verdict, Reason]
) -> None:
    """H5: a disagreement is never a failover alone, unless configured."""
    async with beside_clients(engine, direct, path, alone=alone) as found:
        for _ in range(3):
            result = await look(found)
            assert (result.verdict, result.reason) == whole
