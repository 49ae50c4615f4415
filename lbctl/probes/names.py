"""Names to addresses for looks: the last good answer is kept, so that a dead resolver makes no member look dead (H21).

Addresses are used as they are. A name is asked through the system's resolver in threads of our own, at most one question for a name at a
time; looks go on with the last answer while a newer one is fetched. Only a name that was never resolved makes a look wait.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from lbctl.clock import Clock
from lbctl.probes.base import literal

# A name server is asked twice a minute, not at every look; a member that moves its address is found within that.
FRESH_S = 30.0
# Each gets a share of one timeout: more of them would leave none with enough to connect.
ADDRESSES_MAX = 4
# Few, because a dead resolver blocks each for tens of seconds; the names that wait keep their last answer.
_THREADS = 4

SocketAddress: TypeAlias = tuple[Any, ...]
Place: TypeAlias = tuple[socket.AddressFamily, SocketAddress]
Told: TypeAlias = Callable[["Name"], None]


@dataclass(slots=True)
class Name:
    """A host and port, and where they lead: `places` is the last good answer, `problem` why the last question failed."""

    host: str
    port: int
    places: tuple[Place, ...] = ()
    asked: float = float("-inf")
    problem: str = ""
    waiting: list[Told] = field(default_factory=list)


class Names:
    """All names that looks need, each once."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock) -> None:
        self._loop = loop
        self._now = clock.now
        self._names: dict[tuple[str, int], Name] = {}
        self._threads: ThreadPoolExecutor | None = None
        self._questions: set[asyncio.Future[None]] = set()

    def name(self, host: str, port: int) -> Name:
        """The one `Name` of this host and port; an address is resolved already, for ever."""
        if not literal(host):
            # Shared by all pages and members with this name: one question, and one answer to agree on.
            return self._names.setdefault((host, port), Name(host, port))
        try:
            return Name(host, port, _places(host, port, socket.AI_NUMERICHOST), float("inf"))
        except OSError as problem:  # a scope (`%eth0`) that is not there, yet
            return Name(host, port, problem=problem.strerror or "no such address")

    def refresh(self, name: Name, told: Told | None = None) -> None:
        """Asks again where the answer is not fresh; `told` is called when an answer or a failure is there."""
        if told is not None:
            name.waiting.append(told)
        # A failed question counts as asked where an old answer is there; without one the next look asks again at once.
        if self._now() - name.asked < (FRESH_S if name.places else 0):
            return
        name.asked = float("inf")  # under way
        question = self._loop.create_task(self._ask(name))
        self._questions.add(question)
        question.add_done_callback(self._questions.discard)

    async def _ask(self, name: Name) -> None:
        if self._threads is None:
            # Made on first need: with literal addresses alone no thread is ever started.
            self._threads = ThreadPoolExecutor(_THREADS, "lbctl-names")
        try:
            places = await self._loop.run_in_executor(self._threads, _places, name.host, name.port, 0)
            name.places, name.problem = places, ""
        except OSError as problem:
            # `places` stay: the last good answer outlives its resolver (H21).
            name.problem = problem.strerror or "no answer"
        except UnicodeError:
            name.problem = "not a name"
        # When it ended, not when it began: a slow resolver is not asked again the moment that it has answered.
        name.asked = self._now()
        # Emptied first: who is told may fail at once and wait for the next question already.
        waiting, name.waiting = name.waiting, []
        for told in waiting:
            told(name)

    def close(self) -> None:
        """Lets questions under way end in their threads; nobody waits for them."""
        for question in self._questions:
            question.cancel()
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)


def _places(host: str, port: int, flags: int) -> tuple[Place, ...]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    # The resolver's order stays: it is the system's preference (RFC 6724).
    unique = dict.fromkeys((family, address) for family, _, _, _, address in found)
    return tuple(unique)[:ADDRESSES_MAX]
