"""One address on this host, lent by the controller.

* `hold` lends it up to `stamp + lease_s`, where `stamp` is a time that this very agent gave a moment before: what arrives late lends nothing.
* `release` takes it back; the answer says that the kernel has it no more, so that the next may have it at once.
* Both carry the epoch of the decision; an older one is refused with what stands here (`superseded`), also after a restart (H41, H43).
* `prepare` tells of a decision for another host: from now on nothing older is promised to anybody.
* `promise`: another agent holds the address and has lost its controller. If nothing newer is known here, this one will not take it for one lease.
  A holder that *all* its peers have promised that, keeps it (SEMANTICS section 8); if one is silent, it goes at the lease's end (H47).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog

from lbctl.clock import Clock
from lbctl.errors import ActuatorError, Superseded
from lbctl.model.decision import Desired
from lbctl.net.fence import Fence, file_of
from lbctl.net.holder import Holder
from lbctl.net.talk import Peer

LEASE_MAX_S = 3600.0
log = structlog.get_logger()


class Keeper:
    """`peers`: the agents of the other hosts that may hold the same address."""

    def __init__(self, address: str, interface: str, clock: Clock, memory: Path, peers: Sequence[Peer] = ()) -> None:
        self.address = address.split("/")[0]
        self._at, self._interface, self._clock, self._peers = address, interface, clock, tuple(peers)
        self._fence = Fence(file_of(memory, f"vip-{self.address}"))
        self._known = self._fence.epoch or 0
        self._promised_until = 0.0
        self._lease_s = 0.0
        self._agreed: bool | None = None
        self._holder: Holder | None = None
        self._task: asyncio.Task[None] | None = None
        self._one = asyncio.Lock()

    async def answer(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """One question. Whatever is wrong with it is an answer with `error`, and changes nothing."""
        try:
            async with self._one:
                await self._do(question)
            return self._shown()
        except Superseded as error:
            return {**self._shown(), "error": error.reason, "text": str(error), "found": error.found_epoch}
        except ActuatorError as error:
            return {**self._shown(), "error": error.reason, "text": str(error)}
        except (KeyError, TypeError, ValueError) as error:
            return {**self._shown(), "error": "malformed", "text": f"no such question: {error!r}"}

    async def close(self) -> None:
        """Ends keeping it; it stays for what is left of its lease."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._holder is not None:
            await self._holder.close()

    async def _do(self, question: Mapping[str, Any]) -> None:
        match question["op"]:
            case "look":
                return
            case "hold":
                await self._hold(_desired(question), float(question["stamp"]), float(question["lease_s"]), question.get("vacated") is True)
            case "release":
                await self._release(_desired(question))
            case "prepare":
                self._learn(_desired(question))
            case "promise":
                self._promise(int(question["epoch"]), float(question["lease_s"]))
            case other:
                raise ValueError(other)

    def _learn(self, desired: Desired) -> None:
        self._fence.check(self.address, desired)
        if desired.epoch < self._known:
            raise Superseded(f"epoch {self._known} is known here, this is {desired.epoch}", found_epoch=self._known)
        self._known = desired.epoch

    async def _hold(self, desired: Desired, stamp: float, lease_s: float, vacated: bool) -> None:
        now = self._clock.now()
        if not (1.0 <= lease_s <= LEASE_MAX_S and stamp <= now):
            raise ValueError("a lease is 1 s to an hour, counted from a stamp of this agent's past")
        self._learn(desired)
        if vacated:
            self._promised_until = 0.0  # every other host has said that it is without the address
        if (left_s := self._promised_until - now) > 0:
            raise ActuatorError("promised", f"its holder was promised {left_s:.1f} s more")
        if stamp + lease_s < now + 1:
            raise ActuatorError("late", "less than a second is left of what is lent")
        self._fence.advance(self.address, desired, frozenset(desired.addresses[""]))
        if self._holder is None or lease_s != self._lease_s:
            await self._renew(lease_s)
        assert self._holder is not None, "made a line above"
        self._agreed = None
        await asyncio.gather(self._fence.save(), self._holder.take(stamp + lease_s))
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._outlive(), name=f"keep {self.address}")

    async def _renew(self, lease_s: float) -> None:
        if self._holder is not None:
            await self._holder.close()
        self._holder, self._lease_s = Holder(self._at, self._interface, lease_s, self._clock), lease_s

    async def _release(self, desired: Desired) -> None:
        self._learn(desired)
        self._fence.advance(self.address, desired, frozenset(desired.addresses[""]))
        if self._holder is None:
            await self._renew(self._lease_s or 1.0)
        assert self._holder is not None, "made a line above"
        self._holder.drop()
        await self._fence.save()

    def _promise(self, epoch: int, lease_s: float) -> None:
        if not 1.0 <= lease_s <= LEASE_MAX_S:
            raise ValueError("a lease is 1 s to an hour")
        if self._holder is not None and self._holder.wanted:
            raise ActuatorError("held", f"{self.address} is held here too")
        if epoch < self._known:
            raise Superseded(f"epoch {self._known} is known here, the holder's is {epoch}", found_epoch=self._known)
        self._promised_until = max(self._promised_until, self._clock.now() + lease_s)

    async def _outlive(self) -> None:
        """Asks the peers, each quarter of a lease, where what is lent reaches less than half of one."""
        while self._holder is not None and self._holder.wanted:
            await self._clock.sleep(self._lease_s / 4)
            now = self._clock.now()
            if not self._holder.wanted or (self._holder.until or 0.0) - now > self._lease_s / 2:
                continue
            question = {"op": "promise", "address": self.address, "epoch": self._fence.epoch, "lease_s": self._lease_s}
            answers = await asyncio.gather(*(peer.ask(question) for peer in self._peers), return_exceptions=True)
            agreed = bool(answers) and all(isinstance(one, dict) and "error" not in one for one in answers)
            if agreed is not self._agreed:
                log.warning("no word from the controller", address=self.address, kept="while all peers agree" if agreed else "until the lease ends")
            self._agreed = agreed
            if agreed:
                self._holder.prolong(now + self._lease_s)

    def _shown(self) -> dict[str, Any]:
        """What is so here, and what time it is."""
        mark, held, why = self._fence.mark, False, ""
        try:
            if self._holder is None:
                self._holder, self._lease_s = Holder(self._at, self._interface, self._lease_s or 1.0, self._clock), self._lease_s or 1.0
            held, why = self._holder.shown(), self._holder.trouble
        except ActuatorError as error:
            why = str(error)
        now = self._clock.now()
        return {
            "stamp": now, "held": held, "trouble": why, "epoch": self._known or None, "promised_s": max(0.0, self._promised_until - now),
            "members": list(mark.members) if mark else [], "addresses": list(mark.addresses) if mark else [],
        }


def _desired(question: Mapping[str, Any]) -> Desired:
    addresses = tuple(str(one) for one in question["addresses"])
    return Desired("", int(question["epoch"]), tuple(str(one) for one in question["members"]), {"": addresses})
