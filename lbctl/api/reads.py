"""The reading half: services, explanations, the journal, lbctl's own health. Nothing here has an effect."""

from __future__ import annotations

import difflib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from lbctl.api.advice import helpful
from lbctl.api.base import Administration, Controller
from lbctl.api.base import ServiceObject as Shown
from lbctl.api.call import Answered, Call
from lbctl.api.models import AuditQuery, EventQuery, ExplainQuery, ServicesQuery
from lbctl.api.problems import Refusal
from lbctl.api.times import iso
from lbctl.controller.recent import CELL_S, until
from lbctl.model.decision import Step

NOTICES_SHOWN = 100
TURN = 20
"""Services that are shown in one go."""


def known(controller: Controller, name: str) -> Shown:
    """The service of that name; 404 with the nearest one."""
    try:
        return controller.service(name)
    except KeyError:
        raise unknown("service", name, list(controller.names)) from None


def unknown(kind: str, name: str, names: list[str]) -> Refusal:
    """404 that knows what was perhaps meant."""
    near = difflib.get_close_matches(name, names, 1, 0.5)
    extra: dict[str, Any] = {"nearest": near[0]} if near else {"known": names[:20]}
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return Refusal(404, f"no {kind} is called {name!r}{hint}", extra=extra)


def known_member(shown: Shown, name: str) -> str:
    """404 with the nearest member where the service has none of that name."""
    names = [str(member["name"]) for member in shown["members"]]
    if name not in names:
        raise unknown("member", name, names)
    return name


def tag(shown: Shown) -> Mapping[str, str]:
    """The revision as an entity tag: what `If-Match` takes."""
    return {"ETag": f'"{shown["revision"]}"'}


def line(step: Step) -> dict[str, Any]:
    """A line of the journal as JSON says it."""
    return {"seq": step.seq, "at": iso(step.at), "service": step.service, "kind": step.kind, "text": step.text, "by": step.by,
            "epoch": step.epoch, "revision": step.revision, "data": dict(step.data)}


def administration(call: Call) -> Administration:
    """What `app` offers; 503 where there is no app."""
    if call.world.administration is None:
        raise Refusal(503, "this controller was not started from a file")
    return call.world.administration


async def each(call: Call, *, brief: bool) -> AsyncIterator[Shown]:
    """All services. Looks and answers go on meanwhile: with ten thousand services the list takes longer than a look may wait."""
    controller = call.world.controller
    for number, name in enumerate(controller.names):
        if number % TURN == TURN - 1:
            await call.world.clock.sleep(0)
        try:
            shown = controller.brief(name) if brief else controller.service(name)
        except KeyError:
            continue  # a reload has just taken it away
        yield shown


async def services(call: Call) -> Answered:
    parts = [json.dumps(shown, default=str) async for shown in each(call, brief=call.asked(ServicesQuery).brief == "true")]
    return Answered(None, raw=f'{{"services": [{", ".join(parts)}]}}'.encode())


async def service(call: Call) -> Answered:
    shown = known(call.world.controller, call.path["name"])
    return Answered(shown, headers=tag(shown))


async def explain(call: Call) -> Answered:
    shown = known(call.world.controller, call.path["name"])
    to = call.asked(ExplainQuery).to
    if to is not None:
        known_member(shown, to)
    # Of the same moment as `shown`: nothing is awaited in between, so no hint is given for a state that is over.
    explained = call.world.controller.explain(call.path["name"], to)
    return Answered({**explained, **helpful(shown, explained)})


async def looks(call: Call) -> Answered:
    """The ring of every member, a few at a time, for the same reason as `each`."""
    controller, name = call.world.controller, call.path["name"]
    found: dict[str, Any] = {}
    for number, member in enumerate(known(controller, name)["members"]):
        if number % TURN == TURN - 1:
            await call.world.clock.sleep(0)
        try:
            found[member["name"]] = controller.looks(name, member["name"])
        except KeyError:
            raise unknown("service", name, list(controller.names)) from None  # a reload has just taken it away
    return Answered({"service": name, "cell_s": CELL_S, "until": iso(until(call.world.clock.now())), "members": found})


async def whoami(call: Call) -> Answered:
    return Answered({"by": call.principal.by, "role": call.principal.role.name.lower()})


async def cluster(call: Call) -> Answered:
    return Answered(administration(call).cluster())


async def readiness(call: Call) -> Answered:
    known(call.world.controller, call.path["name"])
    return Answered(await administration(call).readiness(call.path["name"]))


async def notices(call: Call) -> Answered:
    found = administration(call).notices_shown(NOTICES_SHOWN)
    return Answered({**found, "deliveries": [{**entry, "at": iso(entry["at"])} for entry in found["deliveries"]]})


async def upgrade(call: Call) -> Answered:
    known(call.world.controller, call.path["name"])
    return Answered(await administration(call).upgrade(call.path["name"]))


async def events(call: Call) -> Answered:
    query = call.asked(EventQuery)
    newest = query.newest == "true"
    steps = await call.world.controller.events(query.since, query.service, limit=query.limit, newest=newest)
    more = steps[-1].seq if len(steps) == query.limit and not newest else None
    parts = []
    for number, step in enumerate(steps):
        if number % TURN == TURN - 1:
            await call.world.clock.sleep(0)  # a page of a thousand lines takes longer than a look may wait
        parts.append(json.dumps(line(step), default=str))
    return Answered(None, raw=f'{{"events": [{", ".join(parts)}], "next": {json.dumps(more)}}}'.encode())


async def approvals(call: Call) -> Answered:
    found = [{"service": shown["name"], **entry} async for shown in each(call, brief=True) for entry in shown["approvals"]]
    return Answered({"approvals": found})


async def audit(call: Call) -> Answered:
    """Slice after slice, so that saves and looks go on meanwhile; what is written meanwhile is followed as well."""
    query = call.asked(AuditQuery)
    last = query.since + query.limit if query.limit is not None else None
    found = await call.world.controller.verify_journal(query.since)
    while found.broken_at is None and found.upto < found.head and (last is None or found.upto < last):
        found = await call.world.controller.verify_journal(found.upto)
    more = found.broken_at is None and found.upto < found.head
    return Answered({"whole": found.broken_at is None, "broken_at": found.broken_at, "checked": found.upto, "lines": found.head,
                     "next": found.upto if more else None})


def _health(call: Call, key: str, yes: str, no: str) -> Answered:
    health = call.world.controller.health()
    good = bool(health.get(key))
    why = "" if good else str(health.get("why", ""))
    return Answered(None, 200 if good else 503, text=f"{yes if good else no}{': ' + why if why else ''}\n")


async def livez(call: Call) -> Answered:
    return _health(call, "live", "alive", "a loop has stopped")


async def readyz(call: Call) -> Answered:
    return _health(call, "ready", "ready", "not ready")


async def leader(call: Call) -> Answered:
    return _health(call, "leader", "leader", "not the leader")
