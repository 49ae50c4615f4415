"""The copy of the last answers: what the embedded server published last, in a file of its own apart from the state (SEMANTICS section 6).

When the state is lost, this is what clients were told; when both are lost, the server says SERVFAIL rather than guess. The file is replaced
as a whole (new file, fsync, rename, fsync of the directory) and carries a digest, so it is read back as written or not at all. Writing is
*after* answering, in a thread, and only the newest content is written: a burst of thousands of moves costs a few writes.

It also holds back each zone's serial: `reserved` is written ahead of what was handed out, and a start goes on from there, so that a serial
never goes back even when the last writes were lost with the machine.
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
from typing import Any

FORMAT = 1
SERIALS_AHEAD = 100_000


@dataclass(frozen=True, slots=True)
class LastAnswer:
    """What was published for one name."""

    addresses: tuple[str, ...]
    ttl_s: int
    epoch: int


@dataclass(frozen=True, slots=True)
class LastAnswers:
    """The content of the file: answers by name, reserved serials by zone."""

    names: Mapping[str, LastAnswer] = field(default_factory=dict)
    serials: Mapping[str, int] = field(default_factory=dict)


def render(content: LastAnswers) -> bytes:
    """The file's bytes: a line with the digest, then JSON."""
    names = {name: [list(last.addresses), last.ttl_s, last.epoch] for name, last in content.names.items()}
    body = json.dumps({"format": FORMAT, "serials": dict(content.serials), "names": names}, separators=(",", ":")).encode()
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def parse(data: bytes) -> LastAnswers:
    """What `render` wrote; ValueError for anything else, torn and edited files included."""
    digest, _, body = data.partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise ValueError("the digest does not fit")
    value: dict[str, Any] = json.loads(body)
    if value["format"] != FORMAT:
        raise ValueError(f"format {value['format']} is not known")
    names = {name: LastAnswer(tuple(addresses), ttl_s, epoch) for name, (addresses, ttl_s, epoch) in value["names"].items()}
    return LastAnswers(names, value["serials"])


def load(path: Path) -> tuple[LastAnswers, str]:
    """The file's content and why there is none, if so ("" where it was read or never existed)."""
    try:
        return parse(path.read_bytes()), ""
    except FileNotFoundError:
        return LastAnswers(), ""
    except (OSError, ValueError, KeyError, TypeError) as error:
        return LastAnswers(), f"{path}: {error}"


def write(path: Path, content: LastAnswers) -> None:
    """Replaces the file durably. OSError where that is impossible; the old one then stays."""
    new = path.with_name(path.name + ".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
    with os.fdopen(descriptor, "wb") as file:
        file.write(render(content))
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


class CopyWriter:
    """Writes the newest content behind the answers. `problem`: why the last write failed, "" if it did not."""

    def __init__(self, path: Path, content: Callable[[], LastAnswers]) -> None:
        self.problem = ""
        self._path = path
        self._content = content
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="dns-copy")
        self._task: asyncio.Task[None] | None = None
        self._wanted = False

    def soon(self) -> None:
        """Something has changed. Needs a running loop."""
        self._wanted = True
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._write_all(), name="dns-copy")

    async def written(self) -> None:
        """Waits until everything said by `soon` is on the disk, or could not be (`problem`)."""
        if self._task is not None:
            await self._task

    async def close(self) -> None:
        """Writes what is due and ends the thread."""
        await self.written()
        self._thread.shutdown(wait=False)

    async def _write_all(self) -> None:
        while self._wanted:
            self._wanted = False
            try:
                await asyncio.get_running_loop().run_in_executor(self._thread, write, self._path, self._content())
                self.problem = ""
            except OSError as error:
                self.problem = f"{self._path}: {error}"
