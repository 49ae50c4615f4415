"""The copy of the last answers: what the embedded server published last, in a file of its own apart from the state (SEMANTICS section 6).

When the state is lost, this is what clients were told; when both are lost, the server says SERVFAIL rather than guess.

It is written in a thread, before the answer that it says is served. Each change appends one line and is fsynced, so a change costs the same among
one name and among ten thousand; a burst is one write. Every line has a digest: a last line that was cut is dropped (the answer before it holds), any
other broken line condemns the file. It is written anew, whole (`lbctl.durable`), at the start, after a failed write, and when it has grown beyond
what it says.

The file also holds back each zone's serial: one far ahead of those handed out, from which a start goes on, so that a serial never goes back
even when the last writes were lost with the machine.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from lbctl import durable

SERIALS_AHEAD = 100_000
LINES_MAX = 1000
DIGEST_CHARS = 16
FILE_MODE = 0o640


@dataclass(frozen=True, slots=True)
class LastAnswer:
    """What was published for one name."""

    addresses: tuple[str, ...]
    ttl_s: int
    epoch: int


@dataclass(frozen=True, slots=True)
class LastAnswers:
    """The content of the file: answers by name (None: forgotten), reserved serials by zone."""

    names: Mapping[str, LastAnswer | None] = field(default_factory=dict)
    serials: Mapping[str, int] = field(default_factory=dict)


def render(content: LastAnswers) -> bytes:
    """Lines that say `content`, whether it is all or what has changed."""
    lines = [_line(["serial", zone, serial]) for zone, serial in content.serials.items()]
    for name, last in content.names.items():
        lines.append(_line(["gone", name] if last is None else ["answer", name, last.epoch, last.ttl_s, *last.addresses]))
    return b"".join(lines)


def _line(value: list[object]) -> bytes:
    body = json.dumps(value, separators=(",", ":")).encode()
    return _digest(body) + b" " + body + b"\n"


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest()[:DIGEST_CHARS].encode()


def parse(data: bytes) -> LastAnswers:
    """What the lines say together. A torn end is dropped; ValueError for any other damage."""
    names: dict[str, LastAnswer | None] = {}
    serials: dict[str, int] = {}
    *lines, _torn = data.split(b"\n")
    for number, line in enumerate(lines, 1):
        digest, _, body = line.partition(b" ")
        if _digest(body) != digest:
            raise ValueError(f"line {number} is damaged")
        match json.loads(body):
            case ["serial", str(zone), int(serial)]:
                serials[zone] = serial
            case ["answer", str(name), int(epoch), int(ttl_s), *addresses]:
                names[name] = LastAnswer(tuple(addresses), ttl_s, epoch)
            case ["gone", str(name)]:
                names.pop(name, None)
            case _:
                raise ValueError(f"line {number} is not known")
    return LastAnswers(names, serials)


def load(path: Path) -> tuple[LastAnswers, str]:
    """The file's content and why there is none, if so ("" where it was read or never existed)."""
    try:
        return parse(path.read_bytes()), ""
    except FileNotFoundError:
        return LastAnswers(), ""
    except (OSError, ValueError) as error:
        return LastAnswers(), f"{path}: {error}"


def append(path: Path, data: bytes) -> None:
    """Adds lines, durably. OSError where that is impossible; the end may then be torn."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


class CopyWriter:
    """Writes in the background. `content` tells, of some names or of all (None), what is to be said. `problem`: why the last write failed."""

    def __init__(self, path: Path, content: Callable[[frozenset[str] | None], LastAnswers]) -> None:
        self.problem = ""
        self._path = path
        self._content = content
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="dns-copy")
        self._task: asyncio.Task[None] | None = None
        self._changed: set[str] = set()
        self._wanted = False
        self._anew = True
        self._lines = 0

    def soon(self, *names: str) -> None:
        """These have changed. Needs a running loop."""
        self._changed.update(names)
        self._wanted = True
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._write_all(), name="dns-copy")

    def whole(self) -> None:
        """The file is to be written anew."""
        self._anew = True
        self.soon()

    async def written(self) -> None:
        """Waits until everything said so far is on the disk, or could not be (`problem`)."""
        if self._task is not None:
            # Shielded: it writes for everybody, and whoever waits may be cancelled or run out of time.
            await asyncio.shield(self._task)

    async def close(self) -> None:
        """Writes what is due and ends the thread."""
        await self.written()
        self._thread.shutdown(wait=False)

    async def _write_all(self) -> None:
        while self._wanted:
            self._wanted, names = False, frozenset(self._changed)
            self._changed.clear()
            anew, self._anew = self._anew or self._lines > LINES_MAX, False
            content = self._content(None if anew else names)
            if not anew and not content.names and not content.serials:
                continue
            try:
                await asyncio.get_running_loop().run_in_executor(self._thread, self._write_one, content, anew)
            except OSError as error:
                self.problem, self._anew = f"{self._path}: {error}", True
            else:
                self.problem = ""
                self._lines = 0 if anew else self._lines + len(content.names) + len(content.serials)

    def _write_one(self, content: LastAnswers, anew: bool) -> None:
        data = render(content)
        if anew:
            durable.replace(self._path, data, FILE_MODE)
        else:
            append(self._path, data)
