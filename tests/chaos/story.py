"""One seed from beginning to end: the site stands, the deeds are done, everything is healed, and all that was seen is judged."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import sqlite3
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.deeds import do
from tests.chaos.journal import lines
from tests.chaos.judge import Evidence, complaints
from tests.chaos.outside import Outside
from tests.chaos.plan import CORES, Deed, plan
from tests.chaos.record import Record
from tests.chaos.settled import faces, logs, settle
from tests.chaos.stage import Stage, stage

BRIEF_S, LONG_S = 8.0, 25.0


@dataclass(frozen=True, slots=True)
class Told:
    """What a story came to. `kept`: where its files are, where something was wrong; `void`: why it was not told to its end."""

    seed: int
    span_s: float
    wrong: tuple[str, ...]
    story: tuple[str, ...]
    moves: int
    writes: int
    took_s: float
    kept: str = ""
    void: str = ""

    @property
    def again(self) -> str:
        return f"python -m tests.chaos {self.seed} --span {self.span_s:g} -v"


async def tell(seed: int, span_s: float, *, verbose: bool = False, keep: Path | None = None) -> Told:
    """Plays one seed. Files of one that went wrong are kept under `keep`."""
    began, record, made = time.time(), Record(verbose=verbose), plan(seed, span_s)
    base = Path(tempfile.mkdtemp(prefix=f"chaos-{seed}-"))
    hand, heart = "driven" if made.driven else "by hand", "B promotes itself" if made.promotes_itself else "B stays"
    record.tell(f"seed {seed}: {hand}, {heart}, {made.service}")
    wrong: list[str] = []
    void = ""
    case: Evidence | None = None
    try:
        async with stage(base, made, record) as site:
            authority = base / "ca" / "ca.pem"
            watching = asyncio.create_task(Outside(site.hosts["client"], site.host, site.addresses, authority, seed, record).run())
            try:
                await asyncio.sleep(1.0)
                await _play(site, made.deeds, span_s)
                wrong += await _settled(site)
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
            case = await _evidence(site)
            wrong += complaints(case) + await _ended(site) + logs(site)
    except (TimeoutError, AssertionError) as error:
        # A machine that is too busy to start a program within half a minute tells nothing of lbctl; the suite fails for it all the same.
        void = f"{type(error).__name__} {error}".replace("\n", " | ")[:2000]
    finally:
        kept = _put_away(base, keep / f"seed-{seed}" if keep is not None and (wrong or void) else None)
    moves = 0 if case is None else sum(line.kind == "moved" for line in case.journal)
    if case is not None and wrong:
        record.story += [f"journal {line.at - record.began:7.2f}  {line}" for line in case.journal]
    writes = sum(write.code == 201 for write in record.writes)
    return Told(seed, span_s, tuple(wrong), tuple(record.story), moves, writes, time.time() - began, kept, void)


async def _play(site: Stage, deeds: tuple[Deed, ...], span_s: float) -> None:
    began, doing = time.time(), []
    for deed in deeds:
        await asyncio.sleep(max(0.0, began + deed.at - time.time()))
        doing.append(asyncio.create_task(do(site, deed)))
    await asyncio.sleep(max(0.0, began + span_s + 0.5 - time.time()))
    # Commands that wait for what is cut are waited for after it is healed.
    site.record.tell("** everything is healed")
    await site.heal()
    await asyncio.gather(*doing)
    await site.heal()


async def _settled(site: Stage) -> list[str]:
    why = await settle(site)
    if why:
        return [why]
    shown = await site.seen()
    site.record.tell(f"settled: {shown['state']}, {shown['active']}, epoch {shown['epoch']}, {shown['conditions']}")
    return await faces(site, shown)


async def _evidence(site: Stage) -> Evidence:
    events, since = [], 0
    while True:
        status, text = await site.lbctl.get(f"/api/v1/events?service=core&limit=1000&since={since}")
        assert status == 200, text
        page = json.loads(text)
        events += page["events"]
        if page.get("next") is None:
            break
        since = page["next"]
    active = (await site.seen()).get("active") or "core-a"
    return Evidence(site.record, lines(events), active, {name: _devices(site.cores[name].directory / "portal.db") for name in CORES})


def _devices(path: Path) -> frozenset[str]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return frozenset(row[0] for row in connection.execute("SELECT uuid FROM devices"))


async def _ended(site: Stage) -> list[str]:
    """All three end in good order when they are asked to."""
    found = []
    for name in (*CORES, "lbctl"):
        process = site.lbctl if name == "lbctl" else site.cores[name]
        began = time.time()
        code = await process.end(signal.SIGTERM)
        if code != 0:
            found.append(f"{name} ended with {code} on SIGTERM, after {time.time() - began:.1f} s")
    return found


def _put_away(base: Path, keep: Path | None) -> str:
    if keep is not None:
        shutil.rmtree(keep, ignore_errors=True)
        shutil.copytree(base, keep, ignore=shutil.ignore_patterns("*.sock"), symlinks=True)
    shutil.rmtree(base, ignore_errors=True)
    return "" if keep is None else str(keep)
