"""The writing half: each handler turns a typed request into one `Command` and submits it. Whether it may happen is the gate's business.

What is refused comes back as a problem with the rule and its evidence; what is done or accepted comes back with the service as it stands now.
"""

from __future__ import annotations

from typing import Any

from lbctl.api import reads
from lbctl.api.base import Administration
from lbctl.api.call import Answered, Call
from lbctl.api.models import (
    AckRequest,
    AdoptRequest,
    FailoverRequest,
    HoldRequest,
    MaintenanceRequest,
    PlainRequest,
    PlanRequest,
    ReloadRequest,
    ResumeRequest,
    SwapRolesRequest,
    SwitchoverRequest,
    UpgradeRequest,
)
from lbctl.api.problems import STATUS_OF, Refusal, refused
from lbctl.api.times import instant
from lbctl.config.quantities import seconds
from lbctl.errors import ConfigError
from lbctl.model.commands import (
    Ack,
    Adopt,
    Approve,
    Code,
    Command,
    Deny,
    Failover,
    MaintenanceExtend,
    MaintenanceOff,
    MaintenanceOn,
    Release,
    Reply,
    Resume,
    SetHold,
    SwapRoles,
    Switchover,
)
from lbctl.model.decision import Step


async def _submit(call: Call, command: Command) -> Answered:
    reply = await call.world.controller.submit(command)
    return _answer(reply, call.world.controller.service(command.service))


def _answer(reply: Reply, shown: Any) -> Answered:
    if reply.code not in (Code.DONE, Code.ACCEPTED):
        raise refused(reply)
    body = {"code": int(reply.code), "message": reply.message, "evidence": dict(reply.evidence), "service": shown}
    return Answered(body, STATUS_OF[reply.code], reads.tag(shown) if shown else {})


def _common(call: Call, reason: str | None) -> dict[str, Any]:
    """What every command carries; 404 for an unknown service."""
    shown = reads.known(call.world.controller, call.path["name"])
    return {"service": str(shown["name"]), "by": call.principal.by, "reason": reason or "", "revision": call.revision, "key": call.key}


def told(call: Call, step: Step) -> Answered:
    """A command's line of the journal as the answer to it. A restart may have cancelled a move that was not published yet: the service tells."""
    message = f"{step.text}; lbctl was started again before it could say so: see history for what followed"
    reply = Reply(Code(step.data["code"]), message, step.data["rule"], step.data["evidence"])
    return _answer(reply, reads.known(call.world.controller, step.service))


def _member(call: Call, name: str | None) -> str | None:
    return None if name is None else reads.known_member(reads.known(call.world.controller, call.path["name"]), name)


def _reason(text: str | None, what: str) -> str:
    if text is None:
        raise Refusal(422, f"reason: {what} needs a reason")
    return text


async def failover(call: Call) -> Answered:
    asked = call.asked(FailoverRequest)
    if asked.accept and not asked.force:
        raise Refusal(422, "accept: names rules for `force` to override; say force too")
    common = _common(call, asked.reason)
    to = _member(call, asked.to) or ""
    return await _submit(call, Failover(**common, to=to, force=asked.force, accept=frozenset(asked.accept)))


async def switchover(call: Call) -> Answered:
    asked = call.asked(SwitchoverRequest)
    return await _submit(call, Switchover(**_common(call, asked.reason), to=_member(call, asked.to), drive=asked.drive, drain=asked.drain))


async def resume(call: Call) -> Answered:
    asked = call.asked(ResumeRequest)
    if asked.attest_synced:
        _reason(asked.reason, "attest_synced")
    return await _submit(call, Resume(**_common(call, asked.reason), drive=asked.drive, drain=asked.drain, attest_synced=asked.attest_synced))


async def swap_roles(call: Call) -> Answered:
    asked = call.asked(SwapRolesRequest)
    return await _submit(call, SwapRoles(**_common(call, asked.reason), attest_synced=asked.attest_synced))


async def adopt(call: Call) -> Answered:
    asked = call.asked(AdoptRequest)
    if asked.member is not None:
        _reason(asked.reason, "adopting a member")
    return await _submit(call, Adopt(**_common(call, asked.reason), member=_member(call, asked.member)))


async def ack(call: Call) -> Answered:
    asked = call.asked(AckRequest)
    return await _submit(call, Ack(**_common(call, asked.reason), member=_member(call, asked.member), attest_synced=asked.attest_synced))


async def hold(call: Call) -> Answered:
    return await _submit(call, SetHold(**_common(call, call.asked(HoldRequest).reason)))


async def release(call: Call) -> Answered:
    return await _submit(call, Release(**_common(call, call.asked(PlainRequest).reason)))


async def upgrade(call: Call) -> Answered:
    administration = _administration(call)
    asked, common = call.asked(UpgradeRequest), _common(call, None)
    reply = await administration.upgrade_do(common["service"], asked.action, common["by"], asked.reason or "")
    return _answer(reply, call.world.controller.service(common["service"]))


async def maintenance(call: Call) -> Answered:
    asked = call.asked(MaintenanceRequest)
    common = _common(call, asked.reason)
    if asked.action == "off":
        return await _submit(call, MaintenanceOff(**common))
    start = None if asked.from_ is None else _instant("from", asked.from_)
    until = _end(asked, call.world.clock.now() if start is None else start)
    if asked.action == "extend":
        return await _submit(call, MaintenanceExtend(**common, until=until))
    _reason(asked.reason, "maintenance")
    return await _submit(call, MaintenanceOn(**common, since=start, until=until))


def _end(asked: MaintenanceRequest, start: float) -> float:
    """When maintenance ends: exactly one of `for` and `until` says so (H32)."""
    if (asked.for_ is None) == (asked.until is None):
        raise Refusal(422, "for: maintenance needs an end: say either `for` (2h) or `until` (a time)")
    return start + seconds(asked.for_) if asked.for_ is not None else _instant("until", asked.until or "")


def _instant(field: str, text: str) -> float:
    try:
        return instant(text)
    except ValueError as error:
        raise Refusal(422, f"{field}: {error}") from None


async def approve(call: Call) -> Answered:
    service, ident = await _approval(call)
    return await _submit(call, Approve(**_bound(call, service), approval=ident))


async def deny(call: Call) -> Answered:
    service, ident = await _approval(call)
    return await _submit(call, Deny(**_bound(call, service), approval=ident))


def _bound(call: Call, service: str) -> dict[str, Any]:
    reason = call.asked(PlainRequest).reason or ""
    return {"service": service, "by": call.principal.by, "reason": reason, "revision": call.revision, "key": call.key}


async def _approval(call: Call) -> tuple[str, str]:
    """The service that this approval belongs to; 404 for one that is gone, answered, or was never asked."""
    ident = call.path["id"]
    waiting = [(str(shown["name"]), str(entry["id"])) async for shown in reads.each(call, brief=True) for entry in shown["approvals"]]
    for service, known in waiting:
        if known == ident:
            return service, ident
    raise reads.unknown("pending approval", ident, [known for _, known in waiting])


def _administration(call: Call) -> Administration:
    return reads.administration(call)


async def reload(call: Call) -> Answered:
    try:
        reply = await _administration(call).reload(call.principal.by, allow_switch=call.asked(ReloadRequest).allow_switch)
    except ConfigError as error:
        raise _invalid(error) from None
    return _answer(reply, None)


async def plan(call: Call) -> Answered:
    administration, asked = _administration(call), call.asked(PlanRequest)
    try:
        return Answered(await administration.plan(asked.text, asked.name))
    except ConfigError as error:
        raise _invalid(error) from None


async def notify_test(call: Call) -> Answered:
    found = list(await _administration(call).notify_test(call.principal.by))
    return Answered({"deliveries": found, "delivered": all(entry["outcome"] == "delivered" for entry in found)})


def _invalid(error: ConfigError) -> Refusal:
    errors = [{"at": problem.where, "message": str(problem)} for problem in error.problems]
    return Refusal(422, str(error), Code.CONFIG_INVALID, {"errors": errors})
