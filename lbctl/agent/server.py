"""The agent as a process: one listener, one keeper for each address that this host may hold, lines to the peers.

Who may say what is settled here, by the certificate of whoever speaks: a controller that this host's own configuration names may command; a
peer may ask for a promise, and look; anybody else, though he be of the same authority, is told so and nothing more. Changed certificate files are
taken up while the addresses stay where they are.
"""

from __future__ import annotations

import asyncio
import ipaddress
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from lbctl import systemd
from lbctl.agent.keeper import Keeper
from lbctl.clock import Clock, SystemClock
from lbctl.net.talk import Listener, Peer
from lbctl.net.trust import Caller, Files, Trust

PEER_S = 0.5
"""How long a peer may take to promise."""
RENEW_S = 5.0
"""Between two looks at the certificate files; SIGHUP looks at once."""
STRANGERS_MAX = 64
_PEERS_MAY = frozenset({"promise", "look"})
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Settings:
    """`addresses`: (address with prefix, interface) that this host may hold; `controllers`: names of their certificates, or `sha256:` pins;
    `memory`: the file beside which marks stand."""

    listen: tuple[str, int]
    files: Files
    addresses: tuple[tuple[str, str], ...]
    memory: Path
    controllers: tuple[str, ...]
    peers: tuple[tuple[str, int], ...] = ()


class Agent:
    """`start()`, then `close()`. OSError where the address is taken or a certificate cannot be read."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._trust = Trust(settings.files)
        self._peers = [Peer(host, port, self._trust, PEER_S) for host, port in settings.peers]
        self._peer_names = tuple(host for host, _ in settings.peers)
        self._keepers = {
            _plain(address): Keeper(address, interface, clock, settings.memory, self._peers) for address, interface in settings.addresses
        }
        self._listener = Listener(self.answer, self._trust)
        self._strangers: set[str] = set()
        self._looking: asyncio.Task[None] | None = None
        self.port = 0

    async def start(self) -> None:
        """Answers from now on."""
        self.port = await self._listener.start(*self._settings.listen)
        self._looking = asyncio.get_running_loop().create_task(self._renew(), name="certificates")

    async def answer(self, who: Caller, question: Mapping[str, Any]) -> dict[str, Any]:
        """A question about one of the addresses."""
        if (why := self._refusal(who, question)) is not None:
            return {"stamp": self._clock.now(), "error": "not-allowed", "text": why}
        keeper = self._keepers.get(str(question.get("address")))
        if keeper is None:
            return {"stamp": self._clock.now(), "error": "address", "text": f"this host may hold {', '.join(self._keepers) or 'nothing'}"}
        return await keeper.answer(question, ", ".join(sorted(who.names)) or who.who)

    async def renew(self) -> None:
        """Takes up changed certificate files, if there are any."""
        await self._listener.renew()

    async def close(self) -> None:
        """What is held stays for what is left of its lease."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
        await self._listener.close()
        for keeper in self._keepers.values():
            await keeper.close()
        for peer in self._peers:
            peer.close()

    def _refusal(self, who: Caller, question: Mapping[str, Any]) -> str | None:
        """Why this caller may not ask that."""
        if who.is_one_of(self._settings.controllers) or (who.is_one_of(self._peer_names) and question.get("op") in _PEERS_MAY):
            return None
        if who.who not in self._strangers and len(self._strangers) < STRANGERS_MAX:  # told once each: a stranger may ask all day
            self._strangers.add(who.who)
            log.warning("a caller is refused", caller=who.who, controllers=list(self._settings.controllers))
        return f"this agent takes commands from {' and '.join(self._settings.controllers)} only (--controller); the caller is {who.who}"

    async def _renew(self) -> None:
        while True:
            await self._clock.sleep(RENEW_S)
            await self.renew()


def _plain(address: str) -> str:
    return str(ipaddress.ip_interface(address).ip)


async def run(settings: Settings) -> None:
    """In the foreground, until SIGTERM or SIGINT; SIGHUP reads the certificates again."""
    agent, ending, jobs = Agent(settings, SystemClock()), asyncio.Event(), set[asyncio.Task[None]]()
    loop = asyncio.get_running_loop()

    def renew() -> None:
        job = loop.create_task(agent.renew())
        jobs.add(job)
        job.add_done_callback(jobs.discard)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    loop.add_signal_handler(signal.SIGHUP, renew)
    await agent.start()
    addresses: Sequence[str] = [address for address, _ in settings.addresses]
    log.info("ready", port=agent.port, addresses=addresses, peers=[f"{host}:{port}" for host, port in settings.peers],
             controllers=list(settings.controllers))
    systemd.ready(f"may hold {', '.join(addresses)}")
    try:
        await ending.wait()
    finally:
        systemd.stopping()
        await agent.close()
