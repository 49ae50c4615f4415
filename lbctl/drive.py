"""The controller's hand on a Core: the guide's command line over SSH, with deadlines, and no outcome taken on trust (G-CLI, SEMANTICS section 3).

A command that timed out, or whose connection broke, may have been carried out or not. So nothing rests on an exit code: after every command the
Core is asked what it is now (`show failover status json`), and a step is done when that says so. A step whose outcome cannot be read is *failed*,
never assumed. The host key must be known before anything is sent; agent and user configuration of the machine are never used.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh

from lbctl.clock import Clock
from lbctl.errors import LbctlError

CONNECT_S = 10.0
COMMAND_S = 60.0
SYNC_S = 4 * 3600.0
AHEAD_S = 60.0
"""How far beyond its own clock a Core's instant may lie: the time of the answer, generously."""
READ_BACKS = 5
READ_BACK_EVERY_S = 2.0
OUTPUT_MAX = 1 << 20
LINE_MAX = 4000
"""Characters of what a Core prints, and of the line of it that people are told."""


class HandError(LbctlError):
    """The Core could not be reached or did not let us in; whoever keeps its SSH must act."""


@dataclass(frozen=True, slots=True)
class Grip:
    """How to reach one Core. `peer` is the name by which the *other* Cores know it for `failover sync <host>`."""

    host: str
    port: int
    user: str
    key_file: Path
    known_hosts_file: Path

    @property
    def peer(self) -> str:
        return self.host


@dataclass(frozen=True, slots=True)
class CoreStatus:
    """What a Core says of itself. Times are steady seconds of ours; `skew_s`: how far its clock is ahead, give or take half the round trip."""

    name: str
    version: str
    mode: str
    state: str
    ha_enabled: bool
    clients: bool
    sync_running: bool
    skew_s: float
    last_sync: Mapping[str, Any] | None
    copy_of: Mapping[str, Any] | None
    raw: Mapping[str, Any]

    @property
    def primary(self) -> bool:
        """It acts as Primary: in Primary mode, or a Secondary that is Active."""
        return self.state == "Active"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a step ended, in words for people."""

    ok: bool
    detail: str


class Hand:
    """One Core's command line. Every call opens a connection of its own: a hand is used rarely, and an idle one would only break unseen."""

    def __init__(self, grip: Grip, clock: Clock) -> None:
        self.grip = grip
        self._clock = clock

    async def say(self, line: str, *, timeout_s: float = COMMAND_S) -> tuple[int, str]:
        """Runs one line; (exit code, output). Raises `HandError`; after a time-out, or where it prints without end, the outcome is unknown."""
        grip = self.grip
        try:
            async with asyncio.timeout(timeout_s), await self._connect() as connection:
                process = await connection.create_process(line, stdin=asyncssh.DEVNULL, stderr=asyncssh.DEVNULL)
                text = await _bounded(process.stdout)
                code = (await process.wait()).exit_status
        except asyncssh.HostKeyNotVerifiable:
            raise HandError(f"{grip.host}: its host key is not the one in {grip.known_hosts_file}") from None
        except asyncssh.PermissionDenied:
            raise HandError(f"{grip.host}: {grip.user} was not let in with {grip.key_file}") from None
        except TimeoutError:
            raise HandError(f"{grip.host}:{grip.port}: no answer within {timeout_s:g} s") from None
        except (asyncssh.Error, OSError) as error:
            raise HandError(f"{grip.host}:{grip.port}: {error}") from None
        return code if code is not None else 1, text

    async def _connect(self) -> asyncssh.SSHClientConnection:
        grip = self.grip
        return await asyncssh.connect(
            grip.host, grip.port, username=grip.user, client_keys=[str(grip.key_file)], known_hosts=str(grip.known_hosts_file),
            config=[], agent_path=None, connect_timeout=CONNECT_S, login_timeout=CONNECT_S, keepalive_interval=10, x509_trusted_certs=None,
        )

    async def ask(self, what: str) -> dict[str, Any]:
        """`show … json` as an object. Raises `HandError`."""
        code, text = await self.say(f"show {what} json")
        try:
            told = json.loads(text)
        except (ValueError, RecursionError):
            raise HandError(f"{self.grip.host}: `show {what}` was answered with exit code {code} and no JSON") from None
        if not isinstance(told, dict):
            raise HandError(f"{self.grip.host}: `show {what}` was not answered with an object")
        return told

    async def status(self) -> CoreStatus:
        """What the Core is now. Raises `HandError`, also for an answer that lacks what we rest on."""
        began = self._clock.now()
        told = await self.ask("failover status")
        try:
            return _status(told, began, self._clock.now())
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
            raise HandError(f"{self.grip.host}: its status lacks {error}") from None

    async def do(self, step: str, command: str, *, peer: str = "") -> Outcome:
        """One step of a run by the guide's command, read back. Never raises: what cannot be known has failed."""
        since, said = 0.0, ""
        try:
            # By the Core's own clock, of which the sync's start is told as well: over two clocks a sync from just before would pass for the last one.
            if step == "last-sync":
                since = float((await self.status()).raw["clock"])
            code, said = await self.say(f"enable; {command.format(peer=peer)}", timeout_s=SYNC_S if step == "last-sync" else COMMAND_S)
            said = f"{_last_line(said)} (exit {code})" if code else _last_line(said)
        except HandError as error:
            said = str(error)
            if step == "last-sync" and not since:  # nothing was sent, so nothing needs to be read back
                return Outcome(False, said)
        return await self._read_back(DONE[step], since, said)

    async def _read_back(self, holds: Callable[[CoreStatus, float], str], since: float, said: str) -> Outcome:
        missing = said
        for attempt in range(READ_BACKS):
            if attempt:
                await self._clock.sleep(READ_BACK_EVERY_S)
            try:
                missing = holds(await self.status(), since)
            except HandError as error:
                missing = str(error)
                continue
            if not missing:
                return Outcome(True, said)
        return Outcome(False, f"{missing}; the command said: {said}" if said and said != missing else missing)


async def _bounded(out: asyncssh.SSHReader[str]) -> str:
    """All that is printed. HandError where that is more than any Core says."""
    parts, size = [], 0
    while part := await out.read(OUTPUT_MAX):
        parts.append(part)
        size += len(part)
        if size > OUTPUT_MAX:
            raise HandError(f"it prints more than {OUTPUT_MAX >> 10} KiB")
    return "".join(parts)


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip()[:LINE_MAX] if lines else ""


def _status(told: Mapping[str, Any], began: float, ended: float) -> CoreStatus:
    """An answer that was asked for at `began` and came at `ended`: the Core has read its clock at some moment between."""
    clock = float(told["clock"])
    if not math.isfinite(clock):
        raise ValueError("a time of its own")
    # The likeliest for people; for the proof of a sync the earliest: an answer that was held up for half a minute on its way must not make a sync
    # younger than the last write, which it may not hold.
    skew, ahead = clock - (began + ended) / 2, clock - began
    return CoreStatus(
        str(told["name"]), str(told["version"]), str(told["mode"]), str(told["state"]), bool(told["ha_enabled"]), bool(told["client_connections"]),
        bool(told["sync_running"]), skew, _ours(told["last_sync"], ahead, ended), _ours(told["copy_of"], ahead, ended), told,
    )


def _ours(run: Mapping[str, Any] | None, ahead: float, now: float) -> dict[str, Any] | None:
    """A run's instants on our clock. ValueError for one that is no time or lies in the future of the clock that told it: it would pass for
    the sync that a step waits for."""
    if run is None:
        return None
    found = {key: value - ahead if key in ("started", "completed", "applied") and value is not None else value for key, value in run.items()}
    for key in ("started", "completed", "applied"):
        if (at := found.get(key)) is not None and not at <= now + AHEAD_S:  # not `at >`: NaN is neither
            raise ValueError(f"a time that can be: {key} is in the future, or none")
    return found


def _acts_as_primary(status: CoreStatus, since: float) -> str:
    return "" if status.primary else f"{status.name} still says {status.mode}/{status.state}"


def _acts_as_standby(status: CoreStatus, since: float) -> str:
    return "" if status.mode == "Secondary" and not status.primary else f"{status.name} still says {status.mode}/{status.state}"


def _takes_clients(status: CoreStatus, since: float) -> str:
    return "" if status.clients else f"{status.name} still refuses new connections"


def _refuses_clients(status: CoreStatus, since: float) -> str:
    return f"{status.name} still takes new connections" if status.clients else ""


def _synced_since(status: CoreStatus, since: float) -> str:
    """A sync that started after the step began (`since`, by the Core's clock) has ended well: an earlier one may lack what clients wrote last."""
    last = status.raw["last_sync"]
    if last is None or (last.get("started") or 0.0) < since:
        return f"{status.name} has begun no sync"
    return "" if last["result"] == "Success" else f"the sync of {status.name} ended with {last['result']} {last.get('reason') or ''}".rstrip()


DONE: dict[str, Callable[[CoreStatus, float], str]] = {
    "disable-clients": _refuses_clients,
    "last-sync": _synced_since,
    "demote": _acts_as_standby,
    "promote": _acts_as_primary,
    "enable-clients": _takes_clients,
    "restore-demote": _acts_as_standby,
    "restore-promote": _acts_as_primary,
    "restore-clients": _takes_clients,
}
"""For each step that has a command: what is still missing by the Core's own word, "" where nothing is."""
