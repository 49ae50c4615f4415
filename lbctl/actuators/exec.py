"""A command of the operator's, for everything that lbctl has no kind for; and a second one that tells what the world shows.

Both are programs with arguments, never a shell line, with a deadline after which the whole process group is killed, little environment and
bounded output. `apply` is given the decision as one JSON object on standard input:

    {"service": "core", "epoch": 7, "members": ["core-b"], "addresses": ["192.0.2.11"], "previous": ["192.0.2.10"]}

and ends with 0 (done), 4 (a newer epoch stands there: this writer is stale) or anything else (failed; its standard error is told and it is
tried again). `read` prints `{"addresses": ["192.0.2.11"], "epoch": 7}`; the epoch may be left out, and an empty list means that nothing is published.
What `apply` says is never believed before `read` shows it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lbctl.actuators.base import Actual, Place, wanted
from lbctl.errors import ActuatorError, Superseded
from lbctl.model.decision import Desired
from lbctl.net.fence import Fence, file_of

OUTPUT_BYTES = 64 << 10
SUPERSEDED = 4
TOLD = 300
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}


@dataclass(frozen=True, slots=True)
class Settings:
    """`exec: {name, apply, read, timeout, view}`. `apply` and `read` are a program's absolute path and its arguments."""

    name: str
    apply: tuple[str, ...]
    read: tuple[str, ...]
    timeout_s: float = 10.0
    view: str = ""


class Exec:
    """One pair of commands."""

    def __init__(self, settings: Settings, memory: Path | None) -> None:
        self.id = f"exec:{settings.name}" + (f"/{settings.view}" if settings.view else "")
        self.view = settings.view
        self._settings = settings
        self._fence = Fence(file_of(memory, self.id))

    async def apply(self, desired: Desired) -> None:
        addresses = wanted(desired, self.view)
        if not addresses:
            raise ActuatorError("empty", f"{self.id}: nothing at all is never published", temporary=False)
        self._fence.advance(self.id, desired, addresses)
        previous = desired.previous.get(self.view) or desired.previous.get("") or ()
        said = {"service": desired.service, "epoch": desired.epoch, "members": list(desired.members), "addresses": sorted(addresses),
                "previous": sorted(previous)}
        await asyncio.gather(self._fence.save(), self._run(self._settings.apply, json.dumps(said).encode()))

    async def read(self) -> Actual:
        try:
            addresses, epoch = _told(await self._run(self._settings.read, b""))
        except ActuatorError as error:
            return Actual((Place(self._settings.name, None, None, error.reason, str(error)),))
        return Actual((Place(self._settings.name, addresses, epoch),))

    async def close(self) -> None:
        """Nothing is held between calls."""

    async def _run(self, words: Sequence[str], given: bytes) -> bytes:
        """Runs one command to its end; what it printed."""
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(*words, stdin=pipe, stdout=pipe, stderr=pipe, env=ENVIRONMENT, start_new_session=True)
        except OSError as error:
            raise ActuatorError("missing", f"{words[0]}: {error.strerror or error}") from error
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                out, said = await _talk(process, given)
                code = await process.wait()
        except TimeoutError:
            raise ActuatorError("timeout", f"{words[0]} does not end within {self._settings.timeout_s:g} s: killed") from None
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)  # also what it left behind
            await process.wait()
        if code == SUPERSEDED:
            raise Superseded(f"{words[0]} says that a newer epoch stands there: {_text(said)}")
        if code:
            raise ActuatorError("failed", f"{words[0]} ends with {code}: {_text(said)}")
        return out


async def _talk(process: asyncio.subprocess.Process, given: bytes) -> tuple[bytes, bytes]:
    """Gives what it reads, takes what it prints; more than the bound is an error, not memory."""
    assert process.stdin, "a pipe"
    assert process.stdout, "a pipe"
    assert process.stderr, "a pipe"
    with contextlib.suppress(BrokenPipeError, ConnectionResetError, RuntimeError):  # the last is uvloop's word for a pipe that was closed first
        process.stdin.write(given)
        await process.stdin.drain()
    process.stdin.close()
    return await asyncio.gather(_bounded(process.stdout), _bounded(process.stderr))


async def _bounded(reader: asyncio.StreamReader) -> bytes:
    found = b""
    while part := await reader.read(8192):
        found += part
        if len(found) > OUTPUT_BYTES:
            raise ActuatorError("too-large", f"it prints more than {OUTPUT_BYTES >> 10} KiB")
    return found


def _told(out: bytes) -> tuple[frozenset[str], int | None]:
    """What `read` printed: canonical addresses (names stay names) and the epoch."""
    try:
        found: Any = json.loads(out)
        addresses, epoch = found["addresses"], found.get("epoch")
        if not isinstance(addresses, list) or not all(isinstance(one, str) for one in addresses) or not isinstance(epoch, int | None):
            raise ValueError("`addresses` is a list of texts, `epoch` a number or nothing")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ActuatorError("malformed", f"it does not print {{\"addresses\": […], \"epoch\": N}}: {error}") from error
    return frozenset(_canonical(one) for one in addresses), epoch


def _canonical(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text


def _text(said: bytes) -> str:
    return " ".join(said.decode(errors="replace").split())[:TOLD] or "nothing on its standard error"
