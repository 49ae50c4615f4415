"""The life of one address on one interface of this host.

* *Taken* only after asking: one probe, and 10 ms in which somebody who holds it would answer; not the kernel's own detection, which takes two
  seconds. Who answers is named by MAC and nothing is added (H46). Two who ask at the same moment hear each other: the lower MAC goes on.
  The asking may be done *ahead*, while the old holder still has it: then its own answer is expected, and whoever proves afterwards that the
  old one is without it (`gone`) has nothing to wait for. What was heard from anybody else counts as ever.
* *Held* by the kernel for one lease and no longer, and set anew each third of it: whoever is killed, stopped or stuck loses it without anybody's
  help (H47). One who wakes up later than its lease is a newcomer: it asks again.
* *Announced* when taken, after 1, 2, 5 and 10 s, then each minute, and anew after a conflict or when the interface was down: the first of them
  may be lost, and what was lost once is lost again after a split heals (H45).
* *Watched*: the kernel says when somebody removes it; it is put back. Another holder is answered by announcing; one that claims it
  again within 10 s meets the rule of RFC 5227 section 2.4, decided by MAC so that exactly one of two of us gives way. One that has only just
  taken it does so at once: on a busy host two may have asked side by side, each too late to hear the other. Both are told (`told`) and
  counted (`tally`).

`until` bounds all that from outside: an agent is lent the address up to then, and not a moment longer.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from lbctl.clock import Clock
from lbctl.errors import ActuatorError
from lbctl.net import packets
from lbctl.net.netlink import DELADDR, Events, Held, Link, Netlink
from lbctl.net.packets import Claim
from lbctl.net.wire import Wire

PROBE_S = 0.01
AHEAD_S = 1.0
"""How long what was asked ahead may be used."""
CLAIMS_MAX = 64
EXPIRY_S = 0.1
"""How early the kernel may end a lifetime (it rounds)."""
ANNOUNCE_S = (0.0, 1.0, 2.0, 5.0, 10.0)
REFRESH_S = 60.0
RETRY_S = 0.5
DEFEND_S = 10.0
YOUNG_S = 1.0
"""How long after it was taken the first claim of somebody else is enough."""
ANSWER_S = 1.0
"""Between two announcements that answer a conflict."""
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Seen:
    """Whether the interface has the address, the interface's MAC, and whether it has a carrier."""

    held: bool
    mac: str
    running: bool


class Holder:
    """One address. `trouble`: why it is not held though wanted; `told` is given a kind and words for each of `net.EVENTS` but the announcements."""

    def __init__(self, address: str, interface: str, lease_s: float, clock: Clock, told: Callable[[str, str], None] | None = None) -> None:
        self.at = ipaddress.ip_interface(address)
        self.interface = interface
        self.trouble = ""
        self.tally: Counter[str] = Counter()
        self._told = told
        self.relet(lease_s)
        self._clock = clock
        self._netlink = Netlink()
        self._wire: Wire | None = None
        self._events: Events | None = None
        self._wanted, self._up, self._running = False, False, True
        self._until: float | None = None
        self._armed_at = self._series_at = self._next_at = self._answered_at = self._conflict_at = self._asked_at = -math.inf
        self._life_s = 0
        self._known_link: Link | None = None
        self._claims: dict[bytes, Claim] = {}
        self._gained_at, self._gone = -math.inf, frozenset[bytes]()
        self._asking = asyncio.Lock()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    # --- what others may ask for

    def relet(self, lease_s: float) -> None:
        """Another length of the lease. Rounded up to whole seconds: the kernel counts no finer."""
        self.lease_s = max(1, math.ceil(lease_s))

    def ready(self) -> None:
        """Opens what it needs, so that to take the address costs no more than that. ActuatorError as `take` has it."""
        try:
            self._opened()
        except OSError as error:
            raise _failed(error, self.interface) from error

    def ask_ahead(self) -> None:
        """Asks now, while the old holder may still answer, so that a `take` soon after need not. ActuatorError as `take` has it."""
        if self._up or self._clock.now() - self._asked_at < AHEAD_S / 2:
            return
        try:
            self._ask(self._opened())
        except OSError as error:
            raise _failed(error, self.interface) from error

    async def take(self, until: float | None = None, gone: frozenset[bytes] = frozenset()) -> None:
        """Holds it from now on, up to `until` (steady seconds; None: as long as this process lives). ActuatorError where it cannot be had now:
        `conflict` (somebody holds it), `permission`, `interface`, `lease` (less than a second is left); it is tried again all the time.
        `gone`: the MACs of hosts that have proved, since it was asked ahead, that they are without it."""
        self._wanted, self._until = True, until
        try:
            await self._had(gone)
        finally:
            if self._wanted and (self._task is None or self._task.done()):
                self._task = asyncio.get_running_loop().create_task(self._keep(), name=f"hold {self.at}")
            self._wake.set()

    def prolong(self, until: float) -> None:
        """Lent for longer; takes nothing."""
        self._until = max(until, self._until or until)
        self._wake.set()

    def drop(self) -> None:
        """Gives it up now. ActuatorError where the kernel refuses; then it ends with its lease."""
        self._wanted = self._up = False
        self._wake.set()
        try:
            self._netlink.remove(self._held(self._link(), None))
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise _failed(error, self.interface) from error

    def seen(self) -> Seen:
        """What the kernel says. ActuatorError where the interface cannot be read."""
        try:
            link = self._link()
            return Seen(any(held.address == self.at.ip for held in self._netlink.held(link.index)), link.mac.hex(":"), link.running)
        except OSError as error:
            raise _failed(error, self.interface) from error

    @property
    def up(self) -> bool:
        """Whether it was had when it was last looked after."""
        return self._up

    @property
    def wanted(self) -> bool:
        """Whether it is to be held here."""
        return self._wanted

    @property
    def until(self) -> float | None:
        """The end of what is lent."""
        return self._until

    async def close(self, grace_s: float = 0.0) -> None:
        """Stops keeping it. It stays for `grace_s` or what is left of its lease: who comes next takes it over, and if nobody does it goes."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._up and self._until is None and grace_s > self.lease_s:
            with contextlib.suppress(OSError):
                self._netlink.put(self._held(self._link(), math.ceil(grace_s)))
        for socket in (self._wire, self._events, self._netlink):
            if socket is not None:
                socket.close()
        self._wire = self._events = None

    # --- the loop

    async def _keep(self) -> None:
        while self._wanted:
            self._wake.clear()
            if self._until is not None and self._clock.now() >= self._until:
                log.warning("the lease of the address is over", address=str(self.at), interface=self.interface)
                with contextlib.suppress(ActuatorError):
                    self.drop()
                return
            pause = await self._turn()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(pause, 0.001)):
                    await self._wake.wait()

    async def _turn(self) -> float:
        """One look after the address; seconds until the next."""
        try:
            await self._had()
        except ActuatorError as error:
            if str(error) != self.trouble:
                log.warning("the address is not held", address=str(self.at), why=str(error))
            self.trouble = str(error)
            return RETRY_S
        now = self._clock.now()
        if now >= self._next_at:
            self._announce(now)
        end = math.inf if self._until is None else self._until
        return min(self._armed_at + self.lease_s / 3, self._next_at, end) - now

    async def _had(self, gone: frozenset[bytes] = frozenset()) -> None:
        """Makes sure that it is held: sets the lifetime anew where it is, asks and adds where it is not."""
        async with self._asking:
            try:
                if self._up and self._clock.now() - self._armed_at < self.lease_s:
                    self._arm(self._opened())
                else:
                    await self._gain(gone)
            except OSError as error:
                self._up, self._known_link = False, None
                raise _failed(error, self.interface) from error
        self.trouble = ""

    async def _gain(self, gone: frozenset[bytes]) -> None:
        wire = self._opened()
        self._up = False
        inherited = any(held.address == self.at.ip for held in self._netlink.held(wire.link.index))
        if not inherited and (rival := await self._rival(wire, gone)) is not None:
            raise ActuatorError("conflict", f"{self.at.ip} is held by {rival.who} on {self.interface}: not added here",
                                hint="find that host and take the address from it; it is tried again all the time")
        self._armed_at = -math.inf
        if not self._arm(wire):
            raise ActuatorError("lease", f"less than a second is left of the lease of {self.at.ip}")
        self._up, self._gone = True, gone
        self._series_at = self._gained_at = self._clock.now()
        self._announce(self._series_at)

    async def _rival(self, wire: Wire, gone: frozenset[bytes]) -> Claim | None:
        """Who holds it already, or asks for it at the same moment with a better right."""
        ahead = self._clock.now() - self._asked_at < AHEAD_S
        if ahead and await self._heard_from(wire, gone) is None:
            return None
        # Asked ahead and answered: that may be the old holder, who has let go since. Only what is heard now may keep us from it.
        self._ask(wire)
        return await self._heard_from(wire, frozenset())

    def _ask(self, wire: Wire) -> None:
        self._claims.clear()
        self._asked_at = self._clock.now()
        wire.send(packets.probe(wire.link.mac, self.at.ip))

    async def _heard_from(self, wire: Wire, gone: frozenset[bytes]) -> Claim | None:
        """Waits out what is left of the 10 ms since it was asked. The answer is used up: the next time asks anew."""
        if (rest := self._asked_at + PROBE_S - self._clock.now()) > 0:
            await self._clock.sleep(rest)
        wire.hear()
        self._asked_at = -math.inf
        better = (claim for claim in self._claims.values() if claim.mac not in gone and (claim.holds or claim.mac < wire.link.mac))
        return next(better, None)

    def _arm(self, wire: Wire) -> bool:
        """Sets the lifetime where a third of it is over. False: what is lent does not reach that far."""
        now = self._clock.now()
        left_s = self.lease_s if self._until is None else math.floor(min(self.lease_s, self._until - now))
        if left_s < 1:
            return False
        if now - self._armed_at >= self.lease_s / 3 - 0.01:
            self._netlink.put(self._held(wire.link, left_s))
            self._armed_at, self._life_s = now, left_s
        return True

    def _held(self, link: Link, valid_s: int | None) -> Held:
        return Held(link.index, self.at.ip, self.at.network.prefixlen, valid_s)

    def _link(self) -> Link:
        """The interface. Asked for once, as long as the kernel's events would tell of a change; OSError without one."""
        if self._events is not None:
            self._events.catch_up()
        if self._known_link is None or self._events is None:
            self._known_link = self._netlink.link(self.interface)
        return self._known_link

    def _opened(self) -> Wire:
        """The raw socket; a new one where the interface was made anew."""
        if self._events is None:
            self._events = Events(self._changed)
            self._known_link = None
        link = self._link()
        if self._wire is None or (self._wire.link.index, self._wire.link.mac) != (link.index, link.mac):
            if self._wire is not None:
                self._wire.close()
            self._wire = Wire(link, frozenset(one.mac for one in self._netlink.links()), self.at.ip, self._heard)
        return self._wire

    def _announce(self, now: float) -> None:
        if self._wire is not None:
            sent = [self._wire.send(frame) for frame in packets.announcements(self._wire.link.mac, self.at.ip)]
            self.tally["announced"] += all(sent)
        rest = [self._series_at + after for after in ANNOUNCE_S if self._series_at + after > now]
        self._next_at = min(rest, default=now + REFRESH_S)

    # --- what happens to it

    def _changed(self, kind: int, what: Held | Link | None) -> None:
        """The kernel tells."""
        if not isinstance(what, Held) and (what is None or self.interface == what.name or what.index == getattr(self._known_link, "index", 0)):
            self._known_link = None
        if isinstance(what, Held) and what.address == self.at.ip and kind == DELADDR and self._up:
            self._up = False
            # One that slept longer than the lifetime hears of its end late: that was the kernel, and nobody's doing.
            expired = self._clock.now() - self._armed_at >= self._life_s - EXPIRY_S
            log.warning("the address was removed here", address=str(self.at), interface=self.interface, expired=expired)
            if not expired:
                self._tell("address-removed", f"{self.at.ip} was removed from {self.interface} by somebody; it is put back")
        elif isinstance(what, Link) and what.name == self.interface and what.running != self._running:
            self._running = what.running
            self._series_at = self._next_at = self._clock.now()
        elif what is None:
            self._up = False
        else:
            return
        self._wake.set()

    def _heard(self, claim: Claim) -> None:
        """Somebody else claims it."""
        if not self._up:
            known = self._claims.get(claim.mac)
            if (known is None and len(self._claims) < CLAIMS_MAX) or (known is not None and claim.holds):
                self._claims[claim.mac] = claim
        elif self._up and claim.holds and self._wire is not None:
            self._contested(claim, self._wire.link.mac)

    def _contested(self, claim: Claim, ours: bytes) -> None:
        now = self._clock.now()
        again, self._conflict_at = now - self._conflict_at < DEFEND_S, now
        young = now - self._gained_at < YOUNG_S and claim.mac not in self._gone  # a late word of the one that has let go is none
        if now - self._answered_at < ANSWER_S and not (young and ours > claim.mac):
            return
        log.error("another host claims the address", address=str(self.at), interface=self.interface, mac=claim.who)
        self._tell("address-duplicated", f"{self.at.ip} is claimed by {claim.who} too, seen on {self.interface}")
        if (again or young) and ours > claim.mac:
            self._up = False
            self.trouble = f"{self.at.ip} is claimed by {claim.who} too: given up here"
            with contextlib.suppress(OSError):
                self._netlink.remove(self._held(self._link(), None))
            return
        self._answered_at = self._series_at = self._next_at = now
        self._wake.set()

    def _tell(self, kind: str, text: str) -> None:
        self.tally[kind] += 1
        if self._told is not None:
            self._told(kind, text)


def _failed(error: OSError, interface: str) -> ActuatorError:
    """The kernel's no, in words."""
    if error.errno in (errno.EPERM, errno.EACCES):
        return ActuatorError("permission", f"the kernel refuses: {error.strerror}", hint="CAP_NET_ADMIN and CAP_NET_RAW", temporary=False)
    if error.errno in (errno.ENODEV, errno.ENXIO, errno.ENETDOWN):
        return ActuatorError("interface", f"{interface}: {error.strerror}")
    return ActuatorError("kernel", f"{interface}: {error.strerror or error}")
