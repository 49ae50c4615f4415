"""A virtual address that agents hold (`lbctl agent`), in two layouts.

* On the members' own hosts: `agents` are named like the members, and the active member's host holds the address. The policy decides where it is.
* In front of members that are appliances (`forward`): `agents` are balancer hosts in order of preference. One of them holds the address and passes
  connections on to the active member. The policy decides to whom; which *host* is settled here, by who is alive: it stays where it is, and
  goes to the first in order that can have it when its holder is gone or refuses. It does not go back by itself: each change of hosts cuts
  connections. A failover of the members changes the rules on the same host, in one transaction, and moves nothing else.

The address is *lent* (`vip_lease`): renewed each third of a lease while this controller lives. A host that does not answer is waited for: until the
lease that it was last given must be over, and until the promises that it may have from its peers are (`agent.keeper`). Only then is the address
lent to the next, whose own conflict probe looks once more. So no two hosts ever hold it, whatever is cut, killed or stopped (H43, H46, H47).

Within a decision each change of hosts is a *turn*: a host that wakes up is told the newer one and refuses what came before. An agent obeys one
controller at a time; the refusals of the agents of somebody else are this one's errors (`owned`, `superseded`).
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import os
import socket
from collections.abc import Callable
from pathlib import Path

import structlog

from lbctl.actuators.base import Actual, Host, Place, wanted
from lbctl.actuators.vip import Settings, identity
from lbctl.actuators.vip_lease import SILENT, Lender
from lbctl.clock import Clock
from lbctl.errors import ActuatorError, Superseded
from lbctl.model.decision import Desired
from lbctl.net.forward import facing
from lbctl.net.said import Said
from lbctl.net.talk import Peer
from lbctl.net.trust import Files, Trust

ASK_S = 1.0
RETRY_S = 0.2
WARN_S = 0.5
"""Between two warnings of the hosts that might be next; what they hear on the network is good for twice as long."""
OURS = frozenset({"owned", "not-allowed", "address", "malformed"})
"""Refusals that another host would give as well: the address is not tried elsewhere."""
log = structlog.get_logger()


class VipAgents:
    """One address, several hosts. `memory`: the state's file; who has it is the same controller over its restarts."""

    def __init__(self, settings: Settings, clock: Clock, memory: Path | None, told: Callable[[str, str], None] | None = None) -> None:
        if settings.cert_file is None or settings.key_file is None or settings.ca_file is None:
            raise ActuatorError("not-configured", f"{identity(settings)}: agents need cert_file, key_file and ca_file", temporary=False)
        try:
            trust = Trust(Files(settings.cert_file, settings.key_file, settings.ca_file))
        except OSError as error:
            raise ActuatorError("tls", f"{identity(settings)}: a certificate cannot be used: {error}", temporary=False) from error
        self.id, self.view = identity(settings), settings.view
        self._settings, self._clock, self._owner = settings, clock, _owner(memory)
        self._address = settings.address.split("/")[0]
        limit_s = min(ASK_S, settings.lease_s / 4)
        agents = {name: Peer(host, port, trust, limit_s) for name, (host, port) in settings.agents.items()}
        self._book = Lender(self._address, agents, settings.lease_s, clock, self._tell)
        self._told = told
        self._unready: dict[str, str] = {}
        self._holder = ""
        self._lending = False
        self._turn = 0
        self._warned_at = -math.inf
        self._one = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._telling: asyncio.Task[None] | None = None

    async def apply(self, desired: Desired) -> None:
        addresses = wanted(desired, self.view)
        if len(desired.members) != 1 or not addresses:
            raise ActuatorError("empty", f"{self.id}: it follows one active member", temporary=False)
        [member] = desired.members
        forward = self._settings.forward
        if not forward and member not in self._book.agents:
            raise ActuatorError("not-configured", f"{self.id}: no agent is configured for {member}", temporary=False)
        target = facing(self._address, sorted(addresses)) if forward else ""
        async with self._one:
            self._lending = False  # under the old decision; each failure below leaves it so
            self._decide(desired.epoch, member, sorted(addresses), target)
            await (self._seat() if forward else self._move(member))
            self._lend_on()

    async def read(self) -> Actual:
        found = await self._book.look(rules=bool(self._settings.forward))
        held = {name: answer for name, answer in found.items() if isinstance(answer, Said) and answer.held}
        if len(held) == 1 and not self._book.decision:
            self._take_up(*next(iter(held.items())))
        if held:
            return Actual(tuple(_place(name, answer, forward=bool(self._settings.forward)) for name, answer in held.items()))
        silent = [(name, answer) for name, answer in found.items() if isinstance(answer, ActuatorError)]
        if silent:
            name, error = silent[0]
            return Actual((Place(name, None, None, error.reason, str(error)),))
        epochs = [answer.epoch for answer in found.values() if isinstance(answer, Said) and answer.epoch is not None]
        return Actual((Place(self._address, frozenset(), max(epochs, default=None)),))

    def hosts(self) -> tuple[Host, ...]:
        return tuple(self._host(name) for name in self._book.agents)

    def forewarn(self) -> None:
        """The active member is suspect: the hosts that might be next ask the network for rivals now, and not when every millisecond counts.
        Where the address stays in front of the members nothing is to be prepared."""
        now = self._clock.now()
        if self._lending and not self._settings.forward and now - self._warned_at > WARN_S:
            self._warned_at = now
            self._tell_others(ahead=True)

    async def close(self) -> None:
        """Lends no more. The holder keeps it while all of its peers agree, or until the lease ends."""
        running = [task for task in (self._task, self._telling) if task is not None]
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
        self._book.close()

    # --- what is decided

    def _decide(self, epoch: int, member: str, addresses: list[str], target: str) -> None:
        if epoch != self._book.decision.get("epoch"):
            self._turn = 0
        self._book.decision = {
            "epoch": epoch, "members": [member], "addresses": addresses, "owner": self._owner, "lease_s": self._settings.lease_s, "turn": self._turn,
            **({"forward": {"target": target, "ports": list(self._settings.forward)}} if target else {}),
        }

    def _take_up(self, name: str, answer: Said) -> None:
        """What an earlier life of this controller lent is lent on, or it would end with its lease before the first decision."""
        target = answer.passed.target if self._settings.forward and answer.passed is not None else ""
        if answer.epoch is None or (not target if self._settings.forward else answer.members != [name]):
            return
        self._decide(answer.epoch, next(iter(answer.members), ""), answer.addresses, target)
        self._holder, self._turn = name, answer.turn
        self._lend_on()

    # --- where it is

    async def _seat(self) -> None:
        """Has it at the host that holds it, or at the first in order that can have it. Raises what the best of them said."""
        if not self._holder:
            held = [name for name, answer in (await self._book.look()).items() if isinstance(answer, Said) and answer.held]
            self._holder = held[0] if len(held) == 1 else ""
        said = self._book.overdue(self._holder)
        if self._holder and said is None:
            try:
                self._count_turns()
                return await self._stay(self._holder)
            except Superseded:
                raise
            except ActuatorError as error:
                if error.reason in OURS or (error.reason in SILENT and not self._book.overdue(self._holder)):
                    raise
                said = error
        for name in [name for name in self._book.agents if name != self._holder]:
            try:
                return await self._elsewhere(name, said)
            except Superseded:
                raise
            except ActuatorError as error:
                if error.reason in OURS or error.reason == "leased":
                    raise
                said = said or error
        raise said or ActuatorError("not-configured", f"{self.id}: no host may hold it", temporary=False)

    async def _stay(self, name: str) -> None:
        """The same host, perhaps with another decision. The others are told of it, and not waited for: they are without the address."""
        if isinstance(known := self._book.answers.get(name), Said) and "carrier" in known.trouble:
            raise ActuatorError("no-carrier", f"{name}: {known.trouble}")
        await self._book.lend(name, fresh_s=self._settings.lease_s / 4)

    async def _elsewhere(self, name: str, why: ActuatorError | None) -> None:
        self._count_turns()
        self._turn += 1
        await self._move(name)
        if why is not None:
            self._tell("address-moved", f"{self._address} is held by {name} from now on: {why}")

    async def _move(self, name: str) -> None:
        """To this host, when every other is without it."""
        self._count_turns()
        await self._book.claim()
        vacated, gone = await self._book.vacate(name)
        await self._book.lend(name, vacated=vacated, gone=gone)
        self._holder = name

    def _count_turns(self) -> None:
        """Never below what any host has heard of this decision, in this life or in an earlier one."""
        epoch = self._book.decision.get("epoch")
        known = [one.turn for one in self._book.answers.values() if isinstance(one, Said) and one.epoch == epoch]
        self._turn = max([self._turn, *known])
        self._book.decision["turn"] = self._turn

    # --- as long as this controller lives

    def _lend_on(self) -> None:
        self._lending = True
        self._tell_others()
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._tend(), name=f"lend {self.id}")

    async def _tend(self) -> None:
        """Each third of a lease, for ever; more often while the holder is silent, and exactly when its time is over."""
        pause, said = self._settings.lease_s / 3, ""
        while True:
            await self._clock.sleep(pause)
            pause = self._settings.lease_s / 3
            if not self._lending:
                continue
            over = self._book.overdue(self._holder)
            try:
                async with self._one:
                    await self._renew()
                self._tell_others()
                said = ""
            except Superseded as error:
                log.error("the address is lent no more", address=self._address, why=str(error))
                self._lending = False
            except ActuatorError as error:
                if error.reason != said:
                    log.warning("the address could not be lent on", address=self._address, why=str(error))
                said = error.reason
                # Once at the very end of what the silent holder was lent; from then on at the usual pace.
                left_s = self._book.lent.get(self._holder, 0.0) - self._clock.now()
                pause = RETRY_S if over else min(RETRY_S, max(left_s, 0.0))
                self._tell_others(ahead=True)

    async def _renew(self) -> None:
        if not self._lending:
            return
        if self._settings.forward:
            await self._seat()
        else:
            await self._book.lend(self._holder)

    def _tell_others(self, *, ahead: bool = False) -> None:
        """They learn whom they obey and what is decided, and this controller whether they live; `ahead`: one of them may be the next.
        Nobody waits for it: a standby that is silent may not hold up the holder."""
        if self._telling is None or self._telling.done():
            self._telling = asyncio.get_running_loop().create_task(self._prepare_others(ahead=ahead), name=f"tell {self.id}")

    async def _prepare_others(self, *, ahead: bool) -> None:
        others = [name for name in self._book.agents if name != self._holder]
        await self._book.tell(others, {"op": "prepare", "ahead": ahead})
        self._count_on()

    # --- what is told

    def _host(self, name: str) -> Host:
        answer, silent_s = self._book.answers.get(name), self._book.silent_s(name)
        if silent_s is None or answer is None:
            return Host(name, None, False)
        if isinstance(answer, ActuatorError):  # a word that is lost now and then is no trouble: a lease without one is
            over = silent_s > self._settings.lease_s
            return Host(name, not over, name == self._holder and not over, str(answer) if over else "", self._book.tallies.get(name, {}))
        trouble = answer.trouble or (answer.text if answer.error else "")
        return Host(name, not trouble, answer.held, trouble, self._book.tallies.get(name, {}))

    def _count_on(self) -> None:
        """Tells once when a host could not hold the address any more, and once when it could again."""
        for host in self.hosts():
            before = self._unready.get(host.name, "")
            if bool(before) == bool(host.trouble):
                continue
            self._unready[host.name] = host.trouble
            if host.trouble:
                self._tell("host-unready", f"{host.name} could not hold {self._address}: {host.trouble}"[:300])
            else:
                self._tell("host-ready", f"{host.name} can hold {self._address} again")

    def _tell(self, kind: str, text: str) -> None:
        log.warning(text, kind=kind)
        if self._told is not None:
            self._told(kind, text)


def _owner(memory: Path | None) -> str:
    """What the agents know this controller by, beyond its certificate: the same after a restart, another on another machine or state."""
    if memory is None:
        return os.urandom(8).hex()
    try:
        machine = Path("/etc/machine-id").read_text().strip()
    except OSError:
        machine = ""
    return hashlib.sha256("\n".join((machine, socket.gethostname(), str(memory.absolute()))).encode()).hexdigest()[:16]


def _place(name: str, answer: Said, *, forward: bool) -> Place:
    addresses = frozenset(answer.addresses)
    if not forward:
        return Place(name, addresses, answer.epoch)
    if answer.passed is None:  # it holds the address, and leads nowhere
        return Place(name, frozenset(), answer.epoch)
    target = answer.passed.target
    return Place(name, addresses if target in addresses else frozenset({target}), answer.passed.epoch)
