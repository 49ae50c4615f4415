"""A name in somebody else's zone, changed by DNS UPDATE (RFC 2136) on every server that is named, and read back from each.

The *server* is the referee. Each message names, as prerequisites, everything that was read a moment before: both address sets and the mark
`_lbctl.NAME TXT "epoch=N to=DIGEST"`. It sets both families and the new mark, or nothing (RFC 2136 section 3.4). A writer that was overtaken
between its reading and its writing is therefore refused there, and one that is overtaken before reads a newer epoch and stops
(`Superseded`): no plan can overwrite a newer one (H41, H43). `to` tells two decisions of one epoch apart, so of two controllers that both
call theirs number 5 the second stops too. An empty answer is never written; a family that the new active lacks goes in the same message.

A server's yes counts only when the read-back shows it, and an update without a reply may have been done (H42): each try is followed by
reading, and by another try over TCP only where that does not show the goal.
Each server is written and judged for itself; one that fails fails the `apply`, and the reconciler comes back for ever (H40): servers that
show what is wanted are left alone. A name that points at a name becomes a CNAME.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from lbctl.actuators.base import Actual, Place, capped, wanted
from lbctl.clock import Clock, SystemClock
from lbctl.dns.readback import Shown, epoch_name, longer, look, mark_text
from lbctl.dns.resolver import Told, told
from lbctl.dns.settings import Endpoint, TsigKey
from lbctl.dns.update import Rdatas, Refusal, send_update, update_message
from lbctl.dns.zone import serials_behind
from lbctl.errors import ActuatorError, Superseded
from lbctl.model.decision import Desired

T = TypeVar("T")
ROUNDS = 4
NOT_SHOWN = "a policy there drops the change without saying so, or we read another view"


@dataclass(frozen=True, slots=True)
class Settings:
    """`rfc2136: {servers, zone, name, ttl, tsig: {name, algorithm, secret_file}, verify, resolvers, view}`.

    `servers` are updated and read back; `verify` (secondaries) are only read back; `resolvers` are asked what they tell after a move.
    `timeout_s` bounds one try at one server.
    """

    servers: tuple[Endpoint, ...]
    zone: str
    name: str
    ttl_s: int = 30
    tsig: TsigKey | None = None
    verify: tuple[Endpoint, ...] = ()
    resolvers: tuple[Endpoint, ...] = ()
    view: str = ""
    timeout_s: float = 2.0


@dataclass(frozen=True, slots=True)
class _Goal:
    """What a server shall show."""

    addresses: frozenset[str]
    epoch: int
    mark: str
    records: Rdatas


class Rfc2136:
    """One name on several servers."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self.id = f"rfc2136:{settings.name}" + (f"/{settings.view}" if settings.view else "")
        self.view = settings.view
        self.resolvers = settings.resolvers
        self.keep_s = float(settings.ttl_s)
        self._settings = settings
        self._ttl_s = settings.ttl_s
        self._longest_s = 0.0
        self._clock = clock or SystemClock()

    async def apply(self, desired: Desired) -> None:
        goal = self._goal(desired)
        await _all([self._write(server, goal) for server in self._settings.servers])

    async def set_ttl(self, seconds: float | None) -> float:
        """The records are written again as they are; a server that shows nothing is left alone. A lower TTL counts from when the last of `verify`
        tells it: until then caches take the longer one from there."""
        self._ttl_s = capped(self._settings.ttl_s, seconds)
        before = max(await _all([self._rewrite(server) for server in self._settings.servers]), default=0.0)
        if seconds is None:
            self._longest_s = 0.0
            return before
        # kept over tries: what an earlier one has lowered already may be in caches with the longer TTL all the same
        self._longest_s = max(self._longest_s, before)
        settings = self._settings
        if late := await longer(settings.verify, settings.name, self._ttl_s, self._clock, timeout_s=settings.timeout_s):
            raise ActuatorError("lagging", late, hint="the secondaries must have transferred the zone before the TTL counts as lowered")
        return self._longest_s

    async def read(self) -> Actual:
        """Every server, those that are only verified too: what the world is told is what they tell, not what the primary holds (H50)."""
        written, asked = self._settings.servers, self._settings.verify
        shown = await asyncio.gather(*(self._look(server) for server in (*written, *asked)))
        # independent primaries count for themselves: a secondary that follows one of them is at least as new as the one that counts least
        least = min((one.serial for one in shown[: len(written)] if one.serial is not None), default=None)
        return Actual(tuple(_place(server, one, least) for server, one in zip((*written, *asked), shown, strict=True)))

    async def told_by(self, resolver: Endpoint) -> Told:
        return await told(resolver, self._settings.name, timeout_s=self._settings.timeout_s)

    async def close(self) -> None:
        """Nothing is held between calls."""

    def _goal(self, desired: Desired) -> _Goal:
        addresses = wanted(desired, self.view)
        if not addresses:
            raise ActuatorError("empty", f"{self._settings.name}: an empty answer is never published", temporary=False)
        mark = mark_text(desired.epoch, desired.members)
        return _Goal(addresses, desired.epoch, mark, _records(self._settings.name, addresses, mark))

    async def _rewrite(self, server: Endpoint) -> float:
        """Writes what one server shows with the present TTL; the TTL before."""
        shown = await self._look(server)
        if shown.error_reason:
            raise _failed(server, Refusal(shown.error_reason, shown.error))
        if shown.addresses and shown.epoch is not None:
            records = _records(self._settings.name, shown.addresses, shown.mark)
            await self._write(server, _Goal(shown.addresses, shown.epoch, shown.mark, records))
        return float(shown.ttl_s or 0)

    async def _look(self, server: Endpoint) -> Shown:
        return await look(server, self._settings.name, zone=self._settings.zone, timeout_s=self._settings.timeout_s, signatures=True)

    async def _write(self, server: Endpoint, goal: _Goal) -> None:
        """Brings one server to the goal: read, update what was read; over TCP from the second round on."""
        refusal = Refusal("changed", "somebody else changes the name all the time")
        for turn in range(ROUNDS):
            shown = await self._look(server)
            if shown.error_reason:
                raise _failed(server, Refusal(shown.error_reason, shown.error))
            if self._reached(server, shown, goal):
                return
            before = _records(self._settings.name, shown.addresses, shown.mark) if shown.addresses or shown.mark else {}
            message = update_message(self._settings.zone, self._ttl_s, _completed(before, goal.records), goal.records)
            answer = await send_update(server, message, self._settings.tsig, timeout_s=self._settings.timeout_s, tcp=turn > 0)
            refusal = answer or Refusal("unverified", "it says yes and shows nothing of it", NOT_SHOWN, unknown=True)
            if not refusal.unknown and refusal.reason != "changed":
                break
        raise _failed(server, refusal)

    def _reached(self, server: Endpoint, shown: Shown, goal: _Goal) -> bool:
        """Whether the server shows the goal already. Raises where it shows a newer decision, or another one of the same epoch."""
        if shown.epoch is not None and (shown.epoch > goal.epoch or (shown.epoch == goal.epoch and shown.mark != goal.mark)):
            raise Superseded(f"{server} shows {shown.mark!r}, ours is {goal.mark!r}", found_epoch=shown.epoch)
        return shown.addresses == goal.addresses and shown.mark == goal.mark and shown.ttl_s == self._ttl_s


def _place(server: Endpoint, shown: Shown, least: int | None) -> Place:
    """What one server shows; `least`: the serial that it should have reached."""
    behind = None if shown.serial is None or least is None else serials_behind(shown.serial, least)
    addresses = None if shown.error_reason else shown.addresses
    return Place(str(server), addresses, shown.epoch, shown.error_reason, shown.error, shown.serial, behind, shown.signed_until)


def _records(name: str, addresses: frozenset[str], mark: str) -> Rdatas:
    """The records of an answer and its mark, by (name, type)."""
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for address in sorted(addresses):
        rtype, text = _record(address)
        found[name, rtype] = (*found.get((name, rtype), ()), text)
    found[epoch_name(name), "TXT"] = (f'"{mark}"',) if mark else ()
    return found


def _record(address: str) -> tuple[str, str]:
    try:
        return ("A" if ipaddress.ip_address(address).version == 4 else "AAAA"), address
    except ValueError:
        return "CNAME", address.rstrip(".") + "."


def _completed(before: Rdatas, after: Rdatas) -> Rdatas:
    """What must still be so, absence included, for every type that is there or will be (others are none of ours, so no policy need allow them)."""
    kinds = {**after, **before}
    if not any(rtype == "CNAME" for _, rtype in kinds):
        name = next(owner for owner, rtype in kinds if rtype != "TXT")
        kinds = {(name, "A"): (), (name, "AAAA"): (), **kinds}
    return {kind: before.get(kind, ()) for kind in kinds}


def _failed(server: Endpoint, refusal: Refusal) -> ActuatorError:
    detail = refusal.detail if str(server) in refusal.detail else f"{server}: {refusal.detail}"
    return ActuatorError(refusal.reason, detail, hint=refusal.hint)


async def _all(works: list[Coroutine[Any, Any, T]]) -> list[T]:
    """Every server for itself, whatever becomes of the others; then one error for all that failed."""
    results = await asyncio.gather(*works, return_exceptions=True)
    failures = [result for result in results if isinstance(result, BaseException)]
    for unexpected in failures:
        if not isinstance(unexpected, ActuatorError):
            raise unexpected
    _raise(failures, len(results))
    return [result for result in results if not isinstance(result, BaseException)]


def _raise(failures: list[BaseException], count: int) -> None:
    """One error for all servers that failed; a newer epoch anywhere outweighs everything else."""
    for failure in failures:
        if isinstance(failure, Superseded):
            raise failure
    if failures:
        reasons = {failure.reason for failure in failures if isinstance(failure, ActuatorError)}
        said = "; ".join(str(failure) for failure in failures)
        raise ActuatorError(min(reasons), f"{len(failures)} of {count} servers: {said}" if count > 1 else said)
