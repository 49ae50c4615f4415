"""What must be once everything is healed: within `SETTLE_S` lbctl says of the service what one who stands outside would say, and goes on saying it.

What people have decided stays as it is: a hold, a maintenance, a Core that was set to secondary by hand. So there is more than one settled state;
which one it has to be follows from the two Cores' pages as the reader outside sees them and from who is told to clients.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

from tests.chaos.plan import CORES
from tests.chaos.record import Asked, Record
from tests.chaos.stage import Stage

SETTLE_S = 90.0
STEADY_S = 2.0
BLOCKED = frozenset({"stranded", "down", "dual-primary"})


def expected(shown: dict[str, Any], pages: dict[str, dict[str, str]]) -> str:
    """The state by SEMANTICS 5, from the pages and from what only the memory can know: latches, roles, whether the active was seen promoted."""
    active, other = shown["active"], next(name for name in CORES if name != shown["active"])
    latched = {member["name"] for member in shown["members"] if member["latched"]}
    follows = {member["name"]: member["syncs_from"] for member in shown["members"]}
    claims = [name for name in CORES if pages[name]["hastatus"] == "Primary"]
    fine = pages[active]["status"] == "OK" if shown["promoted"] else pages[active]["hastatus"] in ("Standby", "Primary")
    rogue = other not in latched and follows[other] not in (None, active)
    if not fine:
        return "stranded" if other in claims and not rogue else "down"
    if len([name for name in claims if name not in latched]) == 2 and not rogue:
        return "dual-primary"
    if "re-arming" in shown["conditions"]:
        return "re-arming"
    return "normal" if active == shown["primary"] else "failed-over"


def seen_pages(record: Record) -> dict[str, dict[str, str]]:
    """The newest look at each page from outside."""
    found: dict[str, dict[str, str]] = {name: {"status": "?", "hastatus": "?"} for name in CORES}
    for look in record.looks[-40:]:
        found[look.core][look.page] = look.said
    return found


def missing(stage: Stage, shown: dict[str, Any]) -> str:
    """What is not yet as it must be; "" where all is."""
    if not shown:
        return "lbctl does not answer on its socket"
    pages = seen_pages(stage.record)
    if shown["state"] == "uninitialised" or shown["active"] not in CORES:
        return f"it is {shown['state']}: {shown['uninitialised']}"
    if shown["run"] is not None and shown["run"]["doing"]:
        return f"a run is under way: {shown['run']}"
    wanted, told = expected(shown, pages), stage.record.answers[-1].text
    if shown["state"] != wanted:
        return f"it says {shown['state']} and from outside it is {wanted}: {pages}"
    if told != shown["active"]:
        return f"it says {shown['active']} and clients are told {told}"
    if not all(one["in_sync"] and one["wanted"] == one["applied"] == one["verified"] == shown["epoch"] for one in shown["actuators"]):
        return f"the actuator lags: {shown['actuators']}"
    if shown["unsaved"]:
        return f"it cannot save: {shown['unsaved']}"
    if shown["state"] == "down" and not shown["blocked_by"]:
        return "the active is down, nothing blocks, and nothing moves"
    active = pages[shown["active"]]
    if active == {"status": "OK", "hastatus": "Primary"} and not shown["promoted"]:
        return f"{shown['active']} serves as Primary and is not taken for promoted"
    return ""


async def settle(stage: Stage) -> str:
    """Waits until nothing is missing for a while; says what is missing where that does not come."""
    until, steady, why = time.time() + SETTLE_S, 0.0, "nothing was seen"
    while steady or time.time() < until:
        why = missing(stage, await stage.seen())
        steady = 0.0 if why else steady or time.time()
        if steady and time.time() - steady >= STEADY_S:
            return ""
        await asyncio.sleep(0.2)
    return f"not settled within {SETTLE_S:.0f} s: {why}"


async def faces(stage: Stage, shown: dict[str, Any]) -> list[str]:
    """What a person or a program reads of the same: the verbs, the metrics, the journal's chain."""
    audit, status = [await stage.command(*words) for words in (("audit", "verify"), ("-o", "json", "status", "core"))]
    return [*_ended(audit), *_ended(status), *_metrics(await stage.lbctl.get("/metrics"), shown)]


def _ended(told: Asked) -> Iterator[str]:
    if told.code != 0 or "Traceback" in told.text:
        yield f"`{' '.join(told.words)}` ended with {told.code}: {told.text[-600:]}"


def _metrics(read: tuple[int, str], shown: dict[str, Any]) -> Iterator[str]:
    from prometheus_client.parser import text_string_to_metric_families

    status, text = read
    if status != 200:
        yield f"/metrics answered {status}"
        return
    series = {(one.name, tuple(sorted(one.labels.items()))): one.value for family in text_string_to_metric_families(text) for one in family.samples}
    for name in CORES:
        if series.get(("lbctl_active", (("member", name), ("service", "core")))) != float(name == shown["active"]):
            yield f"lbctl_active of {name} is not what the service says: {shown['active']}"
    if series.get(("lbctl_service_state", (("service", "core"), ("state", shown["state"])))) != 1.0:
        yield f"lbctl_service_state has no 1 for {shown['state']}"


def logs(stage: Stage) -> list[str]:
    """No log of any of the three tells of an error that nobody caught."""
    files = [stage.lbctl.file.with_suffix(".log"), *(stage.base / f"{name}.err" for name in CORES),
             *(path for name in CORES for path in (stage.base / name / "logs").glob("*"))]
    found = []
    for file in files:
        text = file.read_text(errors="replace") if file.exists() else ""
        if (at := text.find("Traceback")) >= 0:
            found.append(f"{file.name}: {text[max(0, at - 300):at + 2500]}")
    return found
