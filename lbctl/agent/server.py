"""The agent as a process: one listener, one keeper for each address that this host may hold, lines to the peers."""

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
from lbctl.net.talk import Files, Listener, Peer

PEER_S = 0.5
"""How long a peer may take to promise."""
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Settings:
    """`addresses`: (address with prefix, interface) that this host may hold; `memory`: the file beside which marks stand."""

    listen: tuple[str, int]
    files: Files
    addresses: tuple[tuple[str, str], ...]
    memory: Path
    peers: tuple[tuple[str, int], ...] = ()


class Agent:
    """`start()`, then `close()`. OSError where the address is taken or a certificate cannot be read."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        client = settings.files.context(server=False)
        self._peers = [Peer(host, port, client, PEER_S) for host, port in settings.peers]
        self._keepers = {
            _plain(address): Keeper(address, interface, clock, settings.memory, self._peers) for address, interface in settings.addresses
        }
        self._listener = Listener(self.answer, settings.files.context(server=True))
        self.port = 0

    async def start(self) -> None:
        """Answers from now on."""
        self.port = await self._listener.start(*self._settings.listen)

    async def answer(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """A question about one of the addresses."""
        keeper = self._keepers.get(str(question.get("address")))
        if keeper is None:
            return {"stamp": self._clock.now(), "error": "address", "text": f"this host may hold {', '.join(self._keepers) or 'nothing'}"}
        return await keeper.answer(question)

    async def close(self) -> None:
        """What is held stays for what is left of its lease."""
        await self._listener.close()
        for keeper in self._keepers.values():
            await keeper.close()
        for peer in self._peers:
            peer.close()


def _plain(address: str) -> str:
    return str(ipaddress.ip_interface(address).ip)


async def run(settings: Settings) -> None:
    """In the foreground, until SIGTERM or SIGINT."""
    agent, ending = Agent(settings, SystemClock()), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    await agent.start()
    addresses: Sequence[str] = [address for address, _ in settings.addresses]
    log.info("ready", port=agent.port, addresses=addresses, peers=[f"{host}:{port}" for host, port in settings.peers])
    systemd.ready(f"may hold {', '.join(addresses)}")
    try:
        await ending.wait()
    finally:
        systemd.stopping()
        await agent.close()
