"""One address on this host, lent by the controller.

* `hold` lends it up to `stamp + lease_s`, where `stamp` is a time that this very agent gave a moment before: what arrives late lends nothing.
  With `forward` this host passes connections on to the active member: the rules first, the address after.
* `release` takes it back; the answer says that the kernel has it no more, so that the next may have it at once.
* `prepare` tells of a decision for another host: from now on nothing older is promised to anybody. `ahead`: this host may be the next, so it
  asks the network already whether anybody else has the address.
* All three carry the epoch of the decision and the turn within it; an older one is refused with what stands here (`superseded`), also after a
  restart (H41, H43). And they carry the controller's identity: while one controller's word is fresh, another's is refused (`owned`), whatever
  its epoch; so two controllers that fight for one address are told apart by the hosts, and the first of them wins (H43).
* `promise`: another agent holds the address and has lost its controller. If nothing newer is known here, this one will not take it for one lease.
  A holder that *all* its peers have promised that, keeps it (SEMANTICS section 8); if one is silent, it goes at the lease's end (H47).
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
from collections import deque
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from lbctl.clock import Clock
from lbctl.errors import ActuatorError, Superseded
from lbctl.model.decision import Desired
from lbctl.net.fence import Fence, file_of
from lbctl.net.forward import Forward
from lbctl.net.holder import Holder
from lbctl.net.talk import Peer

LEASE_MAX_S = 3600.0
HAPPENED_MAX = 32
"""What has happened to the address is kept for the controller to fetch; it looks several times in a lease."""
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Passing:
    """What this host is to pass on."""

    target: str
    ports: tuple[int, ...]
    epoch: int


@dataclass(frozen=True, slots=True)
class Told:
    """What every command says: the decision, the turn within it, who decides, and how long his word counts."""

    desired: Desired
    turn: int
    owner: str
    lease_s: float
    passing: Passing | None

    @property
    def number(self) -> tuple[int, int]:
        return self.desired.epoch, self.turn


@dataclass(frozen=True, slots=True)
class Loan:
    """What `hold` says beside: counted from `stamp`; `vacated`: every other host has proved that it is without the address, `gone` are their MACs."""

    stamp: float
    vacated: bool
    gone: frozenset[bytes]


@dataclass(slots=True)
class _Owner:
    """The controller that this address obeys, by what it calls itself and by its certificate, and until when without a further word."""

    identity: str = ""
    name: str = ""
    until: float = 0.0


class Keeper:
    """`peers`: the agents of the other hosts that may hold the same address."""

    def __init__(self, address: str, interface: str, clock: Clock, memory: Path, peers: Sequence[Peer] = ()) -> None:
        self.address = address.split("/")[0]
        self._clock, self._peers = clock, tuple(peers)
        self._fence = Fence(file_of(memory, f"vip-{self.address}"))
        mark = self._fence.mark
        self._known = (mark.epoch, mark.turn) if mark is not None else (0, 0)
        self._owner = _Owner()
        self._promised_until = 0.0
        self._lease_s = 1.0
        self._agreed: bool | None = None
        self._unready = ""
        self._holder = Holder(address, interface, self._lease_s, clock, self._happen)
        self._forward = Forward(self._holder.at.ip)
        self._passing: Passing | None = None
        self._boot = os.urandom(8).hex()
        self._happened: deque[tuple[int, str, str]] = deque(maxlen=HAPPENED_MAX)
        self._number = 0
        self._task: asyncio.Task[None] | None = None
        self._jobs: set[asyncio.Task[None]] = set()
        self._one = asyncio.Lock()

    async def answer(self, question: Mapping[str, Any], by: str = "") -> dict[str, Any]:
        """One question, `by` whoever proved himself. Whatever is wrong with it is an answer with `error`, and changes nothing."""
        extra: dict[str, Any] = {}
        try:
            async with self._one:
                extra = await self._do(question, by)
            return {**self._shown(), **extra}
        except Superseded as error:
            return {**self._shown(), "error": error.reason, "text": str(error), "found": error.found_epoch}
        except ActuatorError as error:
            return {**self._shown(), "error": error.reason, "text": str(error)}
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            return {**self._shown(), "error": "malformed", "text": f"no such question: {error!r}"}

    async def close(self) -> None:
        """Ends keeping it; it stays for what is left of its lease."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._jobs:
            await asyncio.wait(self._jobs)
        await self._holder.close()
        self._forward.close()

    # --- questions

    async def _do(self, question: Mapping[str, Any], by: str) -> dict[str, Any]:
        match question["op"]:
            case "look":
                return self._rules_shown() if question.get("rules") is True else {}
            case "promise":
                self._promise((int(question["epoch"]), int(question.get("turn", 0))), _lease(question))
            case "hold" | "release" | "prepare" as op:
                told, loan = _told(question), _loan(question, self._clock.now()) if op == "hold" else None
                self._fence.check(self.address, told.desired, told.turn)
                self._obey(told, by)
                self._learn(told)
                if loan is not None:
                    await self._hold(told, loan)
                elif op == "release":
                    self._release(told)
                else:
                    self._prepare(told, ahead=question.get("ahead") is True)
            case other:
                raise ValueError(other)
        return {}

    def _obey(self, told: Told, by: str) -> None:
        """One controller at a time. Its word counts for a lease: one that has fallen silent is followed by whoever speaks next."""
        owner, now = self._owner, self._clock.now()
        if told.owner != owner.identity and now < owner.until:
            raise ActuatorError("owned", f"this host obeys the controller {owner.name}, whose word counts for {owner.until - now:.1f} s more",
                                hint="two controllers have the same address")
        if told.owner != owner.identity:
            log.info("a controller is obeyed", address=self.address, controller=by, identity=told.owner)
        self._owner = _Owner(told.owner, by, now + told.lease_s)

    def _learn(self, told: Told) -> None:
        if told.number < self._known:
            known = ".".join(map(str, self._known))
            raise Superseded(f"epoch {known} is known here, this is {told.desired.epoch}.{told.turn}", found_epoch=self._known[0])
        self._known = told.number

    async def _hold(self, told: Told, loan: Loan) -> None:
        now = self._clock.now()
        if loan.vacated:
            self._promised_until = 0.0  # every other host has said that it is without the address
        if (left_s := self._promised_until - now) > 0:
            raise ActuatorError("promised", f"its holder was promised {left_s:.1f} s more")
        if loan.stamp + told.lease_s < now + 1:
            raise ActuatorError("late", "less than a second is left of what is lent")
        self._fence.advance(self.address, told.desired, frozenset(told.desired.addresses[""]), told.turn)
        self._pass_on(told.passing)
        self._lease_s = told.lease_s
        self._holder.relet(told.lease_s)
        self._agreed = None
        # Lent from an older stamp than the last time: what it was lent then still holds, by the same controller.
        reaches = self._holder.until if self._holder.wanted else None
        await self._holder.take(max(loan.stamp + told.lease_s, reaches or 0.0), loan.gone)
        self._later(self._fence.save())
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._outlive(), name=f"keep {self.address}")

    def _release(self, told: Told) -> None:
        """The answer does not wait for the disk, and the address goes first: without it the rules do nothing."""
        self._fence.advance(self.address, told.desired, frozenset(told.desired.addresses[""]), told.turn)
        self._holder.drop()
        self._later(self._fence.save())
        if told.passing is not None:
            try:
                self._pass_on(None, always=True)
            except ActuatorError as error:
                log.warning("the rules are still there, and do nothing", address=self.address, why=str(error))

    def _prepare(self, told: Told, *, ahead: bool) -> None:
        """What keeps this host from holding it is known before it is needed."""
        self._unready = ""
        try:
            self._holder.ready()
            if told.passing is not None:
                self._forward.ready()
            if ahead:
                self._holder.ask_ahead()
        except ActuatorError as error:
            self._unready = str(error)

    def _promise(self, number: tuple[int, int], lease_s: float) -> None:
        if self._holder.wanted:
            raise ActuatorError("held", f"{self.address} is held here too")
        if number < self._known:
            raise Superseded(f"epoch {self._known[0]}.{self._known[1]} is known here, the holder's is {number[0]}.{number[1]}",
                             found_epoch=self._known[0])
        self._promised_until = max(self._promised_until, self._clock.now() + lease_s)

    # --- what is passed on

    def _pass_on(self, passing: Passing | None, *, always: bool = False) -> None:
        """In one transaction of the kernel, and only where something else is wanted: a renewal of the lease costs nothing here. `always`: an
        earlier life of this process may have left rules."""
        if passing == self._passing and not always:
            return
        self._passing = None
        if passing is None:
            self._forward.end()
        else:
            self._forward.apply(passing.target, passing.ports, passing.epoch)
        self._passing = passing

    def _rules_shown(self) -> dict[str, Any]:
        """Where the kernel sends connections. What differs from what was set is set again by the next `hold`."""
        found = self._forward.read()
        if found is None or self._passing is None or (found.target, found.epoch) != (self._passing.target, self._passing.epoch):
            self._passing = None
        return {"passed": {"target": found.target, "epoch": found.epoch} if found is not None else None}

    # --- without a controller

    async def _outlive(self) -> None:
        """Asks the peers, each quarter of a lease, where what is lent reaches less than half of one."""
        while self._holder.wanted:
            await self._clock.sleep(self._lease_s / 4)
            now = self._clock.now()
            if not self._holder.wanted or (self._holder.until or 0.0) - now > self._lease_s / 2:
                continue
            epoch, turn = self._known
            question = {"op": "promise", "address": self.address, "epoch": epoch, "turn": turn, "lease_s": self._lease_s}
            answers = await asyncio.gather(*(peer.ask(question) for peer in self._peers), return_exceptions=True)
            agreed = bool(answers) and all(isinstance(one, dict) and "error" not in one for one in answers)
            if agreed is not self._agreed:
                log.warning("no word from the controller", address=self.address, kept="while all peers agree" if agreed else "until the lease ends")
            self._agreed = agreed
            if agreed:
                self._holder.prolong(now + self._lease_s)

    # --- what is told

    def _shown(self) -> dict[str, Any]:
        """What is so here, and what time it is."""
        mark, held, why, mac = self._fence.mark, False, self._holder.trouble or self._unready, ""
        try:
            seen = self._holder.seen()
            held, mac = seen.held, seen.mac
            why = why or ("" if seen.running else f"{self._holder.interface} has no carrier")
        except ActuatorError as error:
            why = str(error)
        now = self._clock.now()
        obeyed = now < self._owner.until
        return {
            "stamp": now, "held": held, "trouble": why, "epoch": self._known[0] or None, "turn": self._known[1], "mac": mac,
            "promised_s": max(0.0, self._promised_until - now), "obeys": self._owner.identity if obeyed else "",
            "members": list(mark.members) if mark else [], "addresses": list(mark.addresses) if mark else [],
            "boot": self._boot, "tally": dict(self._holder.tally), "happened": [list(one) for one in self._happened],
        }

    def _happen(self, kind: str, text: str) -> None:
        self._number += 1
        self._happened.append((self._number, kind, text))

    def _later(self, job: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(job)
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)


def _told(question: Mapping[str, Any]) -> Told:
    """KeyError, TypeError or ValueError where anything is missing or makes no sense."""
    addresses = tuple(str(one) for one in question["addresses"])
    desired = Desired("", int(question["epoch"]), tuple(str(one) for one in question["members"]), {"": addresses})
    return Told(desired, int(question.get("turn", 0)), str(question["owner"])[:64], _lease(question), _passing(question, desired.epoch))


def _loan(question: Mapping[str, Any], now: float) -> Loan:
    stamp = float(question["stamp"])
    if not stamp <= now:  # not `stamp > now`: what is no number is neither, and would never be over
        raise ValueError("a lease is counted from a stamp of this agent's past")
    gone = frozenset(bytes.fromhex(str(mac).replace(":", "")) for mac in question.get("gone", ()))
    return Loan(stamp, question.get("vacated") is True, gone)


def _lease(question: Mapping[str, Any]) -> float:
    lease_s = float(question["lease_s"])
    if not 1.0 <= lease_s <= LEASE_MAX_S:
        raise ValueError("a lease is 1 s to an hour")
    return lease_s


def _passing(question: Mapping[str, Any], epoch: int) -> Passing | None:
    """Checked here as well as at the sender: these words become part of what nft is told."""
    forward = question.get("forward")
    if forward is None:
        return None
    ports = tuple(int(port) for port in forward["ports"])
    if not ports or not all(0 < port < 65536 for port in ports):
        raise ValueError("ports are 1 to 65535")
    target = ipaddress.ip_address(str(forward["target"]))
    if getattr(target, "scope_id", None) is not None:
        raise ValueError("a target has no scope")
    return Passing(str(target), ports, epoch)
